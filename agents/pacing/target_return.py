"""Target return: a value maximiser bids as much as the value per money that it wants allows."""

from dataclasses import dataclass

import numpy as np

from auctionsim.agents.pacing.registry import register
from auctionsim.agents.pacing.tick import Column, after_bidding, tick_orders
from auctionsim.checks import checked_number, checked_positive
from auctionsim.market import CampaignTerms, Controller, Orders, State, TickNews, TickStart


@dataclass(frozen=True)
class TargetReturn(Controller):
    """A value maximiser with a target τ of value per money: bid valuation · (1 + λ)/(λ τ), λ by mirror descent.

    It maximises Σ value subject to Σ (value − τ · spend) ≥ 0, whose Lagrangian Σ (1 + λ) value − λ τ spend is greatest
    under second price at that bid. λ ← λ · exp(−step · g/unit) with a tick's g = value − τ · spend, λ kept between
    `least` and `most`. While no bound binds, the shortfall τ Σ spend − Σ value is unit · log(λ_end/λ_start)/step; it is
    never more than unit · log(most)/step, so that per tick it vanishes as 1/T. Budgets are ignored, but for the
    market's. A campaign without a target bids its valuation.

    Attributes:
        name: By which campaigns refer to it.
        step: Change of log λ for a g of one unit, > 0. The source takes 1/√T.
        unit: Money that g is measured in; 0: each campaign's mean of (value + τ · spend)/2 per tick so far.
        least: Of λ, > 0: no bid is above (1 + 1/least)/τ valuations.
        most: Of λ, ≥ 1.
    Source:
        Feng, Padmanabhan and Wang (2023), "Online bidding algorithms for return-on-spend constrained advertisers",
        with τ = 1 there and g in money.
    """

    name: str = "target-return"
    step: float = 0.1
    unit: float = 0.0
    least: float = 0.01
    most: float = 1e6

    def __post_init__(self) -> None:
        check_return_settings(self.step, self.unit, self.least, self.most)

    def begin(self, terms: CampaignTerms) -> State:
        """Return λ = 1, a bid of two valuations per τ."""
        return {"return_dual": np.ones(len(terms.target)), **no_worth(terms)}

    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        """Return (1 + λ)/(λ τ), 1 without a target."""
        dual, wanted = state["return_dual"], terms.target > 0
        weight = np.where(wanted, dual * terms.target, 1.0)
        return tick_orders(start, np.where(wanted, (1 + dual) / weight, 1.0))

    def learn(self, state: State, terms: CampaignTerms, news: TickNews) -> State:
        """Return the λ that follows from the tick's value and spend."""
        worth = after_worth(state, terms, news)
        before = state["return_dual"]
        after = np.clip(before * np.exp(-self.step * surplus(worth, terms, news, self.unit)), self.least, self.most)
        return {"return_dual": after_bidding(news, after, before), **worth}


def check_return_settings(step: float, unit: float, least: float, most: float) -> None:
    """Refuse settings of the price of a return target that break their rules.

    Raises:
        ValueError: One does.
    """
    checked_positive(step, "step")
    checked_number(unit, "unit")
    checked_number(checked_positive(least, "least"), "least", 0.0, 1.0)
    checked_number(most, "most", 1.0)


def no_worth(terms: CampaignTerms) -> State:
    """Return the memory of what ticks are worth, before the first."""
    return {"worth": np.zeros(len(terms.target)), "ticks": np.zeros(len(terms.target))}


def after_worth(state: State, terms: CampaignTerms, news: TickNews) -> State:
    """Return the sum of (value + τ · spend)/2 over ticks with bids, and their number, after one more."""
    worth = (news.value + terms.target * news.spend) / 2
    return {
        "worth": after_bidding(news, state["worth"] + worth, state["worth"]),
        "ticks": after_bidding(news, state["ticks"] + 1, state["ticks"]),
    }


def surplus(worth: State, terms: CampaignTerms, news: TickNews, unit: float) -> Column:
    """Return a tick's value − τ · spend in a unit of money; 0: each campaign's mean worth per tick so far."""
    mean = worth["worth"] / np.maximum(worth["ticks"], 1)
    units = np.full_like(mean, unit) if unit else np.where(mean > 0, mean, 1.0)
    difference: Column = (news.value - terms.target * news.spend) / units
    return difference


register(TargetReturn)
