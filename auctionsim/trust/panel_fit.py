"""The fit of a panel of readings on gold labels, and its scores of labelled replies.

A member's threshold is where share of bad replies found less share of good ones blamed is largest (Youden's J). Its log
likelihood ratios are those of its votes on the labels, with half a reply added to each count. Its calibration is a
logistic regression on its standardised values (Platt). A member that is the wrong way round says nothing: ratios and
slope are 0, since the direction is written down and never read off the labels.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float

from auctionsim.errors import InputError, UnsupportedError
from auctionsim.readings.panel import NO_WORDS, PanelMember, PanelWeights
from auctionsim.readings.protocol import LOWER, Unscored, Value
from auctionsim.readings.registry import reading
from auctionsim.readings.words import words
from auctionsim.trust.attacks import battery
from auctionsim.trust.candidates import Candidate
from auctionsim.trust.fit import PENALTY
from auctionsim.trust.gate import report_of
from auctionsim.trust.labels import FAILURES
from auctionsim.trust.scores import LabelScores


def gated(
    scores: Mapping[str, LabelScores], rows: Sequence[int], candidates: Sequence[Candidate], labels_digest: str
) -> tuple[Candidate, ...]:
    """Return the readings that pass the gate on at least one kind of failure, on some of the labelled replies.

    Args:
        scores: By reading, of the same replies in the same order.
        rows: Which replies, by index.
        candidates: Readings.
        labels_digest: Of the file of labels.
    """
    passed = []
    for one in candidates:
        some = scores[one.reading].only(rows)
        kinds = (report_of(reading(one.reading), some, labels_digest, one.better, kind) for kind in FAILURES)
        if any(report.passed for report in kinds):
            passed.append(one)
    return tuple(passed)


def fit_panel(
    scores: Mapping[str, LabelScores],
    rows: Sequence[int],
    members: Sequence[Candidate],
    rule: str,
    labels_digest: str,
) -> PanelWeights:
    """Fit a panel on some of the labelled replies.

    Args:
        scores: By reading, of the same replies in the same order.
        rows: Which replies, by index.
        members: Readings, at least one.
        rule: One of `auctionsim.readings.panel.RULES`.
        labels_digest: Of the file of labels.
    Raises:
        NotImplementedError: No member.
        ValueError: A member scored too few replies of either label.
    """
    if not members:
        raise UnsupportedError("a panel needs at least one member, and no reading was left")
    fitted = tuple(_member(scores[one.reading], rows, one) for one in members)
    bad = np.array([scores[members[0].reading].labels[k].bad for k in rows])
    odds = float(np.log((bad.sum() + 0.5) / ((~bad).sum() + 0.5)))
    return PanelWeights(rule, fitted, odds, labels_digest)


def panel_scores(weights: PanelWeights, scores: Mapping[str, LabelScores]) -> LabelScores:
    """Return a panel's scores from those of its members, as the reading would give them."""
    parts = [scores[member.reading] for member in weights.members]
    labels, attacks = parts[0].labels, {attack.name: attack for attack in battery()}

    def combined(text: str, values: Sequence[Value]) -> Value:
        return weights.combined(values) if words(text) else NO_WORDS

    def attacked(name: str, k: int) -> Value:
        text = attacks[name].apply(labels[k].prompt, labels[k].text)
        return combined(text, [part.attacked[name][k] for part in parts])

    tried = {
        name: [k for k in parts[0].attacked[name] if all(k in part.attacked.get(name, ()) for part in parts)]
        for name in parts[0].attacked
    }
    swapped = [k for k in parts[0].swapped if all(k in part.swapped for part in parts)]
    return LabelScores(
        labels,
        tuple(combined(label.text, [part.values[k] for part in parts]) for k, label in enumerate(labels)),
        {name: {k: attacked(name, k) for k in some} for name, some in tried.items()},
        {k: combined(labels[k].text, [part.swapped[k] for part in parts]) for k in swapped},
    )


def badness_of(scores: LabelScores, rows: Sequence[int], one: Candidate) -> Float[np.ndarray, " reply"]:
    """Return a reading's values turned so that high is bad; NaN where it scored none, or the reply has no word."""
    sign = 1.0 if one.better == LOWER else -1.0
    values = []
    for k in rows:
        value = scores.values[k]
        lacking = isinstance(value, Unscored | list) or not words(scores.labels[k].text)
        values.append(float("nan") if lacking else sign * float(value))  # type: ignore[arg-type]
    return np.array(values, dtype=np.float64)


def _member(scores: LabelScores, rows: Sequence[int], one: Candidate) -> PanelMember:
    whole = badness_of(scores, rows, one)
    there = np.isfinite(whole)
    bad = np.array([scores.labels[k].bad for k in rows])[there]
    values = whole[there]
    if min(int(bad.sum()), int((~bad).sum())) < 3:
        raise InputError(f"a panel is fitted on at least three bad and three good replies that {one.reading} scored")
    threshold = best_threshold(values, bad)
    found, blamed = _share(values[bad] >= threshold), _share(values[~bad] >= threshold)
    right = (values[bad] >= threshold).mean() > (values[~bad] >= threshold).mean()
    intercept, slope = _platt(values, bad)
    own = reading(one.reading).basis
    return PanelMember(
        one.reading,
        "" if own is None else own(),
        one.better,
        threshold,
        float(np.log(found / blamed)) if right else 0.0,
        float(np.log((1 - found) / (1 - blamed))) if right else 0.0,
        intercept,
        slope,
    )


def best_threshold(badness: Float[np.ndarray, " reply"], bad: Bool[np.ndarray, " reply"]) -> float:
    """Return the badness from which a vote for bad is best by Youden's J; the lowest of several that are as good.

    It lies halfway to the next lower value, so that it does not hang on the last digit of one reply.
    """
    values = np.unique(badness)
    found = np.array([(badness[bad] >= value).mean() - (badness[~bad] >= value).mean() for value in values])
    place = int(found.argmax())
    return float(values[place] if place == 0 else (values[place - 1] + values[place]) / 2)


def _share(votes: Bool[np.ndarray, " reply"]) -> float:
    return float((votes.sum() + 0.5) / (len(votes) + 1))


def _platt(values: Float[np.ndarray, " reply"], bad: Bool[np.ndarray, " reply"]) -> tuple[float, float]:
    """Return intercept and slope of the log odds of a bad reply; a constant or a reading the wrong way round has 0."""
    from sklearn.linear_model import LogisticRegression

    plain = float(np.log((bad.sum() + 0.5) / ((~bad).sum() + 0.5))), 0.0
    scale = float(values.std())
    if scale == 0:
        return plain
    fit = LogisticRegression(C=PENALTY, max_iter=1000).fit(((values - values.mean()) / scale)[:, None], bad)
    slope = float(fit.coef_[0, 0]) / scale
    return (float(fit.intercept_[0]) - slope * float(values.mean()), slope) if slope > 0 else plain
