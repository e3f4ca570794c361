"""Adaptive pacing: bids are valuations divided by one plus the price of budget, which descends the dual."""

from dataclasses import dataclass

import numpy as np

from auctionsim.agents.pacing.registry import register
from auctionsim.agents.pacing.tick import Column, after_bidding, open_share, shares_behind, tick_orders
from auctionsim.checks import checked_number, checked_positive
from auctionsim.market import CampaignTerms, Controller, Orders, State, TickNews, TickStart


@dataclass(frozen=True)
class Adaptive(Controller):
    """A utility maximiser with a budget: bid valuation/(1 + μ), μ moved by gradient descent on the dual.

    μ ← μ − step · (s ρ − z)/unit, kept between 0 and `most`; z is a tick's spend, ρ the budget per tick, s the share of
    the tick before the money ended (1: it lasted), μ what one more unit of budget is worth. Return targets are ignored.

    Attributes:
        name: By which campaigns refer to it.
        step: Fall of μ for a tick without spend, in units, > 0.
        unit: Money that spend is measured in; 0: each campaign's ρ. With 1 and a tick per auction it is the algorithm
            of the source, whose values lie in [0, 1].
        most: Of μ, > 0: no bid is below valuation/(1 + most).
    Source:
        Balseiro and Gur (2019), "Learning in repeated auctions with budgets: regret minimization and equilibrium",
        algorithm 1 (adaptive pacing).
    """

    name: str = "adaptive"
    step: float = 0.1
    unit: float = 0.0
    most: float = 1000.0

    def __post_init__(self) -> None:
        checked_positive(self.step, "step")
        checked_number(self.unit, "unit")
        checked_positive(self.most, "most")

    def begin(self, terms: CampaignTerms) -> State:
        """Return μ = 0: truth."""
        return {"dual": np.zeros(len(terms.budget))}

    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        """Return 1/(1 + μ)."""
        del terms
        return tick_orders(start, 1 / (1 + state["dual"]))

    def learn(self, state: State, terms: CampaignTerms, news: TickNews) -> State:
        """Return the μ that follows from the tick's spend."""
        before = state["dual"]
        after = np.clip(budget_step(before, terms, news, self.step, self.unit), 0.0, self.most)
        return {"dual": after_bidding(news, after, before)}


def budget_step(dual: Column, terms: CampaignTerms, news: TickNews, step: float, unit: float) -> Column:
    """Return the price of budget after one step of gradient descent, before any bound.

    Args:
        dual: μ ≥ 0.
        terms: Budgets.
        news: A tick's spend.
        step: > 0.
        unit: Money; 0: each campaign's budget per tick.
    """
    share = terms.budget / terms.ticks_per_day
    gradient = (open_share(news) * share - news.spend) / unit if unit else shares_behind(terms, news)
    moved: Column = dual - step * gradient
    return moved


register(Adaptive)
