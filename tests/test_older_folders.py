"""A run folder of an earlier version is read to the same numbers and gone on from; so is one after a field is added."""

import gzip
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from measurement_fakes import SETTINGS, fake_model, fake_neurons, fake_prompts, files

from auctionsim.measurement import MeasurementSettings, Measuring, Unit, UnitResult, read_replies

OLD = Path(__file__).parent / "fixtures" / "measured_by_units_4"
"""Measured with units of format 4, a plan of every field, and replies of version 1."""
SMALL = replace(SETTINGS, num_neurons=(0.0, 24.0), samples=2, rows=6)


@dataclass(frozen=True)
class Later(MeasurementSettings):
    """Settings of a later version: a field with a default is new."""

    novelty: int = 3


class Refusing(Measuring):
    """Measures nothing but what it may."""

    allowed = 0

    def measure_unit(self, unit: Unit) -> UnitResult:
        assert self.allowed, f"{unit} is measured again"
        self.allowed -= 1
        return super().measure_unit(unit)


def taken_up(folder: Path, settings: MeasurementSettings = SMALL) -> Refusing:
    model = fake_model()
    return Refusing(folder, model, fake_neurons(model), fake_prompts(), settings)


def later(settings: MeasurementSettings, **more: int) -> Later:
    return Later(**vars(settings), **more)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD, tmp_path / "old"))


def numbers(work: Measuring) -> dict[str, list[float]]:
    """What was measured: mean, standard error and n of every cell and quantity."""
    found = {}
    for row in work.surface().table():
        fields = row._asdict()
        place = [fields[name] for name in fields if name not in ("unit", "mean", "standard_error", "n")]
        found[json.dumps(place)] = [row.mean, row.standard_error, row.n]
    return found


def as_it_was() -> dict[str, list[float]]:
    """What the earlier version gathered of the same units; its one loss had no name of its own."""
    rows = json.loads((OLD / "expected.json").read_text())
    return {json.dumps(["kl" if cell == "user_loss" else cell for cell in row[:-3]]): row[-3:] for row in rows}


@pytest.mark.parametrize("settings", [SMALL, later(SMALL)], ids=["this version", "a later one"])
def test_an_older_folder_gathers_to_the_same_bits(settings: MeasurementSettings, copy: Path) -> None:
    work = taken_up(copy, settings)
    work.run()
    assert numbers(work) == as_it_was()
    assert (copy / "plan.json").read_bytes() == (OLD / "plan.json").read_bytes()


@pytest.mark.parametrize("settings", [SMALL, later(SMALL)], ids=["this version", "a later one"])
def test_an_older_folder_is_gone_on_from(settings: MeasurementSettings, copy: Path) -> None:
    lost = list(files(copy))[3]
    before, texts = numbers(taken_up(copy)), [reply[2] for reply in json.loads(lost.read_text())["replies"]]
    lost.unlink()
    work = taken_up(copy, settings)
    work.allowed = 1
    work.run()
    assert json.loads(lost.read_text())["format"] == "auctionsim measurement unit 5"
    assert [reply[2] for reply in json.loads(lost.read_text())["replies"]] == texts
    after = numbers(work)
    assert after.keys() == before.keys()
    for place, values in after.items():
        assert values == pytest.approx(before[place], rel=1e-4, abs=1e-7)


def test_a_new_folder_does_not_mention_defaults_and_a_later_version_reads_it(tmp_path: Path) -> None:
    work = taken_up(tmp_path)
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert set(plan["settings"]) == {"num_neurons", "amplification", "samples", "max_new_tokens", "rows", "leads"}
    assert taken_up(tmp_path, later(SMALL)).digest == work.digest
    with pytest.raises(ValueError, match=r"holds another measurement \(settings\.novelty 3, not 4\): choose"):
        taken_up(tmp_path, later(SMALL, novelty=4))
    assert taken_up(tmp_path, replace(SMALL, readings=("length",))).digest == work.digest  # replies are the same


def test_a_plan_of_a_later_version_is_refused(tmp_path: Path) -> None:
    taken_up(tmp_path)
    plan = json.loads((tmp_path / "plan.json").read_text())
    (tmp_path / "plan.json").write_text(json.dumps({**plan, "version": 3}))
    with pytest.raises(ValueError, match=r"plan\.json is of version 3; this auctionsim reads versions up to 2"):
        taken_up(tmp_path)


def test_replies_of_version_1_are_read(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl.gz"
    path.write_bytes(gzip.compress((OLD / "replies.jsonl").read_bytes()))
    kept = read_replies(path)
    assert len(kept.replies) == 72
    assert kept.record["brands"] == [["or"], ["the", "to"]]
