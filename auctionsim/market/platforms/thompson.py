"""Thompson sampling: each rule as often as it is likely to be the best."""

from dataclasses import dataclass

import numpy as np

from auctionsim.checks import checked_positive
from auctionsim.market.controllers import State
from auctionsim.market.platforms.bandit import Bandit
from auctionsim.market.platforms.table import PlatformEntry, register


@dataclass(frozen=True)
class ThompsonSampling(Bandit):
    """Draw θ_k ~ N(total_k / (n_k + 1), spread² / (n_k + 1)) for every rule and play the largest.

    The posterior of a normal prior with mean 0 that weighs as one round. With spread 1 and rewards in [0, 1] drawn
    independently from fixed distributions, its expected regret after n rounds of K rules is O(√(n K ln K)).

    Attributes:
        spread: Standard deviation of one round's reward as the posterior has it, > 0; 1 is the theorem's.
    Source:
        Agrawal and Goyal (2013), "Further optimal regret bounds for Thompson sampling", Algorithm 2.
    """

    spread: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_positive(self.spread, "spread")

    def choice(self, state: State, generator: np.random.Generator) -> int:
        """Return the rule with the largest draw."""
        weight = state["rounds"] + 1
        draws = generator.standard_normal(len(weight))
        return int((state["total"] / weight + self.spread * draws / np.sqrt(weight)).argmax())


register(PlatformEntry("thompson", "Each rule as often as it is likely to be the best.", ThompsonSampling))
