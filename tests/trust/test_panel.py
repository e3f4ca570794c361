"""Panels of readings: rules by hand, fits that never see the category they are tried on, the gate, and the auction."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled_replies import ELSEWHERE, make_labels

from auctionsim.errors import InputError, UnsupportedError
from auctionsim.experiments.running.panel_choices import ChoiceSettings, choice_rows
from auctionsim.experiments.tables.panel import choice_table, cost_table, panel_tables
from auctionsim.readings import HIGHER, LOWER, Reply, TextReading, Unscored, register, unregister
from auctionsim.readings.panel import RULES, PanelMember, PanelWeights, panel_reading
from auctionsim.readings.protocol import basis_of
from auctionsim.substrates import ResponseSurface
from auctionsim.testing import check_reading
from auctionsim.trust import Candidate, GoldLabels, as_loss, fit_panel, gate, gated, panel_scores, try_panels
from auctionsim.trust.paired_draws import resampled_auc
from auctionsim.trust.panel_fit import best_threshold
from auctionsim.trust.panel_trial import BEST, trial_differences
from auctionsim.trust.scores import LabelScores, score_labels

LOOPS, STRANGE, NOISE = Candidate("toy_loops", LOWER), Candidate("toy_strange", LOWER), Candidate("toy_noise", HIGHER)


def loops(replies: list[Reply], brands: Any) -> list[float]:
    """How often the commonest word occurs: what is added before or after takes nothing away."""
    words = [reply.text.lower().split() or [""] for reply in replies]
    return [float(max(map(some.count, set(some)))) for some in words]


def strange(replies: list[Reply], brands: Any) -> list[Any]:
    """Letters of words from elsewhere and signs, by thirty words; unscored where there is no word."""
    known = set(ELSEWHERE.split())
    counts = [sum(word.lower() in known or not word.strip(".,").isalpha() for word in r.text.split()) for r in replies]
    return [float(count) if reply.text.split() else Unscored("empty") for count, reply in zip(counts, replies)]  # noqa: B905


def noise(replies: list[Reply], brands: Any) -> list[float]:
    return [float(sum(map(ord, reply.text)) % 101) for reply in replies]


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> GoldLabels:
    return make_labels(tmp_path_factory.mktemp("labels") / "some.jsonl", per_kind=10)


@pytest.fixture(scope="module", autouse=True)
def _toys() -> Iterator[None]:
    for one, read in ((LOOPS, loops), (STRANGE, strange), (NOISE, noise)):
        register(TextReading(one.reading, "points", per="reply", read=read))
    yield
    for one in (LOOPS, STRANGE, NOISE):
        unregister(one.reading)


@pytest.fixture(scope="module")
def scores(labels: GoldLabels, _toys: None) -> dict[str, LabelScores]:
    from auctionsim.readings import reading

    return {one.reading: score_labels(reading(one.reading), labels.labels) for one in (LOOPS, STRANGE, NOISE)}


def member(name: str, better: str = LOWER, threshold: float = 0.5) -> PanelMember:
    return PanelMember(name, "", better, threshold, 2.0, -1.0, -1.0, 2.0)


def test_rules_by_hand() -> None:
    members = member("toy_loops"), member("toy_strange", HIGHER, -0.5), member("toy_noise")
    panel = PanelWeights("majority", members, 0.25, "d")
    votes = [1.0, 1.0, 0.0]  # bad; −1 < −.5, so good; good
    assert panel.combined(votes) == pytest.approx(1 / 3)
    assert panel.combined([1.0, 0.25, Unscored("x")]) == 1.0  # −.25 ≥ −.5 is bad, and the last abstains
    assert panel._replace(rule="weights").combined(votes) == pytest.approx(1 / (1 + np.exp(-(0.25 + 2 - 1 - 1))))
    each = [1 / (1 + np.exp(-odds)) for odds in (1.0, -3.0, -1.0)]
    assert panel._replace(rule="pooled").combined(votes) == pytest.approx(np.mean(each))
    for rule in RULES:
        assert isinstance(panel._replace(rule=rule).combined([Unscored("x")] * 3), Unscored)
    assert panel.without("toy_noise").members == members[:2]


def test_a_panel_says_what_it_rests_on_and_is_no_loss_by_itself() -> None:
    panel = PanelWeights("majority", (member("toy_loops"), member("toy_noise")), 0.0, "thelabels")
    one = panel_reading(panel)
    assert one.loss is None
    for part in ("panel by majority", panel.digest, "labels thelabels", "toy_loops", "toy_noise"):
        assert part in basis_of(one)
    assert panel._replace(intercept=0.1).digest != panel.digest
    assert panel._replace(rule="pooled").digest != panel.digest
    other = panel._replace(members=(member("toy_loops")._replace(basis="another model"),))
    with pytest.raises(InputError, match="fit it anew"):
        basis_of(panel_reading(other))
    for wrong in (panel._replace(rule="vote"), panel._replace(members=())):
        with pytest.raises(InputError, match="one of the rules"):
            panel_reading(wrong)
    with pytest.raises(InputError, match="no reading is called"):
        panel_reading(panel._replace(members=(member("nobody"),)))
    with pytest.raises(InputError, match="single replies"):
        panel_reading(panel._replace(members=(member("self_bleu"),)))


def test_a_threshold_is_where_found_less_blamed_is_largest() -> None:
    values, bad = np.array([0.0, 1, 2, 3, 4, 5]), np.array([False, False, True, False, True, True])
    assert best_threshold(values, bad) == 1.5
    assert best_threshold(-values, bad) == -5.0  # the wrong way round: everything is bad
    assert best_threshold(values[::-1].copy(), bad[::-1].copy()) == 1.5


def test_auc_of_resamples_is_that_of_all_pairs() -> None:
    draw = np.random.default_rng(3)
    values, bad = draw.integers(4, size=12) / 2.0, draw.random(12) < 0.4
    values[5] = np.nan
    counts = draw.integers(3, size=(6, 12)).astype(float)
    found = resampled_auc(values, bad, counts)
    for row, one in zip(counts, found, strict=True):
        k = [place for place in np.repeat(np.arange(12), row.astype(int)) if place != 5]
        pairs = [np.sign(values[b] - values[g]) for b in k if bad[b] for g in k if not bad[g]]
        assert one == pytest.approx(0.5 + 0.5 * np.mean(pairs))
    assert np.isnan(resampled_auc(values, np.zeros(12, bool), counts)).all()
    assert np.isnan(resampled_auc(np.full(12, np.nan), bad, counts)).all()


@pytest.mark.parametrize("rule", RULES)
def test_scores_of_labels_are_those_of_the_reading_in_any_order(
    rule: str, scores: dict[str, LabelScores], labels: GoldLabels
) -> None:
    rows = range(len(labels.labels))
    panel = fit_panel(scores, rows, (LOOPS, STRANGE), rule, labels.digest)
    own = score_labels(panel_reading(panel), labels.labels)
    found = panel_scores(panel, scores)
    np.testing.assert_allclose(np.array(found.values, float), np.array(own.values, float), atol=1e-12)
    for name, some in found.attacked.items():
        assert {k: own.attacked[name][k] for k in some} == pytest.approx(some)
    turned = panel._replace(members=panel.members[::-1])
    np.testing.assert_allclose(np.array(panel_scores(turned, scores).values, float), np.array(found.values, float))
    alone = panel_scores(panel, {name: one.only([5]) for name, one in scores.items()})
    assert alone.values[0] == pytest.approx(found.values[5])


def test_what_is_the_wrong_way_round_says_nothing(scores: dict[str, LabelScores], labels: GoldLabels) -> None:
    rows = range(len(labels.labels))
    (wrong,) = fit_panel(scores, rows, (Candidate("toy_strange", HIGHER),), "weights", labels.digest).members
    assert (wrong.if_bad, wrong.if_good, wrong.slope) == (0.0, 0.0, 0.0)
    (right,) = fit_panel(scores, rows, (STRANGE,), "weights", labels.digest).members
    assert right.if_bad > 1
    assert right.if_good < 0 < right.slope


def test_it_passes_the_gate_and_becomes_a_loss(scores: dict[str, LabelScores], labels: GoldLabels) -> None:
    rows = range(len(labels.labels))
    members = gated(scores, rows, (LOOPS, STRANGE, NOISE), labels.digest)
    assert members == (LOOPS, STRANGE)
    one = panel_reading(fit_panel(scores, rows, members, "pooled", labels.digest))
    report = gate(one, labels, LOWER)
    assert report.passed
    loss = as_loss(one, report)
    assert (loss.role, loss.loss) == ("loss", LOWER)
    check_reading(loss)
    plain = panel_reading(fit_panel(scores, rows, (NOISE,), "pooled", labels.digest))
    with pytest.raises(UnsupportedError, match="failed the gate"):
        as_loss(plain, gate(plain, labels, LOWER))
    assert loss.read([Reply("", "", [], ())], ()) == [1.0]  # type: ignore[attr-defined]


def test_panels_of_what_finds_different_failures_beat_the_best_of_them(
    scores: dict[str, LabelScores], labels: GoldLabels
) -> None:
    trial = try_panels(scores, (LOOPS, STRANGE, NOISE), labels.digest, resamples=60)
    by_name = {row.panel: row for row in trial.rows}
    assert by_name[BEST].gain is None
    for rule in RULES:
        gain = by_name[rule].gain
        assert gain is not None
        assert gain.low > 0
        assert by_name[rule].auc.value > 0.95
    assert {one.reading for one in trial.members} == {"toy_loops", "toy_strange"}
    assert all(one.adds["pooled"].low > 0 for one in trial.members)
    assert set(trial.best) == {"coffee", "hotels", "shoes"}
    noisy = try_panels(scores, (LOOPS, STRANGE), labels.digest, always=(NOISE,), resamples=2)
    costs = trial_differences(noisy, trial, labels.labels, resamples=20)
    assert costs["majority"].value < 0
    assert abs(costs["weights"].value) < abs(costs["majority"].value)
    assert trial_differences(trial, trial, labels.labels, resamples=2)["pooled"].value == 0
    printed = [*panel_tables("toys", trial, labels), cost_table(costs, ["toy_noise"])]
    assert [table.row_count for table in printed] == [len(trial.rows), 2, 4]


def test_the_category_that_is_kept_out_is_not_looked_at(scores: dict[str, LabelScores], labels: GoldLabels) -> None:
    """With the labels of one category turned round, its own values stay and those of the others change."""
    turned = tuple(
        one._replace(bad=not one.bad, kind="drift" if not one.bad else "good") if one.category == "coffee" else one
        for one in labels.labels
    )
    other = {name: some._replace(labels=turned) for name, some in scores.items()}
    first, second = (try_panels(some, (LOOPS, STRANGE), labels.digest, resamples=2) for some in (scores, other))
    inside = np.array([one.category == "coffee" for one in labels.labels])
    for rule in RULES:
        np.testing.assert_array_equal(first.values[rule][inside], second.values[rule][inside])
    assert (first.values["pooled"][~inside] != second.values["pooled"][~inside]).any()


def test_what_cannot_be_tried_is_refused(scores: dict[str, LabelScores], labels: GoldLabels) -> None:
    with pytest.raises(UnsupportedError, match="at least one member"):
        try_panels(scores, (NOISE,), labels.digest)
    two = [k for k, one in enumerate(labels.labels) if one.category != "coffee"]
    with pytest.raises(InputError, match="at least three"):
        try_panels({name: one.only(two) for name, one in scores.items()}, (LOOPS,), labels.digest)
    with pytest.raises(InputError, match="same labelled replies"):
        try_panels(scores | {"toy_noise": scores["toy_noise"].only(two)}, (LOOPS,), labels.digest)


def test_choices_of_an_auction() -> None:
    """At no price no loss matters; at a price another loss chooses otherwise, and so do replies drawn anew."""
    folder = Path(__file__).parents[2] / "auctionsim" / "data" / "surfaces"
    surface = ResponseSurface.load(folder / "coffee-2@1.safetensors")
    free = choice_rows(surface, "quality", ("kl",), ChoiceSettings(price=0.0, draws=64))
    assert [row.differ.high for row in free[:1]] == [0.0]
    priced = choice_rows(surface, "quality", ("kl", "length"), ChoiceSettings(price=2.0, draws=64))
    assert all(0 <= row.differ.low + row.differ.high <= 2 for row in priced)
    assert max(row.differ.high for row in priced) > 0
    assert choice_table("coffee-2@1", priced).row_count == len(priced)
    with pytest.raises(InputError, match="cannot be charged for"):
        choice_rows(surface, "beauty", ("kl",), ChoiceSettings(draws=64))
