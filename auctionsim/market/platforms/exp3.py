"""EXP3: rules are drawn by exponential weights of their estimated rewards; it needs no assumption on rewards."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from auctionsim.checks import checked_count, checked_number, checked_positive
from auctionsim.errors import InputError
from auctionsim.market.controllers import State
from auctionsim.market.platforms.bandit import Bandit
from auctionsim.market.platforms.table import PlatformEntry, register


@dataclass(frozen=True)
class Exp3(Bandit):
    """Draw rule k with probability (1 − γ) w_k / Σw + γ / K; then w_k ← w_k exp(γ x / (K p_k)) for the one played.

    x is its reward in [0, 1]. Against any sequence of rewards that does not answer the draws, the expected regret to
    the best fixed rule is at most (e − 1) γ G + K ln K / γ, with G what the best one would have earned.

    Attributes:
        exploration: γ in (0, 1]; `exploration_for` gives the one that is best for a number of rounds.
    Source:
        Auer, Cesa-Bianchi, Freund and Schapire (2002), "The nonstochastic multiarmed bandit problem", Theorem 3.1.
    """

    exploration: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if checked_number(self.exploration, "exploration", 0.0, 1.0) == 0:
            raise InputError("exploration must lie in (0, 1], got 0")

    def memory(self, rules: int) -> State:
        """Return the logarithms of weights, 0."""
        return {"log_weights": np.zeros(rules)}

    def probabilities(self, state: State) -> Float[np.ndarray, " rule"]:
        """Return how likely each rule is drawn."""
        weights = np.exp(state["log_weights"] - state["log_weights"].max())
        return np.asarray((1 - self.exploration) * weights / weights.sum() + self.exploration / len(weights))

    def choice(self, state: State, generator: np.random.Generator) -> int:
        """Return a draw."""
        bounds = self.probabilities(state).cumsum()
        return min(int(np.searchsorted(bounds, generator.random(), side="right")), len(bounds) - 1)

    def after_round(self, state: State, rule: int, reward: float) -> State:
        """Return the weights after a round: the reward counts by how unlikely it was to be seen."""
        weights = state["log_weights"].copy()
        weights[rule] += self.exploration * reward / (len(weights) * self.probabilities(state)[rule])
        return {"log_weights": weights - weights.max()}


def exploration_for(rules: int, gain: float) -> float:
    """Return γ = min(1, √(K ln K / ((e − 1) g))), which bounds the regret by 2 √(e − 1) √(g K ln K).

    Args:
        rules: K ≥ 2.
        gain: g > 0: at least what the best rule earns over all rounds, in scaled rewards; the rounds' number is.
    """
    count = checked_count(rules, "rules", 2)
    return min(1.0, math.sqrt(count * math.log(count) / ((math.e - 1) * checked_positive(gain, "gain"))))


register(PlatformEntry("exp3", "Rules are drawn by exponential weights of their estimated rewards.", Exp3))
