"""A loss of one's own is one file: measured, sold against, charged for, saved, compared and named by flag."""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from measurement_fakes import SETTINGS, fake_model, fake_neurons, fake_prompts

from auctionsim import cli, metrics, plugins
from auctionsim.experiments.tables.mechanisms import comparison_tables
from auctionsim.measurement import measure
from auctionsim.mechanisms import VCG, load_mechanism
from auctionsim.priors import Uniform
from auctionsim.readings import unregister
from auctionsim.scoring.comparison import compare
from auctionsim.scoring.scorer import ScoringSettings
from auctionsim.substrates import ResponseSurface

FILE = """
from auctionsim.readings import TextReading, register


def vowels(replies, brands):
    return [float(sum(letter in "aeiou" for letter in reply.text)) for reply in replies]


register(TextReading("vowels", "vowels a reply", per="reply", bounds=(0.0, 999.0), loss="lower is better", read=vowels))
"""


@pytest.fixture(scope="module")
def surface_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A surface that was measured with the reading, which one file outside the package registers."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "vowels.py").write_text(FILE)
    plugins.load(folder / "vowels.py")
    settings = dataclasses.replace(SETTINGS, num_neurons=(0.0, 24.0), samples=2, readings=("vowels",))
    model = fake_model()
    measure(folder / "run", model, fake_neurons(model), fake_prompts(), settings).save(folder / "own.safetensors")
    yield folder / "own.safetensors"
    unregister("vowels")


def test_it_is_measured_sold_against_and_charged_for(surface_file: Path) -> None:
    surface = ResponseSurface.load(surface_file)
    assert surface.losses == ("kl", "vowels")
    assert surface.units["vowels"] == "vowels a reply"
    entries = surface.sell("slot_probability", loss="vowels").finite_range()
    assert float(entries.user_losses[0, 0]) == 0
    assert float(entries.user_losses.min()) < 0 < float(entries.user_losses.max())  # some replies have fewer
    v = torch.full((1, 2, 1), 1e-6, dtype=torch.float64)
    for loss in ("kl", "vowels", "0.5*kl+2*vowels"):
        sold = surface.sell("slot_probability", loss=loss)
        outcome = VCG(sold, 1.0)(v)
        least = float(sold.finite_range().user_losses.min())
        assert float(metrics.user_loss(outcome, sold, v)) == pytest.approx(least, abs=1e-4)


def test_tables_and_flags_name_it(
    surface_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["auctionsim", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0)

    rule, on = str(tmp_path / "vcg.safetensors"), ("--surface", str(surface_file))
    assert run("auction", "design", "vcg", "--out", rule, *on, "--loss", "vowels") == 0
    surface = ResponseSurface.load(surface_file)
    sold = surface.sell("slot_probability", loss="vowels")
    loaded = load_mechanism(rule, sold)
    few = ("--draws", "16", "--budget", "8")
    assert run("regret", rule, *on, "--loss", "vowels", *few) == 0
    capsys.readouterr()
    assert run("regret", rule, *on, *few) != 0
    told = capsys.readouterr().err
    assert "was saved for the user loss 'vowels' ('vowels a reply'), and this substrate charges 'kl'" in told
    assert run("regret", rule, *on, "--loss", "beauty", *few) != 0
    assert "the loss must be one of ('kl', 'vowels')" in capsys.readouterr().err
    rows = compare({"VCG": loaded}, sold, Uniform(0, 1), 1.0, ScoringSettings(32, 4, 8), seed=0)
    assert {(row.loss, row.loss_unit) for row in rows} == {("vowels", "vowels a reply")}
    brings, _ = comparison_tables(rows, "own")
    assert brings.caption == "user loss: vowels, vowels a reply"
