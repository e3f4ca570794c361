"""The optimum next to an interior point, from the ties of bids and the budgets that bind there: linear equations.

Where shares x_ij > 0 the bids of all of an item's winners are equal, so ratios of multipliers are ratios of values.
What ties connect is a component; its level is 1 for a bidder who has money left, else what spends all its budgets. The
shares are those next to the interior point's that spend every binding budget. Nothing here is believed: the result is
held to the conditions of an equilibrium afterwards.
"""

import itertools
from collections import deque
from collections.abc import Iterator

import numpy as np

from auctionsim.market.equilibria.interior_point import InteriorPoint

SMALL = 1e-5  # where a reading may differ
PROJECTIONS = 3  # more than one where money would fall below 0 and is cut off there
Solution = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Multipliers (bidder,), prices (item,), shares (bidder, item)."""


def tied_solutions(point: InteriorPoint, values: np.ndarray, budgets: np.ndarray) -> Iterator[Solution]:
    """Yield the solutions of the equations that hold at the optimum, for each reading of what is tied and what binds.

    Bids tie where a share is larger than the gap of bids, and a budget is left where its unspent part is larger than
    1 − multiplier. Where both of a pair are small (bids that tie and win nothing, budgets that are just spent by the
    multiplier 1), readings differ: a pair whose second is small counts as well.

    Args:
        point: Nearly optimal.
        values: (bidder, item), each row and column with a positive entry.
        budgets: (bidder,) finite, > 0.
    """
    gap, unspent = np.where(values > 0, point.slack / point.prices, np.inf), point.unspent / budgets
    sure = (point.shares > gap) | (gap == gap.min(0))
    left = unspent > point.room
    for tied, spent in itertools.product((sure, sure | (gap < SMALL)), (~left, ~left | (unspent < SMALL))):
        beta = _levels(tied, left, point.beta, values, budgets)
        prices = (beta[:, None] * values).max(0)
        money = np.where(tied, point.shares, 0.0) * prices
        for _ in range(PROJECTIONS):
            money = _spread(money, prices, np.where(spent, budgets, np.nan))
        yield beta, prices, money / money.sum(0)


def _levels(
    tied: np.ndarray, capped: np.ndarray, beta: np.ndarray, values: np.ndarray, budgets: np.ndarray
) -> np.ndarray:
    """Return multipliers whose ratios are those of ties; 1 is passed on from those who have money left."""
    levels = np.where(capped, 1.0, np.nan)
    _walk(levels, tied, values, np.flatnonzero(capped))
    for bidder in range(len(beta)):
        if np.isnan(levels[bidder]):
            levels[bidder] = beta[bidder]
            members = _walk(levels, tied, values, np.array([bidder]))
            prices = (levels[members, None] * values[members]).max(0)[tied[members].any(0)]
            if prices.sum() > 0:
                levels[members] *= budgets[members].sum() / prices.sum()
    return np.asarray(np.minimum(levels, 1.0))


def _walk(levels: np.ndarray, tied: np.ndarray, values: np.ndarray, starts: np.ndarray) -> list[int]:
    """Fill in the levels of all whom ties lead to from the starts, and return their indices."""
    queue, members = deque(int(k) for k in starts), [int(k) for k in starts]
    while queue:
        bidder = queue.popleft()
        for item in np.flatnonzero(tied[bidder]):
            for other in np.flatnonzero(tied[:, item] & np.isnan(levels)):
                levels[other] = levels[bidder] * values[bidder, item] / values[other, item]
                queue.append(int(other))
                members.append(int(other))
    return members


def _spread(money: np.ndarray, prices: np.ndarray, budgets: np.ndarray) -> np.ndarray:
    """Return money near `money`, on the same places, that pays every price and spends every budget that is no NaN.

    Of least Σ (change)²/money, so that what is far above 0 stays so.
    """
    bound = ~np.isnan(budgets)
    open_prices = prices - money.sum(0)
    rows, columns = money[bound], money.sum(0)
    open_budgets = budgets[bound] - rows.sum(1) - (rows / columns) @ open_prices
    matrix = np.diag(rows.sum(1)) - (rows / columns) @ rows.T
    if not (np.isfinite(matrix).all() and np.isfinite(open_budgets).all()):
        return np.full_like(money, np.nan)  # beyond the range of doubles
    weights = np.zeros(len(budgets))
    weights[bound] = np.linalg.lstsq(matrix, open_budgets, rcond=1e-12)[0]
    per_item = (open_prices - weights @ money) / columns
    return np.asarray(np.maximum(money * (1 + weights[:, None] + per_item), 0.0))
