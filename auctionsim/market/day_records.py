"""Records of a simulation: its memory between two days, a day between two ticks, and what ticks and days were."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from auctionsim.market.actors import DayNews
from auctionsim.market.category import CampaignTally, Tally
from auctionsim.market.controllers import Orders, State


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


class DayState(NamedTuple):
    """A day between two ticks.

    Attributes:
        state: From which the day began.
        rule: By which placements are sold.
        traffic: What mean arrivals are multiplied by.
        controllers: Their states by name, after the ticks so far.
        budget_left: Money.
        ended: Whose budget ended today.
        ticks: So far.
    """

    state: MarketState
    rule: str
    traffic: float
    controllers: Mapping[str, State]
    budget_left: Float[np.ndarray, " campaign"]
    ended: Bool[np.ndarray, " campaign"]
    ticks: tuple[TickRecord, ...] = ()
