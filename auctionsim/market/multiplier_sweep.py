"""The supremum of a sum of piecewise affine functions of one multiplier, by one walk over all their ends."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from auctionsim.market.frozen_rows import FrozenRows, UtilityPieces

BEST_ENDS = 12  # at and around which multipliers are worth a try
ROUNDING = 1e-9  # of utility: growth beyond the last end that counts as none


class SweptSum(NamedTuple):
    """A sum of rows at and beside each end of any of them, in the order of multipliers.

    Attributes:
        multiplier: (end,).
        largest: (end,) the most of the sum's limit from below, its value there, and its limit from above.
        falls: Whether the sum does not grow beyond the last end.
    """

    multiplier: Float[np.ndarray, " end"]
    largest: Float[np.ndarray, " end"]
    falls: bool


def swept_sum(pieces: UtilityPieces, worth: Float[np.ndarray, " row"], weights: Float[np.ndarray, " row"]) -> SweptSum:
    """Return Σ weight × utility where each row's score is multiplier × worth.

    Args:
        pieces: Of each row, by its score.
        worth: > 0.
        weights: Queries of each row.
    """
    place = pieces.ends / worth[:, None]
    length = np.diff(place)
    slope = np.divide(pieces.right - pieces.left, length, out=np.zeros_like(length), where=length > 0)
    level = pieces.left - slope * place[:, :-1]
    nothing = np.zeros((len(worth), 1))
    before = np.concatenate([nothing, pieces.right[:, :-1]], 1)
    changes = (
        np.diff(slope, prepend=nothing),
        np.diff(level, prepend=nothing),
        pieces.at[:, :-1] - before,
    )
    where = place[:, :-1].ravel()  # at the last end nothing changes
    ends, group = np.unique(where, return_inverse=True)
    steepness, height, jump = (np.bincount(group, (change * weights[:, None]).ravel(), len(ends)) for change in changes)
    steepness, height = steepness.cumsum(), height.cumsum()
    above = height + steepness * ends
    below = np.concatenate([[0.0], height[:-1] + steepness[:-1] * ends[1:]])
    unit = weights @ np.abs(np.concatenate([pieces.at, pieces.left, pieces.right], 1)).max(1)
    falls = bool(steepness[-1] * ends[-1] <= ROUNDING * unit)
    return SweptSum(ends, np.maximum(np.maximum(below, above), below + jump), falls)


def swept_supremum(
    rows: Sequence[FrozenRows], weights: Sequence[np.ndarray]
) -> tuple[float | None, Float[np.ndarray, " end"]]:
    """Return the supremum over all multipliers of Σ weight × utility, and the ends next to which it is largest.

    Args:
        rows: Of one campaign, block by block.
        weights: Queries of each row.
    Returns:
        Money, at least 0 (staying away); None where a rule's breakpoints are not known.
    """
    pieces = [part.pieces() for part in rows]
    exact = [one for one in pieces if one is not None]
    if len(exact) < len(pieces):
        return None, np.ones(0)
    most = max(one.ends.shape[1] for one in exact)
    columns = zip(*(_padded(one, most) for one in exact), strict=True)
    joined = UtilityPieces(*(np.concatenate(column) for column in columns))
    worth, weight = np.concatenate([part.worth for part in rows]), np.concatenate(weights)
    there = worth > 0
    fixed = float((weight * np.concatenate([part.utility(part.worth[None])[0] for part in rows]))[~there].sum())
    if not there.any():
        return max(fixed, 0.0), np.ones(1)
    swept = swept_sum(UtilityPieces(*(column[there] for column in joined)), worth[there], weight[there])
    order = np.argsort(-swept.largest)[:BEST_ENDS]
    return max(float(swept.largest.max()) + fixed, 0.0) if swept.falls else None, swept.multiplier[order]


def _padded(pieces: UtilityPieces, ends: int) -> UtilityPieces:
    """Return the same utility with more ends: stretches of no length at the first."""
    more = ends - pieces.ends.shape[1]
    first = np.repeat(pieces.at[:, :1], more, 1)
    return pieces._replace(
        ends=np.pad(pieces.ends, ((0, 0), (more, 0)), mode="edge"),
        at=np.concatenate([first, pieces.at], 1),
        left=np.concatenate([first, pieces.left], 1),
        right=np.concatenate([first, pieces.right], 1),
    )
