"""The conservation of money in a ledger: who pays what is what is earned, and nobody spends more than there is.

At every tick Σ payments of query types = revenue = Σ spend of campaigns, and over every day Σ spend ≤ Σ budgets and
each campaign's spend ≤ its budget, all to `TOLERANCE` of a unit of money, or of the amount where that is larger.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from auctionsim.errors import DamagedFileError
from auctionsim.market.campaigns import Campaigns
from auctionsim.market.ledger import DayLedger

TOLERANCE = 1e-9
"""Of a unit of money, or of the amount where that is larger: rounding of sums in float64."""


class Conservation(NamedTuple):
    """What was found where the money of a ledger was counted.

    Attributes:
        days: How many were looked at.
        ticks: How many were looked at.
        revenue: Over all of them, in money.
        payments_gap: Largest difference at a tick between what query types took and what campaigns spent.
        revenue_gap: Largest difference between a day's revenue and its spend.
        left_gap: Largest difference between what was left and what was left before, less spend.
        overspent: Largest excess of a campaign's spend over its budget of the day.
        absent: Largest amount that a campaign spent that was not there.
    """

    days: int
    ticks: int
    revenue: float
    payments_gap: float
    revenue_gap: float
    left_gap: float
    overspent: float
    absent: float

    @property
    def holds(self) -> bool:
        """Whether money is conserved."""
        return all(gap <= TOLERANCE for gap in self[3:])  # not so where a gap is no number

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        gaps = f"largest gap {np.max(self[3:]):.1e}"
        if self.holds:
            return f"money is conserved: payments = revenue = spend ≤ budgets at all {self.ticks} ticks, {gaps}"
        worst = self._fields[3 + int(np.argmax(self[3:]))]
        return f"money is NOT conserved over {self.ticks} ticks: {worst.replace('_', ' ')}, {gaps}"


def conservation(days: Iterable[DayLedger], campaigns: Campaigns, categories: Sequence[str]) -> Conservation:
    """Count the money of a ledger; gaps are in units of max(1, the amount).

    Args:
        days: Of the ledger, each once and in order.
        campaigns: Of the market.
        categories: In the order of the ledger's columns.
    Raises:
        ValueError: A day is missing or there twice.
    """
    places = [np.flatnonzero(np.array(campaigns.category) == category) for category in categories]
    count, ticks, revenue = 0, 0, 0.0
    worst = np.zeros(5)
    for ledger in days:
        if ledger.news.day != count:
            raise DamagedFileError(f"the ledger's day {count} is expected, got day {ledger.news.day}")
        count, ticks = count + 1, ticks + len(ledger.campaigns["spend"])
        revenue += ledger.news.revenue
        worst = np.maximum(worst, _gaps(ledger, campaigns, places))
    return Conservation(count, ticks, revenue, *map(float, worst))


def _gaps(ledger: DayLedger, campaigns: Campaigns, places: Sequence[np.ndarray]) -> np.ndarray:
    spend, left, paid = ledger.campaigns["spend"], ledger.campaigns["budget_left"], ledger.categories["paid"]
    by_category = np.stack([spend[:, own].sum(1) for own in places], 1)
    of_tick = _relative(paid.sum(1) - spend.sum(1), spend.sum(1))
    payments = max(_relative(paid - by_category, by_category), of_tick)
    day = _relative(np.array(ledger.news.revenue - spend.sum()), spend.sum())
    finite = np.isfinite(campaigns.budget)
    before = np.concatenate([campaigns.budget[None], left[:-1]])[:, finite]
    kept = _relative(before - spend[:, finite] - left[:, finite], before)
    over = (spend.sum(0) - campaigns.budget)[finite]
    overspent = _relative(np.maximum(over, 0), campaigns.budget[finite])
    overspent = max(overspent, _relative(np.minimum(left, 0), 1.0), _relative(np.minimum(spend, 0), 1.0))
    return np.array([payments, day, kept, overspent, _relative(np.where(ledger.campaigns["present"], 0, spend), 1.0)])


def _relative(gap: np.ndarray, amount: np.ndarray | float) -> float:
    return float((np.abs(gap) / np.maximum(1.0, np.abs(amount))).max(initial=0.0))
