"""A mechanism of one's own in one file, with one line that registers it, goes wherever the library's own go."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from measured_fakes import fake_surface

from auctionsim import cli, plugins
from auctionsim.experiments.running.tuning import FINISHED
from auctionsim.experiments.studies.tune_grid import GridSettings, score
from auctionsim.mechanisms import load_mechanism
from auctionsim.mechanisms.table import names, withdraw

FILE = """
from torch import Tensor, where

from auctionsim.mechanisms import Mechanism
from auctionsim.mechanisms.codecs import numbers_on_substrate
from auctionsim.mechanisms.table import ONE_FEATURE, Entry, register
from auctionsim.outcome import Outcome


class TakeItOrLeaveIt(Mechanism):
    \"\"\"The highest levers for everybody whose bid reaches the price, which each pays a unit of exposure.\"\"\"

    def __init__(self, substrate, price):
        super().__init__(substrate.num_bidders, len(substrate.features), substrate)
        self.price = price

    def clear(self, bids, context):
        wins = bids >= self.price
        off = self.substrate.null_allocation(len(bids), dtype=bids.dtype)
        highest = off.new_tensor([lever.high for lever in self.substrate.levers])
        allocation = where(wins, highest, off)
        return Outcome(allocation, (wins * self.price * self.substrate.exposure(allocation, context)).sum(2))


register(Entry("take-it", "take it or leave it", "A fixed price a unit.", lambda p: TakeItOrLeaveIt(p.view, 0.3),
               numbers_on_substrate(TakeItOrLeaveIt, "price"), needs=(ONE_FEATURE,)))
"""
LABEL = "take it or leave it"


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Write the plugin and a surface, in a process that has loaded no plugin yet."""
    monkeypatch.setattr(plugins, "_files", {})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FILE)
    fake_surface(2).save(tmp_path / "surface.safetensors")
    yield {"--plugin": "mine.py", "--surface": "surface.safetensors"}
    withdraw("take-it")


def typed(monkeypatch: pytest.MonkeyPatch, *words: str, options: dict[str, str]) -> None:
    """Type a command, which must succeed."""
    named = [word for pair in options.items() for word in pair]
    monkeypatch.setattr(sys, "argv", ["auctionsim", *words, *named])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0


def test_it_is_designed_saved_loaded_compared_tuned_and_reported(
    places: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "take-it" not in names()
    typed(monkeypatch, "auction", "design", "take-it", "--out", "rule.safetensors", options=places)
    sold = fake_surface(2).sell("slot_probability")
    assert vars(load_mechanism(tmp_path / "rule.safetensors", sold))["price"] == 0.3
    typed(monkeypatch, "regret", "rule.safetensors", "--draws", "8", "--budget", "8", options=places)
    assert "TakeItOrLeaveIt on slot_probability" in capsys.readouterr().out
    few = ("--draws", "16", "--regret-draws", "2", "--user-weights", "1", "--no-replies", "--out", "run")
    typed(monkeypatch, "auction", "compare", "--mechanisms", "optimum,take-it", *few, options=places)
    rows = pd.read_parquet(tmp_path / "run" / "comparison.parquet")
    assert set(rows["mechanism"]) == {"virtual welfare (optimal)", LABEL, "VCG at user weight 0"}
    assert set(rows["loss"] + ", " + rows["loss_unit"]) == {"kl, nats a token"}
    assert LABEL in capsys.readouterr().out
    settings = GridSettings("fake", "slot_probability", ("take-it",), ("uniform:0,1",), (1.0,), (0,), tmp_path, 16, 2)
    cell = score({"mechanism": "take-it", "prior": "uniform:0,1", "user_weight": 1.0, "seed": 0}, sold, settings)
    assert cell[FINISHED]
    assert cell["revenue_A"] > 0
    typed(monkeypatch, "report", "run", options={"--plugin": "mine.py"})
    assert LABEL in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


@pytest.mark.deep
def test_tunes_workers_know_it(places: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    few = ("--draws", "16", "--regret-draws", "2", "--user-weights", "1", "--seeds", "0", "--cpus", "1")
    typed(monkeypatch, "tune", "grid", "--mechanisms", "take-it", *few, "--out", "grid", options=places)
    assert pd.read_parquet(tmp_path / "grid" / "trials.parquet")["mechanism"].tolist() == ["take-it"]
