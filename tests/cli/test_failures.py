"""Failures: what the caller can mend is said in one line, what nobody but us can is said to be a defect."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import auctionsim
from auctionsim import cli
from auctionsim.cli.failures import DEFECT, MISTAKE, failure, traceback_of
from auctionsim.cli.options import command_line
from auctionsim.errors import (
    InputError,
    InputTypeError,
    MissingPackageError,
    ModelUnavailableError,
    UnsupportedError,
)
from auctionsim.language_models import devices
from auctionsim.substrates import QuadraticSubstrate


def raised(work: Callable[[], object]) -> Exception:
    try:
        work()
    except Exception as error:  # noqa: BLE001
        return error
    raise AssertionError("nothing was raised")


def within(module: str, statement: str, **names: Any) -> Exception:
    """What a statement raises where it stands in a module."""
    source = compile(statement, f"{module}.py", "exec")
    return raised(lambda: exec(source, {"__name__": module, **names}))


REFUSALS = (InputError, InputTypeError, UnsupportedError, MissingPackageError, ModelUnavailableError, PermissionError)
DEFECTS = (KeyError, IndexError, AssertionError, StopIteration, AttributeError, ZeroDivisionError, ValueError)


@pytest.mark.parametrize("kind", REFUSALS)
@pytest.mark.parametrize("module", ["auctionsim.anything", "ray.somewhere"])
def test_what_auctionsim_refuses_is_said_as_it_stands(kind: type[Exception], module: str) -> None:
    """Wherever it is raised at last: Ray raises again what its workers were refused."""
    told = failure(within(module, "raise Kind('budget must be >= 0,\\n got -1')", Kind=kind))
    assert told == ("budget must be >= 0, got -1", MISTAKE)


@pytest.mark.parametrize("kind", DEFECTS)
@pytest.mark.parametrize("words", ["", "'slot'"])
def test_other_kinds_are_defects_even_where_they_say_nothing(kind: type[Exception], words: str) -> None:
    told = failure(within("auctionsim.anything", f"raise Kind({words})", Kind=kind))
    assert told.exit_code == DEFECT
    assert "a defect of auctionsim" in told.sentence
    assert f"{kind.__name__} in auctionsim.anything, line 1" in told.sentence
    assert "--debug" in told.sentence


@pytest.mark.parametrize(
    "statement",
    [
        "np.zeros(2).reshape(3)",  # numpy's C code raises ValueError without a frame of its own
        "np.zeros((2, 3)) @ np.zeros((2, 3))",
        "torch.zeros(2)[5]",
        "torch.zeros(2, 3) @ torch.zeros(2, 3)",
        "torch.optim.SGD([torch.zeros(1)], lr=-1.0)",  # torch's Python code raises ValueError
        "torch.zeros(2).view(3)",
        "int('many')",
        "json.loads('{')",
    ],
)
def test_what_comes_up_below_is_not_the_callers(statement: str) -> None:
    error = within("auctionsim.anything", statement, np=np, torch=torch, json=json)
    told = failure(error)
    assert told.exit_code == DEFECT
    assert type(error).__name__ in told.sentence
    assert "\n" not in told.sentence


def test_a_refusal_of_another_package_is_a_defect() -> None:
    told = failure(within("torch.somewhere", "raise ValueError('the size must match')"))
    assert told.exit_code == DEFECT
    assert "ValueError in torch.somewhere, line 1: the size must match" in told.sentence


def test_a_refusal_deep_in_the_library_is_found() -> None:
    told = failure(raised(lambda: QuadraticSubstrate(3, crosstalk=0.9)))
    assert told.exit_code == MISTAKE
    assert "0.9" in told.sentence


def test_missing_packages_files_and_memory() -> None:
    assert failure(within("auctionsim.anything", "import nosuchpackage.part")) == (
        "nosuchpackage is not installed: pip install 'auctionsim[all]'",
        MISTAKE,
    )
    assert failure(within("auctionsim.anything", "import auctionsim.nosuch")).exit_code == DEFECT
    lost = failure(raised(lambda: Path("/no/such/file").read_text()))
    assert (lost.exit_code, "/no/such/file" in lost.sentence) == (MISTAKE, True)
    assert "not enough memory" in failure(MemoryError()).sentence
    assert "not enough memory" in failure(raised(lambda: torch.empty(2**60))).sentence


def run(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["auctionsim", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("error", "code"),
    [(RuntimeError("[bold]shapes[/bold] differ"), 1), (KeyError(), 1), (OSError(), 2), (OSError("[/]"), 2)],
)
def test_one_line_by_default_and_a_traceback_on_demand(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(device: str) -> None:
        raise error

    monkeypatch.setattr(devices, "choose_device", broken)
    assert run("doctor", monkeypatch=monkeypatch) == code
    line = capsys.readouterr().err
    assert len(line.splitlines()) == 1
    assert str(error) in line
    assert line.strip() != "error:"
    for words in (("--debug", "doctor"), ("doctor", "--debug")):
        assert run(*words, monkeypatch=monkeypatch) == code
        told = capsys.readouterr().err
        assert "Traceback (most recent call last)" in told
        assert "in broken" in told
        assert told.endswith(line)


def test_debug_is_a_word_after_two_dashes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("surface", "show", "--", "--debug", monkeypatch=monkeypatch) == 2
    told = capsys.readouterr().err
    assert "no measurement called '--debug'" in told
    assert "Traceback" not in told


def test_the_command_that_is_kept_is_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "argv", ["/bin/auctionsim", "demo", "--debug", "--category", "running shoes", "--", "--debug"]
    )
    assert command_line() == "auctionsim demo --category 'running shoes' -- --debug"


def test_a_group_without_a_command_shows_its_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("tune", monkeypatch=monkeypatch) == 2
    told = capsys.readouterr().err
    assert "hyperparameters" in told
    assert "error" not in told


def test_the_version_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == f"auctionsim {auctionsim.__version__}\n"


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    program = f"{sys.executable} -m auctionsim.cli surface measure --help | head -c 1"
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=False)
    assert len(done.stdout) == 1
    assert done.stderr == ""


def test_a_traceback_names_every_cause() -> None:
    def chained() -> None:
        try:
            int("x")
        except ValueError as error:
            raise KeyError("outer") from error

    told = traceback_of(raised(chained))
    assert "invalid literal" in told
    assert told.endswith("KeyError: 'outer'")
