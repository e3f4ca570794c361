"""Options made from a record: a field that is added is a flag, with its default and what it means."""

import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from auctionsim.cli import surfaces
from auctionsim.cli.record_options import (
    ChosenRecords,
    RecordOptions,
    attributes_of,
    options_from,
    record_fields,
    source_of,
)

RECORD = '''
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Length:
    """How long it goes on.

    Attributes:
        rounds: In an episode,
            one or more.
        weights: Of the user.
        place: Where it is kept, if it is.
        names: Who plays.
        quiet: Nothing is said.
        odd: No flag can hold it.
    """

    rounds: int = 16
    weights: tuple[float, ...] = (0.0, 0.5)
    place: Path | None = None
    names: tuple[str, ...] = ()
    quiet: bool = False
    odd: dict[str, int] | None = None
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "a_length.py").write_text(RECORD)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "a_length", raising=False)
    return "a_length"


def ran(options: RecordOptions, *words: str) -> tuple[str, list[Any]]:
    app, made = typer.Typer(), []

    @app.command()
    @options_from(options)
    def play(chosen: ChosenRecords) -> None:
        import a_length  # type: ignore[import-not-found]

        made.append(chosen.make(a_length.Length))

    done = CliRunner().invoke(app, [*words], terminal_width=200)
    return done.output, made


def test_every_field_is_an_option_and_makes_the_record(module: str) -> None:
    options = RecordOptions(module, "Length", without=("odd",), own={"rounds": {"min": 1}})
    assert module not in sys.modules
    text, _ = ran(options, "--help")
    assert module not in sys.modules, "help reads the record's source, and imports nothing"
    for part in ("In an episode, one or more.", "0,0.5", "Of the user. Separated by commas.", "--quiet", "x>=1"):
        assert part in " ".join(text.replace("│", " ").split())
    assert "--no-quiet" not in text
    words = ("--rounds", "3", "--weights", "1,2.5", "--place", "here", "--names", "a, b", "--quiet")
    _, (made,) = ran(options, *words)
    assert (made.rounds, made.weights, made.place) == (3, (1.0, 2.5), Path("here"))
    assert (made.names, made.quiet, made.odd) == (("a", "b"), True, None)
    _, (usual,) = ran(options)
    assert usual == type(usual)()


def test_what_cannot_be_an_option_is_refused(module: str) -> None:
    with pytest.raises(ValueError, match=r"no flag can hold Length.odd, a dict\[str, int\] \| None: leave it out"):
        options_from(RecordOptions(module, "Length"))(lambda chosen: None)
    with pytest.raises(ValueError, match="Length has no field 'round'"):
        options_from(RecordOptions(module, "Length", without=("odd", "round")))(lambda chosen: None)
    both = RecordOptions(module, "Length", without=("odd",))
    with pytest.raises(TypeError, match="two options are called 'rounds'"):
        options_from(both, both)(lambda chosen: None)
    with pytest.raises(ValueError, match="has no class Width"):
        record_fields(module, "Width")
    with pytest.raises(ValueError, match=r"there is no module auctionsim\.measurement\.nothing"):
        source_of("auctionsim.measurement.nothing")


def test_a_field_must_say_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_riddle.py").write_text('class Riddle:\n    """What?"""\n\n    answer: int = 42\n')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="Riddle does not say what 'answer' is"):
        record_fields("a_riddle", "Riddle")
    assert attributes_of("What?\n\nAttributes:\n    a: One.\n    b: Two,\n        too.\nRaises:\n    c: No.") == {
        "a": "One.",
        "b": "Two, too.",
    }


@pytest.mark.parametrize("options", [surfaces.RECIPE, surfaces.COUNTS, surfaces.FAN_OUT], ids=lambda one: one.record)
def test_what_is_read_from_the_source_is_what_is_imported(options: RecordOptions) -> None:
    import importlib

    record = getattr(importlib.import_module(options.module), options.record)
    listed = getattr(record, "__dataclass_fields__", None) or record._fields
    assert [one.name for one in record_fields(options.module, options.record)] == list(listed)
