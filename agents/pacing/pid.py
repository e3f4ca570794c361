"""PID pacing: a multiplier that is fed back from how far spend is from an even curve over the day."""

import math
from dataclasses import dataclass

import numpy as np

from auctionsim.agents.pacing.registry import register
from auctionsim.agents.pacing.tick import Column, after_bidding, shares_behind, tick_orders
from auctionsim.checks import checked_number, checked_positive
from auctionsim.errors import InputError
from auctionsim.market import CampaignTerms, Controller, Orders, State, TickNews, TickStart


@dataclass(frozen=True)
class Pid(Controller):
    """A budget spent along an even curve: log multiplier u = P · e + I · Σ e + D · Δe.

    e is how many ticks' shares of the budget the day's spend lies behind the curve, Δe what the last tick added to it
    (`shares_behind`). e begins anew every day, and I · Σ e takes up what P · e was, so that a day begins with the
    multiplier that the day before ended with. I · Σ e is kept between log `least` and log `most`, against wind-up, and
    so is u. Return targets are ignored.

    Attributes:
        name: By which campaigns refer to it.
        proportional: P ≥ 0.
        integral: I > 0.
        derivative: D ≥ 0.
        least: Of the multiplier, > 0.
        most: Of the multiplier, ≥ `least`; 1: no bid is above the valuation.
    Source:
        Zhang, Rong, Wang, Zhu and Wang (2016), "Feedback control of real-time display advertising", whose actuator is
        the exponential; there the error is that of a price or a rate, here of cumulative spend.
    """

    name: str = "pid"
    proportional: float = 0.1
    integral: float = 0.005
    derivative: float = 0.1
    least: float = 0.001
    most: float = 1.0

    def __post_init__(self) -> None:
        checked_number(self.proportional, "proportional")
        checked_number(self.derivative, "derivative")
        for what in ("integral", "least", "most"):
            checked_positive(getattr(self, what), what)
        if not self.least < self.most:
            raise InputError(f"least must be < most, got {self.least} and {self.most}")

    def begin(self, terms: CampaignTerms) -> State:
        """Return no error, and as level the log of the multiplier nearest to 1."""
        count = len(terms.budget)
        level = float(np.clip(0.0, math.log(self.least), math.log(self.most)))
        return {"day": np.full(count, -1.0), "behind": np.zeros(count), "change": np.zeros(count)} | {
            "level": np.full(count, level)
        }

    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        """Return exp(u)."""
        del terms
        signal = state["level"] + self.proportional * state["behind"] + self.derivative * state["change"]
        return tick_orders(start, np.exp(self._between(signal)))

    def learn(self, state: State, terms: CampaignTerms, news: TickNews) -> State:
        """Return the error that follows from the tick's spend, and its sum."""
        change = shares_behind(terms, news)
        today = state["day"] == news.day
        behind = np.where(today, state["behind"], 0.0) + change
        carried = np.where(today, 0.0, self.proportional * state["behind"])
        level = self._between(state["level"] + carried + self.integral * behind)
        after = {"day": np.full_like(change, news.day), "behind": behind, "change": change, "level": level}
        return {name: after_bidding(news, column, state[name]) for name, column in after.items()}

    def _between(self, signal: Column) -> Column:
        kept: Column = np.clip(signal, math.log(self.least), math.log(self.most))
        return kept


register(Pid)
