"""Throttling: a campaign bids its valuation, and only for a share of the queries."""

from dataclasses import dataclass

import numpy as np

from auctionsim.agents.pacing.registry import register
from auctionsim.agents.pacing.tick import after_bidding, shares_behind, tick_orders
from auctionsim.checks import checked_number, checked_positive
from auctionsim.market import CampaignTerms, Controller, Orders, State, TickNews, TickStart


@dataclass(frozen=True)
class Throttling(Controller):
    """Participation that moves by how a tick's spend z compares with its share ρ of the budget.

    θ ← θ · exp(step · (s − z/ρ)), kept between `least` and 1; s is the share of the tick before the money ended
    (1: it lasted). Return targets are ignored. It spends what bid pacing spends, and takes a random share of the
    queries instead of those that are the best value: it costs utility.

    Attributes:
        name: By which campaigns refer to it.
        step: Change of log θ for a tick without spend, > 0.
        least: Of θ, in (0, 1]: who bids for nothing learns nothing.
    Source:
        Agarwal, Ghosh, Wei and You (2014), "Budget pacing for targeted online advertisements at LinkedIn", who move the
        share of requests by a fixed factor, up or down; here the factor follows the size of the difference.
    """

    name: str = "throttling"
    step: float = 0.1
    least: float = 0.001

    def __post_init__(self) -> None:
        checked_positive(self.step, "step")
        checked_number(checked_positive(self.least, "least"), "least", 0.0, 1.0)

    def begin(self, terms: CampaignTerms) -> State:
        """Return a participation of 1."""
        return {"participation": np.ones(len(terms.budget))}

    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        """Return the valuation as bid, for a share of the queries."""
        del terms
        return tick_orders(start, np.ones(len(start.present)), state["participation"])

    def learn(self, state: State, terms: CampaignTerms, news: TickNews) -> State:
        """Return the share that follows from the tick's spend."""
        before = state["participation"]
        after = np.clip(before * np.exp(self.step * shares_behind(terms, news)), self.least, 1.0)
        return {"participation": after_bidding(news, after, before)}


register(Throttling)
