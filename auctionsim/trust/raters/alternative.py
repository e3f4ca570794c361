"""The alternative annotator test: whether a judge may stand in for a human annotator.

Each annotator is left out in turn. Does the judge agree with the others at least as well as the annotator who is left
out, once the annotator's cost is held against them by ε? If so for at least half of the annotators, the judge passes.
"""

import math
from collections.abc import Hashable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from auctionsim.errors import InputError
from auctionsim.trust.raters.ratings import RatingTable, checked_ratings

FEWEST_ITEMS = 30
"""Replies per annotator below which the t test is not trusted."""
ALIGNMENTS = ("match", "distance")
PASSING_RATE = 0.5


class AnnotatorTest(NamedTuple):
    """The judge against one annotator who is left out.

    Attributes:
        annotator: Name.
        num_items: Replies that the annotator, another one and the judge rated.
        judge_advantage: Share of them where the judge agrees with the others at least as well as the annotator.
        annotator_advantage: Share where the annotator agrees at least as well as the judge; ties count in both.
        p_value: One-sided, of "the judge's share is at least ε below the annotator's".
        adjusted: The same, adjusted for all annotators by Benjamini and Yekutieli.
        won: The adjusted one is at most the level.
    """

    annotator: str
    num_items: int
    judge_advantage: float
    annotator_advantage: float
    p_value: float
    adjusted: float
    won: bool


class AltTest(NamedTuple):
    """Result of the alternative annotator test.

    Attributes:
        annotators: One test each.
        epsilon: How much worse the judge may be, for being cheaper.
        winning_rate: ω, the share of annotators that the judge wins against.
        advantage: ρ, the mean of the judge's advantages: what judges are compared by.
        passed: ω ≥ ½.
    """

    annotators: tuple[AnnotatorTest, ...]
    epsilon: float
    winning_rate: float
    advantage: float
    passed: bool


def alt_test(
    annotators: RatingTable,
    judge: Mapping[Hashable, float],
    epsilon: float,
    alignment: str = "match",
    level: float = 0.05,
) -> AltTest:
    """Return whether a judge may stand in for the annotators.

    Of reply i and annotator j, S is how well a rating fits those of the other annotators: the share that equals it, or
    minus the root of the mean squared distance. d = 1[S(annotator) ≥ S(judge)] − 1[S(judge) ≥ S(annotator)]; a
    one-sided t test asks whether mean d < ε. It takes replies as independent draws.

    Args:
        annotators: At least two, better three; gaps are allowed.
        judge: Its rating per item of the table; items without one are left out.
        epsilon: In [0, 1). The source advises .2 where annotators are experts, .15 trained ones, .1 crowd workers.
        alignment: "match" for names, "distance" for a scale.
        level: The false discovery rate that is held.
    Raises:
        ValueError: One annotator alone, a judge of replies that no annotator rated, fewer than 30 shared replies of an
            annotator, values that are not finite, or an ε, level or alignment out of range.
    Source:
        Calderon, Reichart and Dror (2025), "The alternative annotator test for LLM-as-a-judge: how to statistically
        justify replacing human annotators with LLMs", section 3.
    """
    if not 0 <= epsilon < 1 or not 0 < level < 1:
        raise InputError(f"ε must be in [0, 1) and the level in (0, 1), got {epsilon} and {level}")
    if alignment not in ALIGNMENTS:
        raise InputError(f"the alignment must be one of {', '.join(ALIGNMENTS)}, got {alignment!r}")
    checked_ratings(annotators)
    row = _judge_row(annotators, judge)
    gaps = [_advantages(annotators.values, row, j, alignment) for j in range(len(annotators.raters))]
    for name, (judged, _) in zip(annotators.raters, gaps, strict=True):
        if len(judged) < FEWEST_ITEMS:
            rule = f"each annotator must share at least {FEWEST_ITEMS} replies with another one and the judge"
            raise InputError(f"{rule}, and {name} shares {len(judged)}")
    from scipy.stats import false_discovery_control

    p_values = [_one_sided(human - judged, epsilon) for judged, human in gaps]
    adjusted = false_discovery_control(p_values, method="by")
    tests = tuple(
        AnnotatorTest(name, len(of), float(of.mean()), float(human.mean()), p, float(q), bool(q <= level))
        for name, (of, human), p, q in zip(annotators.raters, gaps, p_values, adjusted, strict=True)
    )
    rate = sum(test.won for test in tests) / len(tests)
    advantage = sum(test.judge_advantage for test in tests) / len(tests)
    return AltTest(tests, float(epsilon), rate, advantage, rate >= PASSING_RATE)


def _judge_row(annotators: RatingTable, judge: Mapping[Hashable, float]) -> Float[np.ndarray, " item"]:
    there = set(annotators.items)
    if not there & set(judge):
        raise InputError(f"the judge must rate replies that annotators rated, and none of its {len(judge)} is one")
    row = np.array([judge.get(item, math.nan) for item in annotators.items], dtype=np.float64)
    rated = np.array([item in judge for item in annotators.items])
    if not np.isfinite(row[rated]).all():
        raise InputError("the judge's ratings must be finite: leave out what it did not score")
    return row


def _advantages(
    values: Float[np.ndarray, "rater item"], judge: Float[np.ndarray, " item"], j: int, alignment: str
) -> tuple[Float[np.ndarray, " shared"], Float[np.ndarray, " shared"]]:
    """Return where the judge, and where annotator j, fits the other annotators at least as well as the other does."""
    others = np.delete(values, j, axis=0)
    shared = ~np.isnan(values[j]) & ~np.isnan(judge) & (~np.isnan(others)).any(0)
    others = others[:, shared]

    def fit(rating: Float[np.ndarray, " shared"]) -> Float[np.ndarray, " shared"]:
        if alignment == "match":
            agree = np.where(np.isnan(others), np.nan, others == rating)
            return np.asarray(np.nanmean(agree, axis=0)) if agree.size else np.zeros(0)
        return -np.sqrt(np.nanmean((others - rating) ** 2, axis=0)) if others.size else np.zeros(0)

    of_judge, of_annotator = fit(judge[shared]), fit(values[j][shared])
    return (of_judge >= of_annotator).astype(np.float64), (of_annotator >= of_judge).astype(np.float64)


def _one_sided(difference: Float[np.ndarray, " shared"], epsilon: float) -> float:
    """Return the p-value of "the mean difference is at least ε"; without spread it is 0 or 1."""
    if difference.std() == 0:
        return float(difference.mean() >= epsilon)
    from scipy.stats import ttest_1samp

    return float(ttest_1samp(difference, epsilon, alternative="less").pvalue)
