"""The fit of `quality`: logistic regression over readings that pass the gate, tried on categories kept out of it.

Everything that looks at labels (which readings pass the gate, means, scales, weights) looks at the training categories
alone; the category that is kept out is looked at once, for the numbers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from auctionsim.errors import InputError, UnsupportedError
from auctionsim.readings.protocol import LOWER, TextReading, Unscored, Value
from auctionsim.readings.quality import (
    QualityComponent,
    QualityWeights,
    quality_reading,
)
from auctionsim.readings.registry import reading
from auctionsim.readings.words import words
from auctionsim.trust.agreement import IntervalEstimate, auc, partial_rank_correlation
from auctionsim.trust.attacks import battery
from auctionsim.trust.calibration import Calibration, calibration_of
from auctionsim.trust.candidates import Candidate
from auctionsim.trust.gate import ALL, GateReport, report_of
from auctionsim.trust.labels import FAILURES, GoldLabel, GoldLabels
from auctionsim.trust.scores import ALL_LABELS, LabelScores, ScoreStore, score_labels

PENALTY = 1.0
"""C of the logistic regression, on standardised values: chosen before any label was seen."""
NO_WORDS = 1.0
"""Probability that a reply without a word is bad, by rule."""


class LeftOut(NamedTuple):
    """Numbers of a fit on a category that it did not see.

    Attributes:
        category: The one that was kept out.
        readings: What the fit on the others is made of.
        num_replies: Of the category, that are scored.
        auc: Of the probability.
        calibration: Of the probability.
        partial: Rank correlation with bad labels, given mentions per word.
        partial_rating: Likewise with ratings, turned so that high is bad.
    """

    category: str
    readings: tuple[str, ...]
    num_replies: int
    auc: IntervalEstimate
    calibration: Calibration
    partial: IntervalEstimate
    partial_rating: IntervalEstimate


class QualityFit(NamedTuple):
    """A fit of `quality` and what it showed.

    Attributes:
        weights: On all categories; `write_quality` adds the admission, where `report` passed.
        reports: The gate's on each candidate and kind of failure.
        left_aside: Candidates that are not in it, with the reason.
        left_out: Numbers on each category, kept out of a fit on the others.
        report: The gate's on the whole, all kinds together.
    """

    weights: QualityWeights
    reports: tuple[GateReport, ...]
    left_aside: dict[str, str]
    left_out: tuple[LeftOut, ...]
    report: GateReport


class _Fitted(NamedTuple):
    """A fit on some rows: weights, the gate's reports, and which candidates are left aside."""

    weights: QualityWeights
    reports: tuple[GateReport, ...]
    left_aside: dict[str, str]


def fit_quality(
    labels: GoldLabels, candidates: Sequence[Candidate], store: ScoreStore | None = None, seed: int = 0
) -> QualityFit:
    """Fit the probability that a reply is bad, and try it on every category kept out of the fit.

    Candidates are what passes the gate on at least one kind of failure. Of these the weights come from a logistic
    regression on standardised values (L2, C = 1); a reading whose weight is the wrong way round is taken out, the most
    wrong first, and the rest fitted again.

    Args:
        labels: At least three categories.
        candidates: Readings of single texts.
        store: Where scores are kept.
        seed: Of the intervals' bootstrap.
    Raises:
        ValueError: Fewer than three categories.
        NotImplementedError: No candidate passes, or one is no reading of single texts, or held against a sample.
    """
    for one in candidates:
        if not isinstance(reading(one.reading), TextReading) or one.sample != ALL_LABELS:
            rule = "a reading of single texts that is held against all labels"
            raise UnsupportedError(f"a candidate for quality is {rule}, and {one.reading} is not")
    if len(labels.categories) < 3:
        raise InputError(f"a category is kept out in turn, so at least three are needed, got {labels.categories}")
    scores = {
        one.reading: score_labels(reading(one.reading), labels.labels, store, None, one.sample) for one in candidates
    }
    whole = fit_rows(scores, list(range(len(labels.labels))), candidates, labels.digest)
    left_out = []
    for category in labels.categories:
        outside = [k for k, label in enumerate(labels.labels) if label.category != category]
        inside = [k for k, label in enumerate(labels.labels) if label.category == category]
        weights = fit_rows(scores, outside, candidates, labels.digest).weights
        left_out.append(_judged(category, weights, scores, inside, np.random.default_rng(seed)))
    weights = whole.weights
    report = report_of(quality_reading(weights), combined(weights, scores), labels.digest, LOWER, ALL)
    return QualityFit(weights, whole.reports, whole.left_aside, tuple(left_out), report)


def combined(weights: QualityWeights, scores: dict[str, LabelScores]) -> LabelScores:
    """Return the scores of the probability from those of its components, as `quality_values` would give them."""
    parts = [scores[component.reading] for component in weights.components]
    labels, attacks = parts[0].labels, {attack.name: attack for attack in battery()}

    def probability(text: str, values: Sequence[Value]) -> Value:
        return weights.combined(values) if words(text) else weights.no_words

    def attacked(name: str, k: int) -> Value:
        text = attacks[name].apply(labels[k].prompt, labels[k].text)
        return probability(text, [part.attacked[name][k] for part in parts])

    return LabelScores(
        labels,
        tuple(probability(label.text, [part.values[k] for part in parts]) for k, label in enumerate(labels)),
        {name: {k: attacked(name, k) for k in some} for name, some in parts[0].attacked.items()},
        {k: probability(labels[k].text, [part.swapped[k] for part in parts]) for k in parts[0].swapped},
    )


def fit_rows(
    scores: dict[str, LabelScores], rows: Sequence[int], candidates: Sequence[Candidate], labels_digest: str
) -> _Fitted:
    """Fit weights on some of the labelled replies, by index.

    Raises:
        NotImplementedError: No candidate passes the gate on them, or none has a weight of the right sign.
    """
    reports, passed, left_aside = [], [], {}
    for one in candidates:
        some = scores[one.reading].only(rows)
        own = [report_of(reading(one.reading), some, labels_digest, one.better, kind) for kind in FAILURES]
        reports += own
        if any(report.passed for report in own):
            passed.append(one)
        else:
            left_aside[one.reading] = "; ".join(f"{report.kind}: {report.failure}" for report in own)
    if not passed:
        raise UnsupportedError(f"no reading passes the gate, so there is nothing to fit: {left_aside}")
    columns = {one: np.array([_value(scores[one.reading], k, one) for k in rows]) for one in passed}
    bad = np.array([scores[passed[0].reading].labels[k].bad for k in rows])
    there = np.isfinite(np.stack(list(columns.values()))).all(0)
    while True:
        kept = list(columns)
        values = np.stack([columns[one][there] for one in kept], 1)
        centres, scales = values.mean(0), values.std(0)
        intercept, slopes = _logistic((values - centres) / scales, bad[there])
        if slopes.min() >= 0:
            break
        worst = kept[int(slopes.argmin())]
        left_aside[worst.reading] = f"its weight beside the others was the wrong way round ({slopes.min():.3g})"
        del columns[worst]
        if not columns:
            raise UnsupportedError(f"no reading that passes the gate finds bad replies of all kinds: {left_aside}")
    components = tuple(
        QualityComponent(
            one.reading,
            "" if (basis := reading(one.reading).basis) is None else basis(),
            one.better,
            float(centre if one.better == LOWER else -centre),
            float(scale),
            float(slope),
        )
        for one, centre, scale, slope in zip(kept, centres, scales, slopes, strict=True)
    )
    return _Fitted(QualityWeights(intercept, components, NO_WORDS), tuple(reports), left_aside)


def _value(scores: LabelScores, row: int, one: Candidate) -> float:
    """Return a score, high where it says bad; NaN where there is none."""
    value = scores.values[row]
    if isinstance(value, Unscored) or not words(scores.labels[row].text):
        return float("nan")
    assert isinstance(value, float)
    return value if one.better == LOWER else -value


def _logistic(
    values: Float[np.ndarray, "reply reading"], bad: Bool[np.ndarray, " reply"]
) -> tuple[float, Float[np.ndarray, " reading"]]:
    from sklearn.linear_model import LogisticRegression

    fit = LogisticRegression(C=PENALTY, max_iter=1000).fit(values, bad)
    return float(fit.intercept_[0]), fit.coef_[0]


def mentions_per_word(label: GoldLabel) -> float:
    """Return mentions of all brands over words; 0 for a reply without words."""
    count = len(words(label.text))
    return sum(brand.mentions(label.text) for brand in label.brands) / count if count else 0.0


def _judged(
    category: str,
    weights: QualityWeights,
    scores: dict[str, LabelScores],
    rows: Sequence[int],
    generator: np.random.Generator,
) -> LeftOut:
    names = [component.reading for component in weights.components]
    found = combined(weights, {name: scores[name].only(rows) for name in names})
    return _numbers(category, names, found, generator)


def never_fitted(weights: QualityWeights, labels: GoldLabels, seed: int = 0) -> tuple[LeftOut, ...]:
    """Return the numbers of finished weights on labels that no fit has seen, category by category.

    Raises:
        ValueError: A category has too few labels of either kind.
    """
    found = score_labels(quality_reading(weights), labels.labels, None, ())
    names = [component.reading for component in weights.components]
    of = {name: [k for k, one in enumerate(labels.labels) if one.category == name] for name in labels.categories}
    return tuple(_numbers(name, names, found.only(rows), np.random.default_rng(seed)) for name, rows in of.items())


def _numbers(category: str, names: Sequence[str], found: LabelScores, generator: np.random.Generator) -> LeftOut:
    labels = found.labels
    there = [k for k, value in enumerate(found.values) if not isinstance(value, Unscored)]
    probabilities = np.array([found.values[k] for k in there], dtype=np.float64)
    bad = np.array([labels[k].bad for k in there])
    prompts = [labels[k].prompt for k in there]
    mentions = np.array([mentions_per_word(labels[k]) for k in there])
    ratings = np.array([-labels[k].rating for k in there])
    return LeftOut(
        category,
        tuple(names),
        len(there),
        auc(probabilities, bad, prompts),
        calibration_of(probabilities, bad),
        partial_rank_correlation(probabilities, bad.astype(np.float64), mentions, generator, prompts),
        partial_rank_correlation(probabilities, ratings, mentions, generator, prompts),
    )
