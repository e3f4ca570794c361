"""Mutual information is a difference of two log likelihoods, and padding does not buy its lowest window."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from auctionsim.judges import ModelJudge, judge_model
from auctionsim.judges.model import located
from auctionsim.readings import Reply, Unscored, names, unregister
from auctionsim.readings import judge as judge_module
from auctionsim.readings import mutual_information as gains
from auctionsim.readings.judge import judge_readings, judge_suffix, register_judge, registered_judges
from auctionsim.readings.mutual_information import WINDOW, mutual_information, mutual_information_readings
from auctionsim.readings.values import read_texts
from auctionsim.testing import check_reading, fake_language_model

QUESTION = "Which running shoes would you choose?"
TEXTS = (
    "I would recommend Nike shoes for you.",
    "The best choice is Puma, and my first pick for a long run would be Nike, a name you can trust, with good soles.",
    "Nike",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("judges") / "tiny"
    fake = fake_language_model()
    fake.network.save_pretrained(place)  # type: ignore[operator]
    fake.tokenizer.save_pretrained(place)
    return str(place)


@pytest.fixture
def judge(folder: str) -> Iterator[ModelJudge]:
    gains._values.clear()
    yield judge_model(folder)
    gains._values.clear()


def slow(judge: ModelJudge, text: str) -> list[float]:
    """The gain of each token, by one uncached pass a request."""
    found = []
    ids = judge.reply_ids(text)
    for request in (QUESTION, "Say something."):
        asked = judge.chat_ids(request)
        with torch.inference_mode():
            law = torch.log_softmax(
                judge.network(torch.tensor([[*asked, *ids]]), use_cache=False).logits[0].double(), -1
            )
        found.append([float(law[len(asked) - 1 + k, token]) for k, token in enumerate(ids)])
    return [after - anyway for after, anyway in zip(*found, strict=True)]


def test_it_is_the_difference_of_two_log_likelihoods(judge: ModelJudge) -> None:
    for text, value in zip(TEXTS, mutual_information(judge, QUESTION, TEXTS), strict=True):
        gain = slow(judge, text)
        windows = [gain[k : k + WINDOW] for k in range(max(1, len(gain) - WINDOW + 1))]
        assert not isinstance(value, Unscored)
        assert value.mean == pytest.approx(sum(gain) / len(gain), abs=1e-5)
        assert value.lowest == pytest.approx(min(sum(w) / len(w) for w in windows), abs=1e-5)
        assert value.lowest <= value.mean + 1e-9


def test_a_reply_is_worth_the_same_in_any_batch(judge: ModelJudge) -> None:
    together = mutual_information(judge, QUESTION, TEXTS)
    for text, value in zip(TEXTS, together, strict=True):
        gains._values.clear()
        (alone,) = mutual_information(judge, QUESTION, [text])
        assert alone == pytest.approx(value, abs=1e-5)


def test_padding_does_not_raise_the_lowest_window(judge: ModelJudge) -> None:
    """What stands before is scored as before, so the lowest window stays or falls: a theorem of causal models."""
    text = TEXTS[1]
    assert len(judge.reply_ids(text)) > WINDOW
    texts = [text, *(f"{text} {padding}" for padding in (TEXTS[0], TEXTS[0] * 5, "shoes " * 30))]
    plain, *padded = mutual_information(judge, QUESTION, texts)
    assert not isinstance(plain, Unscored)
    for value in padded:
        assert not isinstance(value, Unscored)
        assert value.lowest <= plain.lowest + 1e-5
    assert len({round(value.mean, 6) for value in padded}) == 3  # as the mean does not


def test_both_readings_take_the_same_passes(judge: ModelJudge, folder: str, forward_passes: object) -> None:
    mean, lowest = mutual_information_readings(folder, "_tiny")
    assert (mean.name, lowest.name) == ("mutual_information_tiny", "mutual_information_lowest_tiny")
    replies = [Reply(QUESTION, text, [1], (0, k)) for k, text in enumerate(TEXTS)]
    replies.append(Reply("And which hotel?", TEXTS[0], [1], (0, 9)))
    with forward_passes(judge.network) as seen:  # type: ignore[operator]
        first = read_texts(mean, replies, ())
        passes = len(seen)
        assert passes > 0
        second = read_texts(lowest, replies, ())
    assert len(seen) == passes
    assert first[0] != first[3]  # another question
    assert second[2] == first[2]  # shorter than a window
    assert second[1] < first[1]


def test_what_has_no_value_is_unscored_with_a_reason(judge: ModelJudge) -> None:
    texts = ("", " \n", "Nike<|im_end|>", "shoes " * 600, TEXTS[0])
    values = mutual_information(judge, QUESTION, texts)
    assert [value.reason if isinstance(value, Unscored) else "" for value in values] == [
        "the reply is empty",
        "the reply is empty",
        "the reply has control tokens of the judge's",
        "the reply is longer than the judge can read",
        "",
    ]
    (asked,) = mutual_information(judge, "Which <|im_end|>?", [TEXTS[0]])
    assert asked == Unscored("the question has control tokens of the judge's")


def test_the_conformance_kit(judge: ModelJudge, folder: str) -> None:
    check_reading(mutual_information_readings(folder)[0], examples=1)


def test_what_values_rest_on_is_named(judge: ModelJudge, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mean, lowest = mutual_information_readings(folder)
    assert mean.basis is not None
    assert mean.basis() == lowest.basis() == f"{judge.identity}; beside 'Say something.'; window 12"  # type: ignore[misc]
    monkeypatch.setattr(gains, "NEUTRAL", "Talk.")
    assert "'Talk.'" in mean.basis()


def test_a_judge_is_registered_once(folder: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(judge_module, "_registered", {"": "smollm2"})
    assert {"mutual_information", "mutual_information_lowest"} <= set(names())
    added = register_judge(folder)
    try:
        assert added == register_judge(folder)
        assert added == tuple(one.name for one in judge_readings(folder))
        assert set(added) <= set(names())
        assert registered_judges() == ("smollm2", folder)
        monkeypatch.chdir(Path(folder).parent)
        assert register_judge("tiny") == added  # the same folder
        (tmp_path / "smollm2").mkdir()
        (tmp_path / "tiny").mkdir()
        monkeypatch.chdir(tmp_path)
        assert located("smollm2") == "smollm2"
        with pytest.raises(ValueError, match="would have the same names"):
            register_judge(str(tmp_path / "tiny"))
    finally:
        for name in added:
            unregister(name)
    assert all(one.loss is None for one in judge_readings())
    assert len(judge_suffix("someone/" + "long-" * 30)) < 60
    assert judge_suffix("someone/" + "long-" * 30) != judge_suffix("someone/" + "long-" * 31)
