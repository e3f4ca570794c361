"""A market run: its ledger is its days, a stopped one goes on, a longer one adds days, another config begins anew."""

import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from auctionsim import cli
from auctionsim.experiments.running import market_days
from auctionsim.experiments.running.market_config import ActorConfig, MarketConfig, PlacementConfig, RuleConfig
from auctionsim.experiments.running.run_folder import run_record
from auctionsim.experiments.studies.market_run import MarketRun, MarketRunSettings, main, shown
from auctionsim.market.generator import GeneratorSettings
from auctionsim.market.ledger import CAMPAIGN_COLUMNS

CONSOLE = Console(file=io.StringIO())
CONFIG = MarketConfig(
    GeneratorSettings(query_types=12, campaigns=9, targeted=0.5, controllers=("adaptive", "none"), unlimited=0.0),
    placements={"shoes": PlacementConfig("running-shoes-2@3"), "coffee": PlacementConfig("coffee-3-subsets@2")},
    rules={"vcg": RuleConfig("vcg"), "first": RuleConfig("pay-as-bid")},
    users={"types": [{"name": "all", "loss_sensitivity": 0.01, "ad_sensitivity": 0.01}]},
    signals=2,
    ticks=4,
)


def run(folder: Path, days: int = 3, config: MarketConfig = CONFIG) -> MarketRun:
    return main(MarketRunSettings(folder, config), "auctionsim market run", CONSOLE, days=days, page=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of three days."""
    folder = tmp_path_factory.mktemp("finished")
    run(folder)
    return folder


def tables(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}


def test_the_ledger_has_a_row_per_tick_and_campaign_and_is_what_days_are(finished: Path, tmp_path: Path) -> None:
    made = run(finished)
    ledger, days = pd.read_parquet(finished / "ledger.parquet"), list(made.kept.days())
    assert len(ledger) == 3 * 4 * 9
    assert [*ledger.columns] == ["day", "tick", "rule", "campaign", *CAMPAIGN_COLUMNS]
    for name in CAMPAIGN_COLUMNS:
        whole = np.concatenate([one.campaigns[name].ravel() for one in days])
        assert np.array_equal(ledger[name].to_numpy(), whole, equal_nan=name == "ended"), name
    assert str(ledger["campaign"].dtype) == "category"
    categories = pd.read_parquet(finished / "categories.parquet")
    assert len(categories) == 3 * 4 * 2
    by_tick = ledger.groupby(["day", "tick"])["spend"].sum()
    np.testing.assert_allclose(categories.groupby(["day", "tick"])["paid"].sum(), by_tick, rtol=1e-12)
    rows = pd.read_parquet(finished / "days.parquet")
    np.testing.assert_allclose(rows["revenue"], ledger.groupby("day")["spend"].sum(), rtol=1e-12)
    assert rows["traffic"].iloc[0] == 1.0 > rows["users_total"].iloc[-1]
    assert made.money.holds
    assert made.money.revenue > 0
    assert run_record(finished)["finished"] is True


def test_a_run_that_stopped_goes_on_and_ends_as_one_that_did_not(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []

    def stopped(path: Path, ledger: Any, *rest: Any) -> None:
        if ledger.news.day == 2 and len(written) < 3:
            written.append(-1)
            raise KeyboardInterrupt
        written.append(ledger.news.day)
        write_day(path, ledger, *rest)

    write_day = market_days.write_day
    monkeypatch.setattr(market_days, "write_day", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    assert run_record(tmp_path)["finished"] is False
    there = shown(tmp_path)
    assert ([row["day"] for row in there.days], there.finished) == ([0, 1], False)
    run(tmp_path)
    assert written == [0, 1, -1, 2]
    assert tables(tmp_path) == tables(finished)


def test_a_longer_run_adds_days_and_a_shorter_one_has_fewer(finished: Path, tmp_path: Path) -> None:
    run(tmp_path, days=1)
    assert len(pd.read_parquet(tmp_path / "ledger.parquet")) == 36
    run(tmp_path, days=3)
    assert tables(tmp_path) == tables(finished)
    assert len(run(tmp_path, days=2).days) == 2
    assert pd.read_parquet(tmp_path / "ledger.parquet")["day"].max() == 1


def test_another_config_begins_anew(tmp_path: Path) -> None:
    first = run(tmp_path, days=1)
    other = run(tmp_path, days=1, config=replace(CONFIG, seed=1))
    assert first.totals.revenue != other.totals.revenue
    assert len(list((tmp_path / "parts").iterdir())) == 2
    assert run(tmp_path, days=1).totals.revenue == first.totals.revenue


def test_a_damaged_day_is_named_and_made_again_once_it_is_removed(finished: Path, tmp_path: Path) -> None:
    run(tmp_path, days=2)
    (day,) = tmp_path.rglob("day-00000.safetensors")
    day.write_bytes(day.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"day-00000\.safetensors: "):
        run(tmp_path, days=2)
    day.unlink()
    run(tmp_path, days=3)
    assert tables(tmp_path) == tables(finished)


def test_a_state_of_other_actors_is_refused(tmp_path: Path) -> None:
    run(tmp_path, days=1)
    (day,) = tmp_path.rglob("day-00000.safetensors")
    adaptive = replace(CONFIG, controllers={"none": ActorConfig("adaptive")})
    run(tmp_path, days=1, config=adaptive)
    (other,) = (path for path in tmp_path.rglob("day-00000.safetensors") if path != day)
    made = run(tmp_path, days=1)
    other_files = made.kept.files._replace(folder=other.parent, plan=other.parent.parent.name)
    simulation = market_days.Simulation(made.kept.market, made.kept.actors)
    with pytest.raises(ValueError, match="remembers other actors"):
        market_days.state_after(simulation, other_files, 1)


def test_drawn_arrivals_are_another_run_and_conserve_money_too(tmp_path: Path) -> None:
    made = run(tmp_path, days=2, config=replace(CONFIG, mode="sampled"))
    arrivals = pd.read_parquet(tmp_path / "categories.parquet")["arrivals"]
    assert (arrivals == arrivals.round()).all()
    assert made.money.holds


def test_the_command_generates_runs_and_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["auctionsim", "market", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out = capsys.readouterr()
        assert ended.value.code == 0, out.err
        return out.out

    small = ("--query-types", "6", "--campaigns", "5", "--surface", "running-shoes-2@3", "--value", "beta:2,5")
    assert "6 query types, 5 campaigns: m/market.toml" in command("generate", *small, "--out", "m")
    with Path("m/market.toml").open("a", encoding="utf-8") as file:
        file.write('\n[users]\ntypes = [{ name = "all", loss_sensitivity = 0.5, ad_sensitivity = 0.1 }]\n')
    told = command("run", "m/market.toml", "--days", "2", "--out", "r", "--sampled")
    assert "money is conserved" in told
    page = Path("r/report.html").read_text(encoding="utf-8")
    assert "Prices over the day" in page
    assert "Nothing is scaled from the ledger" in page
    assert page.count("data:image/png") == 4
    told = command("show", "--out", "r")
    assert "unfinished" not in told
    assert run_record(tmp_path / "r")["command"].startswith("auctionsim market run m/market.toml")


def test_show_names_a_folder_without_a_market(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no market"):
        shown(tmp_path)
