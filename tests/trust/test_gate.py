"""The gate: what passes, what does not and by which rule, and that a loss needs its report."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from labelled_replies import ELSEWHERE, make_labels

from auctionsim.readings import HIGHER, LOWER, Reply, TextReading, Unscored, Value, reading
from auctionsim.trust import GoldLabels, as_loss
from auctionsim.trust.attacks import Attack
from auctionsim.trust.biases import position_bias
from auctionsim.trust.gate import gate

SAME = (Attack("nothing", "opener", "{text}"),)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> GoldLabels:
    return make_labels(tmp_path_factory.mktemp("labels") / "some.jsonl")


def score(read: Callable[[Reply], Value], name: str = "score") -> TextReading:
    return TextReading(
        name, "points", per="reply", basis=lambda: "made up", read=lambda replies, brands: [read(r) for r in replies]
    )


def repeated(reply: Reply) -> float:
    words = reply.text.split()
    return 1 - len(set(words)) / max(len(words), 1)


def elsewhere(reply: Reply) -> float:
    return float(sum(word.strip(".").lower() in ELSEWHERE.split() for word in reply.text.split()))


def test_a_score_passes_on_the_kind_that_it_is_for_and_on_no_other(labels: GoldLabels) -> None:
    drift = score(elsewhere)
    passed = gate(drift, labels, LOWER, "drift")
    assert passed.passed, passed.failure
    assert (passed.num_good, passed.num_bad) == (84, 42)
    assert not gate(drift, labels, LOWER, "loops").passed
    assert not gate(drift, labels, HIGHER, "drift").passed
    assert gate(drift, labels, HIGHER, "drift").auc == pytest.approx(
        tuple(1 - end for end in (passed.auc.value, passed.auc.high, passed.auc.low))  # type: ignore[union-attr]
    )


def test_a_share_that_padding_buys_fails_by_the_attack_and_says_which(labels: GoldLabels) -> None:
    report = gate(score(repeated), labels, LOWER, "loops")
    assert report.auc is not None
    assert report.auc.low > 0.8
    worst = report.worst_attack
    assert worst is not None
    assert not report.passed
    assert worst.attack in ("different_words", "padding_after", "padding_before")
    assert worst.far_share > 0.5
    assert [rule.passed for rule in report.rules] == [True, True, False]
    assert f"half the distance to the good mean: {worst.attack} (measured 0." in report.failure
    assert gate(reading("window_word_repetition"), labels, LOWER, "loops").passed  # the same in its worst window


def test_movement_is_a_share_of_the_distance(labels: GoldLabels) -> None:
    """An attack that the score falls for by three quarters of the distance, exactly."""
    marked = score(lambda reply: 0.25 if "MARK" in reply.text else float("@" in reply.text or "#" in reply.text))
    report = gate(marked, labels, LOWER, "broken", attacks=(*SAME, Attack("mark", "verdict", "{text} MARK")))
    nothing, mark = report.attacks
    assert (nothing.movement.value, nothing.far_share) == (0, 0)
    assert mark.movement.value == pytest.approx(0.75)
    assert mark.far_share == 1


def test_too_few_labels_and_no_separation_fail(labels: GoldLabels) -> None:
    few = labels._replace(labels=tuple(one for one in labels.labels if one.category == "shoes"))
    report = gate(score(elsewhere), few, LOWER, "drift", attacks=SAME)
    assert "at least 60 labels are scored (measured 42, bound 60)" in report.failure
    blind = gate(score(lambda reply: float(len(reply.prompt))), labels, LOWER, attacks=SAME)
    assert "the AUC is above 0.6" in blind.failure
    none = gate(score(lambda reply: Unscored("never")), labels, LOWER, attacks=SAME)
    assert none.num_unscored == len(labels.labels)
    assert none.auc is None
    assert not none.passed


def test_replies_that_an_attack_makes_unscored_have_gone_far(labels: GoldLabels) -> None:
    hidden = score(lambda reply: Unscored("hidden") if "HIDE" in reply.text else elsewhere(reply))
    report = gate(hidden, labels, LOWER, "drift", attacks=(Attack("hide", "opener", "HIDE {text}"),))
    assert (report.attacks[0].far_share, *report.attacks[0].movement) == (1, 1, 1, 1)
    assert not report.passed
    most = score(lambda reply: Unscored("hidden") if "HIDE" in reply.text and len(reply.text) % 4 else elsewhere(reply))
    report = gate(most, labels, LOWER, "drift", attacks=(Attack("hide", "opener", "HIDE {text}"),))
    assert report.attacks[0].movement.value == pytest.approx(report.attacks[0].far_share)
    assert 0.5 < report.attacks[0].far_share < 1
    assert "half the distance to the good mean: hide (measured 0." in report.failure


def test_silence_on_what_a_score_cannot_tell_counts_against_it(labels: GoldLabels) -> None:
    """Scored are all good replies, and the one bad reply in three that a score finds: on these it is perfect."""

    def silent(reply: Reply) -> Value:
        found = elsewhere(reply)
        return found if found == 0 or len(reply.text) % 3 == 0 else Unscored("a riddle")

    report = gate(score(silent), labels, LOWER, "drift", attacks=SAME)
    assert report.auc is not None
    assert report.auc.low > 0.6
    assert report.num_bad < 21 < report.num_unscored
    assert "above 0.6, the unscored counted against it (measured" in report.failure
    polite = score(lambda reply: Unscored("short") if len(reply.text) % 29 == 0 else elsewhere(reply))
    report = gate(polite, labels, LOWER, "drift", attacks=SAME)
    assert 0 < report.num_unscored < 15
    assert report.passed, report.failure  # a few are borne


def test_one_prompt_shows_nothing_of_others(labels: GoldLabels) -> None:
    alike = labels._replace(labels=tuple(one._replace(category="shoes", prompt="Which?") for one in labels.labels))
    some = score(lambda reply: elsewhere(reply) + len(reply.text) % 9)
    report = gate(some, alike, LOWER, "drift", attacks=SAME)
    assert report.auc is not None
    assert 0.6 < report.auc.value < 1
    assert not report.passed


def test_a_leaning_to_a_slot_fails(labels: GoldLabels) -> None:
    margins = np.random.default_rng(0).normal(size=40)
    leaning = gate(score(elsewhere), labels, LOWER, "drift", None, position_bias(margins + 2, -margins + 2), SAME)
    assert "position bias is below the median margin (measured 2" in leaning.failure
    fair = gate(score(elsewhere), labels, LOWER, "drift", None, position_bias(margins + 0.1, -margins + 0.1), SAME)
    assert fair.passed
    assert fair.digest != leaning.digest
    hiding = gate(score(elsewhere, "judged_pairwise_by_votes"), labels, LOWER, "drift", attacks=SAME)
    assert "position bias is below the median margin (measured nothing" in hiding.failure


def test_a_loss_needs_a_report_that_passed_and_is_its_own(labels: GoldLabels) -> None:
    one = score(elsewhere)
    with pytest.raises(NotImplementedError, match="may not feed a loss: it was not tried on reasoning_opener, sol"):
        as_loss(one, gate(one, labels, LOWER, "drift", attacks=SAME))
    report = gate(one, labels, LOWER, "drift")
    loss = as_loss(one, report)
    assert (loss.loss, loss.admission, loss.role) == (LOWER, report.digest, "loss")
    with pytest.raises(NotImplementedError, match=r"score may not feed a loss, as it failed the gate on loops: .*AUC"):
        as_loss(one, gate(one, labels, LOWER, "loops", attacks=SAME))
    with pytest.raises(ValueError, match="not of other on"):
        as_loss(score(elsewhere, "other"), report)
    with pytest.raises(ValueError, match="not of score on 'another'"):
        as_loss(dataclasses.replace(one, basis=lambda: "another"), report)


def test_what_is_no_score_of_a_reply_is_refused(labels: GoldLabels) -> None:
    with pytest.raises(NotImplementedError, match="hits cannot be held against labels of texts: it is per brand"):
        gate(reading("hits"), labels, LOWER)
    with pytest.raises(NotImplementedError, match=r"surprise cannot .* needs model"):
        gate(reading("surprise"), labels, LOWER)
    with pytest.raises(ValueError, match="a score is good one way"):
        gate(score(elsewhere), labels, "is one", attacks=SAME)


def test_the_report_is_json_and_its_digest_names_it(labels: GoldLabels, tmp_path: Path) -> None:
    first = gate(score(elsewhere), labels, LOWER, "drift", attacks=SAME)
    again = gate(score(elsewhere), labels, LOWER, "drift", attacks=SAME)
    assert first.as_json() == again.as_json()
    assert first.digest == again.digest
    assert first.as_json()["passed"] is True
    assert first.digest != gate(score(elsewhere), labels, LOWER, attacks=SAME).digest
