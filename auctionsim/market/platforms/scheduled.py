"""Scheduled: rules that change on given days, whatever happens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auctionsim.checks import checked_count
from auctionsim.errors import InputError
from auctionsim.market.actors import DayNews, Platform
from auctionsim.market.controllers import State
from auctionsim.market.platforms.fixed import require_rules
from auctionsim.market.platforms.table import PlatformEntry, register


@dataclass(frozen=True)
class ScheduledRules(Platform):
    """Rules by the day from which on they hold.

    Attributes:
        changes: Names of rules by day, day 0 among them. Days may be text, as a file has them.
    Raises:
        ValueError: No rule for day 0, or a day that is none.
    """

    changes: Mapping[int | str, str]

    def __post_init__(self) -> None:
        days = self.days()
        for day in days:
            checked_count(day, "the day of a change of rules", 0)
        if 0 not in days:
            raise InputError(f"a schedule of rules must have day 0, got the days {sorted(days)}")

    def days(self) -> dict[int, str]:
        """Return the rules by day.

        Raises:
            ValueError: A day that is no whole number.
        """
        try:
            return {int(day): name for day, name in self.changes.items()}
        except (TypeError, ValueError) as error:
            raise InputError(f"rules must be scheduled by whole days, got {self.changes!r:.60}") from error

    def begin(self, rules: Sequence[str], losses: Sequence[str]) -> State:
        """Return nothing: there is nothing to remember.

        Raises:
            ValueError: The placements do not have one of the rules.
        """
        del losses
        require_rules(list(self.changes.values()), rules)
        return {}

    def rule(self, state: State, rules: Sequence[str], day: int, generator: np.random.Generator) -> str:
        """Return the rule of the last change up to the day."""
        del state, rules, generator
        days = self.days()
        return days[max(change for change in days if change <= day)]

    def learn(self, state: State, rules: Sequence[str], news: DayNews) -> State:
        """Return the state as it is."""
        del rules, news
        return state


register(PlatformEntry("scheduled", "Rules that change on given days.", ScheduledRules))
