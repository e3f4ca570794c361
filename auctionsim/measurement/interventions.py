"""Which joint interventions are measured: every distinct one of a grid, or those of a list, each once."""

import itertools
from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.levers import at_null
from auctionsim.measurement.settings import NULL, LeverSetting, MeasurementSettings
from auctionsim.substrates.protocol import Lever

GRID_BRANDS = 3  # a grid of more brands would have too many cells


class Interventions(NamedTuple):
    """What is done to the model, and where in the finished measurement it belongs.

    Attributes:
        distinct: (intervention, bidder, lever), float64, the null first.
        cells: (…), for each cell of a grid, or each entry of a list, which intervention it is.
    """

    distinct: Tensor
    cells: Tensor


NEURON_LEVERS = (
    Lever("num_neurons", 0.0, 0.0, NULL.num_neurons),
    Lever("amplification", 0.0, 0.0, NULL.amplification),
)
"""Names and nulls of the levers of neurons."""


def grid_interventions(settings: MeasurementSettings, brands: int) -> Interventions:
    """Return the interventions of the levers' grid.

    Raises:
        ValueError: More brands than a grid can hold.
    """
    singles = list(itertools.product(settings.num_neurons, settings.amplification))
    if brands > GRID_BRANDS:
        raise InputError(
            f"a surface holds up to {GRID_BRANDS} brands, and the grid of {brands} has {len(singles) ** brands} cells: "
            "measure a list of allocations instead"
        )
    sizes = [len(values) for values in (settings.num_neurons, settings.amplification) if len(values) > 1] * brands
    joint = torch.tensor(list(itertools.product(singles, repeat=brands)), dtype=torch.float64)
    return _once(joint, sizes, NEURON_LEVERS)


def listed_interventions(allocations: Tensor, brands: int, levers: tuple[Lever, ...] = NEURON_LEVERS) -> Interventions:
    """Return the interventions of a list, (entry, bidder, lever).

    Args:
        allocations: (entry, bidder, lever), the null among them.
        brands: How many.
        levers: Names and nulls of the levers.

    Raises:
        ValueError: Another shape, numbers that are not finite and ≥ 0, or the null is not listed.
    """
    if allocations.ndim != 3 or allocations.shape[1:] != (brands, len(levers)) or not len(allocations):
        raise InputError(
            f"allocations must be of shape (entry, bidder={brands}, lever={len(levers)}), the levers "
            f"{' and '.join(lever.name for lever in levers)}, got {tuple(allocations.shape)}"
        )
    listed = allocations.detach().to("cpu", torch.float64)
    if not bool((listed.isfinite() & (listed >= 0)).all()):
        raise InputError("the levers of listed allocations must be finite and >= 0")
    return _once(listed, [len(listed)], levers)


def sparse_allocations(brands: int, levels: list[LeverSetting]) -> Tensor:
    """Return the null, every brand alone, every pair, and all together, at each level: (entry, bidder, lever).

    1 + levels · (n + n(n−1)/2 + 1) entries for n > 2 brands: a list that grows with the square of the brands, not
    exponentially.
    """
    groups = [group for size in (1, 2) for group in itertools.combinations(range(brands), size)]
    if brands > 2:
        groups.append(tuple(range(brands)))
    null = torch.tensor([NULL] * brands, dtype=torch.float64)
    entries = [null]
    for level, group in itertools.product(levels, groups):
        entry = null.clone()
        entry[list(group)] = torch.tensor(level, dtype=torch.float64)
        entries.append(entry)
    return torch.stack(entries)


def levels_of(settings: MeasurementSettings) -> list[LeverSetting]:
    """Return every setting of one brand's levers that is not its null."""
    return [
        LeverSetting(count, factor)
        for count, factor in itertools.product(settings.num_neurons, settings.amplification)
        if count != NULL.num_neurons and factor != NULL.amplification
    ]


def levers_of(allocations: Tensor, levers: tuple[Lever, ...] = NEURON_LEVERS) -> tuple[Lever, ...]:
    """Return the levers with the bounds that listed allocations (entry, bidder, lever) have, the null included."""
    low, high = torch.aminmax(allocations.flatten(0, 1), dim=0)
    bounds = zip(levers, low.tolist(), high.tolist(), strict=True)
    return tuple(
        Lever(lever.name, min(least, lever.null), max(most, lever.null), lever.null) for lever, least, most in bounds
    )


def _once(joint: Tensor, sizes: list[int], levers: tuple[Lever, ...]) -> Interventions:
    """Number the different meanings of joint settings (cell, bidder, lever), the null first, then as they come."""
    meanings = [tuple(map(tuple, cell)) for cell in at_null(joint, levers).tolist()]
    null = (tuple(lever.null for lever in levers),) * joint.shape[1]
    if null not in meanings:
        nulls = " or ".join(f"{lever.name} {lever.null:g}" for lever in levers)
        raise InputError(f"the null must be among the allocations: every brand at {nulls}")
    number = {meaning: k for k, meaning in enumerate(dict.fromkeys([null, *meanings]))}
    cells = torch.tensor([number[meaning] for meaning in meanings]).view(sizes)
    return Interventions(torch.tensor(list(number), dtype=torch.float64), cells)
