"""The check of an accelerator, its own parts run on the CPU: equal with itself, and it tells what is not equal."""

import subprocess
from pathlib import Path

import pytest
import torch

from auctionsim.testing import fake_language_model
from benchmarks.cuda import exactness as exact
from benchmarks.cuda.check import Table
from benchmarks.cuda.measurement import measurement
from benchmarks.cuda.models import SHAPES, random_model
from benchmarks.cuda.speed import PRODUCTS, speed

CPU = torch.device("cpu")


def test_a_model_equals_its_copy() -> None:
    rows = exact.exactness(fake_language_model(), CPU)
    assert len(rows) == 13
    assert all(row.holds for row in rows), rows


def test_what_is_not_equal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy whose last layer is a hair off fails at hooks, decoding and readings; a NaN never holds."""

    def a_hair_off(model, device):
        other = copied(model, device)
        other.feed_forwards[-1].down_projection.weight.data.mul_(1.05)
        return other

    copied = exact.moved
    monkeypatch.setattr(exact, "moved", a_hair_off)
    wrong = {row.what.split(",")[0] for row in exact.exactness(fake_language_model(), CPU) if not row.holds}
    assert {"logits under interventions", "logits of replies", "slot probabilities", "surprise"} <= wrong
    assert not exact.ExactnessRow("nothing", float("nan"), 1.0).holds


def test_speeds_are_of_one_run() -> None:
    torch.manual_seed(5)
    model = random_model("tiny", CPU, torch.float32)
    assert model.num_layers == SHAPES["tiny"].sizes["num_hidden_layers"]
    rows = {row.what: row for row in speed(model, batches=(100,), tokens=2, repetitions=1, seconds=60)}
    assert {"ours, an intervention a row", PRODUCTS, "generate, 100 rows a call"} <= set(rows)
    assert all(row.tokens > 0 for row in rows.values())


def test_a_measurement_runs_from_end_to_end() -> None:
    stages = measurement(fake_language_model(), samples=1, tokens=3)
    assert [row.what.split()[0] for row in stages] == ["neurons", "plan", "two"]


def test_the_table_is_kept_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(tmp_path / "cuda.md")
    table.add("| a |")
    assert (tmp_path / "cuda.md").read_text(encoding="utf-8") == "| a |\n"
    table.add("| b |")
    assert capsys.readouterr().out == (tmp_path / "cuda.md").read_text(encoding="utf-8")


def test_the_script_says_what_it_needs(tmp_path: Path) -> None:
    """With a Python that has no torch it stops in one line."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    done = subprocess.run(
        [Path(__file__).parents[1] / "benchmarks/cuda/run.sh"],
        env={"PYTHON": str(python), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "torch and transformers" in done.stderr
