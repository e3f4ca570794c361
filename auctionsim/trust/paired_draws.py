"""Differences between two scores of the same labelled replies, with intervals over resampled prompts."""

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from auctionsim.trust.agreement import IntervalEstimate
from auctionsim.trust.labels import GoldLabel


class PromptDraws(NamedTuple):
    """Resamples of prompts, with all their replies: the same for every difference.

    Attributes:
        clusters: Each reply's prompt.
        counts: How often each resample has each reply.
    """

    clusters: tuple[Hashable, ...]
    counts: Float[np.ndarray, "resample reply"]


Difference = Callable[[Float[np.ndarray, "resample reply"]], Float[np.ndarray, " resample"]]
"""Of the replies of each resample, by how often it has them; NaN where it has none."""


def prompt_draws(
    labels: Sequence[GoldLabel], there: Bool[np.ndarray, " reply"], seed: int, resamples: int
) -> PromptDraws:
    """Draw prompts with replacement, as many as there are.

    Args:
        labels: Of all replies.
        there: Which of them are compared.
        seed: Of the draws.
        resamples: How many.
    """
    clusters = tuple((label.category, label.prompt) for label, here in zip(labels, there, strict=True) if here)
    numbers: dict[Hashable, int] = {}
    places = np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters], dtype=np.int64)
    draw = np.random.default_rng(seed)
    chosen = (draw.integers(len(numbers), size=len(numbers)) for _ in range(resamples))
    counts = [np.bincount(some, minlength=len(numbers))[places] for some in chosen]
    return PromptDraws(clusters, np.array(counts, dtype=np.float64).reshape(resamples, len(clusters)))


def paired(difference: Difference, draws: PromptDraws) -> IntervalEstimate:
    """Return a difference of two scores of the same replies, with its percentile interval over resampled prompts.

    Args:
        difference: Of each resample.
        draws: The resamples.
    """
    (value,) = difference(np.ones((1, len(draws.clusters))))
    drawn = difference(draws.counts)
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.quantile(drawn, [0.025, 0.975]) if drawn.size else (-1.0, 1.0)
    return IntervalEstimate(float(value), float(low), float(high))


def auc_gap(
    one: Float[np.ndarray, " reply"], other: Float[np.ndarray, " reply"], bad: Bool[np.ndarray, " reply"]
) -> Difference:
    """Return by how much the first score's AUC is above the second's, in each resample."""
    return lambda counts: resampled_auc(one, bad, counts) - resampled_auc(other, bad, counts)


def right_gap(
    one: Float[np.ndarray, " reply"], other: Float[np.ndarray, " reply"], bad: Bool[np.ndarray, " reply"]
) -> Difference:
    """Return by how much more often the first score calls a reply rightly, bad from ½ on, in each resample."""
    gap = ((one >= 0.5) == bad) * 1.0 - ((other >= 0.5) == bad)
    return lambda counts: (counts @ gap) / counts.sum(1)


def plain_auc(badness: Float[np.ndarray, " reply"], bad: Bool[np.ndarray, " reply"]) -> float:
    """Return the probability that a bad reply's score is above a good one's, ties half; NaN without either."""
    return float(resampled_auc(badness, bad, np.ones((1, len(badness))))[0])


def resampled_auc(
    badness: Float[np.ndarray, " reply"], bad: Bool[np.ndarray, " reply"], counts: Float[np.ndarray, "resample reply"]
) -> Float[np.ndarray, " resample"]:
    """Return each resample's probability that a bad reply's score is above a good one's, ties half; NaN without either.

    Args:
        badness: Higher for worse; replies without a finite one are left out.
        bad: The labels.
        counts: How often each resample has each reply.
    """
    scored = np.flatnonzero(np.isfinite(badness))
    if not scored.size:
        return np.full(len(counts), np.nan)
    order = scored[np.argsort(badness[scored], kind="stable")]
    values = badness[order]
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    many, few = (np.add.reduceat(counts[:, order] * side[order], starts, axis=1) for side in (bad, ~bad))
    below = few.cumsum(1) - few / 2
    pairs = many.sum(1) * few.sum(1)
    return np.where(pairs > 0, (many * below).sum(1) / np.maximum(pairs, 1.0), np.nan)
