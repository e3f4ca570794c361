"""Rows of the trust table: one score against gold labels, its agreement, its biases, attacks, and the gate's answer."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from auctionsim.data import scores_folder
from auctionsim.errors import InputError, MissingPackageError, ModelUnavailableError, UnsupportedError
from auctionsim.readings.judge import judge_suffix, register_judge
from auctionsim.readings.protocol import LOWER, Reading, Unscored
from auctionsim.readings.registry import reading
from auctionsim.readings.words import words
from auctionsim.trust.agreement import IntervalEstimate, partial_rank_correlation
from auctionsim.trust.biases import LengthControl, PositionBias, length_controlled, mean_estimate, self_preference
from auctionsim.trust.candidates import Candidate, candidates, measured_candidates
from auctionsim.trust.fit import mentions_per_word
from auctionsim.trust.gate import GATE_KINDS, GateReport, report_of
from auctionsim.trust.label_files import read_labels
from auctionsim.trust.labels import GoldLabels
from auctionsim.trust.measured_values import measured_scores
from auctionsim.trust.scores import LabelScores, ScoreStore, position_of, score_labels


class BrandBias(NamedTuple):
    """Change of a score as a brand's name gives way to the next rival's.

    Attributes:
        brand: Of all brands the one with the largest mean change; the interval does not correct for that choice.
        change: Its mean change towards bad, as a share of the distance from the good to the bad mean.
        largest_share: Share of single replies, of all brands, that change by half that distance either way.
    """

    brand: str
    change: IntervalEstimate
    largest_share: float


class TrustRow(NamedTuple):
    """A score against gold labels.

    Attributes:
        reading: Name.
        reports: The gate's, by kind of failure and on all.
        partial: Rank correlation with bad labels that is left given mentions per word.
        length: How often a good reply is put before a bad one to the same prompt, with length taken out; None where
            length cannot be told apart from it.
        untouched: Preference for the untouched model's replies given the label, in standard deviations of the score,
            towards good. Of a judge that is that model it is its liking for its own replies.
        brand: None where no reply was read with another name.
    """

    reading: str
    reports: dict[str, GateReport]
    partial: IntervalEstimate | None
    length: LengthControl | None
    untouched: IntervalEstimate | None
    brand: BrandBias | None

    @property
    def passes_on(self) -> tuple[str, ...]:
        """The kinds on which it passed the gate."""
        return tuple(kind for kind, report in self.reports.items() if report.passed)

    def as_json(self) -> dict[str, Any]:
        """Return the row as JSON has it."""
        reports = {kind: report.as_json() for kind, report in self.reports.items()}
        others = {name: getattr(self, name) for name in ("partial", "untouched")}
        brand = self.brand and {**self.brand._asdict(), "change": self.brand.change._asdict()}
        length = self.length and {
            "equal_length": self.length.equal_length._asdict(),
            "raw": self.length.raw,
            "length_effect": self.length.length_effect._asdict(),
        }
        plain = {name: None if value is None else value._asdict() for name, value in others.items()}
        return {"reading": self.reading, "reports": reports, "length": length, "brand": brand, **plain}


def trust_rows(
    labels: GoldLabels,
    candidates: Sequence[Candidate],
    store: ScoreStore | None = None,
    *,
    measured: Sequence[Candidate] = (),
    report: Callable[[str, int, int], None] | None = None,
    seed: int = 0,
) -> list[TrustRow]:
    """Hold scores against labels, one row each.

    Args:
        labels: The labelled replies.
        candidates: Readings of single texts, or of texts beside references.
        store: Where scores are kept.
        measured: Readings whose values were measured with the replies; no attack is tried on them.
        report: Gets a reading's name and how many of how many texts are done.
        seed: Of the bootstrap.
    """
    rows = []
    for one in candidates:
        tell = None if report is None else _named(report, one.reading)
        scores = score_labels(reading(one.reading), labels.labels, store, None, one.sample, tell)
        position = position_of(reading(one.reading), labels.labels, store, one.sample)
        rows.append(trust_row(reading(one.reading), scores, labels.digest, one.better, position, seed))
    for one in measured:
        scores = measured_scores(one.reading, labels)
        rows.append(trust_row(reading(one.reading), scores, labels.digest, one.better, None, seed))
    return rows


class TrustTable(NamedTuple):
    """Rows of all known scores against labels.

    Attributes:
        rows: One a score.
        left_out: Scores that could not be read here, with the reason.
    """

    rows: tuple[TrustRow, ...]
    left_out: dict[str, str]


def shipped_trust_rows(
    folder: Path | None = None,
    judges: Sequence[str] = ("gemma3-270m",),
    seed: int = 0,
    report: Callable[[str, int, int], None] | None = None,
    *,
    passes: bool = True,
) -> TrustTable:
    """Hold every known score against the labels that ship; values that ship or are kept are not taken again.

    What cannot be read here is left out, see `table_of`.

    Args:
        folder: Where values that take passes of a model are kept; None: nowhere.
        judges: Judge models beside the default one.
        seed: Of the bootstrap.
        report: Gets a reading's name and how many of how many texts are done.
        passes: Take values that need passes of a language model and are not kept; else scores that lack one are not in.
    """
    for judge in judges:
        register_judge(judge)
    labels, known = read_labels(), candidates(tuple(judge_suffix(judge) for judge in judges))
    cheap = [one.reading for one in known if one.sample.read is None]
    store, of_passes = (ScoreStore(folder, scores_folder(), takes=takes) for takes in (True, passes))
    stores = {one.reading: store if one.reading in cheap else of_passes for one in known}
    table = table_of(labels, known, stores, report, seed)
    return table._replace(rows=(*table.rows, *trust_rows(labels, (), measured=measured_candidates(), seed=seed)))


def table_of(
    labels: GoldLabels,
    known: Sequence[Candidate],
    stores: Mapping[str, ScoreStore],
    report: Callable[[str, int, int], None] | None = None,
    seed: int = 0,
) -> TrustTable:
    """Hold scores against labels, and leave out with its reason what cannot be read here.

    That is a score whose model is not installed, that cannot be read of texts, that lacks values which are not taken,
    or that wants untouched replies where there are none.

    Args:
        labels: The labelled replies.
        known: The scores.
        stores: Where the values of each are kept, by its name.
        report: Gets a reading's name and how many of how many texts are done.
        seed: Of the bootstrap.
    """
    rows: list[TrustRow] = []
    left_out: dict[str, str] = {}
    for one in known:
        try:
            rows += trust_rows(labels, [one], stores[one.reading], report=report, seed=seed)
        except (MissingPackageError, ModelUnavailableError, UnsupportedError) as error:
            left_out[one.reading] = str(error)
    return TrustTable(tuple(rows), left_out)


def _named(report: Callable[[str, int, int], None], name: str) -> Callable[[int, int], None]:
    return lambda done, total: report(name, done, total)


def trust_row(
    one: Reading,
    scores: LabelScores,
    labels_digest: str,
    better: str,
    position: PositionBias | None = None,
    seed: int = 0,
) -> TrustRow:
    """Return a score's row, see `trust_rows`."""
    reports = {kind: report_of(one, scores, labels_digest, better, kind, position) for kind in GATE_KINDS}
    sign = 1.0 if better == LOWER else -1.0
    there = [k for k, value in enumerate(scores.values) if not isinstance(value, Unscored)]
    labels = [scores.labels[k] for k in there]
    badness = sign * np.array([scores.values[k] for k in there], dtype=np.float64)
    bad = np.array([label.bad for label in labels], dtype=bool)
    prompts = [(label.category, label.prompt) for label in labels]
    mentions = np.array([mentions_per_word(label) for label in labels])
    untouched = np.array([float(label.source.intervention == 0) for label in labels])
    generator = np.random.default_rng(seed)
    return TrustRow(
        one.name,
        reports,
        _or_none(lambda: partial_rank_correlation(badness, bad.astype(float), mentions, generator, prompts)),
        _or_none(lambda: _length_control(scores, there, badness)),
        _or_none(lambda: self_preference(-badness, untouched, bad, prompts)),
        _or_none(lambda: _brand_bias(scores, sign)),
    )


def _or_none(estimate: Callable[[], Any]) -> Any:
    """Return an estimate, or None where the scores do not vary as it needs."""
    try:
        return estimate()
    except InputError:
        return None


def _length_control(scores: LabelScores, there: Sequence[int], badness: np.ndarray) -> LengthControl:
    """Return how often good replies are put before bad ones to the same prompt; a tie is half a win, left out here."""
    by_prompt: dict[str, list[int]] = {}
    for place, k in enumerate(there):
        by_prompt.setdefault(scores.labels[k].prompt, []).append(place)
    wins, differences = [], []
    for places in by_prompt.values():
        for good in (p for p in places if not scores.labels[there[p]].bad):
            for poor in (p for p in places if scores.labels[there[p]].bad):
                if badness[good] != badness[poor]:
                    wins.append(bool(badness[good] < badness[poor]))
                    texts = (scores.labels[there[p]].text for p in (good, poor))
                    first, second = (len(words(text)) for text in texts)
                    differences.append(float(first - second))
    return length_controlled(np.array(wins, dtype=bool), np.array(differences))


def _brand_bias(scores: LabelScores, sign: float) -> BrandBias:
    pairs = {
        k: (float(scores.values[k]), float(value))  # type: ignore[arg-type]
        for k, value in scores.swapped.items()
        if not isinstance(value, Unscored) and not isinstance(scores.values[k], Unscored)
    }
    values = [(label.bad, value) for label, value in zip(scores.labels, scores.values, strict=True)]
    numbers = [(bad, float(value)) for bad, value in values if not isinstance(value, Unscored | list)]
    if len({bad for bad, _ in numbers}) < 2:
        raise InputError("good and bad replies must be scored, so that there is a distance to count changes in")
    distance = sign * (
        float(np.mean([value for bad, value in numbers if bad]))
        - float(np.mean([value for bad, value in numbers if not bad]))
    )
    if distance <= 0:
        raise InputError("bad replies are no worse than good ones, so there is no distance to count changes in")
    changes: dict[str, list[tuple[float, str]]] = {}
    for k, (before, after) in pairs.items():
        label = scores.labels[k]
        name = max(label.brands, key=lambda brand: brand.mentions(label.text)).name
        changes.setdefault(name, []).append((sign * (after - before) / distance, label.prompt))
    means = {
        name: mean_estimate(np.array([change for change, _ in some]), [prompt for _, prompt in some])
        for name, some in changes.items()
        if len({prompt for _, prompt in some}) > 1
    }
    if not means:
        raise InputError("no reply was read with another name")
    brand = max(means, key=lambda name: abs(means[name].value))
    every = [abs(change) for some in changes.values() for change, _ in some]
    return BrandBias(brand, means[brand], float(np.mean([change >= 1 / 2 for change in every])))
