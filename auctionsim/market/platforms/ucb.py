"""UCB1: the rule whose mean reward might, with confidence, be largest."""

from dataclasses import dataclass

import numpy as np

from auctionsim.checks import checked_positive
from auctionsim.market.controllers import State
from auctionsim.market.platforms.bandit import Bandit, means
from auctionsim.market.platforms.table import PlatformEntry, register


@dataclass(frozen=True)
class UpperConfidenceBound(Bandit):
    """Play every rule once, then argmax_k mean_k + √(confidence · ln n / n_k); the first on ties.

    For rewards in [0, 1] drawn independently from fixed distributions and confidence 2, the expected regret after n
    rounds is at most Σ_k (8 ln n / Δ_k + (1 + π²/3) Δ_k) over rules whose mean lies Δ_k > 0 below the best. It draws
    nothing. Whoever knows that can make it earn nothing: rewards of a market that answers are not drawn so.

    Attributes:
        confidence: > 0; 2 is the theorem's.
    Source:
        Auer, Cesa-Bianchi and Fischer (2002), "Finite-time analysis of the multiarmed bandit problem", Theorem 1.
    """

    confidence: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_positive(self.confidence, "confidence")

    def choice(self, state: State, generator: np.random.Generator) -> int:
        """Return the rule with the highest upper bound."""
        del generator
        rounds = state["rounds"]
        if (rounds == 0).any():
            return int((rounds == 0).argmax())
        return int((means(state) + np.sqrt(self.confidence * np.log(rounds.sum()) / rounds)).argmax())


register(PlatformEntry("ucb", "The rule whose mean reward might, with confidence, be largest.", UpperConfidenceBound))
