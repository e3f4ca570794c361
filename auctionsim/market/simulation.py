"""The simulation: days of ticks; controllers set bids, categories clear, users come or stay away, rules change.

Everything that is remembered from one day to the next is in `MarketState`, plain arrays, so that a stopped run goes on
from a file; everything that is drawn depends on the market's seed, the day and the tick. What clears the categories is
passed in, so that they may live in other processes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from auctionsim.errors import InputError
from auctionsim.market.actors import Actors, DayNews
from auctionsim.market.category import CampaignTally, CategoryMarket, Tally, TickCall
from auctionsim.market.controllers import CampaignTerms, Orders, State, TickNews, TickStart
from auctionsim.market.day_records import DayRecord, DayState, MarketState, TickRecord
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
        """Return one day: its dawn, its ticks, its dusk."""
        now = self.dawn(state)
        for _ in range(self.market.ticks_per_day):
            now = self.tick(now)
        return self.dusk(now)

    def dawn(self, state: MarketState, rule: str | None = None) -> DayState:
        """Return a day that begins.

        Args:
            state: After the day before.
            rule: By which placements are sold; None: the platform's choice.
        Raises:
            ValueError: A rule that there is not.
        """
        left = self.market.campaigns.budget.copy()
        ended = np.zeros(len(left), dtype=bool)
        chosen = self._rule(state) if rule is None else self._checked_rule(rule)
        return DayState(state, chosen, self._traffic(state.users, state.day), dict(state.controllers), left, ended)

    def orders(self, now: DayState) -> Orders:
        """Return what all campaigns do in the tick that begins, each by its controller."""
        return self._orders(now.controllers, self._start(now))

    def tick(self, now: DayState, orders: Orders | None = None) -> DayState:
        """Return the day after its next tick.

        Args:
            now: The day so far.
            orders: What campaigns do; None: what their controllers say.
        Raises:
            ValueError: Orders that are not one per campaign, finite and >= 0, participation at most 1.
        """
        day, tick, left = now.state.day, len(now.ticks), now.budget_left
        present = self._start(now).present
        acts = self.orders(now) if orders is None else self._given(orders)
        taking = present & ~now.ended & (left > 0)
        calls = {
            category: TickCall(
                day,
                tick,
                acts.multiplier[own],
                acts.participation[own],
                taking[own],
                left[own],
                now.traffic,
                now.rule,
                self.settings.sampled,
            )
            for category, own in self.places.items()
        }
        tallies = self.clear(calls)
        won = self._whole(tallies)
        after = np.where(np.isinf(left), np.inf, np.maximum(left - won.spend, 0.0))
        sums = won.spend, won.value, won.exposure, won.auctions
        news = TickNews(day, tick, *sums, after, present, taking, won.ended, acts.multiplier, acts.participation)
        record = TickRecord(day, tick, now.rule, now.traffic, acts, present, tallies, won, after)
        return now._replace(
            controllers=self._learnt(now.controllers, news),
            budget_left=after,
            ended=now.ended | ~np.isnan(won.ended),
            ticks=(*now.ticks, record),
        )

    def _given(self, orders: Orders) -> Orders:
        """Return orders that stand in for the controllers', if they are some."""
        count = len(self.market.campaigns)
        return Orders(
            _checked_orders(orders.multiplier, "that is stood in for", "multiplier", count, np.inf),
            _checked_orders(orders.participation, "that is stood in for", "participation", count, 1.0),
        )

    def dusk(self, now: DayState) -> DayRecord:
        """Return a day whose ticks are over."""
        news = _day_news(now.state.day, now.rule, now.traffic, now.ticks, self.market.losses)
        news, after = self._after(now.state, news, now.controllers)
        return DayRecord(news, now.ticks, after)

    def _start(self, now: DayState) -> TickStart:
        day, tick = now.state.day, len(now.ticks)
        present = self.market.campaigns.present(day + tick / self.market.ticks_per_day)
        return TickStart(day, tick, now.budget_left, present)

    def _orders(self, controllers: Mapping[str, State], start: TickStart) -> Orders:
        """Return what all campaigns do, each by its controller."""
        multiplier, participation = np.zeros(len(start.present)), np.zeros(len(start.present))
        for name, own in self.speaks_for.items():
            here = start._replace(budget_left=start.budget_left[own], present=start.present[own])
            orders, whose = self.actors.controllers[name].orders(controllers[name], self._terms(own), here), repr(name)
            multiplier[own] = _checked_orders(orders.multiplier, whose, "multiplier", len(own), np.inf)
            participation[own] = _checked_orders(orders.participation, whose, "participation", len(own), 1.0)
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
        return self._checked_rule(self.actors.platform.rule(state.platform, rules, state.day, generator))

    def _checked_rule(self, rule: str) -> str:
        rules = self.market.rules
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


def _checked_orders(numbers: object, whose: str, what: str, count: int, most: float) -> Float[np.ndarray, " campaign"]:
    orders = np.asarray(numbers, dtype=np.float64)
    fits = orders.shape in ((), (count,)) and bool(((orders >= 0) & (orders <= most) & np.isfinite(orders)).all())
    if not fits:
        limit = "finite and >= 0" if np.isinf(most) else f"within [0, {most:g}]"
        raise InputError(f"{what} of the controller {whose} must be {limit}, one per campaign ({count}), got {orders}")
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
