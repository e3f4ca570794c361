"""Which joint interventions are measured: every distinct one of a grid, or those of a list, each once."""

import itertools
import math
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
        distinct: (intervention, bidder, lever), levers (num_neurons, amplification), float64, the null first.
        cells: (…), for each cell of a grid, or each entry of a list, which intervention it is.
    """

    distinct: Tensor
    cells: Tensor

    @property
    def most_neurons(self) -> int:
        """The most neurons of a brand in any of them, a fraction counted whole."""
        return math.ceil(float(self.distinct[..., 0].max()))

    @property
    def amplification(self) -> float:
        """The highest amplification in any of them."""
        return float(self.distinct[..., 1].max())


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
    return _once(joint, sizes)


def listed_interventions(allocations: Tensor, brands: int) -> Interventions:
    """Return the interventions of a list, (entry, bidder, lever) with levers (num_neurons, amplification).

    Raises:
        ValueError: Another shape, numbers that are not finite and ≥ 0, or the null is not listed.
    """
    if allocations.ndim != 3 or allocations.shape[1:] != (brands, 2) or not len(allocations):
        raise InputError(
            f"allocations must be of shape (entry, bidder={brands}, lever=2), the levers num_neurons and "
            f"amplification, got {tuple(allocations.shape)}"
        )
    listed = allocations.detach().to("cpu", torch.float64)
    if not bool((listed.isfinite() & (listed >= 0)).all()):
        raise InputError("the levers of listed allocations must be finite and >= 0")
    return _once(listed, [len(listed)])


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


def levers_of(allocations: Tensor) -> tuple[Lever, Lever]:
    """Return the levers with the bounds that listed allocations (entry, bidder, lever) have, the null included."""
    names, (low, high) = LeverSetting._fields, torch.aminmax(allocations.flatten(0, 1), dim=0)
    bounds = zip(names, NULL, low.tolist(), high.tolist(), strict=True)
    levers = [Lever(name, min(least, null), max(most, null), null) for name, null, least, most in bounds]
    return levers[0], levers[1]


def _once(joint: Tensor, sizes: list[int]) -> Interventions:
    """Number the different meanings of joint settings (cell, bidder, lever), the null first, then as they come."""
    levers = (Lever("num_neurons", 0.0, 0.0, NULL.num_neurons), Lever("amplification", 0.0, 0.0, NULL.amplification))
    meanings = [tuple(map(tuple, cell)) for cell in at_null(joint, levers).tolist()]
    null = (tuple(NULL),) * joint.shape[1]
    if null not in meanings:
        raise InputError("the null must be among the allocations: every brand at 0 neurons or amplification 1")
    number = {meaning: k for k, meaning in enumerate(dict.fromkeys([null, *meanings]))}
    cells = torch.tensor([number[meaning] for meaning in meanings]).view(sizes)
    return Interventions(torch.tensor(list(number), dtype=torch.float64), cells)
