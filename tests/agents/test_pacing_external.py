"""Bidders from outside: what they read, what is believed of what they say, and records that are replayed."""

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from market_fakes import campaigns, item_market

from auctionsim.agents.pacing import (
    AnswerCounts,
    answers,
    controller,
    external,
    observed_numbers,
    read_answers,
    replayed,
)
from auctionsim.agents.pacing.answers import AnswerBook
from auctionsim.agents.pacing.external_bidders import External, multiplier_in
from auctionsim.agents.pacing.language_model import LanguageModelBidding
from auctionsim.agents.pacing.speakers import speaking
from auctionsim.errors import DamagedFileError, InputError, ModelUnavailableError
from auctionsim.market import Actors, Controller, Simulation
from auctionsim.testing import check_controller, fake_language_model

FIRST = """day: 0
tick: 0 of 4
budget per day: 2
budget left today: 2
target value per money: none
value so far: 0
spend so far: 0
last multiplier: none
last tick, queries: none
last tick, exposure: none
last tick, value: none
last tick, spend: none"""


class Pupil:
    """Halves its multiplier where more than a quarter of the money went in a tick; keeps what it was asked."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def __call__(self, text: str) -> str:
        self.heard.append(text)
        facts = observed_numbers(text)
        spent = facts["last tick, spend"] / facts["budget per day"] > 0.25
        return f"multiplier: {0.25 if spent else 0.5}"


def multipliers(bidder: Controller, days: int = 2, budget: float = 2.0) -> np.ndarray:
    bidders = campaigns(("a", "b"), budget=[budget, np.inf], controller=(bidder.name, "none"))
    market = item_market(bidders=bidders, types=8, ticks_per_day=4)
    records = islice(Simulation(market, Actors({bidder.name: bidder, "none": controller("none")})).days(), days)
    return np.array([[tick.orders.multiplier[0] for tick in day.ticks] for day in records])


def test_it_reads_the_facts_of_one_campaign() -> None:
    pupil = Pupil()
    multipliers(external(pupil))
    assert pupil.heard[0] == FIRST
    later = observed_numbers(pupil.heard[1])
    assert (later["tick"], later["last multiplier"], later["last tick, queries"]) == (1.0, 0.5, 48.0)
    assert later["budget left today"] == pytest.approx(2 - later["last tick, spend"], abs=1e-5)
    assert later["value so far"] == later["last tick, value"] > later["spend so far"] > 0


def test_who_cannot_bid_is_not_asked() -> None:
    pupil = Pupil()
    ordered = multipliers(external(pupil), budget=1e-3)
    assert (ordered > 0).tolist() == [[True, False, False, False]] * 2
    assert len(pupil.heard) == 2


def test_it_may_be_asked_less_often() -> None:
    pupil = Pupil()
    ordered = multipliers(external(pupil, every=2), budget=1e3)
    assert [int(observed_numbers(text)["tick"]) for text in pupil.heard] == [0, 2, 0, 2]
    assert (ordered == 0.5).all()


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("0.5", 0.5),
        (" 2 \n", 2.0),
        ("Multiplier: 0.75.", 0.75),
        ("multiplier = .25", 0.25),
        ("multiplier 1.", 1.0),
        ("0", 0.0),
        ("10", 10.0),
        ("10.01", None),
        ("-0.5", None),
        ("1e-3", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        ("0.5 or 0.6", None),
        ("I would say 0.5", None),
        ("50%", None),
        ("0,5", None),
        ("٣", None),
        ("9" * 400, None),
    ],
)
def test_what_is_believed(answer: str, number: float | None) -> None:
    assert multiplier_in(answer, 10.0) == number


def test_other_answers_keep_the_multiplier_and_are_counted() -> None:
    answers = iter(["as before", "0.5", "Let me think about 3 things", "0.25"])
    bidder = external(lambda text: next(answers, "?"))
    assert multipliers(bidder, budget=1e3).tolist() == [[1.0, 0.5, 0.5, 0.25], [0.25] * 4]
    assert bidder.counts() == AnswerCounts(answers=8, unparsable=6)


def test_alike_campaigns_are_asked_once_and_answered_alike() -> None:
    pupil = Pupil()
    bidders = campaigns(("a", "a"), controller=("external", "external"))
    market = item_market(bidders=bidders, ticks_per_day=1)
    next(Simulation(market, Actors({"external": external(pupil)})).days())
    assert len(pupil.heard) == 1


def test_it_passes_the_kit() -> None:
    check_controller(external(lambda text: str(len(text) % 7 / 4)), examples=3)


def test_a_replay_asks_nothing_and_a_run_goes_on_from_its_record(tmp_path: Path) -> None:
    record = tmp_path / "runs" / "answers.jsonl"
    pupil = Pupil()
    first = multipliers(external(pupil, record=record, basis="pupil 1"))
    assert len(pupil.heard) > 4
    assert multipliers(replayed(record)).tolist() == first.tolist()
    kept = read_answers(record)
    assert (kept.basis, list(kept.answers)) == ("pupil 1", pupil.heard)
    again = Pupil()
    longer = multipliers(external(again, record=record, basis="pupil 1"), days=3)
    assert longer[:2].tolist() == first.tolist()
    assert {text.splitlines()[0] for text in again.heard} == {"day: 2"}
    assert replayed(record).counts() == AnswerCounts(len(pupil.heard) + len(again.heard), 0)


def test_two_books_of_one_file_ask_nothing_twice(tmp_path: Path) -> None:
    path, asked = tmp_path / "answers.jsonl", []

    def ask(texts: Sequence[str]) -> list[str]:
        asked.extend(texts)
        return [f"{len(asked)}" for _ in texts]

    one, other = AnswerBook(path, basis="me"), AnswerBook(path, basis="me")
    assert one.answered(["a", "b"], ask) == other.answered(["a", "b"], ask) == ["2", "2"]
    assert other.answered(["c"], ask) == one.answered(["c"], ask) == ["3"]
    assert asked == ["a", "b", "c"]
    assert AnswerBook(path, basis="me").answers == {"a": "2", "b": "2", "c": "3"}


def test_a_differing_observation_is_refused_by_its_line(tmp_path: Path) -> None:
    record = tmp_path / "answers.jsonl"
    multipliers(external(Pupil(), record=record), days=1)
    with pytest.raises(InputError, match=r"at day: 0, tick: 0 of 4 .*: 'budget per day: 3' instead of 'budget per day"):
        multipliers(replayed(record), budget=3.0)
    with pytest.raises(InputError, match=r"has no observation at day: 1, tick: 0 of 4"):
        multipliers(replayed(record), days=2)


def test_what_a_kill_left_of_a_line_is_cut_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record = tmp_path / "answers.jsonl"
    first = multipliers(external(Pupil(), record=record))
    whole = record.read_bytes()
    lines = whole.splitlines(keepends=True)
    for end in (len(whole) - 1, len(whole) - len(lines[-1]) + 1, len(lines[0]) + 5, 7, 0):
        record.write_bytes(whole[:end])
        with pytest.raises(InputError, match=r"at day|has no observation|is not JSON"):
            multipliers(replayed(record))
        assert record.read_bytes() == whole[:end], "a replay changes nothing"
        assert multipliers(external(Pupil(), record=record)).tolist() == first.tolist()
        assert record.read_bytes() == whole
    assert "was not finished" in caplog.text


@pytest.mark.parametrize(
    ("bend", "message"),
    [
        (lambda lines: [lines[0].replace('"external"', '"other"'), *lines[1:]], "has answers of 'other', and would go"),
        (lambda lines: ["{}", *lines[1:]], "is no file of auctionsim bidder answers"),
        (lambda lines: [lines[0].replace('"version": 1', '"version": 2'), *lines[1:]], "is no file of"),
        (lambda lines: ["no"], "is not JSON"),
        (lambda lines: [lines[0], lines[1].replace("0.5", "0.6")], "line 2 is damaged"),
        (lambda lines: [lines[0], lines[1], lines[1]], "has an observation twice"),
        (lambda lines: [lines[0], '{"observation": "", "check": ""}'], "line 2 lacks 'answer'"),
        (lambda lines: [lines[0], "[1]"], "line 2 must be an object"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, bend: Callable[[list[str]], list[str]], message: str) -> None:
    record = tmp_path / "answers.jsonl"
    multipliers(external(Pupil(), record=record), days=1)
    record.write_text("".join(f"{line}\n" for line in bend(record.read_text().splitlines())))
    with pytest.raises(InputError, match=message) as refused:
        multipliers(external(Pupil(), record=record))
    assert str(record) in str(refused.value)
    assert isinstance(refused.value, DamagedFileError) == ("damaged" in message or "twice" in message)


def test_records_have_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = tmp_path / "answers.jsonl"
    multipliers(external(lambda text: "0.5" + " " * 5000, record=record), days=1)
    assert {len(answer) for answer in read_answers(record).answers.values()} == {answers.MOST_ANSWER} == {2000}
    assert answers.MOST_ANSWER_BYTES == 128 * 2**20
    monkeypatch.setattr(answers, "MOST_ANSWER_BYTES", 1000)
    with pytest.raises(InputError, match="at most 1000 are read"):
        replayed(record)


def test_another_file_is_never_replaced(tmp_path: Path) -> None:
    record = tmp_path / "notes"
    record.write_text("no line ends here")
    with pytest.raises(InputError, match="is not JSON"):
        external(Pupil(), record=record)
    assert record.read_text() == "no line ends here"


def test_answers_are_counted_by_observation() -> None:
    with pytest.raises(InputError, match="1 observations must have as many answers, got 0"):
        multipliers(External(lambda texts: []))


@pytest.mark.parametrize("settings", [{"most": 0.0}, {"every": 0}, {"most": np.inf}])
def test_settings_that_break_a_rule_are_refused(settings: dict) -> None:
    with pytest.raises(InputError):
        external(Pupil(), **settings)


def test_a_loaded_model_is_asked_in_its_own_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny random model says nonsense: every answer is recorded, none is believed."""
    model = fake_language_model()
    ask = speaking(model, 3)
    prompts = ["Say a number.", "Say another one."]
    assert ask(prompts) == [*ask(prompts[:1]), *ask(prompts[1:])]
    monkeypatch.setattr("auctionsim.agents.pacing.speakers.load_model", lambda name, dtype: model)
    record = tmp_path / "answers.jsonl"
    bidder = LanguageModelBidding(record=str(record), tokens=3)
    ordered = multipliers(bidder, days=1)
    kept = read_answers(record)
    assert kept.basis.startswith(f"{model.identity}; likeliest words, 3 tokens; prompt ")
    assert bidder.counts() == AnswerCounts(len(kept.answers), len(kept.answers))
    assert ordered[ordered > 0] == pytest.approx(1.0)
    monkeypatch.setattr("auctionsim.agents.pacing.speakers.load_model", None)
    replay = LanguageModelBidding(record=str(record), replay=True)
    assert multipliers(replay, days=1).tolist() == ordered.tolist()
    monkeypatch.setattr("auctionsim.agents.pacing.speakers.load_model", lambda name, dtype: model)
    with pytest.raises(InputError, match="would go on with"):
        multipliers(LanguageModelBidding(record=str(record), tokens=4), days=1)


def test_a_language_models_settings_are_checked_before_it_is_loaded() -> None:
    with pytest.raises(InputError, match=r"instructions must have the place \{observation\}"):
        LanguageModelBidding(instructions="Bid.")
    with pytest.raises(InputError, match="a replay needs the file of recorded answers"):
        LanguageModelBidding(replay=True)
    with pytest.raises(ModelUnavailableError):
        multipliers(LanguageModelBidding(model="no-such-model-here/at-all"))


@pytest.mark.model
def test_a_real_model_bids(tmp_path: Path) -> None:
    """The packaged model answers twice; whatever it says, the replay gives the same orders."""
    record = tmp_path / "answers.jsonl"
    bidder = LanguageModelBidding(record=str(record), every=2)
    ordered = multipliers(bidder, days=1, budget=1e3)
    assert bidder.counts().answers == 2
    replay = LanguageModelBidding(record=str(record), replay=True, every=2)
    assert multipliers(replay, days=1, budget=1e3).tolist() == ordered.tolist()
