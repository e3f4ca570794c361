"""The simulation: days of ticks; controllers set bids, categories clear, users come or stay away, rules change.

Everything that is remembered from one day to the next is in `MarketState`, plain arrays, so that a stopped run goes on
from a file; everything that is drawn depends on the market's seed, the day and the tick. What clears the categories is
passed in, so that they may live in other processes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from auctionsim.errors import InputError
from auctionsim.market.actors import Actors, DayNews
from auctionsim.market.category import CampaignTally, CategoryMarket, Tally, TickCall
from auctionsim.market.controllers import CampaignTerms, Orders, State, TickNews, TickStart
from auctionsim.market.market import Market

Calls = Mapping[str, TickCall]
Clear = Callable[[Calls], Mapping[str, Tally]]
"""Clears one tick in the categories that are named."""


@dataclass(frozen=True)
class SimulationSettings:
    """Settings of a simulation.

    Attributes:
        sampled: Whether arrivals are drawn; else every tick clears the mean of them.
    """

    sampled: bool = False


@dataclass(frozen=True)
class MarketState:
    """The memory of a simulation between two days.

    Attributes:
        day: The next one.
        controllers: Their states by name, rows in the order of their campaigns.
        users: Theirs.
        platform: Its.
    """

    day: int = 0
    controllers: Mapping[str, State] = field(default_factory=dict)
    users: State = field(default_factory=dict)
    platform: State = field(default_factory=dict)


class TickRecord(NamedTuple):
    """One tick of the whole market; arrays over all campaigns, in the order of their table.

    Attributes:
        day, tick: Which.
        rule: By which placements were sold.
        traffic: What mean arrivals were multiplied by.
        orders: What campaigns did.
        present: Whether the campaign was there.
        tallies: What it brought, by category.
        won: The same, over all campaigns.
        budget_left: After the tick.
    """

    day: int
    tick: int
    rule: str
    traffic: float
    orders: Orders
    present: Bool[np.ndarray, " campaign"]
    tallies: Mapping[str, Tally]
    won: CampaignTally
    budget_left: Float[np.ndarray, " campaign"]


class DayRecord(NamedTuple):
    """One day.

    Attributes:
        news: Its sums.
        ticks: Of the day, in order.
        state: From which the next day begins.
    """

    news: DayNews
    ticks: tuple[TickRecord, ...]
    state: MarketState


class Simulation:
    """A market with those who act in it.

    Args:
        market: The market.
        actors: Who acts.
        settings: How.
        clear: Clears ticks; None: in this process.
    Raises:
        ValueError: A campaign whose controller is not among the actors.
    """

    def __init__(
        self,
        market: Market,
        actors: Actors,
        settings: SimulationSettings | None = None,
        clear: Clear | None = None,
    ) -> None:
        self.market, self.actors = market, actors
        self.settings = settings or SimulationSettings()
        self.clear = clear or LocalCategories(market)
        self.speaks_for = _spoken_for(market, actors)
        self.places = {category: market.members(category) for category in market.categories}

    def begin(self) -> MarketState:
        """Return the state before the first day."""
        users, platform = self.actors.users, self.actors.platform
        return MarketState(
            controllers={
                name: self.actors.controllers[name].begin(self._terms(own)) for name, own in self.speaks_for.items()
            },
            users={} if users is None else users.begin(self.market.losses),
            platform={} if platform is None else platform.begin(self.market.rules, self.market.losses),
        )

    def days(self, state: MarketState | None = None) -> Iterator[DayRecord]:
        """Yield one day after the other, without end, from a state on."""
        now = self.begin() if state is None else state
        while True:
            record = self.day(now)
            yield record
            now = record.state

    def day(self, state: MarketState) -> DayRecord:
        """Return one day."""
        market, day = self.market, state.day
        traffic = self._traffic(state.users, day)
        rule = self._rule(state)
        controllers = dict(state.controllers)
        left = market.campaigns.budget.copy()
        ended = np.zeros(len(left), dtype=bool)
        ticks = []
        for tick in range(market.ticks_per_day):
            record, controllers = self._tick((day, tick), (rule, traffic), controllers, left, ended)
            ticks.append(record)
            left, ended = record.budget_left, ended | ~np.isnan(record.won.ended)
        news, after = self._after(state, _day_news(day, rule, traffic, ticks, market.losses), controllers)
        return DayRecord(news, tuple(ticks), after)

    def _tick(
        self,
        when: tuple[int, int],
        how: tuple[str, float],
        controllers: Mapping[str, State],
        left: Float[np.ndarray, " campaign"],
        ended: Bool[np.ndarray, " campaign"],
    ) -> tuple[TickRecord, dict[str, State]]:
        """Return one tick, and what controllers remember after it."""
        (day, tick), (rule, traffic) = when, how
        present = self.market.campaigns.present(day + tick / self.market.ticks_per_day)
        orders = self._orders(controllers, TickStart(day, tick, left, present))
        taking = present & ~ended & (left > 0)
        calls = {
            category: TickCall(
                day,
                tick,
                orders.multiplier[own],
                orders.participation[own],
                taking[own],
                left[own],
                traffic,
                rule,
                self.settings.sampled,
            )
            for category, own in self.places.items()
        }
        tallies = self.clear(calls)
        won = self._whole(tallies)
        after = np.where(np.isinf(left), np.inf, np.maximum(left - won.spend, 0.0))
        sums = won.spend, won.value, won.exposure, won.auctions
        news = TickNews(day, tick, *sums, after, present, taking, won.ended, orders.multiplier, orders.participation)
        record = TickRecord(day, tick, rule, traffic, orders, present, tallies, won, after)
        return record, self._learnt(controllers, news)

    def _orders(self, controllers: Mapping[str, State], start: TickStart) -> Orders:
        """Return what all campaigns do, each by its controller."""
        multiplier, participation = np.zeros(len(start.present)), np.zeros(len(start.present))
        for name, own in self.speaks_for.items():
            here = start._replace(budget_left=start.budget_left[own], present=start.present[own])
            orders = self.actors.controllers[name].orders(controllers[name], self._terms(own), here)
            multiplier[own] = _checked_orders(orders.multiplier, name, "multiplier", len(own), np.inf)
            participation[own] = _checked_orders(orders.participation, name, "participation", len(own), 1.0)
        return Orders(multiplier, participation)

    def _learnt(self, controllers: Mapping[str, State], news: TickNews) -> dict[str, State]:
        learnt = {}
        for name, own in self.speaks_for.items():
            here = TickNews(news.day, news.tick, *(column[own] for column in news[2:]))
            learnt[name] = self.actors.controllers[name].learn(controllers[name], self._terms(own), here)
        return learnt

    def _terms(self, own: np.ndarray) -> CampaignTerms:
        campaigns = self.market.campaigns
        return CampaignTerms(campaigns.budget[own], campaigns.target[own], self.market.ticks_per_day)

    def _rule(self, state: MarketState) -> str:
        rules = self.market.rules
        if self.actors.platform is None:
            return rules[0]
        generator = self.market.generator("platform", state.day)
        rule = self.actors.platform.rule(state.platform, rules, state.day, generator)
        if rule not in rules:
            raise InputError(f"the platform must choose one of {', '.join(rules)}, got {rule!r}")
        return rule

    def _whole(self, tallies: Mapping[str, Tally]) -> CampaignTally:
        """Return what the tick brought all campaigns, from what each category says of its own."""
        whole = CampaignTally.nothing(len(self.market.campaigns))
        for category, own in self.places.items():
            for column, part in zip(whole, tallies[category].campaigns, strict=True):
                column[own] = part
        return whole

    def _traffic(self, users: State, day: int) -> float:
        """Return what the mean arrivals of a day are multiplied by."""
        traffic = 1.0 if self.actors.users is None else float(self.actors.users.traffic(users, day))
        if not 0 <= traffic < np.inf:
            raise InputError(f"traffic must be finite and >= 0, got {traffic} on day {day}")
        return traffic

    def _after(
        self, state: MarketState, news: DayNews, controllers: Mapping[str, State]
    ) -> tuple[DayNews, MarketState]:
        """Return a day's sums with how many return, and the state after it."""
        users, platform = self.actors.users, self.actors.platform
        stay = state.users if users is None else users.learn(state.users, news)
        news = news._replace(returning=self._traffic(stay, news.day + 1))
        chosen = state.platform if platform is None else platform.learn(state.platform, self.market.rules, news)
        return news, MarketState(state.day + 1, controllers, stay, chosen)


class LocalCategories:
    """All categories of a market, cleared in this process, one after the other."""

    def __init__(self, market: Market) -> None:
        self.categories = {name: CategoryMarket(market, name) for name in market.categories}

    def __call__(self, calls: Calls) -> Mapping[str, Tally]:
        """Clear one tick."""
        return {name: self.categories[name].tick(call) for name, call in calls.items()}


def _spoken_for(market: Market, actors: Actors) -> dict[str, np.ndarray]:
    """Return which campaigns each controller bids for."""
    named = np.array(market.campaigns.controller)
    missing = sorted({*market.campaigns.controller} - {*actors.controllers})
    if missing:
        raise InputError(
            f"campaigns name the controller {missing[0]!r}; there are {', '.join(actors.controllers) or 'none'}"
        )
    return {name: np.flatnonzero(named == name) for name in sorted({*market.campaigns.controller})}


def _checked_orders(numbers: object, name: str, what: str, count: int, most: float) -> Float[np.ndarray, " campaign"]:
    orders = np.asarray(numbers, dtype=np.float64)
    fits = orders.shape in ((), (count,)) and bool(((orders >= 0) & (orders <= most) & np.isfinite(orders)).all())
    if not fits:
        limit = "finite and >= 0" if np.isinf(most) else f"within [0, {most:g}]"
        raise InputError(f"{what} of the controller {name!r} must be {limit}, one per campaign ({count}), got {orders}")
    return orders


def _day_news(day: int, rule: str, traffic: float, ticks: Sequence[TickRecord], losses: Sequence[str]) -> DayNews:
    tallies = [tally for record in ticks for tally in record.tallies.values()]
    return DayNews(
        day=day,
        rule=rule,
        revenue=float(sum(float(record.won.spend.sum()) for record in ticks)),
        arrivals=float(sum(tally.arrivals for tally in tallies)),
        losses={name: float(sum(tally.losses[name] for tally in tallies)) for name in losses},
        sold=float(sum(tally.sold for tally in tallies)),
        traffic=traffic,
        returning=traffic,
    )
