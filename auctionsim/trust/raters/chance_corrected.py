"""Agreement beyond chance of two raters or many: weighted κ, Fleiss's κ, Krippendorff's α, with intervals.

Intervals are percentile bootstraps over replies, or over clusters of replies such as prompts. They take raters as
given: they say nothing of other raters.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from auctionsim.errors import InputError, MissingPackageError
from auctionsim.seeds import checked_seed
from auctionsim.trust.agreement import FEWEST, RESAMPLES, IntervalEstimate, numbered
from auctionsim.trust.raters.ratings import RatingTable, checked_ratings

LEVELS = ("nominal", "ordinal", "interval", "ratio")
"""Levels of measurement: names, an order, differences, and differences as shares of sums."""
WEIGHTS = ("linear", "quadratic")
Counts = Float[np.ndarray, "item value"]


def weighted_kappa(
    first: Sequence[float],
    second: Sequence[float],
    weights: str = "quadratic",
    seed: int = 0,
    clusters: Sequence[Hashable] | None = None,
    resamples: int = RESAMPLES,
) -> IntervalEstimate:
    """Return Cohen's κ of two ratings on a scale, where being further off counts for more.

    κ_w = 1 − Σ w o / Σ w e, w the distance of the two values or its square, o and e the observed and expected shares.
    Values are numbers: a distance is their difference. With two values both weights give Cohen's κ. The quadratic one
    is nearly the correlation, so it forgives a rater that is off by one everywhere.

    Args:
        first: One rater's ratings.
        second: The other's, of the same replies.
        weights: One of "linear", "quadratic".
        seed: Of the bootstrap.
        clusters: What draws belong to; None: every reply is its own draw.
        resamples: How many.
    Raises:
        ValueError: Unequal numbers, none, values that are not finite, other weights, or one value alone.
    Source:
        Cohen (1968), "Weighted kappa: nominal scale agreement with provision for scaled disagreement or partial
        credit".
    Example:
        >>> found = weighted_kappa([1, 2, 3, 3, 1, 2], [1, 2, 3, 2, 1, 2])
        >>> round(found.value, 3)
        0.857
    """
    if len(first) != len(second) or not len(first):
        raise InputError(f"two ratings must be of the same replies, got {len(first)} and {len(second)}")
    if weights not in WEIGHTS:
        raise InputError(f"weights must be one of {', '.join(WEIGHTS)}, got {weights!r}")
    pair = np.array([first, second], dtype=np.float64)
    if not np.isfinite(pair).all():
        raise InputError("ratings must be finite: leave replies out that only one of the two rated")
    power = WEIGHTS.index(weights) + 1

    def value(items: np.ndarray) -> float:
        one, other = pair[:, items]
        expected = (np.abs(one[:, None] - other) ** power).mean()
        return float(1 - (np.abs(one - other) ** power).mean() / expected) if expected > 0 else float("nan")

    return _with_interval(value, _value_counts(pair), seed, clusters, resamples)


def fleiss_kappa(
    table: RatingTable, seed: int = 0, clusters: Sequence[Hashable] | None = None, resamples: int = RESAMPLES
) -> IntervalEstimate:
    """Return Fleiss's κ of raters who all rated all replies, values taken as names.

    κ = (P̄ − P̄_e)/(1 − P̄_e): the share of pairs of raters that agree, against that of pairs drawn from all ratings.

    Args:
        table: Without gaps; where there are some, `krippendorff_alpha` is the statistic.
        seed: Of the bootstrap.
        clusters: Of the items; None: every reply is its own draw.
        resamples: How many.
    Raises:
        ValueError: Gaps, one rater alone, or all ratings are one value.
    Source:
        Fleiss (1971), "Measuring nominal scale agreement among many raters", by statsmodels.
    """
    checked_ratings(table)
    gaps = int(np.isnan(table.values).sum())
    if gaps:
        raise InputError(f"Fleiss's κ needs every rating, and {gaps} are lacking: Krippendorff's α allows gaps")
    from statsmodels.stats.inter_rater import fleiss_kappa as fleiss

    counts = _value_counts(table.values)

    def value(items: np.ndarray) -> float:
        some = counts[items]
        return float(fleiss(some)) if _several(some) else float("nan")

    return _with_interval(value, counts, seed, clusters, resamples)


def krippendorff_alpha(
    table: RatingTable,
    level: str = "nominal",
    seed: int = 0,
    clusters: Sequence[Hashable] | None = None,
    resamples: int = RESAMPLES,
) -> IntervalEstimate:
    """Return Krippendorff's α of any number of raters, with gaps.

    α = 1 − D_o/D_e: the disagreement within replies over that between all ratings, on the level's distance. Replies
    with one rating say nothing and are left out.

    Args:
        table: Ratings.
        level: One of `LEVELS`.
        seed: Of the bootstrap.
        clusters: Of the table's items; None: every reply is its own draw.
        resamples: How many.
    Raises:
        ValueError: Another level, one rater alone, no reply with two ratings, or all ratings are one value.
        ImportError: The package krippendorff is not installed.
    Source:
        Krippendorff (2011), "Computing Krippendorff's alpha-reliability", by the package krippendorff.
    """
    if level not in LEVELS:
        raise InputError(f"the level must be one of {', '.join(LEVELS)}, got {level!r}")
    checked_ratings(table)
    if level == "ratio" and (table.values < 0).any():
        raise InputError("ratings on a ratio scale must be >= 0, got one below")
    if clusters is not None:
        numbered(clusters, len(table.items))
        several = (~np.isnan(table.values)).sum(0) > 1
        clusters = [one for one, kept in zip(clusters, several, strict=True) if kept]
    values = table.pairable.values
    counts, domain = _value_counts(values), np.unique(values[~np.isnan(values)])
    alpha = _package()

    def value(items: np.ndarray) -> float:
        some = counts[items]
        if not _several(some):
            return float("nan")
        return float(alpha(value_counts=some, value_domain=domain, level_of_measurement=level))

    return _with_interval(value, counts, seed, clusters, resamples)


def _with_interval(
    value: Callable[[np.ndarray], float],
    counts: Counts,
    seed: int,
    clusters: Sequence[Hashable] | None,
    resamples: int,
) -> IntervalEstimate:
    """Return a statistic of some items with its bootstrap interval.

    Resamples in which all ratings are one value are left out. Where raters never differ, a bootstrap would exclude
    everything but 1: the lower end is then that of n agreements without a failure. Fewer than three draws exclude
    nothing.
    """
    items = len(counts)
    if not _several(counts):
        raise InputError("all ratings are one value, so agreement cannot be told from chance")
    of = numbered(clusters, items)
    groups = int(of.max()) + 1
    estimate = value(np.arange(items))
    generator = np.random.default_rng(checked_seed(seed))
    if groups < FEWEST:
        return IntervalEstimate(estimate, -1.0, 1.0)
    if (counts > 0).sum(1).max() == 1:
        shares = counts.sum(0) / counts.sum()
        low = 1 - (1 - 0.025 ** (1 / groups)) / (1 - float(shares @ shares))
        return IntervalEstimate(1.0, max(low, -1.0), 1.0)
    members = [np.flatnonzero(of == group) for group in range(groups)]
    drawn = [
        value(np.concatenate([members[k] for k in generator.integers(groups, size=groups)])) for _ in range(resamples)
    ]
    finite = [one for one in drawn if np.isfinite(one)]
    if not finite:
        return IntervalEstimate(estimate, -1.0, 1.0)
    low, high = np.quantile(finite, [0.025, 0.975])
    return IntervalEstimate(estimate, float(low), float(high))


def _value_counts(values: Float[np.ndarray, "rater item"]) -> Counts:
    """Return how many raters gave each item each value, values in order."""
    domain = np.unique(values[~np.isnan(values)])
    return np.stack([(values == one).sum(0) for one in domain], 1).astype(np.float64)


def _several(counts: Counts) -> bool:
    return int((counts.sum(0) > 0).sum()) > 1


def _package() -> Any:
    try:
        from krippendorff import alpha
    except ImportError:
        rule = "Krippendorff's α needs the package krippendorff"
        raise MissingPackageError(f"{rule}: pip install 'auctionsim[panels]'") from None
    return alpha
