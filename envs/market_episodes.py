"""Episodes of a market with a learner in it: what one campaign or the platform sees, does and earns; all pure.

A seat is a function of records: an episode is never changed, only followed by another. The environments are thin faces
of it.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from jaxtyping import Float

from auctionsim.envs.market_settings import MarketEnvSettings
from auctionsim.envs.observations import largest_exposure
from auctionsim.errors import InputError
from auctionsim.market import DayRecord, DayState, MarketState, Orders, Simulation, SimulationSettings
from auctionsim.market.campaigns import one_prior

MOST = 1e6
"""Where numbers of an observation end that have no end of their own: they are clipped there, rewards are not."""
TINY = 1e-6


@dataclass(frozen=True)
class MarketEpisode:
    """An episode between two steps.

    Attributes:
        simulation: The market of this episode.
        state: After the days that are over.
        now: The day that is running; None once all days are over.
        last: The last day that is over; None on the first.
        ticks: Steps of a campaign so far.
        spent, gained: The learner's campaign's money and value so far.
        seen: What the learner's last step brought, as its observation has it.
        arm: The platform's last rule; −1 before the first.
    """

    simulation: Simulation
    state: MarketState
    now: DayState | None
    last: DayRecord | None = None
    ticks: int = 0
    spent: float = 0.0
    gained: float = 0.0
    seen: tuple[float, ...] = ()
    arm: int = -1


class MarketStep(NamedTuple):
    """A step of an episode: the next episode, the reward, whether it is over, and its numbers by name."""

    episode: MarketEpisode
    reward: float
    over: bool
    info: dict[str, float]


class MarketSeat(ABC):
    """A learner's seat in a market.

    Args:
        settings: Which market, and how it is played.
    """

    def __init__(self, settings: MarketEnvSettings) -> None:
        self.settings = settings
        self.market = settings.played

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """What the numbers of an observation are, in order."""

    @abstractmethod
    def bounds(self) -> tuple[list[float], list[float]]:
        """Return the lowest and the highest of each number."""

    @property
    @abstractmethod
    def action_space(self) -> gymnasium.spaces.Space[Any]:
        """What can be done."""

    @abstractmethod
    def begin(self, seed: int) -> MarketEpisode:
        """Return the episode of a market seed: its valuations, and its arrivals where they are drawn."""

    @abstractmethod
    def numbers(self, episode: MarketEpisode) -> list[float]:
        """Return what the learner sees, before it is clipped."""

    @abstractmethod
    def step(self, episode: MarketEpisode, action: Any) -> MarketStep:
        """Return what an action leads to."""

    @cached_property
    def observation_space(self) -> gymnasium.spaces.Box:
        """The box of observations, float32."""
        low, high = (np.array(bound, dtype=np.float32) for bound in self.bounds())
        return gymnasium.spaces.Box(low, high, dtype=np.float32)

    def observe(self, episode: MarketEpisode) -> Float[np.ndarray, " number"]:
        """Return what the learner sees, clipped to its box."""
        box = self.observation_space
        return np.clip(np.array(self.numbers(episode), dtype=np.float32), box.low, box.high)

    def _first(self, seed: int) -> tuple[Simulation, MarketState]:
        settings = self.settings
        market = replace(self.market, seed=seed)
        simulation = Simulation(market, settings.others, SimulationSettings(settings.sampled))
        return simulation, simulation.begin()


class CampaignSeat(MarketSeat):
    """One campaign learns: a step is a tick, an action its multiplier, the reward value less spend.

    It takes part in every query of its category, with bids multiplier · valuation. The cost is the growth of
    max(0, target · spend − value) over the episode, where the campaign has a target.
    """

    def __init__(self, settings: MarketEnvSettings) -> None:
        super().__init__(settings)
        self.place = settings.place()
        self.budget = float(self.market.campaigns.budget[self.place])
        self.target = float(self.market.campaigns.target[self.place])

    @property
    def names(self) -> tuple[str, ...]:
        """Budget left as a share, time of day, share of the days, whether it is there, the last tick's numbers."""
        return ("budget_left", "time", "day", "present", "last_spend", "last_value", "last_price")

    def bounds(self) -> tuple[list[float], list[float]]:
        """Return 0, and the most that a tick can bring at the highest multiplier and mean arrivals."""
        worth, value = self._most()
        spend = min(self.budget, value * self.settings.multiplier_high)
        highs = [1.0, 1.0, 1.0, 1.0, spend, value, worth * self.settings.multiplier_high]
        return [0.0] * 7, [max(high, TINY) for high in highs]

    @property
    def action_space(self) -> gymnasium.spaces.Box:
        """A multiplier from 0 to the highest."""
        return gymnasium.spaces.Box(0.0, self.settings.multiplier_high, (1,), np.float32)

    def begin(self, seed: int) -> MarketEpisode:
        """Return an episode at the dawn of its first day."""
        simulation, state = self._first(seed)
        return MarketEpisode(simulation, state, simulation.dawn(state), seen=(0.0, 0.0, 0.0))

    def numbers(self, episode: MarketEpisode) -> list[float]:
        """Return the campaign's view; after the last day, that of its end."""
        per_day, days = self.market.ticks_per_day, self.settings.days
        if episode.now is None:
            assert episode.last is not None
            left, tick, day = episode.last.ticks[-1].budget_left[self.place], per_day, days
            present = self.market.campaigns.present(float(days))[self.place]
        else:
            left, tick = episode.now.budget_left[self.place], len(episode.now.ticks)
            day = episode.now.state.day
            present = self.market.campaigns.present(day + tick / per_day)[self.place]
        share = 1.0 if math.isinf(self.budget) else float(left) / self.budget
        return [share, tick / per_day, day / days, float(present), *episode.seen]

    def step(self, episode: MarketEpisode, action: Any) -> MarketStep:
        """Return the market after one tick at this multiplier.

        Raises:
            ValueError: No number from 0 to the highest multiplier.
        """
        multiplier = self._multiplier(action)
        assert episode.now is not None
        simulation = episode.simulation
        orders = simulation.orders(episode.now)
        own = [column.copy() for column in orders]
        own[0][self.place], own[1][self.place] = multiplier, 1.0
        now = simulation.tick(episode.now, Orders(*own))
        won = now.ticks[-1].won
        spend, value, exposure = (float(column[self.place]) for column in (won.spend, won.value, won.exposure))
        price = spend / exposure if exposure > 0 else 0.0
        spent, gained = episode.spent + spend, episode.gained + value
        following = replace(
            episode, now=now, ticks=episode.ticks + 1, spent=spent, gained=gained, seen=(spend, value, price)
        )
        if len(now.ticks) == self.market.ticks_per_day:
            following = self._next_day(following, now)
        info = {
            "spend": spend,
            "value": value,
            "exposure": exposure,
            "price": price,
            "auctions": float(won.auctions[self.place]),
            "budget_left": float(now.budget_left[self.place]),
            "cost": self._shortfall(spent, gained) - self._shortfall(episode.spent, episode.gained),
        }
        return MarketStep(following, value - spend, following.now is None, info)

    def _next_day(self, episode: MarketEpisode, now: DayState) -> MarketEpisode:
        record = episode.simulation.dusk(now)
        over = record.state.day >= self.settings.days
        dawn = None if over else episode.simulation.dawn(record.state)
        return replace(episode, state=record.state, now=dawn, last=record)

    def _multiplier(self, action: Any) -> float:
        given = np.asarray(action, dtype=np.float64)
        high = self.settings.multiplier_high
        if given.shape != (1,) or not 0 <= float(given[0]) <= high * (1 + TINY):
            raise InputError(f"a multiplier must be one number >= 0 and <= {high:g}, got {action!r:.60}")
        return min(float(given[0]), high)

    def _shortfall(self, spent: float, gained: float) -> float:
        return max(0.0, self.target * spent - gained)

    def _most(self) -> tuple[float, float]:
        """Return the most that one exposure, and one tick of mean arrivals, can be worth to the campaign."""
        market, campaigns = self.market, self.market.campaigns
        types = market.types(campaigns.category[self.place])
        relevance = market.query_types.relevance[types] * float(campaigns.relevance[self.place])
        high = float(one_prior(campaigns.value[self.place]).high)
        known = market.known.get(campaigns.category[self.place])
        if known is not None:
            high = float(np.max(known, initial=0.0))
        brand, reach = campaigns.brand[self.place], []
        for place in types:
            placement = market.placements[market.query_types.placement[place]]
            sold = brand in placement.brands
            exposures = largest_exposure(placement.view)[:, 0]
            reach.append(float(exposures[placement.brands.index(brand)]) if sold else 0.0)
        hours = 24.0 / market.ticks_per_day
        ticks = [market.query_types.arriving(k * hours, (k + 1) * hours)[types] for k in range(market.ticks_per_day)]
        value = max((float((arrivals * relevance * reach).sum()) for arrivals in ticks), default=0.0) * high
        return min(high * float(relevance.max(initial=0.0)), MOST), min(value, MOST)


class PlatformSeat(MarketSeat):
    """The platform learns: a step is a day, an action the rule of the day, the reward revenue less weighted losses."""

    @property
    def names(self) -> tuple[str, ...]:
        """Share of the days, traffic of the day that begins, the last day's numbers per query, its rule one-hot."""
        losses = tuple(f"loss_{name}" for name in self.market.losses)
        return ("day", "traffic", "revenue", "sold", *losses, *(f"rule_{k}" for k in range(len(self.market.rules))))

    def bounds(self) -> tuple[list[float], list[float]]:
        """Return what shares can be, and `MOST` for money and losses."""
        losses, rules = len(self.market.losses), len(self.market.rules)
        low = [0.0, 0.0, -MOST, 0.0, *[-MOST] * losses, *[0.0] * rules]
        return low, [1.0, MOST, MOST, 1.0, *[MOST] * losses, *[1.0] * rules]

    @property
    def action_space(self) -> gymnasium.spaces.Space[Any]:
        """One of the market's rules, by its place."""
        return gymnasium.spaces.Discrete(len(self.market.rules))

    def begin(self, seed: int) -> MarketEpisode:
        """Return an episode before its first day."""
        unknown = [name for name in self.settings.loss_weights if name not in self.market.losses]
        if unknown:
            raise InputError(f"loss_weights must weigh {', '.join(self.market.losses)}, got one of {unknown[0]!r:.60}")
        simulation, state = self._first(seed)
        return MarketEpisode(simulation, state, simulation.dawn(state, self.market.rules[0]))

    def numbers(self, episode: MarketEpisode) -> list[float]:
        """Return the platform's view; before the first day nothing has been earned or lost."""
        rules, losses = len(self.market.rules), self.market.losses
        arms = [float(k == episode.arm) for k in range(rules)]
        if episode.last is None:
            traffic = 1.0 if episode.now is None else episode.now.traffic
            return [0.0, traffic, 0.0, 0.0, *[0.0] * len(losses), *arms]
        news = episode.last.news
        queries = news.arrivals if news.arrivals > 0 else 1.0
        each = [news.losses[name] / queries for name in losses]
        return [
            episode.state.day / self.settings.days,
            news.returning,
            news.revenue / queries,
            news.sold / queries,
            *each,
            *arms,
        ]

    def step(self, episode: MarketEpisode, action: Any) -> MarketStep:
        """Return the market after one day under this rule.

        Raises:
            ValueError: No rule has this place.
        """
        rules = self.market.rules
        given = np.asarray(action)
        if given.ndim or given.dtype.kind not in "iu" or not 0 <= int(given) < len(rules):
            raise InputError(f"a rule must be one of 0 … {len(rules) - 1}, got {action!r:.60}")
        arm, simulation = int(given), episode.simulation
        now = simulation.dawn(episode.state, rules[arm])
        for _ in range(self.market.ticks_per_day):
            now = simulation.tick(now)
        record = simulation.dusk(now)
        news, over = record.news, record.state.day >= self.settings.days
        lost = sum(weight * news.losses[name] for name, weight in self.settings.loss_weights.items())
        dawn = None if over else simulation.dawn(record.state, rules[arm])
        following = replace(episode, state=record.state, now=dawn, last=record, arm=arm)
        info = {
            "revenue": news.revenue,
            "arrivals": news.arrivals,
            "sold": news.sold,
            "traffic": news.traffic,
            "returning": news.returning,
            **{f"loss_{name}": loss for name, loss in news.losses.items()},
        }
        return MarketStep(following, news.revenue - lost, over, info)
