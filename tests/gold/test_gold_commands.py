"""The commands about gold labels, end to end on a small run: a sheet out, labels in, a corrected loss, choices."""

from pathlib import Path

import pytest
from gold_fakes import LOSS, fill
from typer.testing import CliRunner

from auctionsim.cli import app
from auctionsim.errors import InputError
from auctionsim.gold.corrections import PROVENANCE
from auctionsim.substrates import ResponseSurface

RUNNER = CliRunner()


def said(*words: object) -> str:
    """What a command prints; its error is raised."""
    done = RUNNER.invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def test_a_sheet_goes_out_and_comes_back(run: Path, tmp_path: Path) -> None:
    sheet, out = tmp_path / "sheet.csv", tmp_path / "corrected.safetensors"
    text = said("surface", "label", run, "--number", 72, "--out", sheet, "--labeller", "rule: loops")
    assert f"sheet: {sheet}, 72 replies of 12 strata" in text
    assert "sheet.key.json" in text
    fill(sheet)
    text = said("surface", "correct", run, "--gold", sheet, "--loss", LOSS, "--out", out)
    assert "72 labels: 72 by rule: loops. A model's or a rule's labels are not people's." in text
    assert "related" in text
    corrected = ResponseSurface.load(out)
    assert corrected.provenance[PROVENANCE]["labels"] == 72

    offer = ("--loss", LOSS, "--feature", "mention_probability")
    text = said("auction", "gold", run, "--gold", sheet, *offer, "--draws", 64)
    assert "another allocation in" in text
    judge, gold = (said("auction", "design", "vcg", "--surface", run, *offer, *more, "--out", tmp_path / name)
                   for name, more in (("judge.safetensors", ()), ("gold.safetensors", ("--gold", sheet))))  # fmt: skip
    assert judge != gold
    assert (tmp_path / "judge.safetensors").read_bytes() != (tmp_path / "gold.safetensors").read_bytes()


def test_a_sum_of_losses_is_not_corrected(run: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.csv"
    said("surface", "label", run, "--number", 72, "--out", sheet)
    fill(sheet)
    with pytest.raises(InputError, match="was not measured"):
        said(
            "surface", "correct", run, "--gold", sheet, "--loss", "length-quality", "--out", tmp_path / "x.safetensors"
        )


def test_a_measurement_without_replies_has_no_sheet(tmp_path: Path) -> None:
    for name, message in (("running-shoes-2@1", "were not kept"), ("nothing@9", "no run folder and no file")):
        with pytest.raises(InputError, match=message):
            said("surface", "label", name, "--out", tmp_path / "sheet.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no finished measurement"):
        said("surface", "label", tmp_path / "empty", "--out", tmp_path / "sheet.csv")
