"""How far brands' neurons are from independent: angles, shared neurons, what one does to another's name."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.neurons.brand_neurons import BrandNeurons
from auctionsim.neurons.evidence import Evidence
from auctionsim.neurons.identification import rank
from auctionsim.records import Record


class Geometry(NamedTuple):
    """What the untouched model says of a few brands; matrices (brand, brand).

    Attributes:
        attribution_cosine: Of the attribution vectors over all neurons.
        activation_cosine: Of the mean activations on the brands' names, less those on neutral text.
        write_cosine: Of what each brand's sold neurons together add to the residual stream where its name is predicted.
        jaccard: Of the sets as each brand would have them alone, before rivals were kept apart.
        elasticity: (amplified, named) ∂ log P_named / ∂ log amplification of the other's sold neurons, at the null.
    """

    attribution_cosine: Float[Tensor, "brand brand"]
    activation_cosine: Float[Tensor, "brand brand"]
    write_cosine: Float[Tensor, "brand brand"]
    jaccard: Float[Tensor, "brand brand"]
    elasticity: Float[Tensor, "brand brand"]


def geometry(evidence: Evidence, method: str, neurons: BrandNeurons, count: int) -> Geometry:
    """Compute the matrices for the brands' first `count` neurons.

    Args:
        evidence: What the neurons were identified from.
        method: By which.
        neurons: The disjoint sets that are sold.
        count: How many of each.
    Raises:
        ValueError: More neurons than are ranked.
    """
    if not 1 <= count <= neurons.max_neurons:
        raise InputError(f"count must lie in [1, {neurons.max_neurons}], got {count}")
    ranking = neurons.ranking[:, :count]
    effects = evidence.effects.flatten(1)
    named = evidence.names.mean - evidence.texts.mean
    return Geometry(
        attribution_cosine=_cosine(effects),
        activation_cosine=_cosine(named.flatten(1)),
        write_cosine=_cosine(_written(evidence, ranking)),
        jaccard=rank(evidence, method, overlap=True).overlap(count),
        elasticity=effects[:, ranking].sum(2).T,
    )


def _written(evidence: Evidence, ranking: Tensor) -> Float[Tensor, "brand width"]:
    """Return Σ over a brand's neurons of mean activation times write vector."""
    directions = torch.cat([ffn.write_vectors().float().cpu() for ffn in evidence.model.feed_forwards])
    activation = evidence.slots.activations.flatten(1).gather(1, ranking)
    return (activation.unsqueeze(2) * directions[ranking]).sum(1)


def _cosine(vectors: Float[Tensor, "brand x"]) -> Float[Tensor, "brand brand"]:
    unit = torch.nn.functional.normalize(vectors, dim=1)
    return unit @ unit.T


def geometry_from(record: Mapping[str, object]) -> Geometry:
    """Read the matrices that a list's provenance holds.

    Raises:
        ValueError: One is missing, or is no matrix.
    """
    missing = [name for name in Geometry._fields if name not in record]
    if missing:
        raise InputError(f"no {missing[0]} was kept: these subsets were measured without their neurons' geometry")
    return Geometry(*(_matrix(record[name], name) for name in Geometry._fields))


def _matrix(rows: object, name: str) -> Tensor:
    listed = Record({name: rows}, "geometry").items(name)
    numbers = [Record({name: row}, "geometry").numbers(name) for row in listed]
    if not numbers or {len(row) for row in numbers} != {len(numbers)}:
        raise InputError(f"geometry, {name} must be a square matrix, got rows of {[len(row) for row in numbers]}")
    return torch.tensor(numbers, dtype=torch.float64)
