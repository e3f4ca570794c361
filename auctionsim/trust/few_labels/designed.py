"""Design-based supervised learning: labels drawn with known, unequal probabilities correct judgements of every reply.

For each reply a pseudo-outcome ỹ = ĝ(q) + R/π (y − ĝ(q)): ĝ predicts the label from the judge's readings q (several
judges, length, dose), R says whether the reply is labelled, π with which probability it was to be. Given π, ỹ has the
label's mean whatever ĝ is, so whatever is estimated from ỹ is right in expectation; a good ĝ makes it sharper. It is
doubly robust in that the estimate stays right where ĝ or π is right, but π is known here, by the plan of sampling.
"""

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from auctionsim.errors import InputError
from auctionsim.seeds import checked_seed
from auctionsim.trust.agreement import numbered
from auctionsim.trust.few_labels.estimates import (
    RectifiedMean,
    RectifiedRegression,
    checked_count,
    checked_numbers,
    checked_spread,
    effective_labels,
    mean_of,
    one_each,
)

Columns = Float[np.ndarray, "reply predictor"]
Learner = Callable[[Columns, Float[np.ndarray, " reply"]], Callable[[Columns], Float[np.ndarray, " reply"]]]
"""Takes predictors and labels of some replies; returns what predicts labels of others."""


def least_squares(
    predictors: Columns, labels: Float[np.ndarray, " reply"]
) -> Callable[[Columns], Float[np.ndarray, " reply"]]:
    """Return the straight line through labels, with a constant, as what predicts others.

    Where several lines fit as well, it is that of least norm.
    """
    centre, mean = predictors.mean(0), labels.mean()
    slopes = np.linalg.lstsq(predictors - centre, labels - mean, rcond=None)[0]
    return lambda others: mean + (others - centre) @ slopes


def pseudo_outcomes(
    predictors: Float[np.ndarray, "row predictor"],
    labelled: Bool[np.ndarray, " reply"],
    labels: Float[np.ndarray, " label"],
    probabilities: Float[np.ndarray, " probability"],
    learner: Learner = least_squares,
    folds: int = 5,
    seed: int = 0,
    clusters: Sequence[Hashable] | None = None,
) -> Float[np.ndarray, " reply"]:
    """Return ỹ of every reply, ĝ fitted on the labelled replies of the other folds.

    Args:
        predictors: q: the judge's readings, and what else may predict a label; no constant is needed.
        labelled: R.
        labels: y; what stands where `labelled` is false is not looked at.
        probabilities: π in (0, 1], of every reply, by the plan of sampling.
        learner: Fits ĝ.
        folds: How many; a fit sees the labels of all but one.
        seed: Draws the folds.
        clusters: What stays in one fold together, such as prompts; None: every reply by itself.
    Raises:
        ValueError: Unequal lengths, too few labels, values that are not finite, a probability that is none, or fewer
            clusters than folds.
    Source:
        Egami, Hinck, Stewart and Wei (2023), "Using imperfect surrogates for downstream inference: design-based
        supervised learning for social science applications of large language models", equation 3 and algorithm 1.
    """
    _check(predictors, labelled, labels, probabilities)
    of = numbered(clusters, len(labels))
    groups = int(of.max()) + 1
    if not 2 <= folds <= groups:
        raise InputError(f"folds must be 2 to {groups}, the number of replies or clusters, got {folds}")
    generator = np.random.default_rng(checked_seed(seed))
    fold = _folds(of, labelled, folds, generator)
    predicted = np.empty(len(labels))
    for k in range(folds):
        seen = labelled & (fold != k)
        if seen.sum() < predictors.shape[1] + 2:
            rule = f"a fit on {predictors.shape[1]} predictors needs {predictors.shape[1] + 2} labels outside each fold"
            raise InputError(f"{rule}, got {int(seen.sum())}")
        predicted[fold == k] = learner(predictors[seen], labels[seen])(predictors[fold == k])
    checked_numbers("what the learner predicts", predicted)
    found = predicted.copy()
    found[labelled] += (labels[labelled] - predicted[labelled]) / probabilities[labelled]
    return found


def dsl_mean(
    predictors: Float[np.ndarray, "row predictor"],
    labelled: Bool[np.ndarray, " reply"],
    labels: Float[np.ndarray, " label"],
    probabilities: Float[np.ndarray, " probability"],
    learner: Learner = least_squares,
    folds: int = 5,
    seed: int = 0,
    clusters: Sequence[Hashable] | None = None,
) -> RectifiedMean:
    """Return the mean label of all replies, from labels that were drawn with known probabilities.

    The mean of ỹ, with the standard error of a mean; over clusters where they are given. See `pseudo_outcomes` for the
    arguments, errors and source. The interval is for replies of the same kind, of which these are a sample. It needs
    many labels where probabilities are small: in a simulation with probabilities .06 and .24 it held the truth in 93 %
    with 200 labels, and in 95 % with 400.

    Example:
        >>> import numpy as np
        >>> draws = np.random.default_rng(0)
        >>> judged = draws.random(2000)
        >>> labels = (draws.random(2000) < judged).astype(float)
        >>> probabilities = np.where(judged > 0.5, 0.3, 0.1)  # bad replies are looked at more often
        >>> labelled = draws.random(2000) < probabilities
        >>> found = dsl_mean(judged[:, None], labelled, labels, probabilities)
        >>> bool(abs(labels[labelled].mean() - 0.5) > 0.1 > abs(found.value - 0.5)), found.num_judged
        (True, 2000)
    """
    ones = np.ones((len(labels), 1))
    return mean_of(dsl_regression(ones, predictors, labelled, labels, probabilities, learner, folds, seed, clusters))


def dsl_regression(
    design: Float[np.ndarray, "design_row column"],
    predictors: Float[np.ndarray, "row predictor"],
    labelled: Bool[np.ndarray, " reply"],
    labels: Float[np.ndarray, " label"],
    probabilities: Float[np.ndarray, " probability"],
    learner: Learner = least_squares,
    folds: int = 5,
    seed: int = 0,
    clusters: Sequence[Hashable] | None = None,
) -> RectifiedRegression:
    """Return the least-squares coefficients of labels on a design, from labels drawn with known probabilities.

    Least squares of ỹ on the design; the covariance is the sandwich, over clusters where they are given.

    Args:
        design: x of every reply, a constant column included where it is wanted.
        predictors: See `pseudo_outcomes`, and for all that follows.
        labelled: R.
        labels: y.
        probabilities: π.
        learner: Fits ĝ.
        folds: How many.
        seed: Draws the folds.
        clusters: What draws belong to, such as prompts.
    Raises:
        ValueError: See `pseudo_outcomes`; or columns of the design depend on each other, or there are no more clusters
            than columns.
    """
    outcomes = pseudo_outcomes(predictors, labelled, labels, probabilities, learner, folds, seed, clusters)
    replies, columns = design.shape
    one_each(labelled, {"the design": design})
    checked_numbers("the design", design)
    checked_count(int(labelled.sum()), columns)
    if np.linalg.matrix_rank(design) < columns:
        rank = np.linalg.matrix_rank(design)
        raise InputError(f"columns of a design must not depend on each other, got rank {rank} of {columns}")
    of = numbered(clusters, replies)
    groups = int(of.max()) + 1
    if groups <= columns:
        raise InputError(f"there must be more clusters than columns of the design, got {groups} for {columns}")
    bread = np.linalg.inv(design.T @ design / replies)
    found = bread @ design.T @ outcomes / replies
    scores = design * (outcomes - design @ found)[:, None]
    sums = np.stack([np.bincount(of, column, groups) for column in scores.T], 1)
    correction = groups / (groups - 1) if clusters is not None else replies / (replies - columns)
    covariance = correction * bread @ (sums.T @ sums) @ bread / replies**2
    checked_spread(covariance)
    errors, weights = labels[labelled] - design[labelled] @ found, 1 / probabilities[labelled]
    sharper = effective_labels(design[labelled], errors, weights, bread, covariance)
    return RectifiedRegression(found, covariance, float("nan"), sharper, int(labelled.sum()), replies)


def _folds(
    of: Int[np.ndarray, " reply"], labelled: Bool[np.ndarray, " reply"], folds: int, generator: np.random.Generator
) -> Int[np.ndarray, " reply"]:
    """Return each reply's fold: clusters with labels are dealt out evenly, then those without."""
    groups = int(of.max()) + 1
    order = generator.permutation(groups)
    with_labels = np.bincount(of, labelled, groups) > 0
    dealt = np.concatenate([order[with_labels[order]], order[~with_labels[order]]])
    place = np.empty(groups, dtype=np.int64)
    place[dealt] = np.arange(groups) % folds
    fold: Int[np.ndarray, " reply"] = place[of]
    return fold


def _check(
    predictors: Float[np.ndarray, "row predictor"],
    labelled: Bool[np.ndarray, " reply"],
    labels: Float[np.ndarray, " label"],
    probabilities: Float[np.ndarray, " probability"],
) -> None:
    one_each(labelled, {"labels": labels, "predictors": predictors, "probabilities": probabilities})
    checked_count(int(labelled.sum()), 1)
    checked_numbers("predictors", predictors)
    checked_numbers("labels", labels[labelled])
    checked_numbers("probabilities", probabilities)
    outside = (probabilities <= 0) | (probabilities > 1)
    if outside.any():
        rule = "every reply must have had a probability above 0 and at most 1 of being labelled"
        raise InputError(f"{rule}, got {probabilities[outside][0]:g} for {int(outside.sum())} of {len(labels)}")
