"""Shading: a utility maximiser that learns by trial how far below its valuation to bid."""

from dataclasses import dataclass

import numpy as np

from auctionsim.agents.pacing.registry import register
from auctionsim.agents.pacing.tick import tick_orders
from auctionsim.checks import checked_count, checked_number, checked_positive
from auctionsim.errors import InputError
from auctionsim.market import CampaignTerms, Controller, Orders, State, TickNews, TickStart


@dataclass(frozen=True)
class LearnedShading(Controller):
    """A utility maximiser without constraints: bid α · valuation, α one of a grid, chosen by UCB1 on value − spend.

    A tick's reward is the utility per query bid for, over the largest that a tick has brought so far. Each α is tried
    once, from the highest down; then the one with the highest mean + confidence · √(2 ln t / n) is bid. Past rewards
    are discounted, so that it goes on learning where others do. Under a truthful rule α = 1 is best, under pay-as-bid
    it is not. Budgets (but for the market's) and targets are ignored.

    Attributes:
        name: By which campaigns refer to it.
        choices: Of α, evenly spaced from 1 down to `least`, ≥ 2.
        least: Of α, in (0, 1).
        confidence: Weight of how little an α has been tried, ≥ 0.
        discount: Of what was learned, per tick, in (0, 1].
    Source:
        Auer, Cesa-Bianchi and Fischer (2002), "Finite-time analysis of the multiarmed bandit problem"; Garivier and
        Moulines (2011), "On upper-confidence bound policies for switching bandit problems", for the discount.
    """

    name: str = "shading"
    choices: int = 8
    least: float = 0.3
    confidence: float = 0.1
    discount: float = 0.99

    def __post_init__(self) -> None:
        checked_count(self.choices, "choices", 2)
        checked_number(self.least, "least", 0.0, 1.0)
        checked_number(self.confidence, "confidence", 0.0, 1e6)
        checked_number(checked_positive(self.discount, "discount"), "discount", 0.0, 1.0)
        if not 0 < self.least < 1:
            raise InputError(f"least must lie strictly between 0 and 1, got {self.least}")

    @property
    def grid(self) -> np.ndarray:
        """The multipliers, the highest first."""
        return np.linspace(1.0, self.least, self.choices)

    def begin(self, terms: CampaignTerms) -> State:
        """Return no trials."""
        count = len(terms.budget)
        nothing = np.zeros((count, self.choices))
        return {"tried": nothing, "reward": nothing, "largest": np.zeros(count)}

    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        """Return the α with the highest index of each campaign."""
        del terms
        return tick_orders(start, self.grid[self._chosen(state)])

    def learn(self, state: State, terms: CampaignTerms, news: TickNews) -> State:
        """Count the tick's utility for the α that was bid."""
        del terms
        utility = (news.value - news.spend) / np.where(news.auctions > 0, news.auctions, 1.0)
        bid = np.eye(self.choices)[self._chosen(state)]
        largest = np.maximum(state["largest"], np.abs(utility))
        divisor = np.where(largest > 0, largest, 1.0)
        before = state["reward"] * (state["largest"] / divisor)[:, None]  # in units of the new largest
        after = {
            "tried": self.discount * state["tried"] + bid,
            "reward": self.discount * before + bid * (utility / divisor)[:, None],
            "largest": largest,
        }
        bidding = (news.taking & (news.auctions > 0))[:, None]
        return {
            "tried": np.where(bidding, after["tried"], state["tried"]),
            "reward": np.where(bidding, after["reward"], state["reward"]),
            "largest": np.where(bidding[:, 0], after["largest"], state["largest"]),
        }

    def _chosen(self, state: State) -> np.ndarray:
        """Return the place in the grid of each campaign's next α."""
        tried = state["tried"]
        times = np.where(tried > 0, tried, 1.0)
        total = np.maximum(tried.sum(1, keepdims=True), 1.0)
        bonus = self.confidence * np.sqrt(2 * np.log(total) / times)
        place: np.ndarray = np.where(tried > 0, state["reward"] / times + bonus, np.inf).argmax(1)
        return place


register(LearnedShading)
