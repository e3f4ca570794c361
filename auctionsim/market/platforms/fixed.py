"""Fixed: the same rule every day."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auctionsim.errors import InputError
from auctionsim.market.actors import DayNews, Platform
from auctionsim.market.controllers import State
from auctionsim.market.platforms.table import PlatformEntry, register


@dataclass(frozen=True)
class FixedRule(Platform):
    """One rule for ever.

    Attributes:
        name: Of the rule; "": the placements' usual one.
    """

    name: str = ""

    def begin(self, rules: Sequence[str], losses: Sequence[str]) -> State:
        """Return nothing: there is nothing to remember.

        Raises:
            ValueError: The placements do not have the rule.
        """
        del losses
        require_rules([self.name or rules[0]], rules)
        return {}

    def rule(self, state: State, rules: Sequence[str], day: int, generator: np.random.Generator) -> str:
        """Return the rule."""
        del state, day, generator
        return self.name or rules[0]

    def learn(self, state: State, rules: Sequence[str], news: DayNews) -> State:
        """Return the state as it is."""
        del rules, news
        return state


def require_rules(named: Sequence[str], rules: Sequence[str]) -> None:
    """Refuse a rule that placements do not have.

    Raises:
        ValueError: Names it.
    """
    missing = [name for name in named if name not in rules]
    if missing:
        raise InputError(f"the platform must choose one of {', '.join(rules)}, got {missing[0]!r:.60}")


register(PlatformEntry("fixed", "The same rule every day.", FixedRule))
