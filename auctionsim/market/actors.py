"""The actors of a market: controllers that bid, users who come back or stay away, a platform that picks rules."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from auctionsim.market.controllers import Controller, State


class DayNews(NamedTuple):
    """Sums of a day for users and the platform.

    Attributes:
        day: From 0 on.
        rule: By which placements were sold.
        revenue: Money.
        arrivals: Queries.
        losses: Of the users, by name, summed over queries.
        sold: Replies in which anything was sold.
        traffic: Of the day: what mean arrivals were multiplied by.
        returning: Traffic of the day that follows, once users have made up their minds.
    """

    day: int
    rule: str
    revenue: float
    arrivals: float
    losses: Mapping[str, float]
    sold: float
    traffic: float
    returning: float


class Users(ABC):
    """A population of users: how many come, and how many come back after what a day was like."""

    def begin(self, losses: Sequence[str]) -> State:
        """Return the state before the first day: nothing, unless there is more to remember.

        Args:
            losses: Names of those that the market reads.
        Raises:
            ValueError: The users feel a loss that the market does not read.
        """
        del losses
        return {}

    @abstractmethod
    def traffic(self, state: State, day: int) -> float:
        """Return what the mean arrivals of a day are multiplied by, ≥ 0."""

    @abstractmethod
    def learn(self, state: State, news: DayNews) -> State:
        """Return the state after a day, before it is known how many return."""

    def numbers(self, state: State) -> Mapping[str, float]:
        """Return what the ledger keeps of a state, by name: nothing, unless there is more to tell."""
        del state
        return {}


class Platform(ABC):
    """A platform that chooses the rule of each day."""

    def begin(self, rules: Sequence[str], losses: Sequence[str]) -> State:
        """Return the state before the first day: nothing, unless there is more to remember.

        Args:
            rules: Among which it chooses.
            losses: Names of those that the market reads.
        Raises:
            ValueError: The platform needs a rule or a loss that there is not.
        """
        del rules, losses
        return {}

    @abstractmethod
    def rule(self, state: State, rules: Sequence[str], day: int, generator: np.random.Generator) -> str:
        """Return the rule of a day, one of `rules`."""

    @abstractmethod
    def learn(self, state: State, rules: Sequence[str], news: DayNews) -> State:
        """Return the state after a day."""

    def numbers(self, state: State) -> Mapping[str, float]:
        """Return what the ledger keeps of a state, by name: nothing, unless there is more to tell."""
        del state
        return {}


@dataclass(frozen=True)
class Actors:
    """The actors of a market: controllers, users, platform.

    Attributes:
        controllers: By the name that campaigns refer to.
        users: None: as many every day.
        platform: None: the usual rule every day.
    """

    controllers: Mapping[str, Controller]
    users: Users | None = None
    platform: Platform | None = None
