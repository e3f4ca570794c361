"""The command line: mistakes end in one line and a non-zero exit, Ctrl-C says how to go on."""

import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from auctionsim import cli
from auctionsim.cli.computing import KEEPING
from auctionsim.cli.options import by_name
from auctionsim.experiments.studies.say import parse_boosts
from auctionsim.language_models import loading
from auctionsim.substrates import ResponseSurface

SURFACE = "running-shoes-2@1"


def run(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["auctionsim", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nosuch",), "No such command"),
        (("demo", "--brands", "Nike,,Adidas"), "brands are written NAME,NAME"),
        (("demo", "--brands", "Nike"), "two brands, got 1"),
        (("demo", "--seed", "-1"), "--seed"),
        (("demo", "--measure", "--prompts", "/no/such/file.json"), "cannot read prompts"),
        (("say", "Hello", "--boost", "Nike:64"), "BRAND=NEURONSxFACTOR"),
        (("surface", "show", "nosuch@1"), "no measurement called 'nosuch@1'"),
        (("auction", "compare", "--user-weights", "1,x"), "numbers separated by commas"),
        (("auction", "compare", "--user-weights", "1,nan"), "numbers separated by commas"),
        (("auction", "compare", "--draws", str(2**63)), "--draws must be at most"),
        (("auction", "design", "vcg", "--out", "x", "--user-weight", "inf"), "--user-weight"),
        (("say", "Hello", "--boost", "Nike=1x2", "--temperature", "inf"), "--temperature must be finite, got inf"),
        (("surface", "measure", "--out", "x", "--samples", "9" * 30), "--samples must be at most"),
        (("surface", "measure", "--out", "x", "--mode", "double"), "mode must be one of multiply, add, clamp"),
        (("surface", "measure", "--out", "x", "--positions", ""), "positions must be one of"),
        (("say", "Hello", "--boost", "Nike=1x2", "--model", "no..such"), "no language model 'no..such' here"),
        (("auction", "crosstalk-regret", "--seeds", "0,-1"), "seeds must be whole numbers from 0"),
        (("--threads", "5000", "doctor"), "threads must be a whole number from 1 to 1024"),
        (("auction", "design", "nosuch", "--out", "never.safetensors"), "mechanism must be one of"),
    ],
)
def test_mistakes_end_in_one_line(
    words: tuple[str, ...],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*words, monkeypatch=monkeypatch) == 2
    told = capsys.readouterr().err.strip()
    assert says in told
    assert "Traceback" not in told
    assert len(told.splitlines()) == 1
    assert not list(tmp_path.iterdir()), "nothing half-written"


def test_a_damaged_surface_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "cut.safetensors"
    whole = Path(cli.__file__).parent.parent / "data" / "surfaces" / f"{SURFACE}.safetensors"
    path.write_bytes(whole.read_bytes()[:5000])
    assert run("surface", "show", str(path), monkeypatch=monkeypatch) == 2
    assert "cut.safetensors" in capsys.readouterr().err


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A command that keeps its finished parts says so, another one promises nothing."""
    monkeypatch.setattr(loading, "choose_device", interrupted)
    assert run("doctor", monkeypatch=monkeypatch) == 130
    assert capsys.readouterr().err == "interrupted\n"
    monkeypatch.setattr(ResponseSurface, "packaged", interrupted)
    out = str(tmp_path / "run")
    assert run("auction", "generalisation", "--out", out, monkeypatch=monkeypatch) == 130
    assert capsys.readouterr().err == "interrupted: the same command goes on where it stopped\n"
    assert run("auction", "design", "vcg", "--out", out, monkeypatch=monkeypatch) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_the_commands_that_go_on_are_commands_with_a_run_folder() -> None:
    folders = set()

    def walk(command: Any, words: tuple[str, ...]) -> None:
        for name, below in getattr(command, "commands", {}).items():
            walk(below, (*words, name))
        if any("Run folder" in (option.help or "") or "continues" in (option.help or "") for option in command.params):
            folders.add(" ".join(words))

    walk(typer.main.get_command(cli.app), ())
    draws_only = {"surface maps", "trust study"}  # they compute nothing that is not kept already
    reads_only = {"bidders evaluate", "report"}  # an argument of theirs is a run folder
    assert folders - draws_only - reads_only == KEEPING


def test_a_saved_mechanism_is_searched_for_regret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = str(tmp_path / "vcg.safetensors")
    assert run("auction", "design", "vcg", "--out", path, monkeypatch=monkeypatch) == 0
    assert run("regret", path, "--draws", "8", monkeypatch=monkeypatch) == 0
    assert "proof" in capsys.readouterr().out


def test_boosts() -> None:
    boost, other = parse_boosts(["Nike=64x2", "New Balance=10.5×1.25"])
    assert (boost.brand.name, boost.num_neurons, boost.amplification) == ("Nike", 64.0, 2.0)
    assert (other.brand.name, other.num_neurons, other.amplification) == ("New Balance", 10.5, 1.25)
    with pytest.raises(ValueError, match="boosted once"):
        parse_boosts(["Nike=1x2", "nike=2x2"])


@pytest.mark.model
def test_doctor_prints_the_dtype_that_loads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("doctor", monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr().out
    assert "one auction on running-shoes-2@1 cleared" in shown
    words = shown.replace(",", " ").split()
    assert [word for word in words if word in ("float32", "bfloat16", "float16")] == [
        str(loading.load_model().dtype).removeprefix("torch.")
    ]


def test_measurements_are_named_without_a_path_and_none_is_lost(tmp_path: Path) -> None:
    paths = [str(tmp_path / folder / "surface.safetensors") for folder in ("first", "second")]
    assert by_name(["shoes@1", *paths], len) == {"shoes@1": 7, "first": len(paths[0]), "second": len(paths[1])}
    with pytest.raises(ValueError, match="two measurements are called 'first'"):
        by_name([paths[0], str(tmp_path / "first.safetensors")], len)


def test_a_brand_that_is_a_common_word_is_noted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The note is a line on the error stream, before anything long; nothing is noted of what is written NAME:case."""
    for words in (
        ("demo", "--brands", "Apple"),
        ("say", "Hello", "--boost", "Apple=1x2", "--model", "/no/such/model"),
    ):
        assert run(*words, monkeypatch=monkeypatch) == 2
        note, error = capsys.readouterr().err.splitlines()
        assert note == (
            "note: Apple is also a common word, and every use counts as a mention; Apple:case counts that spelling only"
        )
        assert error.startswith("error: ")
        marked = [word.replace("Apple", "Apple:case") for word in words]
        assert run(*marked, monkeypatch=monkeypatch) == 2
        assert "note" not in capsys.readouterr().err
