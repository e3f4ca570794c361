"""Both constraints: a value maximiser with a budget and a target of value per money."""

from dataclasses import dataclass

import numpy as np

from auctionsim.agents.pacing.adaptive import budget_step
from auctionsim.agents.pacing.registry import register
from auctionsim.agents.pacing.target_return import after_worth, check_return_settings, no_worth, surplus
from auctionsim.agents.pacing.tick import after_bidding, tick_orders
from auctionsim.checks import checked_number, checked_positive
from auctionsim.market import CampaignTerms, Controller, Orders, State, TickNews, TickStart


@dataclass(frozen=True)
class BothConstraints(Controller):
    """Budget B and target τ at once: bid valuation · (1 + λ)/(λ τ + μ), both prices by descent on the dual.

    It maximises Σ value subject to Σ (value − τ · spend) ≥ 0, whose price λ moves as `TargetReturn`'s does, and
    Σ spend ≤ B, whose price μ moves as `Adaptive`'s does. Where one constraint does not bind its price falls to its
    least. A campaign without a target is a utility maximiser and bids valuation/(1 + μ).

    Attributes:
        name: By which campaigns refer to it.
        step: Of λ, as `TargetReturn` has it.
        budget_step: Of μ, as `Adaptive` has it.
        unit: Of λ's step, as `TargetReturn` has it.
        budget_unit: Of μ's step, as `Adaptive` has it.
        least, most: Of λ, as `TargetReturn` has them.
        most_budget: Of μ, > 0.
    Source:
        Feng, Padmanabhan and Wang (2023), "Online bidding algorithms for return-on-spend constrained advertisers", both
        constraints; the bid is the linear one of Aggarwal, Badanidiyuru and Mehta (2019), "Autobidding with
        constraints".
    """

    name: str = "both-constraints"
    step: float = 0.1
    budget_step: float = 0.1
    unit: float = 0.0
    budget_unit: float = 0.0
    least: float = 0.01
    most: float = 1e6
    most_budget: float = 1000.0

    def __post_init__(self) -> None:
        check_return_settings(self.step, self.unit, self.least, self.most)
        checked_positive(self.budget_step, "budget_step")
        checked_number(self.budget_unit, "budget_unit")
        checked_positive(self.most_budget, "most_budget")

    def begin(self, terms: CampaignTerms) -> State:
        """Return λ = 1 and μ = 0."""
        count = len(terms.target)
        return {"return_dual": np.ones(count), "budget_dual": np.zeros(count), **no_worth(terms)}

    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        """Return (1 + λ)/(λ τ + μ), 1/(1 + μ) without a target."""
        wanted = terms.target > 0
        gain = np.where(wanted, 1 + state["return_dual"], 1.0)
        weight = np.where(wanted, state["return_dual"] * terms.target, 1.0)
        return tick_orders(start, gain / (weight + state["budget_dual"]))

    def learn(self, state: State, terms: CampaignTerms, news: TickNews) -> State:
        """Return the prices that follow from the tick's value and spend."""
        worth = after_worth(state, terms, news)
        returns, budgets = state["return_dual"], state["budget_dual"]
        moved = returns * np.exp(-self.step * surplus(worth, terms, news, self.unit))
        spent = budget_step(budgets, terms, news, self.budget_step, self.budget_unit)
        return {
            "return_dual": after_bidding(news, np.clip(moved, self.least, self.most), returns),
            "budget_dual": after_bidding(news, np.clip(spent, 0.0, self.most_budget), budgets),
            **worth,
        }


register(BothConstraints)
