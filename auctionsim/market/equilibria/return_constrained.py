"""Value maximisers with a return target: the conditions of an equilibrium in uniform multipliers, and its welfare.

Bidder i wants as much value as possible with value ≥ τ_i × spend (and spend ≤ B_i). It bids multiplier × value on every
item: from 1/τ_i down nothing can break the target, whatever the price rule; above, a second price may still be fine. An
equilibrium is a profile at which items go to the highest bids, targets are kept, and nobody gets more value by another
multiplier that keeps its own target and budget. Welfare is liquid: Σ_i min(B_i, value won / τ_i).

Without budgets, second price and multipliers ≥ 1/τ_i bring at least half of the optimal welfare, whenever targets are
kept. Proof: what a bidder loses of its items of the optimum is sold for its bid at least, hence for value/τ_i, and
payments are at most welfare. Underbidding takes that away. Under first price every equilibrium has all of the optimum:
who has the highest value/τ_i of an item would get it, and keep all else, by the multiplier 1/τ_i.

Source: Aggarwal, Badanidiyuru and Mehta (2019), "Autobidding with constraints"; Deng, Mao, Mirrokni and Zuo (2021),
"Towards efficient auctions in an auto-bidding world".
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from auctionsim.errors import InputError
from auctionsim.market.equilibria.conditions import (
    TOLERANCE,
    Breach,
    ConditionColumn,
    PriceRule,
    breaches_above,
    largest_breach,
    rule_prices,
)
from auctionsim.market.equilibria.hindsight import hindsight_optimum, liquid_welfare
from auctionsim.market.equilibria.item_market import ItemMarket, checked_multipliers, checked_shares


class UniformResponse(NamedTuple):
    """A best multiplier against the others' bids.

    Attributes:
        multiplier: One of those that win exactly this; 0 if nothing can be won.
        value: Won by it, where all ties are won.
        spend: Money.
    """

    multiplier: float
    value: float
    spend: float


@dataclass(frozen=True, eq=False)
class ReturnConditions:
    """By how much each condition of an equilibrium of value maximisers is broken; all 0: an equilibrium.

    Attributes:
        winner: (bidder, item) money: share × (highest bid − own bid).
        share: (bidder, item) how far it lies below 0.
        sold: (item,) how far the shares' sum is from 1, or above it where nobody bids above 0.
        target: (bidder,) value that is missing to target × spend.
        spend: (bidder,) money spent above the budget.
        gain: (bidder,) value that the best other multiplier would add.
        underbid: (bidder,) how far target × multiplier lies below 1: no breach, since it is allowed.
        prices: (item,) money: of the price rule.
        welfare: Money: Σ min(budget, value/target).
        optimum: Money: the most welfare that any shares bring.
        unit: The largest value, in which `breaches` measures values; bids are measured in the largest bid, if larger.
    """

    winner: Float[np.ndarray, "bidder item"]
    share: Float[np.ndarray, "bidder item"]
    sold: Float[np.ndarray, " item"]
    target: Float[np.ndarray, " bidder"]
    spend: Float[np.ndarray, " bidder"]
    gain: Float[np.ndarray, " bidder"]
    underbid: Float[np.ndarray, " bidder"]
    prices: Float[np.ndarray, " item"]
    welfare: float
    optimum: float
    unit: float

    @property
    def welfare_share(self) -> float:
        """Welfare as a share of the optimum; 1 where the optimum is 0."""
        return self.welfare / self.optimum if self.optimum else 1.0

    def breaches(self, tolerance: float = TOLERANCE) -> tuple[Breach, ...]:
        """Return every place where a condition is broken by more than `tolerance` (values, money: in units of `unit`).

        Args:
            tolerance: ≥ 0.
        """
        return breaches_above(self._columns(), tolerance)

    @property
    def largest(self) -> float:
        """The largest breach of all, values and money in units of `unit`."""
        return largest_breach(self._columns())

    def _columns(self) -> list[ConditionColumn]:
        units = {"share": 1.0, "sold": 1.0}
        names = ("winner", "share", "sold", "target", "spend", "gain")
        return [ConditionColumn(name, getattr(self, name), units.get(name, self.unit)) for name in names]


def return_conditions(
    market: ItemMarket,
    targets: Float[np.ndarray, " bidder"],
    multipliers: Float[np.ndarray, " bidder"],
    shares: Float[np.ndarray, "bidder item"],
    rule: PriceRule,
) -> ReturnConditions:
    """Return by how much multipliers and shares miss each condition of an equilibrium of value maximisers.

    Args:
        market: Values (in any unit) and budgets (money; inf: none).
        targets: Value per money spent at least, finite, > 0.
        multipliers: Bid, in money, per value, ≥ 0.
        shares: Of each item, for the highest bids.
        rule: What an item costs: "first" or "second" price.
    Raises:
        TypeError: No floating-point arrays.
        ValueError: Other shapes, numbers that are not finite, a target ≤ 0, a multiplier < 0, another rule.
        RuntimeError: HiGHS finds no optimal welfare.
    Example:
        >>> market = ItemMarket(np.array([[1.0, 0.0], [0.1, 1.0]]), np.full(2, np.inf))
        >>> shares = np.array([[0.0, 0.0], [1.0, 1.0]])
        >>> one = return_conditions(market, np.ones(2), np.array([1.0, 10.5]), shares, "second")
        >>> one.breaches(), round(one.welfare_share, 9)
        ((), 0.55)
    """
    m, x = checked_multipliers(market, multipliers), checked_shares(market, shares)
    tau = _checked_targets(market, targets)
    bids = m[:, None] * market.values
    highest, prices, total = bids.max(0), rule_prices(bids, rule), x.sum(0)
    won, spend = (x * market.values).sum(1), x @ prices
    best = [best_uniform_multiplier(market, tau, m, bidder, rule).value for bidder in range(len(m))]
    liquid = ItemMarket(market.values / tau[:, None], market.budgets)
    return ReturnConditions(
        winner=np.maximum(x, 0.0) * (highest - bids),
        share=np.maximum(-x, 0.0),
        sold=np.where(highest > 0, np.abs(total - 1), np.maximum(total - 1, 0.0)),
        target=np.maximum(tau * spend - won, 0.0),
        spend=np.maximum(spend - market.budgets, 0.0),
        gain=np.maximum(np.array(best) - won, 0.0),
        underbid=np.maximum(1 - tau * m, 0.0),
        prices=prices,
        welfare=liquid_welfare(liquid, x),
        optimum=hindsight_optimum(liquid).welfare,
        unit=max(float(market.values.max()), float(highest.max())) or 1.0,
    )


def best_uniform_multiplier(
    market: ItemMarket,
    targets: Float[np.ndarray, " bidder"],
    multipliers: Float[np.ndarray, " bidder"],
    bidder: int,
    rule: PriceRule,
) -> UniformResponse:
    """Return the multiplier that wins a bidder the most value against the others' bids, target and budget kept.

    An item j is won above the multiplier r_j = (highest other bid)/v_ij, so winnings change at these only. All are
    tried, so that the answer is exact: under second price items up to r_j cost the others' bids; under first price they
    cost multiplier × value for a multiplier above r_j, of which there must be one within 1/target and the budget.

    Args:
        market: Values and budgets.
        targets: Value per money spent at least, finite, > 0.
        multipliers: Of all bidders; the bidder's own is not used.
        bidder: Whose response.
        rule: "first" or "second" price.
    Raises:
        TypeError: No floating-point arrays.
        ValueError: As in `return_conditions`, or no such bidder.
    """
    m, tau = checked_multipliers(market, multipliers), _checked_targets(market, targets)
    if not 0 <= bidder < market.num_bidders:
        raise InputError(f"bidder must be in 0 … {market.num_bidders - 1}, got {bidder}")
    rule_prices(market.values, rule)  # refuses another rule
    own, target, budget = market.values[bidder], tau[bidder], market.budgets[bidder]
    others = np.delete(m[:, None] * market.values, bidder, 0).max(0, initial=0.0)
    wanted = own > 0
    ratio = others[wanted] / own[wanted]
    best = UniformResponse(0.0, 0.0, 0.0)
    for step in np.unique(ratio):
        items = np.flatnonzero(wanted)[ratio <= step]
        value, cost = float(own[items].sum()), float(others[items].sum())
        above = float(ratio[ratio > step].min(initial=np.inf))
        if rule == "first":
            above = min(above, 1 / target, budget / value)
            affordable = step < above
        else:
            affordable = target * cost <= value and cost <= budget
        if affordable:  # values grow with the step
            multiplier = (step + above) / 2 if np.isfinite(above) else 2 * step + 1 / target
            best = UniformResponse(float(multiplier), value, float(multiplier * value) if rule == "first" else cost)
    return best


def _checked_targets(market: ItemMarket, targets: np.ndarray) -> np.ndarray:
    tau = checked_multipliers(market, targets, "targets")
    if (tau == 0).any():
        raise InputError(f"targets must be > 0, got 0.0 of bidder {int(tau.argmin())}")
    return tau
