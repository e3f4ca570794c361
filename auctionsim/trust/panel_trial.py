"""The trial of panels on labelled replies: each against the best single reading, on categories that no fit saw.

Everything that looks at labels (which readings pass the gate, which of them is best, thresholds, weights, calibrations)
looks at the other categories alone. Differences are paired: the same replies by both, prompts as draws.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from auctionsim.errors import InputError, UnsupportedError
from auctionsim.panels import NO_VOTE, Votes, error_dependence, majority_accuracy, one_coin
from auctionsim.readings.panel import RULES, PanelWeights
from auctionsim.readings.protocol import Unscored
from auctionsim.trust.agreement import IntervalEstimate, auc
from auctionsim.trust.candidates import Candidate
from auctionsim.trust.labels import GoldLabel
from auctionsim.trust.paired_draws import PromptDraws, auc_gap, paired, plain_auc, prompt_draws, right_gap
from auctionsim.trust.panel_fit import badness_of, fit_panel, gated, panel_scores
from auctionsim.trust.scores import LabelScores

BEST = "the best of them"
HINDSIGHT = "the best in hindsight"
WITHOUT_LABELS = "one coin, without labels"
RESAMPLES = 1000


class PanelRow(NamedTuple):
    """A panel on replies of categories that it was not fitted on.

    Attributes:
        panel: Its rule, or what it is.
        auc: Probability that a bad reply scores worse than a good one.
        right: Share of replies that it calls rightly, bad from ½ on.
        gain: AUC above that of the best member as chosen on the other categories, paired; None of that row itself.
        right_gain: Share of replies called rightly above that row's, likewise.
        hindsight_gain: AUC above that of the member that is best on these very replies, which no fit could know.
    """

    panel: str
    auc: IntervalEstimate
    right: float
    gain: IntervalEstimate | None
    right_gain: IntervalEstimate | None
    hindsight_gain: IntervalEstimate | None


class MemberRow(NamedTuple):
    """What a member adds to a panel.

    Attributes:
        reading: Name.
        folds: Categories in whose panels it is.
        right: Share of replies on which its vote is right, of those that it scores.
        adds: By rule, AUC of the panel less that of the panel without it, paired.
    """

    reading: str
    folds: int
    right: float
    adds: Mapping[str, IntervalEstimate]


class PanelTrial(NamedTuple):
    """Panels held against labels.

    Attributes:
        rows: The best member as chosen on the other categories, the best in hindsight, the rules, and votes combined
            without labels.
        members: One per reading that is in any panel.
        best: By category, the reading that was best on the others.
        num_replies: That all rows score.
        num_bad: Bad ones among them.
        correlation: Mean correlation of members' errors.
        effective: Independent judges that the members amount to by it.
        if_independent: Accuracy that their majority would have if they erred independently.
        there: Which replies these numbers are of.
        values: By row's name, what each reply got.
    """

    rows: tuple[PanelRow, ...]
    members: tuple[MemberRow, ...]
    best: Mapping[str, str]
    num_replies: int
    num_bad: int
    correlation: float
    effective: float
    if_independent: float
    there: Bool[np.ndarray, " reply"]
    values: Mapping[str, Float[np.ndarray, " reply"]]


class _Fold(NamedTuple):
    rows: list[int]
    panels: dict[str, PanelWeights]
    best: str


def try_panels(
    scores: Mapping[str, LabelScores],
    candidates: Sequence[Candidate],
    labels_digest: str,
    seed: int = 0,
    always: Sequence[Candidate] = (),
    rows: Sequence[int] | None = None,
    resamples: int = RESAMPLES,
) -> PanelTrial:
    """Fit panels of the gated readings with each category kept out in turn, and hold them against the best member.

    Args:
        scores: By reading, of the same replies in the same order.
        candidates: Readings that are members where they pass the gate on the other categories.
        labels_digest: Of the file of labels.
        seed: Of the bootstrap.
        always: Readings that are members whether they pass or not; never taken for the best.
        rows: Replies that panels are held against, by index; None: all. Fits see all replies of the other categories.
        resamples: Of the bootstrap.
    Raises:
        ValueError: Fewer than three categories, or scores of different replies.
        NotImplementedError: No candidate passes.
    """
    labels = scores[candidates[0].reading].labels
    if any(some.labels != labels for some in scores.values()):
        raise InputError("the scores of a panel's members must be of the same labelled replies")
    categories = sorted({label.category for label in labels})
    if len(categories) < 3:
        raise InputError(f"a category is kept out in turn, so at least three are needed, got {categories}")
    folds = {name: _fold(scores, candidates, labels_digest, name, always) for name in categories}
    scores = {
        name: one._replace(attacked={}, swapped={}) for name, one in scores.items()
    }  # the gate alone asks for these
    names = sorted({member.reading for fold in folds.values() for member in fold.panels[RULES[0]].members})
    values = {rule: _gathered(scores, folds, _of_rule(rule)) for rule in RULES}
    values[BEST] = _gathered(scores, folds, lambda fold: _only(fold.panels["pooled"], fold.best))
    votes = _votes(scores, folds, names)
    values[WITHOUT_LABELS] = one_coin(votes).probabilities[:, 1]
    bad = np.array([label.bad for label in labels])
    values[HINDSIGHT] = _hindsight(scores, folds, {one.reading for one in always}, values[BEST])
    there = np.isfinite(np.stack(list(values.values()))).all(0)
    there &= np.isin(np.arange(len(labels)), range(len(labels)) if rows is None else rows)
    draws = prompt_draws(labels, there, seed, resamples)
    compared = {name: value[there] for name, value in values.items()}
    table = tuple(_row(name, compared, bad[there], draws) for name in (BEST, HINDSIGHT, *RULES, WITHOUT_LABELS))
    dependence = error_dependence(Votes(votes.labels[there], judges=votes.judges), bad[there].astype(np.int64))
    members = tuple(_member_row(name, scores, folds, votes, names, values, bad, there, draws) for name in names)
    return PanelTrial(
        table,
        members,
        {name: fold.best for name, fold in folds.items()},
        int(there.sum()),
        int(bad[there].sum()),
        dependence.mean,
        dependence.effective,
        majority_accuracy([one.right for one in members]),
        there,
        values,
    )


def _fold(
    scores: Mapping[str, LabelScores],
    candidates: Sequence[Candidate],
    labels_digest: str,
    category: str,
    always: Sequence[Candidate],
) -> _Fold:
    labels = scores[candidates[0].reading].labels
    outside = [k for k, label in enumerate(labels) if label.category != category]
    inside = [k for k, label in enumerate(labels) if label.category == category]
    passed = gated(scores, outside, candidates, labels_digest)
    panels = {rule: fit_panel(scores, outside, (*passed, *always), rule, labels_digest) for rule in RULES}
    return _Fold(inside, panels, best_member(scores, outside, passed))


def best_member(scores: Mapping[str, LabelScores], rows: Sequence[int], members: Sequence[Candidate]) -> str:
    """Return the reading with the highest AUC on some of the labelled replies, all kinds of failure together."""
    if not members:
        raise UnsupportedError("no reading passes the gate, so none of them is the best")
    bad = np.array([scores[members[0].reading].labels[k].bad for k in rows])
    reached = {one.reading: plain_auc(badness_of(scores[one.reading], rows, one), bad) for one in members}
    return max(reached, key=lambda name: reached[name])


def trial_differences(
    first: PanelTrial,
    second: PanelTrial,
    labels: Sequence[GoldLabel],
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, IntervalEstimate]:
    """Return AUC of one trial's panels less that of another's, row by row, on the replies that both scored.

    Args:
        first: A trial.
        second: Another, of the same labels.
        labels: All of them.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.
    """
    there = first.there & second.there
    bad = np.array([label.bad for label in labels])[there]
    draws = prompt_draws(labels, there, seed, resamples)
    found = {}
    for name in (*RULES, WITHOUT_LABELS):
        one, other = first.values[name][there], second.values[name][there]
        found[name] = paired(auc_gap(one, other, bad), draws)
    return found


def _of_rule(rule: str, without: str = "") -> Callable[[_Fold], PanelWeights]:
    """Return how a fold's panel of a rule is taken, a member left out where one is named."""
    return lambda fold: fold.panels[rule].without(without) if without else fold.panels[rule]


def _of_member(name: str) -> Callable[[_Fold], PanelWeights]:
    """Return how one member of a fold's pooled panel is taken, by itself."""
    return lambda fold: _only(fold.panels["pooled"], name)


def _only(weights: PanelWeights, name: str) -> PanelWeights:
    return weights._replace(members=tuple(one for one in weights.members if one.reading == name))


def _hindsight(
    scores: Mapping[str, LabelScores],
    folds: Mapping[str, _Fold],
    left_aside: set[str],
    otherwise: Float[np.ndarray, " reply"],
) -> Float[np.ndarray, " reply"]:
    """Return the values of the member of all panels with the highest AUC on all replies."""
    panels = [{one.reading for one in fold.panels[RULES[0]].members} - left_aside for fold in folds.values()]
    bad = np.array([label.bad for label in next(iter(scores.values())).labels])
    singles = [_gathered(scores, folds, _of_member(name)) for name in sorted(set.intersection(*panels))]
    return max(singles, key=lambda value: plain_auc(value, bad), default=otherwise)


def _gathered(
    scores: Mapping[str, LabelScores], folds: Mapping[str, _Fold], panel: Callable[[_Fold], PanelWeights]
) -> Float[np.ndarray, " reply"]:
    """Return every reply's value by the panel of its own category's fold; NaN where it is unscored."""
    count = len(next(iter(scores.values())).labels)
    found = np.full(count, np.nan)
    for fold in folds.values():
        weights = panel(fold)
        if not weights.members:
            continue
        some = {one.reading: scores[one.reading].only(fold.rows) for one in weights.members}
        for k, value in zip(fold.rows, panel_scores(weights, some).values, strict=True):
            found[k] = np.nan if isinstance(value, Unscored | list) else value
    return found


def _votes(scores: Mapping[str, LabelScores], folds: Mapping[str, _Fold], names: Sequence[str]) -> Votes:
    """Return the members' votes, 1 for bad, by the thresholds of each category's fold."""
    count = len(next(iter(scores.values())).labels)
    found = np.full((count, len(names)), NO_VOTE)
    for fold in folds.values():
        for member in fold.panels[RULES[0]].members:
            for k in fold.rows:
                value = scores[member.reading].values[k]
                if not isinstance(value, Unscored | list):
                    found[k, names.index(member.reading)] = int(member.says_bad(float(value)))
    return Votes(found, judges=tuple(names))


def _row(
    name: str, values: Mapping[str, Float[np.ndarray, " reply"]], bad: Bool[np.ndarray, " reply"], draws: PromptDraws
) -> PanelRow:
    own, best = values[name], values[BEST]
    compared = name != BEST
    return PanelRow(
        name,
        auc(own, bad, draws.clusters),
        float(((own >= 0.5) == bad).mean()),
        paired(auc_gap(own, best, bad), draws) if compared else None,
        paired(right_gap(own, best, bad), draws) if compared else None,
        None if name in (BEST, HINDSIGHT) else paired(auc_gap(own, values[HINDSIGHT], bad), draws),
    )


def _member_row(
    name: str,
    scores: Mapping[str, LabelScores],
    folds: Mapping[str, _Fold],
    votes: Votes,
    names: Sequence[str],
    values: Mapping[str, Float[np.ndarray, " reply"]],
    bad: Bool[np.ndarray, " reply"],
    there: Bool[np.ndarray, " reply"],
    draws: PromptDraws,
) -> MemberRow:
    column = votes.labels[:, names.index(name)]
    voted = column != NO_VOTE
    voted &= there
    adds = {}
    for rule in RULES:
        left = _gathered(scores, folds, _of_rule(rule, name))
        both = np.where(np.isfinite(left), left, 0.5)[there]
        own, label = values[rule][there], bad[there]
        adds[rule] = paired(auc_gap(own, both, label), draws)
    folds_in = sum(name in {one.reading for one in fold.panels[RULES[0]].members} for fold in folds.values())
    return MemberRow(name, folds_in, float((column[voted] == bad[voted]).mean()), adds)
