"""A bandit over rules: days are its rounds, it sees the reward of the rule that it chose and of no other.

A round is one day, or several over which a rule is held: bidders need time to answer a rule, and what a rule brings on
its first day may be what the last one left. The learning itself is in the files beside this one, one a bandit.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from auctionsim.checks import checked_count, checked_money
from auctionsim.market.actors import DayNews, Platform
from auctionsim.market.controllers import State
from auctionsim.market.platforms.rewards import PlatformReward, RewardScale
from auctionsim.seeds import checked_seed


@dataclass(frozen=True)
class Bandit(Platform):
    """A platform that learns which rule brings most; a bandit says how by `choice` and `after_round`.

    The state holds arrays: `rounds` and `total` (rule,) are how often each rule was played and the sum of its scaled
    rewards; `rule` the last one's index, −1 before the first day; `days` and `money` those of the round that goes on;
    `switches` the days on which the rule was another one than the day before; `cut` how many rounds' rewards the scale
    cut off.

    Attributes:
        scale: What rewards are scaled by.
        reward: What the platform wants.
        hold: Days of a round, ≥ 1. Its reward is the mean of them.
        switching_cost: Money that the day of a switch costs the platform, ≥ 0.
        seed: Of its draws, together with the market's.
    """

    scale: RewardScale
    reward: PlatformReward = field(default_factory=PlatformReward)
    hold: int = 1
    switching_cost: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        checked_count(self.hold, "hold")
        checked_money(self.switching_cost, "switching_cost")
        checked_seed(self.seed)

    @abstractmethod
    def choice(self, state: State, generator: np.random.Generator) -> int:
        """Return the index of the rule of the round that begins."""

    def memory(self, rules: int) -> State:
        """Return what the bandit remembers besides counts and sums: nothing, unless it says more."""
        del rules
        return {}

    def after_round(self, state: State, rule: int, reward: float) -> State:
        """Return what of `memory` has changed after a round: nothing, unless the bandit says more.

        Args:
            state: As the round's rule was chosen from it.
            rule: Index of the rule.
            reward: Scaled, in [0, 1].
        """
        del state, rule, reward
        return {}

    def begin(self, rules: Sequence[str], losses: Sequence[str]) -> State:
        """Return the state before the first day.

        Raises:
            ValueError: The reward weighs a loss that the market does not read.
        """
        self.reward.require(losses)
        count = len(rules)
        return {
            "rounds": np.zeros(count),
            "total": np.zeros(count),
            "rule": np.array([-1]),
            "days": np.zeros(1),
            "money": np.zeros(1),
            "switches": np.zeros(0, dtype=np.int64),
            "cut": np.zeros(1),
            **self.memory(count),
        }

    def rule(self, state: State, rules: Sequence[str], day: int, generator: np.random.Generator) -> str:
        """Return the rule of a day: the round's, or a new choice where a round begins."""
        del day
        if state["days"][0] > 0:
            return rules[int(state["rule"][0])]
        own = np.random.default_rng([self.seed, int(generator.integers(2**63))])
        return rules[self.choice(state, own)]

    def learn(self, state: State, rules: Sequence[str], news: DayNews) -> State:
        """Return the state after a day; what was learned changes where a round ends."""
        rule, before = rules.index(news.rule), int(state["rule"][0])
        switched = before not in (-1, rule)
        days = state["days"] + 1
        money = state["money"] + self.reward.of(news) - self.switching_cost * switched
        switches = np.append(state["switches"], news.day) if switched else state["switches"]
        now = {**state, "rule": np.array([rule]), "days": days, "money": money, "switches": switches}
        return self._ended(now, rule) if days[0] >= self.hold else now

    def _ended(self, state: State, rule: int) -> State:
        """Return the state after a round's last day."""
        money = float(state["money"][0] / state["days"][0])
        reward = self.scale.scaled(money)
        played = np.arange(len(state["rounds"])) == rule
        return {
            **state,
            "rounds": state["rounds"] + played,
            "total": state["total"] + reward * played,
            "days": np.zeros(1),
            "money": np.zeros(1),
            "cut": state["cut"] + self.scale.cuts(money),
            **self.after_round(state, rule, reward),
        }

    def numbers(self, state: State) -> Mapping[str, float]:
        """Return how often the rule was changed, and how many rounds' rewards the scale cut off."""
        return {"switches": float(len(state["switches"])), "cut": float(state["cut"][0])}


def means(state: State) -> Float[np.ndarray, " rule"]:
    """Return each rule's mean scaled reward; 0 where it was never played."""
    return np.asarray(state["total"] / np.maximum(state["rounds"], 1))
