"""Multiplicative pacing: bids are a multiple of valuations that is itself multiplied, tick by tick."""

from dataclasses import dataclass

import numpy as np

from auctionsim.agents.pacing.registry import register
from auctionsim.agents.pacing.tick import after_bidding, shares_behind, tick_orders
from auctionsim.checks import checked_number, checked_positive
from auctionsim.market import CampaignTerms, Controller, Orders, State, TickNews, TickStart


@dataclass(frozen=True)
class Multiplicative(Controller):
    """A utility maximiser with a budget: bid α · valuation, α moved by multiplicative updates.

    α ← α · exp(step · (s − z/ρ)), kept between `least` and `most`; z is a tick's spend, ρ the budget per tick, s the
    share of the tick before the money ended (1: it lasted). While no bound binds, Σ(z/ρ − s) = log(α_start/α_end)/step:
    the average spend is the budget, with an error that falls as 1/T. Return targets are ignored.

    Attributes:
        name: By which campaigns refer to it.
        step: Change of log α for a tick without spend, > 0.
        least: Of α, > 0.
        most: Of α, ≥ `least`; 1: no bid is above the valuation.
    Source:
        Borgs et al. (2007), "Dynamics of bid optimization in online advertisement auctions", who move a bid by a small
        factor, up below the budget and down above it; here the factor follows the size of the difference.
    """

    name: str = "multiplicative"
    step: float = 0.1
    least: float = 0.001
    most: float = 1.0

    def __post_init__(self) -> None:
        for what in ("step", "least", "most"):
            checked_positive(getattr(self, what), what)
        checked_number(self.most, "most", self.least)

    def begin(self, terms: CampaignTerms) -> State:
        """Return the multiplier 1, or the nearest that is allowed."""
        return {"multiplier": np.clip(np.ones(len(terms.budget)), self.least, self.most)}

    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        """Return α."""
        del terms
        return tick_orders(start, state["multiplier"])

    def learn(self, state: State, terms: CampaignTerms, news: TickNews) -> State:
        """Return the α that follows from the tick's spend."""
        before = state["multiplier"]
        after = np.clip(before * np.exp(self.step * shares_behind(terms, news)), self.least, self.most)
        return {"multiplier": after_bidding(news, after, before)}


register(Multiplicative)
