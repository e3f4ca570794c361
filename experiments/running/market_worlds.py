"""Small markets of the market study: two categories on measured carriers, three campaigns per brand, rules by name.

Valuations are U[0, 1] and every relevance is 1, so the campaign that stands for a brand of k campaigns has a valuation
of Beta(k, 1): what rules are designed for. Prompts of all contexts are pooled, as the board does it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from auctionsim.agents.pacing import controllers
from auctionsim.market import (
    Actors,
    Campaigns,
    CampaignTerms,
    Controller,
    DayRecord,
    Market,
    Orders,
    Placement,
    Platform,
    Simulation,
    State,
    TickNews,
    TickStart,
    Users,
)
from auctionsim.market.generator import GeneratorSettings, Outlet, generate
from auctionsim.mechanisms import Mechanism
from auctionsim.mechanisms.table import Problem, entry
from auctionsim.mechanisms.tuned import tuned
from auctionsim.priors import parse_priors
from auctionsim.substrates import MeasuredList, Randomised

LISTS = {"charities": "charities-2-neurons@1", "running shoes": "running-shoes-2-neurons@1"}
"""What each category's queries are sold on."""
FEATURE, LOSS = "mention_probability", "reply_kl"
MENU, TRUTHFUL, OPTIMUM, FIRST = "posted-showings", "vcg", "optimum", "pay-as-bid"
"""Rules in the table of mechanisms: the paper's menu on a list, a truthful one, the optimum, and first price."""
STEPS: Mapping[str, Mapping[str, float]] = {"target-return": {"step": 0.5}, "both-constraints": {"step": 0.5}}
"""Settings of controllers that are not their defaults: a few weeks are short for a return target."""


@dataclass(frozen=True)
class WorldSizes:
    """How large a market of the study is.

    Attributes:
        query_types: Query types per category.
        campaigns: Campaigns per brand.
        signals: Profiles of valuations per query type.
        ticks: Ticks per day.
        arrivals: Median mean number of queries of a type per hour.
    """

    query_types: int = 12
    campaigns: int = 3
    signals: int = 8
    ticks: int = 4
    arrivals: float = 10.0


def rule_name(mechanism: str, user_weight: float) -> str:
    """Return what a placement calls a rule."""
    return f"{mechanism} at {user_weight:g}"


@lru_cache(maxsize=8)
def list_view(name: str) -> Randomised:
    """Return a carrier's list as it is sold: a lottery over its settings."""
    return Randomised(MeasuredList.packaged(name).sell(FEATURE, loss=LOSS))


@lru_cache(maxsize=128)
def designed(name: str, mechanism: str, user_weight: float, campaigns: int) -> Mechanism:
    """Return a rule designed on a list for brands with so many campaigns each, knobs chosen."""
    prior = parse_priors(f"beta:{campaigns},1")
    return tuned(entry(mechanism), Problem(list_view(name), prior, user_weight)).mechanism


def brands_of(name: str) -> tuple[str, ...]:
    """Return the brands of a list."""
    return tuple(names[0] for names in MeasuredList.packaged(name).provenance["brands"])


def world(
    sizes: WorldSizes,
    rules: tuple[tuple[str, float], ...],
    seed: int,
    *,
    categories: tuple[str, ...] = tuple(LISTS),
    entry_price: bool = False,
) -> Market:
    """Return a market whose campaigns have no budgets and bid the truth.

    Args:
        sizes: How large.
        rules: (mechanism, user weight), the usual one first.
        seed: Seed of everything that is drawn.
        categories: Among `LISTS`.
        entry_price: Whether the shortlist has a price.
    """
    placements, outlets = {}, []
    for category in categories:
        name = LISTS[category]
        made = {rule_name(*rule): designed(name, *rule, sizes.campaigns) for rule in rules}
        placements[name] = Placement(name, brands_of(name), list_view(name), made)
        outlets.append(Outlet(category, name, brands_of(name), ()))
    brands = sum(len(outlet.brands) for outlet in outlets)
    settings = GeneratorSettings(
        query_types=sizes.query_types * len(categories),
        campaigns=sizes.campaigns * brands,
        arrivals=sizes.arrivals,
        unlimited=1.0,
        values=("uniform:0,1",),
        least_relevance=1.0,
        newcomers=0.0,
        leavers=0.0,
        seed=seed,
    )
    tables = generate(settings, outlets)
    return Market(
        tables.campaigns,
        tables.query_types,
        placements,
        seed=seed,
        signals=sizes.signals,
        ticks_per_day=sizes.ticks,
        entry_price=entry_price,
    )


def with_campaigns(market: Market, change: Callable[[Campaigns], Campaigns]) -> Market:
    """Return a market with other campaigns in the same places."""
    return replace(market, campaigns=change(market.campaigns))


def bought_by(market: Market, controller: str, *, budget_share: float = np.inf, target: float = 0.0) -> Market:
    """Return a market whose campaigns are all run alike.

    Args:
        market: With campaigns that bid the truth and have no budgets.
        controller: Kind.
        budget_share: Of what a campaign would spend per day on truthful bids under the usual rule; infinite: no budget.
        target: Value per money spent; 0: none.
    """
    budgets = np.full(len(market.campaigns), np.inf)
    if np.isfinite(budget_share):
        day = next(Simulation(market, Actors({"none": controllers()["none"]()})).days())
        spend = np.sum([tick.won.spend for tick in day.ticks], 0)
        budgets = np.maximum(budget_share * spend, np.finfo(float).tiny)
    count = len(budgets)
    return with_campaigns(
        market,
        lambda campaigns: replace(
            campaigns, budget=budgets, target=np.full(count, target), controller=(controller,) * count
        ),
    )


def acting_controller(kind: str) -> Controller:
    """Return a controller of a kind: its defaults, but return targets are followed by larger steps."""
    return controllers()[kind](**STEPS.get(kind, {}))


class Scaled(Controller):
    """Another controller's orders times a factor: a deviation from them.

    Args:
        inner: The other.
        factor: > 0.
        name: By which campaigns refer to it.
    """

    def __init__(self, inner: Controller, factor: float, name: str = "deviator") -> None:
        self.inner, self.factor, self.name = inner, factor, name

    def begin(self, terms: CampaignTerms) -> State:
        """Return what the other remembers."""
        return self.inner.begin(terms)

    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        """Return the other's multipliers times the factor."""
        orders = self.inner.orders(state, terms, start)
        return orders._replace(multiplier=orders.multiplier * self.factor)

    def learn(self, state: State, terms: CampaignTerms, news: TickNews) -> State:
        """Let the other learn."""
        return self.inner.learn(state, terms, news)


def days_of(
    market: Market,
    count: int,
    *,
    more: tuple[Controller, ...] = (),
    users: Users | None = None,
    platform: Platform | None = None,
) -> list[DayRecord]:
    """Return the first days of a market, every kind of controller with its defaults.

    Args:
        market: Where.
        count: Of days.
        more: Controllers besides.
        users: None: as many every day.
        platform: None: the usual rule every day.
    """
    kinds = {name for name in market.campaigns.controller if name not in {one.name for one in more}}
    acting = {name: acting_controller(name) for name in sorted(kinds)} | {one.name: one for one in more}
    days = Simulation(market, Actors(acting, users, platform)).days()
    return [next(days) for _ in range(count)]


def sums(days: Sequence[DayRecord]) -> tuple[np.ndarray, np.ndarray]:
    """Return each campaign's value and spend over some days."""
    ticks = [tick.won for day in days for tick in day.ticks]
    return np.sum([won.value for won in ticks], 0), np.sum([won.spend for won in ticks], 0)
