"""What dependence costs: how alike judges' errors are, how many independent judges a panel amounts to, and two models.

Two panels with the same accuracies may be worth very different things. Where judges err on the same items, more of them
add little, and a majority need not approach certainty however many they are.

Source:
    Ladha (1992), "The Condorcet jury theorem, free speech, and correlated votes"; Kish (1965), "Survey sampling", for
    the design effect 1 + (n − 1) ρ.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from auctionsim.errors import InputError
from auctionsim.panels.majority import majority_accuracy, share_above_half
from auctionsim.panels.votes import Votes, checked_accuracies


class ErrorDependence(NamedTuple):
    """Likeness of the errors of a panel's judges.

    Attributes:
        correlations: (judge, judge) of being wrong, on items that both voted on; NaN where one of the two is never
            wrong there, or always.
        mean: Of the pairs that have one; NaN where none has.
        effective: Number of independent judges whose mean error varies as much, see `effective_judges`; NaN likewise.
    """

    correlations: Float[np.ndarray, "judge judge"]
    mean: float
    effective: float


def error_dependence(votes: Votes, truth: Int[np.ndarray, " item"]) -> ErrorDependence:
    """Return how alike judges' errors are on items whose class is known.

    Errors are compared within the items of all classes together: judges who are worse on one class than on the other
    look dependent, and as far as a vote is concerned they are.

    Args:
        votes: Of the panel.
        truth: The class of each item.
    Raises:
        ValueError: Classes that are out of range, or of another number of items.
    """
    if truth.shape != votes.labels.shape[:1] or truth.min() < 0 or truth.max() >= votes.num_classes:
        raise InputError(
            f"the truth must be one class of {votes.num_classes} for each of {len(votes.labels)} items, "
            f"got {len(truth)} from {truth.min()} to {truth.max()}"
        )
    wrong = (votes.labels != truth[:, None]).astype(np.float64)
    judges = len(votes.judges)
    found = np.full((judges, judges), np.nan)
    for first in range(judges):
        for second in range(judges):
            both = votes.voted[:, first] & votes.voted[:, second]
            one, other = wrong[both, first], wrong[both, second]
            if both.any() and one.std() > 0 and other.std() > 0:
                found[first, second] = np.corrcoef(one, other)[0, 1]
    pairs = found[np.triu_indices(judges, 1)]
    mean = float(np.nanmean(pairs)) if np.isfinite(pairs).any() else float("nan")
    return ErrorDependence(found, mean, effective_judges(judges, mean) if np.isfinite(mean) else float("nan"))


def effective_judges(judges: int, correlation: float) -> float:
    """Return n / (1 + (n − 1) ρ): the number of independent judges whose mean error has the same variance.

    It is about means. What a majority loses depends on more than pairs, see `beta_binomial_accuracy`. Infinite where
    the errors are so opposed that their mean does not vary.

    Args:
        judges: n.
        correlation: ρ of a pair's errors, from −1/(n − 1), which is the least that n can have.
    """
    if judges < 1 or not correlation <= 1 or 1 + (judges - 1) * correlation < -1e-9:
        raise InputError(
            f"{judges} judges' errors can be correlated from {-1 / max(judges - 1, 1):g} to 1, got {correlation:g}"
        )
    spread = 1 + (judges - 1) * correlation
    return float(judges / spread) if spread > 1e-12 else float("inf")


def beta_binomial_accuracy(judges: int, accuracy: float, correlation: float) -> float:
    """Return the exact accuracy of the majority where an item's ease is drawn: a tie is decided by a fair coin.

    Every item has a probability of being judged rightly, drawn from a beta law with mean p; given it judges are
    independent. Its shape is a = p (1 − ρ)/ρ, b = (1 − p)(1 − ρ)/ρ, so that a pair's errors have correlation ρ. With
    many judges the accuracy tends to the share of items that are judged rightly more often than not, below 1.

    Args:
        judges: n, at least 1.
        accuracy: p, above 0 and below 1.
        correlation: ρ, from 0 to 1: 0 is independence, 1 is one judge.
    """
    chance = float(checked_accuracies([accuracy])[0])
    if judges < 1 or not 0 <= correlation <= 1:
        raise InputError(f"at least one judge and a correlation from 0 to 1 are needed, got {judges}, {correlation:g}")
    if correlation == 0:
        return majority_accuracy([chance] * judges)
    if correlation == 1:
        return chance
    from scipy.stats import betabinom

    spread = (1 - correlation) / correlation
    law = betabinom.pmf(np.arange(judges + 1), judges, chance * spread, (1 - chance) * spread)
    return share_above_half(np.asarray(law, dtype=np.float64))


def shared_error_accuracy(accuracies: Iterable[float], shared: float, shared_accuracy: float) -> float:
    """Return the exact accuracy of the majority where judges share one answer on some items.

    On a share c of the items all say the same, rightly with probability q; on the others they are independent. With
    equal accuracies p = q a pair's errors have correlation c, and the majority is right with c p + (1 − c) M, M the
    accuracy of the independent majority.

    Args:
        accuracies: p_j, of the items on which they are independent.
        shared: c, from 0 to 1.
        shared_accuracy: q, from 0 to 1.
    """
    if not 0 <= shared <= 1 or not 0 <= shared_accuracy <= 1:
        raise InputError(
            f"the share and the accuracy of what is shared must be from 0 to 1, got {shared:g} and {shared_accuracy:g}"
        )
    return shared * shared_accuracy + (1 - shared) * majority_accuracy(accuracies)


def independent_equivalent(judges: int, accuracy: float, correlation: float) -> int:
    """Return the largest odd number of independent judges whose majority is right no more often than a dependent one.

    Args:
        judges: n, of the dependent panel, see `beta_binomial_accuracy`.
        accuracy: p of each, above ½.
        correlation: ρ of a pair's errors.
    """
    reached = beta_binomial_accuracy(judges, accuracy, correlation)
    if accuracy <= 0.5:
        raise InputError(f"judges must be right more often than not, got accuracy {accuracy:g}")
    count = 1
    while count + 2 <= judges and majority_accuracy([accuracy] * (count + 2)) <= reached + 1e-12:
        count += 2
    return count
