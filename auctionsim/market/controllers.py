"""Pacing controllers: from what campaigns know to multipliers of their valuations, tick by tick.

A controller speaks for many campaigns at once, each a place in every array; none of them touches another. It is pure:
what it remembers is the state that it returns, so that a stopped simulation goes on from a file. The controllers
themselves are files in the folder `agents`; the simulation is given them by name.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

State = Mapping[str, np.ndarray]
"""The memory of a controller: arrays by name, the first axis the campaigns."""


class CampaignTerms(NamedTuple):
    """The fixed terms of campaigns: budgets and return targets.

    Attributes:
        budget: Money per day; infinite: none.
        target: Value per money spent that must be reached; 0: none.
        ticks_per_day: How often per day bids are set.
    """

    budget: Float[np.ndarray, " campaign"]
    target: Float[np.ndarray, " campaign"]
    ticks_per_day: int


class TickStart(NamedTuple):
    """The state of campaigns as a tick begins.

    Attributes:
        day: From 0 on.
        tick: Of the day, from 0 on.
        budget_left: Money that may still be spent today; infinite: no budget.
        present: Whether the campaign is there.
    """

    day: int
    tick: int
    budget_left: Float[np.ndarray, " campaign"]
    present: Bool[np.ndarray, " campaign"]


class TickNews(NamedTuple):
    """The results of a tick for campaigns.

    Attributes:
        day, tick: Which.
        spend: Money paid.
        value: Valuation · relevance · exposure won, in money.
        exposure: Won, in the unit of what is sold, summed over queries.
        auctions: Queries for which the campaign bid.
        budget_left: After the tick.
        present: Whether the campaign was there.
        taking: Whether it could bid: it was there, and its budget had not ended as the tick began.
        ended: After which share of the tick its budget ended; NaN: it did not.
        multiplier, participation: The orders.
    """

    day: int
    tick: int
    spend: Float[np.ndarray, " campaign"]
    value: Float[np.ndarray, " campaign"]
    exposure: Float[np.ndarray, " campaign"]
    auctions: Float[np.ndarray, " campaign"]
    budget_left: Float[np.ndarray, " campaign"]
    present: Bool[np.ndarray, " campaign"]
    taking: Bool[np.ndarray, " campaign"]
    ended: Float[np.ndarray, " campaign"]
    multiplier: Float[np.ndarray, " campaign"]
    participation: Float[np.ndarray, " campaign"]


class Orders(NamedTuple):
    """Bids of campaigns for a tick: multipliers of valuations, and the share of queries that are bid for.

    Attributes:
        multiplier: ≥ 0: a bid is multiplier · valuation.
        participation: In [0, 1]: the share of queries that are bid for, the same ones in both modes.
    """

    multiplier: Float[np.ndarray, " campaign"]
    participation: Float[np.ndarray, " campaign"]


class Controller(ABC):
    """A bidder for many campaigns: `begin`, then `orders` before and `learn` after each tick.

    All three are functions of what they are given, row by row.

    Attributes:
        name: By which campaigns refer to it.
    """

    name: str = ""

    def begin(self, terms: CampaignTerms) -> State:
        """Return what is remembered before the first tick: nothing, unless the controller says more."""
        del terms
        return {}

    @abstractmethod
    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        """Return what the campaigns do in the tick that begins."""

    def learn(self, state: State, terms: CampaignTerms, news: TickNews) -> State:
        """Return what is remembered after a tick: what it was, unless the controller says more."""
        del terms, news
        return state
