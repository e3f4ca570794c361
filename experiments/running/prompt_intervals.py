"""Means over prompts with intervals, paired differences, and ranks that only such a difference sets apart.

Prompts are draws within their context; contexts, and categories, are fixed and weigh what they are given. So the
variance of a mean is Σ_h w_h² s_h²/n_h over strata h (a context of a category) with s_h² the variance between its
prompts, and the interval is Student's with Satterthwaite's degrees of freedom.

Where the prompts of a stratum agree exactly, as rates of few replies do at 0 and at 1, s_h² = 0 would claim certainty.
There the variance is that of drawing the replies anew, which a caller gives.

Source:
    Cochran (1977), "Sampling Techniques", 5.4 (stratified means, effective degrees of freedom); Satterthwaite (1946),
    "An approximate distribution of estimates of variance components".
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auctionsim.errors import InputError

Array = NDArray[np.float64]
CONFIDENCE = 0.95


class Stratum(NamedTuple):
    """A value of each prompt of one context.

    Attributes:
        weight: In the mean.
        values: (prompt,).
        redrawn: (prompt,) variance of each value if the prompt's replies were drawn anew; 0 where the value is exact.
    """

    weight: float
    values: Array
    redrawn: Array


class PromptMean(NamedTuple):
    """A mean over prompts, with the ends of its 95 % interval."""

    mean: float
    low: float
    high: float

    def columns(self, name: str) -> dict[str, float]:
        """Return it as a table has it."""
        return {name: self.mean, f"{name}_low": self.low, f"{name}_high": self.high}


def mean_of(
    strata: Sequence[Stratum], bounds: tuple[float, float] = (-math.inf, math.inf), confidence: float = CONFIDENCE
) -> PromptMean:
    """Return the weighted mean of strata with its interval, cut at what the mean can be.

    Args:
        strata: Weights add up to 1; two prompts or more in each.
        bounds: Of what is averaged.
        confidence: Of the interval.
    Raises:
        ValueError: A stratum of one prompt, or weights off the simplex.
    """
    from scipy.special import stdtrit

    weights = np.array([one.weight for one in strata])
    if not strata or weights.min() < 0 or abs(weights.sum() - 1) > 1e-9:
        raise InputError(f"weights of strata must be >= 0 and add up to 1, got {weights.tolist()}")
    sizes = np.array([len(one.values) for one in strata])
    if sizes.min() < 2:
        raise InputError(f"an interval over prompts needs two prompts or more in each context, got {sizes.min()}")
    mean = float(sum(w * one.values.mean() for w, one in zip(weights, strata, strict=True)))
    variances = weights**2 * np.array([_variance(one) for one in strata]) / sizes
    total = float(variances.sum())
    if total == 0:
        return PromptMean(mean, mean, mean)
    freedom = total**2 / float((variances**2 / (sizes - 1)).sum())
    half = float(stdtrit(freedom, 0.5 + confidence / 2)) * math.sqrt(total)
    return PromptMean(mean, max(mean - half, bounds[0]), min(mean + half, bounds[1]))


def _variance(one: Stratum) -> float:
    """Return the variance between prompts, that of drawing replies anew where all agree."""
    between = float(one.values.var(ddof=1))
    return between if np.ptp(one.values) > 1e-12 else float(one.redrawn.mean())


def rate_variance(successes: Array, replies: Array) -> Array:
    """Return the variance of a share of replies if they were drawn anew, never 0: of (k + ½)/(m + 1), over m.

    Args:
        successes: k.
        replies: m ≥ 1, of the same shape.
    """
    share = (successes + 0.5) / (replies + 1)
    return np.asarray(share * (1 - share) / replies)


def difference(one: Sequence[Stratum], other: Sequence[Stratum]) -> PromptMean:
    """Return the paired difference, prompt by prompt, of two rows that were measured on the same prompts."""
    paired = [Stratum(a.weight, a.values - b.values, a.redrawn + b.redrawn) for a, b in zip(one, other, strict=True)]
    return mean_of(paired)


class Ranking(NamedTuple):
    """How far rows are told apart.

    Attributes:
        order: Rows from the largest mean to the smallest.
        rank: (row,) 1 is best. Two rows have different ranks only where every row above the line between them is told
            apart from every row below it.
        best: (row,) the best place that a row can have: one more than rows that are told to be above it.
        worst: (row,) the worst: all rows less those that are told to be below it.
        resolved: The half width of the widest interval between neighbours in order: a difference above it is told
            apart.
    """

    order: tuple[int, ...]
    rank: tuple[int, ...]
    best: tuple[int, ...]
    worst: tuple[int, ...]
    resolved: float | None


def ranking(rows: Sequence[Sequence[Stratum]]) -> Ranking:
    """Rank rows by their means: two share a rank unless their paired interval excludes 0.

    Args:
        rows: Strata of each row, on the same prompts.
    """
    means = [sum(one.weight * float(one.values.mean()) for one in row) for row in rows]
    return ranking_by(means, lambda i, j: difference(rows[i], rows[j]))


def ranking_by(means: Sequence[float], gap: Callable[[int, int], PromptMean]) -> Ranking:
    """Rank rows by their means: two share a rank unless the interval of their difference excludes 0.

    "Told apart" is no transitive relation, so a new rank begins only where all rows above are told apart from all
    below, as shared tasks of translation rank systems. Intervals are of single pairs, at 95 % each: among many pairs
    some are told apart by chance.

    Args:
        means: The larger, the better.
        gap: The difference of two rows, the first less the second, with its interval.
    Source:
        Bojar et al. (2013), "Findings of the 2013 Workshop on Statistical Machine Translation", 3.2 (clusters and rank
        ranges). There pairs are of judgements, here of prompts.
    """
    count = len(means)
    order = sorted(range(count), key=lambda k: -means[k])
    above = np.zeros((count, count), dtype=bool)
    halves = []
    for place, i in enumerate(order):
        for step, j in enumerate(order[place + 1 :]):
            between = gap(i, j)
            above[i, j] = between.low > 0
            if step == 0:
                halves.append((between.high - between.low) / 2)
    ranks, current = dict.fromkeys(order, 1), 1
    for place in range(1, count):
        upper, lower = order[:place], order[place:]
        if above[np.ix_(upper, lower)].all():
            current = place + 1
        ranks[order[place]] = current
    return Ranking(
        tuple(order),
        tuple(ranks[k] for k in range(count)),
        tuple(1 + int(above[:, k].sum()) for k in range(count)),
        tuple(count - int(above[k].sum()) for k in range(count)),
        max(halves, default=None),
    )
