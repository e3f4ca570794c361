"""The sweep of `auctionsim auction compare`: its tables, figures and files, on surfaces of two and three bidders."""

import csv
import sys
from pathlib import Path

import pandas as pd
import pytest
from measured_fakes import fake_surface
from rich.console import Console
from tiny_designs import TINY

from auctionsim import cli
from auctionsim.experiments.studies.compare import REFERENCE, CompareSettings, Comparison, main
from auctionsim.experiments.tables.mechanisms import AFFINE, MENU, OPTIMUM, PAY_AS_BID
from auctionsim.substrates import ResponseSurface

PNG = b"\x89PNG\r\n\x1a\n"
FILES = {"comparison.csv", "comparison.parquet", "menu.csv", "menu.html", "menu.png", "run.json"}
FILES |= {"trade_off.png", "training.csv", "training.parquet", "training.png", "menu.parquet", "section.md", "parts"}


def compared(surface: ResponseSurface, folder: Path, weights: tuple[float, ...], prior: str) -> tuple[Comparison, str]:
    settings = CompareSettings(
        surface="fake",
        feature="slot_probability",
        user_weights=weights,
        prior=prior,
        folder=folder,
        draws=64,
        regret_draws=4,
        regret_budget=16,
        replies=False,
    )
    with (folder / "told.txt").open("w+", encoding="utf-8") as file:
        found = main(settings, surface, "auctionsim auction compare", Console(file=file), TINY)
        file.seek(0)
        return found, file.read()


@pytest.mark.parametrize(("bidders", "prior"), [(2, "exponential:0.5"), (3, "uniform:0,1;beta:2,5;exponential:1")])
def test_a_sweep_writes_every_table_and_figure(bidders: int, prior: str, tmp_path: Path) -> None:
    found, told = compared(fake_surface(bidders), tmp_path, (0.0, 0.5), prior)
    assert {path.name for path in tmp_path.iterdir()} == FILES | {"told.txt"}
    for path in tmp_path.glob("*.png"):
        assert path.read_bytes().startswith(PNG)
    table = pd.read_parquet(tmp_path / "comparison.parquet")
    names = {OPTIMUM, AFFINE, MENU, "VCG", PAY_AS_BID, REFERENCE}
    assert len(table) == 2 * 2 * len(names)  # weights × replicates × mechanisms
    assert set(table["mechanism"]) == names
    with (tmp_path / "comparison.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["revenue"]) for row in rows] == pytest.approx(table["revenue"].tolist())
    assert list(rows[0]) == list(table.columns)
    assert told.count("% of optimum") == told.count("IR violation") == 2
    assert set(found.training) == {(name, weight) for name in (MENU, AFFINE) for weight in (0.0, 0.5)}
    assert {option.brand for option in found.menus[0.5]} == set(found.brands)
    assert len(found.brands) == bidders


def test_the_reference_stands_still_and_the_optimum_is_the_yardstick(tmp_path: Path) -> None:
    found, _ = compared(fake_surface(2), tmp_path, (0.0, 1.0), "uniform:0,1")
    for replicate in ("A", "B"):
        flat = [row for row in found.rows if (row.mechanism, row.replicate) == (REFERENCE, replicate)]
        assert len(flat) == 2
        assert flat[0].revenue == flat[1].revenue
        assert flat[1].objective.mean == pytest.approx(flat[1].revenue.mean - flat[1].user_loss.mean)
    for row in found.rows:
        if row.mechanism == OPTIMUM and row.replicate == "A":
            assert row.objective_share is not None
            assert row.objective_share.mean == pytest.approx(1.0, abs=1e-12)
            assert row.regret.mean == 0
    unequal = {(row.mechanism, row.welfare.mean) for row in found.rows if row.user_weight == 0}
    assert len(unequal) > len({name for name, _ in unequal})  # A is not B


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("auction", "compare", "--prior", "cauchy:1"), "a prior is written as one of"),
        (("auction", "compare", "--prior", "uniform:0,1;uniform:0,1;uniform:0,1"), "one prior a bidder"),
        (("auction", "compare", "--user-weights", "-1"), ">= 0"),
        (("auction", "design", "vcg", "--prior", "beta:2", "--out", "never.safetensors"), "beta:A,B"),
        (("regret", "none.safetensors", "--prior", "uniform:1,0"), "low < high"),
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
    monkeypatch.setattr(sys, "argv", ["auctionsim", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    told = capsys.readouterr().err.strip()
    assert says in told
    assert len(told.splitlines()) == 1
    assert not list(tmp_path.iterdir())
