"""Weighted votes: log odds as weights, and the exact accuracy of any weights for independent judges.

Source:
    Nitzan and Paroush (1982), "Optimal decision rules in uncertain dichotomous choice situations"; Shapley and Grofman
    (1984), "Optimizing group judgmental accuracy in the presence of interdependencies".
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from auctionsim.errors import InputError
from auctionsim.panels.votes import NO_VOTE, Votes, checked_accuracies, checked_prior

MOST_ENUMERATED = 22
"""Judges whose 2^n profiles are enumerated."""
ROUNDING = 1e-9
"""Sum of weights that counts as a tie, as a share of the largest weight."""


class WeightedVote(NamedTuple):
    """Classes with the largest weight behind them.

    Attributes:
        labels: (item,) the class, or `NO_VOTE` where the largest weights are equal.
        scores: (item, label) log prior and the weights of those who voted for the class.
    """

    labels: Int[np.ndarray, " item"]
    scores: Float[np.ndarray, "item label"]


def log_odds_weights(accuracies: Iterable[float], num_classes: int = 2) -> Float[np.ndarray, " judge"]:
    """Return the weights that make a weighted vote of independent judges optimal: log(p (K − 1) / (1 − p)).

    A wrong judge names each of the K − 1 wrong classes as often. A judge at 1/K gets 0, one below it less than 0.

    Args:
        accuracies: p_j, above 0 and below 1.
        num_classes: K.
    """
    chance = checked_accuracies(accuracies)
    if num_classes < 2:
        raise InputError(f"votes need at least 2 classes, got {num_classes}")
    weights: np.ndarray = np.log(chance * (num_classes - 1) / (1 - chance))
    return weights


def weighted_vote(votes: Votes, weights: Sequence[float] | np.ndarray, priors: Sequence[float] = ()) -> WeightedVote:
    """Return the class with the largest weight behind it, item by item; a missing vote weighs nothing.

    With `log_odds_weights` of the true accuracies and the true priors no rule is right more often, if judges are
    independent given the class.

    Args:
        votes: Of the panel.
        weights: One per judge.
        priors: Probability of each class; none: all the same.
    """
    value = _checked_weights(weights, len(votes.judges))
    before = np.array(list(priors) or [1 / votes.num_classes] * votes.num_classes)
    if len(before) != votes.num_classes or not (before > 0).all() or abs(before.sum() - 1) > 1e-9:
        raise InputError(f"priors must be {votes.num_classes} probabilities above 0 that add up to 1, got {priors}")
    said = votes.labels[:, :, None] == np.arange(votes.num_classes)
    scores = np.log(before) + (said * value[:, None]).sum(1)
    near = scores >= scores.max(1, keepdims=True) - ROUNDING * max(1.0, float(np.abs(value).max()))
    return WeightedVote(np.where(near.sum(1) > 1, NO_VOTE, scores.argmax(1)), scores)


def weighted_accuracy(accuracies: Iterable[float], weights: Sequence[float] | np.ndarray, prior: float = 0.5) -> float:
    """Return the exact probability that a weighted vote of independent judges on two classes is right.

    The vote says class 1 where log(π / (1 − π)) + Σ_j w_j s_j > 0, s_j the votes as ±1; a tie is decided by a fair
    coin. All 2^n profiles are enumerated.

    Args:
        accuracies: p_j, from 0 to 1.
        weights: w_j, one per judge; `log_odds_weights(accuracies)` are best.
        prior: π, of class 1.
    Raises:
        ValueError: More than 22 judges, or weights that do not fit.
    Example:
        >>> chance = [0.9, 0.8, 0.7, 0.6, 0.55]
        >>> round(weighted_accuracy(chance, log_odds_weights(chance)), 3)
        0.912
    """
    chance = checked_accuracies(accuracies, certain=True)
    value = _checked_weights(weights, len(chance))
    if len(chance) > MOST_ENUMERATED:
        raise InputError(f"profiles of at most {MOST_ENUMERATED} judges are enumerated, got {len(chance)}")
    before = checked_prior(prior)
    sums, if_yes, if_no = np.array([np.log(before / (1 - before))]), np.ones(1), np.ones(1)
    for p, w in zip(chance, value, strict=True):
        sums = np.concatenate([sums + w, sums - w])
        if_yes = np.concatenate([if_yes * p, if_yes * (1 - p)])
        if_no = np.concatenate([if_no * (1 - p), if_no * p])
    slack = ROUNDING * max(1.0, float(np.abs(value).max()))
    yes, no = sums > slack, sums < -slack
    credit_yes, credit_no = np.where(yes, 1.0, np.where(no, 0.0, 0.5)), np.where(no, 1.0, np.where(yes, 0.0, 0.5))
    return float(before * (if_yes @ credit_yes) + (1 - before) * (if_no @ credit_no))


def _checked_weights(weights: Sequence[float] | np.ndarray, judges: int) -> np.ndarray:
    value = np.array(weights, dtype=np.float64)
    if value.shape != (judges,) or not np.isfinite(value).all():
        raise InputError(f"weights must be {judges} finite numbers, one per judge, got {value.tolist()}")
    return value
