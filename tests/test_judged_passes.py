"""Second passes by a judge: another prompt is another measure, and what was out of reach is tried again."""

import pickle
import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from measurement_fakes import SETTINGS, fake_model, fake_neurons, fake_prompts
from typer.testing import CliRunner

from auctionsim.cli import app
from auctionsim.judges.prompts import FOLDER
from auctionsim.measurement import REPLIES_FILE, Workers, measure
from auctionsim.measurement import second_pass as passes
from auctionsim.measurement.reply_parts import PartReader
from auctionsim.measurement.second_pass import SecondPass
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.readings import TextReading, Unscored, register, unregister
from auctionsim.readings import judge as judge_module
from auctionsim.readings.judge import judged_by, register_judge
from auctionsim.substrates import ResponseSurface
from auctionsim.testing import fake_language_model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder as `surface measure` leaves it, to be read only."""
    folder, model = tmp_path_factory.mktemp("run"), fake_model()
    surface = measure(folder / "measurement", model, fake_neurons(model), fake_prompts(), SETTINGS)
    surface.save(folder / "surface.safetensors")
    return folder


@pytest.fixture
def stored(run: Path) -> StoredReplies:
    return StoredReplies.load(run / "measurement" / REPLIES_FILE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("judges") / "tiny"
    fake = fake_language_model()
    fake.network.save_pretrained(place)  # type: ignore[operator]
    fake.tokenizer.save_pretrained(place)
    return str(place)


@pytest.fixture
def judge(folder: str) -> Iterator[str]:
    """A judge whose readings are known by name, as `--judge FOLDER` makes them; forgotten afterwards."""
    there = folder in judge_module.registered_judges()
    names = register_judge(folder)
    yield folder
    if not there:
        for name in names:
            unregister(name)
        judge_module._registered.pop("_tiny")


def read(run: Path, reading: str, *more: str) -> Any:
    return CliRunner().invoke(app, ["surface", "read", str(run), "--reading", reading, *more])


@pytest.mark.usefixtures("judge")
def test_a_changed_prompt_is_another_measure(
    run: Path, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the template's file to the command's refusal: the values that are there stay those of their prompt."""
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    template = prompts / "rating.txt"
    template.write_text("{question} {reply} From 1 to 5?")
    monkeypatch.setenv(FOLDER, str(prompts))
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    first = read(copy, "judged_rating", "--judge", folder)
    assert first.exit_code == 0, first.output
    assert "judged_rating_tiny" in first.output
    values = copy / "measurement" / "readings" / "judged_rating_tiny.json"
    kept = values.read_bytes()
    assert b"; prompt rating " in kept
    surface = ResponseSurface.load(copy / "surface.safetensors")
    assert surface.units["judged_rating_tiny"] == "rating of 1 to 5"
    assert "judged_rating_tiny" not in surface.losses  # a verdict is no loss
    template.write_text("{question} {reply} A number from 1 to 5?")
    for reading in ("judged_rating", "judged_rating,length"):
        refused = read(copy, reading, "--judge", folder)
        assert refused.exit_code != 0
        assert "judged_rating_tiny.json holds values of something else (basis " in str(refused.exception)
        assert values.read_bytes() == kept
    template.write_text("{question} {reply} From 1 to 5?")
    assert read(copy, "judged_rating", "--judge", folder).exit_code == 0


def test_a_prompt_that_changes_during_a_pass_stops_it(
    judge: str, stored: StoredReplies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    (tmp_path / "rating.txt").write_text("{question} {reply} From 1 to 5?")
    second = SecondPass(tmp_path / "values", stored, ("judged_rating_tiny",))
    (tmp_path / "rating.txt").write_text("{reply} {question} From 1 to 5?")
    with pytest.raises(ValueError, match=r"judged_rating_tiny rests on tiny:.* here, and the pass began on tiny:"):
        second.run()
    assert not (tmp_path / "values" / "judged_rating_tiny.json").exists()


NAMES = ("mutual_information_tiny", "judged_pairwise_tiny")


def agree(here: dict[str, list[Any]], there: dict[str, list[Any]]) -> None:
    for name in NAMES:
        for one, other in zip(here[name], there[name], strict=True):
            assert one == (other if isinstance(other, Unscored) else pytest.approx(other, abs=1e-5))


def test_workers_know_the_same_judge(
    judge: str, stored: StoredReplies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a worker is sent is enough, where nobody has named the judge before."""
    jobs: list[Any] = []

    def elsewhere(waiting: Any, job: Any, workers: Any, store: Any, note: Any) -> None:
        sent = pickle.dumps(job.build)
        for name in judge_module.registered_judges()[1:]:
            for one in register_judge(name):
                unregister(one)
        judge_module._registered.pop("_tiny")
        reader = pickle.loads(sent)(None)
        jobs.append(reader)
        while waiting:
            result = reader(waiting.popleft())
            store(result)
            note(result)

    here = SecondPass(tmp_path / "here", stored, NAMES).run()
    monkeypatch.setattr(passes, "fan_out", elsewhere)
    agree(here, SecondPass(tmp_path / "there", stored, NAMES).run(Workers(1, fake_language_model)))
    assert len(jobs) == 1
    part = SecondPass(tmp_path / "here", stored, NAMES[:1]).parts[0]
    with pytest.raises(ValueError, match=r"rests on tiny:.* here, and the pass began on other"):
        PartReader(stored, NAMES[:1], None, None, bases={NAMES[0]: "other"})(part)


@pytest.mark.deep
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_ray_workers_know_the_same_judge(judge: str, stored: StoredReplies, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="workers are Ray's")
    here = SecondPass(tmp_path / "here", stored, NAMES).run()
    crew = Workers(1, partial(fake_language_model, end_gain=2.5))
    agree(here, SecondPass(tmp_path / "there", stored, NAMES).run(crew))


def test_what_was_out_of_reach_is_tried_again(stored: StoredReplies, tmp_path: Path) -> None:
    """A part with replies that are unscored for now is read again by the next pass, the others are not."""
    asked: list[str] = []
    reachable = False

    def take(replies: Sequence[Any], brands: Any) -> list[Any]:
        asked.extend(reply.prompt for reply in replies)
        off = not reachable and replies[0].prompt == stored.prompt(list(stored.by_prompt())[1])
        return [Unscored("no answer in time", for_now=True) if off else float(len(reply.text)) for reply in replies]

    register(TextReading("distant", "letters", per="reply", bounds=(0.0, 999.0), basis=lambda: "far", read=take))
    try:
        second = SecondPass(tmp_path, stored, ("distant", "length"))
        first = second.run()
        waiting = [value for value in first["distant"] if isinstance(value, Unscored)]
        group = list(stored.by_prompt().values())[1]
        assert len(waiting) == len(group) > 0
        assert all(value.for_now for value in waiting)
        assert (tmp_path / "distant.json").exists()  # what was scored is kept, and shown
        asked.clear()
        reachable = True
        again = SecondPass(tmp_path, stored, ("distant", "length")).run()
        assert not any(isinstance(value, Unscored) for value in again["distant"])
        assert again["length"] == first["length"]
        assert len(asked) == len(group)  # of a short part's replies, and of no others
        asked.clear()
        assert SecondPass(tmp_path, stored, ("distant",)).run()["distant"] == again["distant"]
        assert asked == []
        assert sorted(path.name for path in tmp_path.iterdir()) == ["distant.json", "length.json"]
    finally:
        unregister("distant")


def test_names_are_those_of_the_judge_that_is_named(judge: str) -> None:
    assert judged_by("smollm2", ("judged_yes", "length")) == ("judged_yes", "length")
    assert judged_by(judge, ("judged_yes", "length", "judged_yes_tiny")) == (
        "judged_yes_tiny", "length", "judged_yes_tiny"
    )  # fmt: skip
