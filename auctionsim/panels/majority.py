"""Majority of votes: the vote itself, its exact accuracy, and the exact condition under which nothing does better.

Setting of the accuracy and of the condition: two classes, class 1 with prior probability π; judge j is right with
probability p_j whatever the class is, independently of the others given the class.

Source:
    Nitzan and Paroush (1982), "Optimal decision rules in uncertain dichotomous choice situations": the best rule adds
    up log(p_j / (1 − p_j)) and log(π / (1 − π)). That majority is this rule exactly where no profile of votes says
    otherwise is read off it.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from auctionsim.errors import InputError
from auctionsim.panels.votes import NO_VOTE, Votes, checked_accuracies, checked_prior

ROUNDING = 1e-12
"""Difference of log odds that counts as none, per judge."""


class Majority(NamedTuple):
    """Classes with the most votes.

    Attributes:
        labels: (item,) the class, or `NO_VOTE` where classes are tied or nobody voted.
        shares: (item, label) share of the item's votes; 0 where nobody voted.
        tied: (item,) whether several classes have the most votes, nobody's vote included.
    """

    labels: Int[np.ndarray, " item"]
    shares: Float[np.ndarray, "item label"]
    tied: Bool[np.ndarray, " item"]


def majority_vote(votes: Votes, generator: np.random.Generator | None = None) -> Majority:
    """Return the class with the most votes, item by item.

    Args:
        votes: Of the panel.
        generator: Draws one of the tied classes, each as likely; None: a tie stays undecided.
    Example:
        >>> votes = Votes(np.array([[1, 1, 0], [0, 0, 0], [1, 0, -1]]))
        >>> majority_vote(votes).labels.tolist()
        [1, 0, -1]
    """
    counts = votes.counts
    most = counts == counts.max(1, keepdims=True)
    tied = most.sum(1) > 1
    labels = np.where(tied, NO_VOTE, counts.argmax(1))
    if generator is not None:
        drawn = np.where(most, generator.random(counts.shape), -1.0).argmax(1)
        labels = np.where(tied, drawn, labels)
    return Majority(labels, counts / np.maximum(counts.sum(1, keepdims=True), 1), tied)


def number_right(accuracies: Iterable[float]) -> Float[np.ndarray, " count"]:
    """Return the law of the number of independent judges who are right, from none to all.

    The product of the polynomials 1 − p_j + p_j x.
    """
    law = np.ones(1)
    for accuracy in checked_accuracies(accuracies, certain=True):
        law = np.convolve(law, [1 - accuracy, accuracy])
    return law


def majority_accuracy(accuracies: Iterable[float]) -> float:
    """Return the exact probability that the majority of independent judges is right; a tie is decided by a fair coin.

    It does not depend on the prior, as each judge is as often right on either class.

    Args:
        accuracies: p_j, from 0 to 1.
    Example:
        >>> round(majority_accuracy([0.9, 0.6, 0.6]), 3)
        0.792
    """
    return share_above_half(number_right(accuracies))


def share_above_half(law: Float[np.ndarray, " count"]) -> float:
    """Return the probability that more than half of the judges are right, a tie counted half, from the law of how many.

    Args:
        law: Probabilities of 0 to n judges being right.
    """
    right, wrong = np.arange(len(law)), np.arange(len(law))[::-1]
    return float(law[right > wrong].sum() + law[right == wrong].sum() / 2)


def majority_is_optimal(accuracies: Iterable[float], prior: float = 0.5) -> bool:
    """Return whether no rule is right more often than the majority, its ties decided by a fair coin.

    With b = log(π / (1 − π)) and w_j = log(p_j / (1 − p_j)) the best rule says class 1 where b + Σ_j w_j s_j > 0, s_j
    the votes as ±1, and either class where that is 0. Majority is as good exactly where this sum is at least 0 in every
    profile with more votes for class 1, at most 0 in every one with fewer, and 0 in every tie. The lowest sum with m
    votes for class 1 has them from the judges with the least weights, so n + 1 sums decide. For an odd number of equal
    judges with p > ½ this is π ∈ [1 − p, p]; for an even number it is π = ½.

    Args:
        accuracies: p_j, above 0 and below 1; they may be below ½.
        prior: π, of class 1.
    Example:
        >>> majority_is_optimal([0.7, 0.7, 0.7], 0.7), majority_is_optimal([0.7, 0.7, 0.7], 0.71)
        (True, False)
    """
    chance = checked_accuracies(accuracies)
    weights = np.sort(np.log(chance / (1 - chance)))
    before = checked_prior(prior)
    bias = float(np.log(before / (1 - before)))
    sums = np.concatenate([[0.0], np.cumsum(weights)])
    total, count = float(sums[-1]), len(weights)
    lowest = bias + 2 * sums - total
    highest = bias + 2 * (total - sums[::-1]) - total
    yes = np.arange(count + 1)
    slack = ROUNDING * count * max(1.0, float(np.abs(weights).max()))
    more, fewer = 2 * yes >= count, 2 * yes <= count
    return bool((lowest[more] >= -slack).all() and (highest[fewer] <= slack).all())


def fewest_judges(accuracy: float, wanted: float, most: int = 2001) -> int:
    """Return the least odd number of equal, independent judges whose majority is right with the wanted probability.

    Args:
        accuracy: p of each, above ½.
        wanted: Accuracy of the majority, below 1.
        most: Judges that are tried.
    Raises:
        ValueError: Judges no better than a coin, or certainty wanted.
    """
    if not 0.5 < accuracy <= 1 or not 0 < wanted < 1:
        raise InputError(f"accuracy must be above .5 and what is wanted below 1, got {accuracy:g} and {wanted:g}")
    count = 1
    while majority_accuracy([accuracy] * count) < wanted:
        count += 2
        if count > most:
            raise InputError(f"more than {most} judges of accuracy {accuracy:g} are needed for {wanted:g}")
    return count
