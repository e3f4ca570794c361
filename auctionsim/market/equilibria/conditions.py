"""The conditions of a pacing equilibrium, and by how much given multipliers, shares and prices break each.

A bid is multiplier × value. Items go to the highest bids. The price of an item is its highest bid under first price;
under second price it is the second highest bid (by another bidder; the same as the highest where two tie). Bidders
whose budgets leave money do not pace: their multiplier is 1.

Source: Conitzer et al. (2022), "Pacing equilibrium in first price auction markets"; Conitzer, Kroer, Sodomka and
Stier-Moses (2022), "Multiplicative pacing equilibria in auction markets".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float

from auctionsim.checks import checked_number
from auctionsim.errors import InputError
from auctionsim.market.equilibria.item_market import ItemMarket, checked_multipliers, checked_prices, checked_shares

PriceRule = Literal["first", "second"]
TOLERANCE = 1e-9


class Breach(NamedTuple):
    """A condition that is broken at one place.

    Attributes:
        condition: Its name, a field of the conditions' record.
        place: (bidder,), (item,) or (bidder, item).
        amount: By how much, in the field's unit.
    """

    condition: str
    place: tuple[int, ...]
    amount: float


class ConditionColumn(NamedTuple):
    """A condition with its breaches.

    Attributes:
        name: A field of the conditions' record.
        amounts: By how much it is broken at each place, ≥ 0.
        unit: What a tolerance is multiplied by: 1, or the largest value where amounts are money.
    """

    name: str
    amounts: np.ndarray
    unit: float


def breaches_above(columns: Sequence[ConditionColumn], tolerance: float) -> tuple[Breach, ...]:
    """Return every place where a condition is broken by more than tolerance × unit.

    Raises:
        ValueError: A tolerance < 0.
    """
    least = checked_number(tolerance, "tolerance")
    return tuple(
        Breach(column.name, tuple(int(k) for k in place), float(column.amounts[tuple(place)]))
        for column in columns
        for place in np.argwhere(column.amounts > least * column.unit)
    )


def largest_breach(columns: Sequence[ConditionColumn]) -> float:
    """Return the largest breach, each in its unit."""
    return max(float(column.amounts.max()) / column.unit for column in columns)


@dataclass(frozen=True, eq=False)
class PacingConditions:
    """By how much each condition of a pacing equilibrium is broken; all 0: an equilibrium.

    Attributes:
        multiplier: (bidder,) how far it lies above 1.
        price: (item,) money between the price and the price rule's.
        winner: (bidder, item) money: share × (highest bid − own bid).
        share: (bidder, item) how far it lies below 0.
        sold: (item,) how far the shares' sum is from 1, or above it where nobody bids above 0.
        spend: (bidder,) money spent above the budget.
        pacing: (bidder,) the smaller of 1 − multiplier and the unspent part of the budget: one of them must be 0.
        unit: Money: the largest value, in which `breaches` measures money.
    """

    multiplier: Float[np.ndarray, " bidder"]
    price: Float[np.ndarray, " item"]
    winner: Float[np.ndarray, "bidder item"]
    share: Float[np.ndarray, "bidder item"]
    sold: Float[np.ndarray, " item"]
    spend: Float[np.ndarray, " bidder"]
    pacing: Float[np.ndarray, " bidder"]
    unit: float

    def breaches(self, tolerance: float = TOLERANCE) -> tuple[Breach, ...]:
        """Return every place where a condition is broken by more than `tolerance` (money: in units of `unit`).

        Args:
            tolerance: ≥ 0.
        """
        return breaches_above(self._columns(), tolerance)

    @property
    def largest(self) -> float:
        """The largest breach of all, money in units of `unit`."""
        return largest_breach(self._columns())

    def _columns(self) -> list[ConditionColumn]:
        money = ("price", "winner", "spend")
        names = ("multiplier", "price", "winner", "share", "sold", "spend", "pacing")
        return [ConditionColumn(name, getattr(self, name), self.unit if name in money else 1.0) for name in names]


def pacing_conditions(
    market: ItemMarket,
    multipliers: Float[np.ndarray, " bidder"],
    shares: Float[np.ndarray, "bidder item"],
    prices: Float[np.ndarray, " item"],
    rule: PriceRule,
) -> PacingConditions:
    """Return by how much multipliers, shares and prices miss each condition of a pacing equilibrium.

    Args:
        market: Values and budgets.
        multipliers: ≥ 0.
        shares: Of each item.
        prices: Of each whole item.
        rule: What an item costs: "first" or "second" price.
    Raises:
        TypeError: No floating-point arrays.
        ValueError: Other shapes, numbers that are not finite, a multiplier < 0, another rule.
    Example:
        >>> market = ItemMarket(np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([1.0, 1.0]))
        >>> half = pacing_conditions(market, np.array([0.5, 0.5]), np.eye(2), np.array([1.0, 1.0]), "first")
        >>> half.breaches()
        ()
        >>> pacing_conditions(market, np.ones(2), np.eye(2), np.array([2.0, 2.0]), "first").breaches()[0]
        Breach(condition='spend', place=(0,), amount=1.0)
    """
    alpha, x = checked_multipliers(market, multipliers), checked_shares(market, shares)
    p = checked_prices(market, prices)
    bids = alpha[:, None] * market.values
    highest = bids.max(0)
    spend = x @ p
    total = x.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        left = np.where(market.budgets > 0, 1 - spend / market.budgets, 0.0)
    return PacingConditions(
        multiplier=np.maximum(alpha - 1, 0.0),
        price=np.abs(p - rule_prices(bids, rule)),
        winner=np.maximum(x, 0.0) * (highest - bids),
        share=np.maximum(-x, 0.0),
        sold=np.where(highest > 0, np.abs(total - 1), np.maximum(total - 1, 0.0)),
        spend=np.maximum(spend - market.budgets, 0.0),
        pacing=np.maximum(np.minimum(1 - alpha, left), 0.0),
        unit=float(market.values.max()) or 1.0,
    )


def rule_prices(bids: Float[np.ndarray, "bidder item"], rule: PriceRule) -> Float[np.ndarray, " item"]:
    """Return what each whole item costs at the bids.

    Raises:
        ValueError: The rule is neither "first" nor "second".
    """
    if rule not in get_args(PriceRule):
        raise InputError(f"rule must be one of {get_args(PriceRule)}, got {rule!r}")
    if rule == "first":
        return np.asarray(bids.max(0))
    return np.asarray(np.sort(bids, 0)[-2]) if len(bids) > 1 else np.zeros(bids.shape[1])
