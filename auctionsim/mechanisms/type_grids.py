"""Types of a bidder as finitely many cells: where each starts and ends, how likely it is, and which a bid lies in."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.priors import Prior
from auctionsim.priors.ironing import distinct

FINE = 4096  # points along the support by which cells are laid out
WITHIN = 1024  # equally likely slices of a cell by which its law is bounded


class TypeAxis(NamedTuple):
    """One valuation's support cut into cells, in increasing order; a cell is a type of this feature.

    Attributes:
        lows: (level,) where each cell starts.
        highs: (level,) where it ends.
        chances: (level,) how likely it is; 0 for a bid that nobody's valuation is.
        within: (level, slice + 1) its quantiles at equally spaced levels, up to its high; the first is the end of the
            support below, which is its low unless that lies in a gap. For a cell that is one value, that value.
    """

    lows: Tensor
    highs: Tensor
    chances: Tensor
    within: Tensor

    def rounded(self, bids: Float[Tensor, "*batch"]) -> Int[Tensor, "*batch"]:
        """Return the last cell that starts at or below each bid, the first where none does."""
        starts = self.lows.to(bids.device)
        return (torch.searchsorted(starts, bids.double().contiguous(), right=True) - 1).clamp_min(0)


def type_axis(prior: Prior, levels: int) -> TypeAxis:
    """Cut a prior's support into at most so many cells.

    A prior on at most `levels` values keeps them, and nothing is rounded. Cells of a longer list hold about equally
    many of its values. Cells of a density f are equally long in ∫ √f, which are equal intervals where it is uniform,
    leaves gaps out, and spends few cells on a tail. An unbounded prior ends at its `finite_high`.

    Raises:
        ValueError: Fewer than 2 levels.
    """
    if levels < 2:
        raise InputError(f"levels must be at least 2, got {levels}")
    atoms = prior.atoms
    return _of_density(prior, levels) if atoms is None else _of_list(atoms.values, atoms.probabilities, levels)


def levels_within(profiles: int, numbers: int) -> int:
    """Return the most levels of so many valuations, from 2 to 64, that make no more profiles than these."""
    return max(2, min(64, int(profiles ** (1 / numbers) + 1e-9)))


def with_zero(axis: TypeAxis) -> TypeAxis:
    """Return the axis with the bid 0 as its first cell: of chance 0 unless the support starts there."""
    if float(axis.lows[0]) <= 0:
        return axis
    zero = axis.lows.new_zeros(1)
    lows, highs, chances = (torch.cat([zero, part]) for part in axis[:3])
    return TypeAxis(lows, highs, chances, torch.cat([torch.zeros_like(axis.within[:1]), axis.within]))


def joint(axes: Sequence[Tensor]) -> Float[Tensor, "type feature"]:
    """Return one number a feature for every combination of levels (level,), the last feature's changing fastest."""
    return torch.stack([part.flatten() for part in torch.meshgrid(*axes, indexing="ij")], 1)


def joint_chances(axes: Sequence[TypeAxis]) -> Float[Tensor, " type"]:
    """Return how likely each combination of levels is."""
    return joint([axis.chances for axis in axes]).prod(1)


def neighbours(sizes: Sequence[int]) -> Int[Tensor, "pair 2"]:
    """Return the ordered pairs of different types whose levels differ by at most one in every feature."""
    places = torch.tensor(list(itertools.product(*map(range, sizes))))
    near = (places.unsqueeze(1) - places.unsqueeze(0)).abs().amax(2) == 1
    return near.nonzero()


def _of_list(values: Tensor, chances: Tensor, levels: int) -> TypeAxis:
    cells = min(levels, len(values))
    ends = torch.linspace(0, len(values), cells + 1, dtype=torch.float64).round().long()
    parts = [(values[a:b], chances[a:b]) for a, b in itertools.pairwise(ends.tolist())]
    steps = torch.linspace(0, 1, WITHIN + 1, dtype=torch.float64)
    within = []
    for part, share in parts:
        reached = share.cumsum(0) / share.sum()
        within.append(part[torch.searchsorted(reached, steps - 1e-12).clamp_max(len(part) - 1)])
    return TypeAxis(
        torch.stack([part[0] for part, _ in parts]),
        torch.stack([part[-1] for part, _ in parts]),
        torch.stack([share.sum() for _, share in parts]),
        torch.stack(within),
    )


def _of_density(prior: Prior, levels: int) -> TypeAxis:
    low, high = prior.support_low, prior.finite_high
    evenly = torch.linspace(low, high, FINE + 1, dtype=torch.float64)
    quantiles = prior.quantile(torch.linspace(0, 1 - 2.0**-24, FINE + 1, dtype=torch.float64)).clamp(low, high)
    points = distinct(torch.cat([evenly, quantiles])) if not _is_even(prior, evenly) else evenly
    masses = prior.cdf(points).diff().clamp_min(0)
    lengths = torch.cat([masses.new_zeros(1), (masses * points.diff()).sqrt().cumsum(0)])
    marks = torch.linspace(0, 1, levels + 1, dtype=torch.float64)[1:-1] * lengths[-1]
    right = torch.searchsorted(lengths, marks).clamp(1, len(points) - 1)
    share = (marks - lengths[right - 1]) / (lengths[right] - lengths[right - 1]).clamp_min(1e-300)
    inner = points[right - 1] + share.clamp(0, 1) * (points[right] - points[right - 1])
    if _is_even(prior, evenly):
        inner = torch.linspace(low, high, levels + 1, dtype=torch.float64)[1:-1]
    edges = distinct(torch.cat([inner.new_tensor([low]), inner, inner.new_tensor([high])]))
    reached = prior.cdf(edges)
    reached[0], reached[-1] = 0.0, 1.0  # an unbounded prior's tail belongs to its last cell
    chances = reached.diff()
    kept = (chances > 1e-12).nonzero().squeeze(1)
    steps = torch.linspace(0, 1, WITHIN + 1, dtype=torch.float64)
    asked = (reached[kept, None] + steps * chances[kept, None]).clamp(0, 1)
    lows, highs = edges[kept], edges[kept + 1]
    within = torch.minimum(prior.quantile(asked).clamp_min(low), highs[:, None])
    within[:, -1] = highs
    return TypeAxis(lows, highs, chances[kept] / chances[kept].sum(), within)


def _is_even(prior: Prior, evenly: Tensor) -> bool:
    """Tell whether the distribution function is a straight line: cells are then equal intervals to the last bit."""
    line = torch.linspace(0, 1, len(evenly), dtype=torch.float64)
    return bool(((prior.cdf(evenly) - line).abs() < 1e-12).all())
