"""The first-price pacing equilibrium of a market, which is its quasi-linear Eisenberg–Gale program's optimum.

    min over 0 < β ≤ 1 of F(β) = Σ_j max_i β_i v_ij − Σ_i B_i log β_i

The optimal β are the equilibrium's multipliers, p_j = max_i β_i v_ij its prices, and the constraints' multipliers its
shares. Multipliers and prices are unique; shares are so only up to ties. The solver (an interior point, then the
equations of the ties that it shows) is not believed: its result comes with proofs that are plain arithmetic on it.

Proof of the multipliers. Shares x ≥ 0 with Σ_i x_ij ≤ 1 bound the optimum from below,
F* ≥ Σ_i min over β_i of (β_i u_i − B_i log β_i), u_i = Σ_j v_ij x_ij, so that gap(β, x) = F(β) − that ≥ F(β) − F*. And
F(β) − F* ≥ B_i (t − 1 − log t) with t = β_i/β*_i, by optimality of β*. So |log t| ≤ √(3 gap/B_i) if gap ≤ B_i/3.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from auctionsim.errors import FailedRunError
from auctionsim.market.equilibria.conditions import TOLERANCE, PacingConditions, pacing_conditions
from auctionsim.market.equilibria.interior_point import InteriorPoint, interior_points
from auctionsim.market.equilibria.item_market import ItemMarket, checked_multipliers, checked_shares
from auctionsim.market.equilibria.tied_bids import Solution, tied_solutions

EXACT = 1e-12  # the largest breach at which no other point is looked at


@dataclass(frozen=True, eq=False)
class FirstPricePacing:
    """A first-price pacing equilibrium with its proof.

    Attributes:
        multipliers: (bidder,) in [0, 1]: bid per value. A bidder to whom nothing is worth anything has 1; one without
            money has the highest that loses everything or ties, which is the limit of small budgets.
        prices: (item,) money; 0 where nobody wants an item or only bidders without money do.
        shares: (bidder, item), ≥ 0: of each item; 0 where its price is 0.
        spends: (bidder,) money.
        conditions: By how much each condition of an equilibrium is broken: rounding errors.
        gap: Money: F at the multipliers less a lower bound of F*.
        multiplier_error: (bidder,) a proved bound on |log(multiplier / the equilibrium's)|, up to rounding of `gap`;
            inf where nothing is proved.
    """

    multipliers: Float[np.ndarray, " bidder"]
    prices: Float[np.ndarray, " item"]
    shares: Float[np.ndarray, "bidder item"]
    spends: Float[np.ndarray, " bidder"]
    conditions: PacingConditions
    gap: float
    multiplier_error: Float[np.ndarray, " bidder"]


def first_price_pacing(market: ItemMarket) -> FirstPricePacing:
    """Return the first-price pacing equilibrium.

    Every item goes to the highest bids β_i v_ij and costs them; nobody spends more than the budget; whoever has money
    left bids the value. Its shares are also what bidders would buy at its prices.

    Args:
        market: Values and budgets; both may be 0, and a budget inf.
    Raises:
        RuntimeError: The market is too badly scaled: a condition is broken by more than 1e-9 (money: of the largest
            value).
    Source:
        Conitzer et al. (2022), "Pacing equilibrium in first price auction markets"; the program: Chen, Ye and Zhang
        (2007), "A note on equilibrium pricing as convex optimization".
    Example:
        >>> market = ItemMarket(np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]), np.array([1.0, 2.0]))
        >>> equilibrium = first_price_pacing(market)
        >>> equilibrium.multipliers.round(9), equilibrium.prices.round(9)
        (array([0.33333333, 0.4       ]), array([1.2, 0.8, 1. ]))
    """
    rich = (market.budgets > 0) & market.values.any(1)
    wanted = market.values[rich].any(0)
    multipliers, prices, shares = np.ones(market.num_bidders), np.zeros(market.num_items), np.zeros_like(market.values)
    if rich.any():
        core = ItemMarket(market.values[np.ix_(rich, wanted)], market.budgets[rich])
        multipliers[rich], prices[wanted], shares[np.ix_(rich, wanted)] = _core_solution(core)
    for bidder in np.flatnonzero((market.budgets == 0) & market.values.any(1)):
        wants = market.values[bidder] > 0
        multipliers[bidder] = min(1.0, (prices[wants] / market.values[bidder, wants]).min())
    conditions = pacing_conditions(market, multipliers, shares, prices, "first")
    if conditions.largest > TOLERANCE:
        raise FailedRunError(
            f"the first-price pacing equilibrium is missed by {conditions.breaches()[0]}: is the market badly scaled?"
        )
    gap = eisenberg_gale_gap(market, multipliers, shares)
    error = _multiplier_error(market.budgets, gap, rich)
    return FirstPricePacing(multipliers, prices, shares, shares @ prices, conditions, gap, error)


def eisenberg_gale_gap(
    market: ItemMarket, multipliers: Float[np.ndarray, " bidder"], shares: Float[np.ndarray, "bidder item"]
) -> float:
    """Return F(β) less the lower bound of F* that shares prove: money, ≥ 0; 0 only at the equilibrium.

    It is summed from parts ≥ 0, so that nothing cancels: what shares sell below the highest bid, what they leave
    unsold, and each bidder's β u − B log β less its minimum over 0 < β ≤ 1.

    Args:
        market: Values and budgets.
        multipliers: (bidder,).
        shares: (bidder, item).
    Returns:
        inf where a multiplier is above 1, a share below 0, or a bidder without a budget paces; shares that sum to more
        than 1 are scaled down.
    """
    beta, x = checked_multipliers(market, multipliers), checked_shares(market, shares)
    if (beta > 1).any() or (x < 0).any():
        return float("inf")
    x = x / np.maximum(x.sum(0), 1.0)
    bids = beta[:, None] * market.values
    highest = bids.max(0)
    unsold = (highest * np.maximum(1 - x.sum(0), 0.0)).sum() + (x * (highest - bids)).sum()
    parts = [_own_part(*row) for row in zip(beta, (market.values * x).sum(1), market.budgets, strict=True)]
    return float(unsold + sum(parts))


def _own_part(beta: float, worth: float, budget: float) -> float:
    """Return β u − B log β less its minimum over 0 < β ≤ 1."""
    if budget == 0:
        return beta * worth
    if np.isinf(budget) or beta == 0:
        return 0.0 if beta == 1 else float("inf")
    if worth <= budget:  # the minimum is at 1
        return max(0.0, float(-worth * (1 - beta) - budget * np.log(beta)))
    ratio = beta * worth / budget
    return max(0.0, float(budget * ((ratio - 1) - np.log1p(ratio - 1))))


def _multiplier_error(budgets: np.ndarray, gap: float, rich: np.ndarray) -> np.ndarray:
    """Return the bound of the module's proof; bidders without money have the largest of the others' (by prices)."""
    error = np.zeros(len(budgets))
    with np.errstate(over="ignore"):
        error[rich] = np.where(gap <= budgets[rich] / 3, np.sqrt(3 * gap / budgets[rich]), np.inf)
    error[(budgets == 0)] = error.max()
    return error


def _core_solution(market: ItemMarket) -> Solution:
    """Solve a market in which every bidder has money and every row and column of values a positive entry."""
    values, most = market.values, market.values.sum(1)
    unbound = market.budgets > most  # nothing costs more than its value: such a budget never binds
    budgets = np.where(unbound, 2 * most, market.budgets)
    money = budgets.sum()
    best: tuple[Solution, float] | None = None
    for point in reversed(interior_points(values / money, budgets / money)):
        with np.errstate(all="ignore"):  # what is no number is judged below
            solutions = [_rounded(point, values), *tied_solutions(point, values / money, budgets / money)]
        held = [_held(market, np.where(unbound, 1.0, beta), shares) for beta, _, shares in solutions]
        best = min(held if best is None else [best, *held], key=lambda one: one[1])
        if best[1] <= EXACT:
            break
    assert best is not None
    return best[0]


def _held(market: ItemMarket, beta: np.ndarray, shares: np.ndarray) -> tuple[Solution, float]:
    """Return a solution with its prices, and by how much it breaks the conditions."""
    if not (np.isfinite(beta).all() and np.isfinite(shares).all()):
        beta, shares = np.ones_like(beta), np.zeros_like(shares)  # no numbers: breaks what can be broken
    prices = (beta[:, None] * market.values).max(0)
    return (beta, prices, shares), pacing_conditions(market, beta, shares, prices, "first").largest


def _rounded(point: InteriorPoint, values: np.ndarray) -> Solution:
    """Return the point itself, feasible: the least sure of two solutions, for markets whose ties are not clear."""
    shares = np.where(point.shares > point.slack / point.prices, point.shares, 0.0)
    shares[np.where(values > 0, point.slack, np.inf).argmin(0), np.arange(values.shape[1])] += 1 - shares.sum(0)
    beta = np.minimum(point.beta, 1.0)
    return beta, (beta[:, None] * values).max(0), np.maximum(shares, 0.0) / np.maximum(shares, 0.0).sum(0)
