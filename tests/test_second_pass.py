"""Stored replies are read again without sampling: texts without a model, passes as when they were measured."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from measurement_fakes import SETTINGS, fake_model, fake_neurons, fake_prompts

from auctionsim.data import readings_beside
from auctionsim.measurement import REPLIES_FILE, Measuring, measure
from auctionsim.measurement import second_pass as passes
from auctionsim.measurement.second_pass import PartReader, SecondPass, gather_values
from auctionsim.measurement.side_files import write_side_file
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.readings import TextReading, Unscored, register, unregister
from auctionsim.storage import read_stored
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.side_readings import FORMAT, VERSION


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder as `surface measure` leaves it, to be read only."""
    folder, model = tmp_path_factory.mktemp("run"), fake_model()
    surface = measure(folder / "measurement", model, fake_neurons(model), fake_prompts(), SETTINGS)
    surface.save(folder / "surface.safetensors")
    return folder


@pytest.fixture(scope="module")
def stored(run: Path) -> StoredReplies:
    return StoredReplies.load(run / "measurement" / REPLIES_FILE)


@pytest.fixture
def short_words() -> Iterator[None]:
    """A diagnostic that scores no text without letters."""

    def read(replies: Any, brands: Any) -> list[Any]:
        texts = [reply.text for reply in replies]
        return [float(len(text)) if any(map(str.isalpha, text)) else Unscored("no letter") for text in texts]

    register(TextReading("letters", "letters", per="reply", bounds=(0.0, 999.0), read=read))
    register(TextReading("distinct", "replies", per="set", bounds=(1.0, 99.0), read=_distinct))
    yield
    unregister("letters")
    unregister("distinct")


def _distinct(replies: Any, brands: Any) -> float:
    assert len({reply.prompt for reply in replies}) == 1
    return float(len({reply.text for reply in replies}))


def test_texts_are_read_without_a_model(stored: StoredReplies, run: Path, tmp_path: Path) -> None:
    """No model is given, none is there to be loaded; hits are those that were measured, to the bit."""
    second = SecondPass(tmp_path, stored, ("hits", "length"))
    gathered = gather_values(second, second.run()).means
    surface = ResponseSurface.load(run / "surface.safetensors")
    distinct = surface.finite_range().allocations
    for name in "AB":
        measured = surface.replicates[name].features
        hits = surface.measured_features.index("hits")
        mean = gathered["hits"][name]["hits"].mean
        assert mean.shape == (2, len(distinct), 2)
        assert float((mean[:, 0] - measured.mean[:, 0, 0, 0, 0, :, hits]).abs().max()) == 0
        assert float(mean.sum()) == pytest.approx(
            sum(float(surface.replicate(name).sell("hits").exposure(one[None], torch.tensor([c])).sum())
                for one in distinct for c in range(2)), rel=1e-6
        )  # fmt: skip
        lengths = gathered["length"][name]["length"]
        assert (lengths.mean[:, 0] == 0).all()
        assert (lengths.standard_error[:, 0] == 0).all()
    slow = [r for r in stored.kept.replies if r.replicate == "A" and r.context == 1]
    by_row = [np.mean([r.length for r in slow if r.intervention == k]) for k in (0, 3)]
    assert float(gathered["length"]["A"]["length"].mean[1, 3]) == pytest.approx(by_row[1] - by_row[0])


def test_passes_give_what_was_measured(stored: StoredReplies, run: Path, tmp_path: Path) -> None:
    model = fake_model()
    second = SecondPass(tmp_path, stored, ("kl", "surprise"), fake_neurons(model), model)
    values = second.run()
    work = Measuring(run / "measurement", model, fake_neurons(model), fake_prompts(), SETTINGS)
    measured = {
        (result.unit.replicate, result.unit.context, result.unit.prompt, reply.intervention, reply.sample): [
            result.readings[name][k] for name in ("kl", "surprise")
        ]
        for result in work.results()
        for k, reply in enumerate(result.replies)
    }
    replies = [stored.kept.replies[number] for number in second.numbers()]
    assert len(replies) == len(measured) == len(values["kl"])
    for reply, *found in zip(replies, values["kl"], values["surprise"], strict=True):
        there = measured[reply.replicate, reply.context, reply.prompt, reply.intervention, reply.place[-1]]
        assert found == pytest.approx(there, rel=1e-4, abs=1e-7)


class _Counted(PartReader):
    """Counts the parts that are read, and stops before one of them."""

    parts: ClassVar[list[Any]] = []
    stop_at = -1

    def __call__(self, part: Any) -> Any:
        if len(self.parts) == self.stop_at:
            raise KeyboardInterrupt
        self.parts.append(part)
        return super().__call__(part)


def test_a_stopped_pass_repeats_nothing(stored: StoredReplies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "PartReader", _Counted)
    monkeypatch.setattr(_Counted, "parts", [])
    monkeypatch.setattr(_Counted, "stop_at", 4)
    with pytest.raises(KeyboardInterrupt):
        SecondPass(tmp_path, stored, ("length", "mentions")).run()
    monkeypatch.setattr(_Counted, "stop_at", -1)
    again = SecondPass(tmp_path, stored, ("length", "mentions"))
    ticks: list[Any] = []
    values = again.run(None, ticks.append)
    assert len(_Counted.parts) == len(set(_Counted.parts)) == len(again.parts) == 9
    assert [tick.done for tick in ticks] == [4, 5, 6, 7, 8, 9]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["length.json", "mentions.json"]
    assert SecondPass(tmp_path, stored, ("length", "mentions")).run() == values
    assert len(_Counted.parts) == 9  # what is there is not read again
    assert SecondPass(tmp_path / "other", stored, ("length", "mentions")).run() == values
    left = again._parts_folder / again.parts[0].file_name  # as by a kill between values and parts
    left.parent.mkdir()
    left.write_text("{}")
    assert SecondPass(tmp_path, stored, ("length", "mentions")).run() == values
    assert not left.parent.exists()


def test_damaged_and_foreign_values_are_named(stored: StoredReplies, tmp_path: Path) -> None:
    SecondPass(tmp_path, stored, ("length",)).run()
    path = tmp_path / "length.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({**whole, "unit": "letters"}))
    with pytest.raises(ValueError, match=r"length\.json is damaged \(its checksum does not match\): remove it"):
        SecondPass(tmp_path, stored, ("length",)).run()
    path.write_text(json.dumps(whole))
    other = StoredReplies(stored.kept, "0" * 64, stored.brands)
    with pytest.raises(ValueError, match=r"length\.json holds values of something else \(replies .*, not \"000"):
        SecondPass(tmp_path, other, ("length",)).run()


def test_what_cannot_be_read_is_refused(stored: StoredReplies, tmp_path: Path) -> None:
    model = fake_model()
    with pytest.raises(ValueError, match="slot_probability is scored of prompts, not of replies: measure it anew"):
        SecondPass(tmp_path, stored, ("slot_probability",))
    with pytest.raises(ValueError, match="kl: teacher-forced passes need the model and what moved its replies"):
        SecondPass(tmp_path, stored, ("kl", "length"))
    with pytest.raises(ValueError, match="other neurons were amplified"):
        SecondPass(tmp_path, stored, ("kl",), fake_neurons(model, "or,the"), model)
    kept = stored.kept._replace(record={**stored.kept.record, "model": "fake:0"})
    with pytest.raises(ValueError, match="the replies are those of fake:0, not of fake:"):
        SecondPass(tmp_path, StoredReplies(kept, "0", stored.brands), ("kl",), fake_neurons(model), model)
    kept = stored.kept._replace(record={**stored.kept.record, "dtype": "torch.bfloat16"})
    with pytest.raises(ValueError, match=r"judged by weights in torch\.bfloat16, and this model .* torch\.float32"):
        SecondPass(tmp_path, StoredReplies(kept, "0", stored.brands), ("kl",), fake_neurons(model), model)
    settings = {**stored.kept.record["settings"], "top_p": 0.9}
    cut = StoredReplies(stored.kept._replace(record={**stored.kept.record, "settings": settings}), "0", stored.brands)
    with pytest.raises(ValueError, match="reply_kl is about the whole law"):
        SecondPass(tmp_path, cut, ("reply_kl",), fake_neurons(model), model)
    with pytest.raises(ValueError, match="readings must be named, each once"):
        SecondPass(tmp_path, stored, ("length", "length"))


@pytest.mark.usefixtures("short_words")
def test_unscored_replies_do_not_count_and_are_counted(stored: StoredReplies, tmp_path: Path) -> None:
    second = SecondPass(tmp_path, stored, ("letters", "distinct"))
    values = second.run()
    left_out = [value for value in values["letters"] if isinstance(value, Unscored)]
    assert 0 < len(left_out) < len(values["letters"])
    gathered = gather_values(second, values).means
    found = [gathered["letters"][name] for name in "AB"]
    total = sum(float((one["letters_unscored"].mean * one["letters_unscored"].n).sum()) for one in found)
    assert total == pytest.approx(len(left_out))
    counted = sum(int(one["letters"].n.sum()) for one in found)
    assert counted == len(values["letters"]) - len(left_out)
    sets = gathered["distinct"]["A"]["distinct"]
    assert sets.n.tolist() == [[2] * 9, [3] * 9]  # prompts are the draws
    assert bool(((sets.mean >= 1) & (sets.mean <= SETTINGS.samples)).all())


@pytest.mark.parametrize(
    ("loss", "value", "message"),
    [
        ("is one", 1.0, r"mine declares that it 'is one', .* has a mean of 1 for untouched replies.*'lower is better'"),
        ("lower is better", Unscored("no judge"), "mine left every reply unscored in context 0 .*: no judge"),
    ],
)
def test_what_makes_no_loss_is_refused_before_a_file_holds_it(
    stored: StoredReplies, tmp_path: Path, loss: str, value: Any, message: str
) -> None:
    """A side file with a loss that is not 0 at the null would make the whole measurement unreadable."""

    def read(replies: Any, brands: Any) -> list[Any]:
        return [value] * len(replies)

    register(TextReading("mine", "words", per="reply", bounds=(0.0, 9.0), loss=loss, read=read))
    try:
        second = SecondPass(tmp_path, stored, ("mine",))
        with pytest.raises(ValueError, match=message):
            gather_values(second, second.run())
    finally:
        unregister("mine")


def test_a_side_file_names_its_surface_and_keeps_what_it_has(stored: StoredReplies, run: Path, tmp_path: Path) -> None:
    surface = ResponseSurface.load(run / "surface.safetensors")
    path = readings_beside(tmp_path / "surface.safetensors")
    assert path.name == "surface.readings.safetensors"
    for name in ("length", "mentions"):
        second = SecondPass(tmp_path / "values", stored, (name,))
        write_side_file(path, surface, stored, gather_values(second, second.run()), {"command": "a test"})
    contents = read_stored(path, FORMAT, VERSION)
    assert contents.record["surface"] == surface.digest
    described = contents.record["readings"]
    assert {name: (one["role"], one["unit"], one["bounds"]) for name, one in described.items()} == {
        "length": ("loss", "tokens", [None, None]),
        "mentions": ("feature", "mentions a reply", [0.0, None]),
    }
    assert contents.arrays["A/losses/length/mean"].shape == (2, 9)
    assert contents.arrays["B/features/mentions/n"].shape == (2, 9, 2)
    assert described["length"]["made_by"] == {"command": "a test"}
    other = ResponseSurface(
        grids=surface.grids,
        num_bidders=2,
        features=surface.measured_features,
        contexts=surface.contexts,
        replicates=surface.replicates,
        provenance={"other": 1},
    )
    second = SecondPass(tmp_path / "values", stored, ("length",))
    with pytest.raises(ValueError, match=rf"belongs to the measurement {surface.digest}, not to {other.digest}"):
        write_side_file(path, other, stored, gather_values(second, second.run()), {})


def test_the_command_reads_a_run_folder(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from auctionsim.cli import app

    def no_model(*_: object) -> None:
        raise AssertionError("a model is loaded")

    monkeypatch.setattr("auctionsim.experiments.running.surface_reading.load_model", no_model)
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    result = CliRunner().invoke(app, ["surface", "read", str(copy), "--reading", "length,hits"])
    assert result.exit_code == 0, result.output
    assert "length (tokens) beside the untouched reply" in result.output
    assert "hits (hits a reply), mean" in result.output
    assert readings_beside(copy / "surface.safetensors").exists()
    assert (copy / "measurement" / "readings" / "hits.json").exists()
    surface = ResponseSurface.load(copy / "surface.safetensors")  # hits are its own: it has one of each name
    assert (surface.losses, surface.units["length"]) == (("kl", "length"), "tokens")
    assert surface.digest == ResponseSurface.load(run / "surface.safetensors").digest
    listed = CliRunner().invoke(app, ["surface", "show", str(copy / "surface.safetensors")]).output
    losses = listed[listed.index("losses, mean over 2 contexts") :]
    assert [loss for loss in ("kl", "nats a token", "length", "tokens") if loss not in losses] == []
    for arguments, message in (
        ([str(tmp_path), "--reading", "length"], "holds no finished measurement"),
        (["nosuch@1", "--reading", "length"], "is no run folder, and no measurement of that name"),
        ([str(copy), "--reading", "nosuch"], "no reading is called 'nosuch'"),
        (["running-shoes-2@1", "--reading", "length"], "the replies behind running-shoes-2@1 were not kept"),
    ):
        refused = CliRunner().invoke(app, ["surface", "read", *arguments])
        assert refused.exit_code != 0
        assert message in str(refused.exception)


def test_a_packaged_measurement_is_read_beside_a_copy_that_sells_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short_words: None
) -> None:
    from typer.testing import CliRunner

    from auctionsim.cli import app
    from auctionsim.data import surfaces_folder
    from auctionsim.experiments.running.stored_by_name import surface_with_replies

    monkeypatch.chdir(tmp_path)
    name = "coffee-2@1"
    shipped = {path: path.read_bytes() for path in surfaces_folder().glob(f"{name}.*")}
    assert CliRunner().invoke(app, ["surface", "read", name, "--reading", "nosuch"]).exit_code != 0
    assert not (tmp_path / "runs").exists()
    for own in ("length", "letters"):  # the first lies in the package already
        result = CliRunner().invoke(app, ["surface", "read", name, "--reading", own])
        assert result.exit_code == 0, result.output
    copy = tmp_path / "runs" / "readings" / name / f"{name}.safetensors"
    here, there = ResponseSurface.load(copy), ResponseSurface.packaged(name)
    assert here.digest == there.digest
    assert here.losses == there.losses
    assert here.units == {**there.units, "letters": "letters"}
    assert torch.equal(here.replicates["A"].losses["length"].mean, there.replicates["A"].losses["length"].mean)
    found = surface_with_replies(str(copy))
    assert found.replies is not None
    assert len(found.kept_values("letters")) == len(found.replies.kept.replies)
    assert {path: path.read_bytes() for path in surfaces_folder().glob(f"{name}.*")} == shipped
