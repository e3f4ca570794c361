"""Liquid welfare, and the most of it that any shares of the items bring in hindsight: a linear program.

The liquid welfare of shares x is Σ_i min(B_i, Σ_j v_ij x_ij): what bidders could pay for what they have won. Where a
bidder wants τ_i of value per money, divide its values by τ_i first.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import linprog
from scipy.sparse import coo_array

from auctionsim.errors import FailedRunError
from auctionsim.market.equilibria.item_market import ItemMarket, checked_shares

TOLERANCE = 1e-10  # HiGHS's, of feasibility, in units of the largest value


class HindsightOptimum(NamedTuple):
    """The most liquid welfare that a market allows.

    Attributes:
        shares: (bidder, item), ≥ 0, Σ over bidders ≤ 1: shares that attain `welfare`.
        welfare: Money: of these shares, computed from them.
        upper: Money: no shares bring more. It follows from weak duality by arithmetic, whatever the solver did.
    """

    shares: Float[np.ndarray, "bidder item"]
    welfare: float
    upper: float


def liquid_welfare(market: ItemMarket, shares: Float[np.ndarray, "bidder item"]) -> float:
    """Return Σ_i min(B_i, value that i has won).

    Args:
        market: Values and budgets.
        shares: (bidder, item) of each item.
    Returns:
        Money.
    Raises:
        TypeError: No floating-point array.
        ValueError: Another shape, NaN or infinity.
    Source:
        Dobzinski and Paes Leme (2014), "Efficiency guarantees in auctions with budgets".
    Example:
        >>> market = ItemMarket(np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([1.0, np.inf]))
        >>> liquid_welfare(market, np.eye(2))
        3.0
    """
    return float(np.minimum(market.budgets, (market.values * checked_shares(market, shares)).sum(1)).sum())


def hindsight_optimum(market: ItemMarket) -> HindsightOptimum:
    """Return the greatest liquid welfare of a market whose values are all known, and shares that attain it.

    max Σ_i w_i over w_i ≤ B_i, w_i ≤ Σ_j v_ij x_ij, Σ_i x_ij ≤ 1, x ≥ 0. Its dual is min Σ_j p_j + Σ_i B_i (1 − z_i)
    over 0 ≤ z ≤ 1 with p_j = max_i z_i v_ij (and z_i = 1 where there is no budget): every z gives a bound, and
    `upper` is that of the solver's z.

    Args:
        market: Values and budgets.
    Raises:
        RuntimeError: HiGHS finds no optimum.
    Source:
        Dobzinski and Paes Leme (2014), "Efficiency guarantees in auctions with budgets", for liquid welfare.
    Example:
        >>> market = ItemMarket(np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([1.0, 1.0]))
        >>> round(hindsight_optimum(market).welfare, 9)
        2.0
    """
    if np.isinf(market.budgets).all():  # no program is needed: the highest value has each item
        shares = np.eye(market.num_bidders)[market.values.argmax(0)].T.copy()
        welfare = liquid_welfare(market, shares)
        return HindsightOptimum(shares, welfare, welfare)
    scale = float(market.values.max()) or 1.0
    values, budgets = market.values / scale, market.budgets / scale
    bidder, item = np.nonzero(values)
    shares, slopes = np.zeros_like(values), np.ones(len(values))
    if len(bidder):
        optimum = _program(values[bidder, item], bidder, item, budgets, market.num_items)
        shares[bidder, item] = np.clip(optimum.x[: len(bidder)], 0, 1)
        shares /= np.maximum(1.0, shares.sum(0))
        slopes = np.clip(-optimum.ineqlin.marginals[market.num_items :], 0, 1)
    limited = np.isfinite(budgets)
    slopes[~limited] = 1.0
    upper = (slopes[:, None] * values).max(0).sum() + (budgets[limited] * (1 - slopes[limited])).sum()
    welfare = liquid_welfare(market, shares)
    return HindsightOptimum(shares, welfare, max(welfare, float(upper) * scale))


def _program(values: np.ndarray, bidder: np.ndarray, item: np.ndarray, budgets: np.ndarray, num_items: int) -> Any:
    """Solve for the shares of wanted (bidder, item) pairs, then w: rows are items, then bidders."""
    pairs, n = len(values), len(budgets)
    own = np.arange(n)
    rows = np.concatenate([item, num_items + bidder, num_items + own])
    columns = np.concatenate([np.arange(pairs), np.arange(pairs), pairs + own])
    entries = np.concatenate([np.ones(pairs), -values, np.ones(n)])
    matrix = coo_array((entries, (rows, columns)), shape=(num_items + n, pairs + n)).tocsr()
    solver: Any = linprog  # its stubs know no sparse matrices
    optimum = solver(
        np.concatenate([np.zeros(pairs), -np.ones(n)]),
        A_ub=matrix,
        b_ub=np.concatenate([np.ones(num_items), np.zeros(n)]),
        bounds=np.concatenate([np.tile([0.0, np.inf], (pairs, 1)), np.column_stack([np.zeros(n), budgets])]),
        method="highs",
        options={"primal_feasibility_tolerance": TOLERANCE, "dual_feasibility_tolerance": TOLERANCE},
    )
    if optimum.status != 0:
        raise FailedRunError(f"HiGHS finds no optimum: {optimum.message}")
    return optimum
