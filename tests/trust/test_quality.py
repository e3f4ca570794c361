"""Quality fitted on made-up labels: what goes in, what stays out, and what becomes of a reply."""

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from labelled_replies import ELSEWHERE, make_labels

from auctionsim.brands import Brand
from auctionsim.readings import HIGHER, LOWER, Reply, TextReading, Unscored, reading, register, unregister
from auctionsim.readings.quality import QualityComponent, QualityWeights, quality_reading, read_quality
from auctionsim.readings.values import read_texts
from auctionsim.signed_json import checksum
from auctionsim.trust import GoldLabels, as_loss
from auctionsim.trust.candidates import Candidate, candidates, direction
from auctionsim.trust.fit import QualityFit, fit_quality, fit_rows, mentions_per_word, never_fitted
from auctionsim.trust.quality_files import write_quality
from auctionsim.trust.scores import LabelSample, LabelScores, score_labels

BRANDS = (Brand("Nike"), Brand("Puma"))
PARTS = (
    Candidate("window_word_repetition", LOWER),
    Candidate("repetition_rate", HIGHER),
    Candidate("made_up_drift", LOWER),
    Candidate("made_up_signs", HIGHER),
)


def reply(text: str) -> Reply:
    return Reply("Which?", text, [], ())


def drift(replies: list[Reply], brands: tuple[Brand, ...]) -> list[float | Unscored]:
    found = [sum(word.lower().strip(".") in ELSEWHERE.split() for word in one.text.split()) for one in replies]
    return [Unscored("a riddle") if "?" in one.text[:1] else float(k) for one, k in zip(replies, found, strict=True)]


def letters(replies: list[Reply], brands: tuple[Brand, ...]) -> list[float]:
    return [-float(sum(sign in "#@{}|~" for sign in one.text)) for one in replies]


@pytest.fixture(scope="module")
def made_up() -> Iterator[None]:
    register(TextReading("made_up_drift", "words", per="reply", read=drift, basis=lambda: "a list of words"))
    register(TextReading("made_up_signs", "signs", per="reply", read=letters))
    yield
    unregister("made_up_drift")
    unregister("made_up_signs")


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> GoldLabels:
    return make_labels(tmp_path_factory.mktemp("labels") / "some.jsonl", per_kind=15)


@pytest.fixture(scope="module")
def fitted(made_up: None, labels: GoldLabels) -> QualityFit:
    return fit_quality(labels, PARTS)


def test_what_passes_on_its_kind_is_in_and_the_whole_passes_on_all(fitted: QualityFit) -> None:
    assert [one.reading for one in fitted.weights.components] == [
        "window_word_repetition",
        "made_up_drift",
        "made_up_signs",
    ]
    assert "AUC" in fitted.left_aside["repetition_rate"]
    assert fitted.report.kind == "all"
    assert fitted.report.passed, fitted.report.failure
    assert all(one.coefficient > 0 for one in fitted.weights.components)


def test_a_category_that_was_kept_out_is_told_well(fitted: QualityFit) -> None:
    assert [one.category for one in fitted.left_out] == ["coffee", "hotels", "shoes"]
    for one in fitted.left_out:
        assert one.auc.value > 0.95
        assert one.calibration.brier < 0.1
        assert one.partial.value > 0.3
        assert one.num_replies == 75


def test_a_fit_looks_at_its_rows_alone(labels: GoldLabels, made_up: None) -> None:
    """Labels of shoes turned round change no fit that leaves them out, and every fit that does not."""
    outside = [k for k, one in enumerate(labels.labels) if one.category != "shoes"]
    some = [k for k, one in enumerate(labels.labels) if one.category != "shoes" or k % 8 == 0]
    turned = tuple(
        one._replace(bad=not one.bad, kind="good" if one.bad else "drift") if one.category == "shoes" else one
        for one in labels.labels
    )
    fits = []
    for these in (labels.labels, turned):
        scores = {one.reading: score_labels(reading(one.reading), these, attacks=()) for one in PARTS[2:3]}
        scores = {
            name: one._replace(attacked={"none": {k: one.values[k] for k in outside}}) for name, one in scores.items()
        }
        fits.append([fit_rows(scores, rows, PARTS[2:3], "").weights for rows in (outside, some)])
    assert fits[0][0] == fits[1][0]
    assert fits[0][1] != fits[1][1]


def test_what_is_written_is_the_reading_and_a_loss(tmp_path: Path, fitted: QualityFit, labels: GoldLabels) -> None:
    written = write_quality(tmp_path / "quality.json", fitted, labels)
    weights = read_quality(tmp_path / "quality.json")
    assert weights == written
    assert weights == fitted.weights._replace(admission=fitted.report.digest)
    one = quality_reading(weights)
    assert (one.loss, one.admission, one.unit) == (LOWER, fitted.report.digest, "probability of a bad reply")
    assert as_loss(quality_reading(fitted.weights), fitted.report).admission == one.admission
    found = read_texts(one, [label.reply for label in labels.labels], BRANDS)
    bad = [value for value, label in zip(found, labels.labels, strict=True) if label.bad]
    good = [value for value, label in zip(found, labels.labels, strict=True) if not label.bad]
    assert sum(bad) / len(bad) > 0.8 > 0.2 > sum(good) / len(good)  # type: ignore[arg-type]


def test_labels_that_no_fit_has_seen(tmp_path: Path, fitted: QualityFit, labels: GoldLabels) -> None:
    others = make_labels(tmp_path / "others.jsonl", per_kind=5, seed=9)
    found = never_fitted(fitted.weights, others)
    assert [one.category for one in found] == ["coffee", "hotels", "shoes"]
    assert [one.num_replies for one in found] == [25, 25, 25]
    assert min(one.auc.value for one in found) > 0.9
    write_quality(tmp_path / "quality.json", fitted, labels, found)
    assert [one["category"] for one in json.loads((tmp_path / "quality.json").read_text())["never_fitted"]]


def test_the_formula_the_empty_reply_and_the_unscored_one(made_up: None) -> None:
    parts = (
        QualityComponent("made_up_drift", "a list of words", LOWER, 1.0, 2.0, 0.5),
        QualityComponent("made_up_signs", "", HIGHER, -3.0, 4.0, 1.5),
    )
    one = quality_reading(QualityWeights(0.25, parts, 1.0))
    assert one.loss is None
    log_odds = 0.25 + 0.5 * (2 - 1) / 2 - 1.5 * (-2 + 3) / 4
    found = read_texts(one, [reply("moon #@ poem"), reply(" ... "), reply("? moon"), reply("")], BRANDS)
    assert found == [pytest.approx(1 / (1 + math.exp(-log_odds))), 1.0, Unscored("made_up_drift: a riddle"), 1.0]
    assert quality_reading(QualityWeights(-1e4, parts, 1.0)).read([reply("moon")], BRANDS) == [0.0]


def test_weights_on_another_basis_are_refused(made_up: None) -> None:
    weights = QualityWeights(0.0, (QualityComponent("made_up_drift", "another list", LOWER, 0.0, 1.0, 1.0),), 1.0)
    with pytest.raises(ValueError, match="rests on 'another list', and now it rests on 'a list of words': fit it anew"):
        _ = weights.basis


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"components": []}, "no components"),
        ({"version": 2}, "no file of"),
        ({"no_words": 2}, r"no_words must be a finite number in \[0, 1\]"),
        ({"components": [{"coefficient": -1}]}, "lacks"),
    ],
)
def test_a_file_that_is_none_is_refused(
    tmp_path: Path, fitted: QualityFit, labels: GoldLabels, change: dict[str, object], words: str
) -> None:
    path = tmp_path / "quality.json"
    write_quality(path, fitted, labels)
    whole = json.loads(path.read_text()) | change
    whole.pop("sha256")
    path.write_text(json.dumps({**whole, "sha256": checksum(whole)}))
    with pytest.raises(ValueError, match=f"quality.json: .*{words}"):
        read_quality(path)
    path.write_text(json.dumps({**whole, "intercept": 0.5, "sha256": checksum(whole)}))
    with pytest.raises(ValueError, match=r"damaged|no file"):
        read_quality(path)


def test_too_little_is_refused(labels: GoldLabels, made_up: None) -> None:
    with pytest.raises(ValueError, match="at least three are needed"):
        fit_quality(labels._replace(labels=labels.labels[:60]), PARTS)
    with pytest.raises(NotImplementedError, match="no reading passes the gate"):
        fit_quality(labels, [Candidate("repetition_rate", HIGHER)])


def test_candidates_are_there_and_say_which_way_they_are_good() -> None:
    for one in candidates():
        assert direction(one.reading) == one.better
        assert reading(one.reading).loss in (None, one.better)
    assert direction("mutual_information") == direction("mutual_information_gemma3_270m") == HIGHER
    with pytest.raises(ValueError, match="does not say which way"):
        direction("surprise")


def test_mentions_are_counted_per_word(labels: GoldLabels) -> None:
    label = labels.labels[0]._replace(text="Nike, Nike or Puma: nikes!", brands=BRANDS)
    assert mentions_per_word(label) == pytest.approx(4 / 5)
    assert mentions_per_word(label._replace(text="...")) == 0


def test_an_admission_is_of_these_weights_and_of_a_gate_that_was_passed(
    tmp_path: Path, fitted: QualityFit, labels: GoldLabels
) -> None:
    path = tmp_path / "quality.json"
    write_quality(path, fitted, labels)
    right = {name: value for name, value in json.loads(path.read_text()).items() if name != "sha256"}
    failed = {**right["gate"], "passed": False}
    digest = hashlib.sha256(json.dumps(failed, sort_keys=True).encode()).hexdigest()[:16]
    for wrong in (
        {**right, "admission": "f" * 16},
        {**right, "intercept": -9.0},
        {**right, "gate": failed, "admission": digest},
    ):
        path.write_text(json.dumps({**wrong, "sha256": checksum(wrong)}))
        with pytest.raises(ValueError, match="admission must be the digest of a report of the gate that these weights"):
            read_quality(path)
    steep = {**right, "components": [{**right["components"][0], "scale": 1e-300}], "admission": ""}
    path.write_text(json.dumps({**steep, "sha256": checksum(steep)}))
    with pytest.raises(ValueError, match="coefficient over scale must be at most 1e"):
        read_quality(path)
    without = {**right, "intercept": -9.0, "admission": ""}
    path.write_text(json.dumps({**without, "sha256": checksum(without)}))
    assert quality_reading(read_quality(path)).loss is None


def test_candidates_that_cannot_be_fitted_are_refused(labels: GoldLabels, made_up: None) -> None:
    for one in (Candidate("closeness", HIGHER), Candidate("made_up_drift", LOWER, LabelSample(3))):
        with pytest.raises(NotImplementedError, match=f"single texts .* all labels, and {one.reading} is not"):
            fit_quality(labels, [one])


def test_a_reading_that_is_the_wrong_way_round_on_all_kinds_leaves_nothing(labels: GoldLabels, made_up: None) -> None:
    """It finds every drift, and calls loops far better than good replies."""
    values = {"drift": 1.0, "good": 0.0, "loops": -9.0}
    some = tuple(one for one in labels.labels if one.kind in values)
    numbers = tuple(values[one.kind] for one in some)
    scores = LabelScores(some, numbers, {"none": {k: numbers[k] for k, one in enumerate(some) if one.bad}}, {})
    with pytest.raises(NotImplementedError, match="no reading that passes the gate finds bad replies of all kinds"):
        fit_rows({"made_up_drift": scores}, list(range(len(some))), PARTS[2:3], "")
