"""Panels on the labels that are at hand: which readings may be members, trials, and the panel that becomes a loss."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from auctionsim.errors import MissingPackageError, ModelUnavailableError, UnsupportedError
from auctionsim.readings import LOWER, Reading, TextReading, Unscored, Value, reading
from auctionsim.readings.panel import PanelWeights, panel_reading
from auctionsim.trust import Candidate, GateReport, GoldLabel, GoldLabels, IntervalEstimate, ScoreStore, as_loss
from auctionsim.trust.candidates import candidates
from auctionsim.trust.gate import GATE_KINDS, report_of
from auctionsim.trust.panel_fit import fit_panel, gated, panel_scores
from auctionsim.trust.panel_trial import PanelTrial, best_member, trial_differences, try_panels
from auctionsim.trust.scores import ALL_LABELS, LabelScores, position_of, score_labels

VERDICTS = "judged"
"""How the names of a language model's verdicts begin."""
WHOLE, SINGLE = "panel", "panel_best"
"""Names of the panel of all gated readings as a loss, and of the best of them alone."""


class PanelTrials(NamedTuple):
    """Panels held against labels.

    Attributes:
        gated: Of the readings of single texts that every labelled reply has.
        sampled: Of the gated readings on the replies that verdicts were taken of; None where there are no verdicts.
        with_verdicts: The same with the verdict judges that fail the gate as members; None likewise.
        costs: By rule, AUC with those judges less AUC without them, paired.
        verdicts: Names of those judges.
        left_out: Readings that could not be read here, with the reason.
    """

    gated: PanelTrial
    sampled: PanelTrial | None
    with_verdicts: PanelTrial | None
    costs: Mapping[str, IntervalEstimate]
    verdicts: tuple[str, ...]
    left_out: dict[str, str]

    @property
    def by_title(self) -> tuple[tuple[str, PanelTrial], ...]:
        """The trials that there are, with what they are of."""
        named = (
            ("gated readings", self.gated),
            ("gated readings, where verdicts were taken", self.sampled),
            ("gated readings and verdict judges that fail the gate", self.with_verdicts),
        )
        return tuple((title, trial) for title, trial in named if trial is not None)


class PanelLosses(NamedTuple):
    """A panel and its best member alone, fitted on all labels, as losses.

    Attributes:
        panel: None where it failed the gate.
        single: None where it failed the gate.
        reports: Of the gate, of both.
    """

    panel: Reading | None
    single: Reading | None
    reports: tuple[GateReport, GateReport]


class ScoredMembers(NamedTuple):
    """Readings that may be members of a panel.

    Attributes:
        candidates: The readings.
        scores: Theirs, by name.
        left_out: Readings that could not be read here, with the reason.
    """

    candidates: tuple[Candidate, ...]
    scores: dict[str, LabelScores]
    left_out: dict[str, str]


def scored_members(
    labels: GoldLabels, store: ScoreStore, tell: Callable[[str, int, int], None] | None = None
) -> ScoredMembers:
    """Return the readings that may be members, with their scores.

    They are the table's readings of single texts that are held against all labels. `quality` is none: it was fitted on
    these labels.
    """
    kept, scores, left_out = [], {}, {}
    for one in candidates():
        own = reading(one.reading)
        if one.sample != ALL_LABELS or not isinstance(own, TextReading) or one.reading == "quality":
            continue
        name = one.reading
        try:
            scores[name] = score_labels(
                own, labels.labels, store, None, one.sample, None if tell is None else _named(tell, name)
            )
            kept.append(one)
        except (MissingPackageError, ModelUnavailableError) as error:
            left_out[name] = str(error)
    return ScoredMembers(tuple(kept), scores, left_out)


def panel_trials(
    labels: GoldLabels,
    store: ScoreStore,
    members: ScoredMembers,
    suffixes: tuple[str, ...] = (),
    seed: int = 0,
) -> PanelTrials:
    """Hold panels against labels: of the gated readings, and with the verdict judges that fail the gate.

    Args:
        labels: The labelled replies.
        store: Where verdicts are kept.
        members: Readings that may be members of a panel.
        suffixes: What follows the names of other judges' readings.
        seed: Of the bootstrap.
    """
    kept, scores = members.candidates, members.scores
    whole = try_panels(scores, kept, labels.digest, seed)
    taken, left_out = _verdicts(labels, store, suffixes)
    left_out |= members.left_out
    failing = {one: own for one, own in taken.items() if not _passes(one, own, labels, store)}
    if not failing:
        return PanelTrials(whole, None, None, {}, (), left_out)
    places = {label: k for k, label in enumerate(labels.labels)}
    rows = sorted({places[label] for own in failing.values() for label in own.labels})
    padded = {one.reading: _padded(own, labels, places) for one, own in failing.items()}
    plain = try_panels(scores, kept, labels.digest, seed, rows=rows)
    mixed = try_panels({**scores, **padded}, kept, labels.digest, seed, always=tuple(failing), rows=rows)
    costs = trial_differences(mixed, plain, labels.labels, seed)
    return PanelTrials(whole, plain, mixed, costs, tuple(padded), left_out)


def panel_losses(labels: GoldLabels, members: ScoredMembers) -> PanelLosses:
    """Fit the pooled panel of the readings that pass the gate, and the best of them alone, on all labels.

    Both go through the gate on all kinds of failure together; one that fails it is no loss.

    Args:
        labels: The labelled replies.
        members: Readings that may be members of a panel.
    """
    rows, scores = range(len(labels.labels)), members.scores
    passed = gated(scores, rows, members.candidates, labels.digest)
    panel = fit_panel(scores, rows, passed, "pooled", labels.digest)
    best = best_member(scores, rows, passed)
    single = panel._replace(members=tuple(one for one in panel.members if one.reading == best))
    pairs = [_through_the_gate(weights, name, scores, labels) for weights, name in ((panel, WHOLE), (single, SINGLE))]
    return PanelLosses(pairs[0][0], pairs[1][0], (pairs[0][1], pairs[1][1]))


def _through_the_gate(
    weights: PanelWeights, name: str, scores: dict[str, LabelScores], labels: GoldLabels
) -> tuple[Reading | None, GateReport]:
    one = panel_reading(weights, name)
    report = report_of(one, panel_scores(weights, scores), labels.digest, LOWER)
    return (as_loss(one, report) if report.passed else None), report


def _verdicts(
    labels: GoldLabels, store: ScoreStore, suffixes: tuple[str, ...]
) -> tuple[dict[Candidate, LabelScores], dict[str, str]]:
    """Return the verdict judges whose scores are kept, and why others are not here."""
    taken, left_out = {}, {}
    for one in candidates(suffixes):
        if not one.reading.startswith(VERDICTS):
            continue
        try:
            taken[one] = score_labels(reading(one.reading), labels.labels, store, None, one.sample)
        except (MissingPackageError, ModelUnavailableError, UnsupportedError) as error:
            left_out[one.reading] = str(error)
    return taken, left_out


def _passes(one: Candidate, own: LabelScores, labels: GoldLabels, store: ScoreStore) -> bool:
    position = position_of(reading(one.reading), labels.labels, store, one.sample)
    kinds = (report_of(reading(one.reading), own, labels.digest, one.better, kind, position) for kind in GATE_KINDS)
    return any(report.passed for report in kinds)


def _padded(own: LabelScores, labels: GoldLabels, places: Mapping[GoldLabel, int]) -> LabelScores:
    """Return a sample's scores as scores of all labels, unscored where the sample has none."""
    values: list[Value] = [Unscored("not in the sample")] * len(labels.labels)
    for label, value in zip(own.labels, own.values, strict=True):
        values[places[label]] = value
    return LabelScores(labels.labels, tuple(values), {}, {})


def _named(tell: Callable[[str, int, int], None], name: str) -> Callable[[int, int], None]:
    return lambda done, total: tell(name, done, total)
