"""How far brands' neurons are from independent: angles, shared neurons, what one does to another's name."""

import itertools
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.neurons.brand_neurons import BrandNeurons
from auctionsim.neurons.evidence import Evidence
from auctionsim.neurons.identification import rank


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
        raise ValueError(f"count must lie in [1, {neurons.max_neurons}], got {count}")
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


def subsets(num_brands: int) -> list[tuple[int, ...]]:
    """Return every set of brands, the empty one first, smaller before larger."""
    sizes = range(num_brands + 1)
    return [chosen for size in sizes for chosen in itertools.combinations(range(num_brands), size)]


def joint_settings(num_brands: int, num_neurons: float, amplification: float) -> Float[Tensor, "subset brand lever"]:
    """Return one allocation a subset: its brands at the levers given, the others at null."""
    chosen = subsets(num_brands)
    allocation = torch.tensor([0.0, 1.0], dtype=torch.float64).repeat(len(chosen), num_brands, 1)
    for row, brands in enumerate(chosen):
        allocation[row, list(brands)] = torch.tensor([num_neurons, amplification], dtype=torch.float64)
    return allocation


def _written(evidence: Evidence, ranking: Tensor) -> Float[Tensor, "brand width"]:
    """Return Σ over a brand's neurons of mean activation times write vector."""
    directions = torch.cat([ffn.write_vectors().float().cpu() for ffn in evidence.model.feed_forwards])
    activation = evidence.slots.activations.flatten(1).gather(1, ranking)
    return (activation.unsqueeze(2) * directions[ranking]).sum(1)


def _cosine(vectors: Float[Tensor, "brand x"]) -> Float[Tensor, "brand brand"]:
    unit = torch.nn.functional.normalize(vectors, dim=1)
    return unit @ unit.T
