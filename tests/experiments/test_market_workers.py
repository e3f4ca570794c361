"""Ray workers that clear a market's categories: any number gives the same ledger, bit for bit; a dead one none less."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from test_market_run import CONFIG, CONSOLE, tables

from auctionsim.experiments.running.designs import UNKEPT
from auctionsim.experiments.running.market_config import PLACEMENTS, MarketConfig
from auctionsim.experiments.running.market_days import DayFiles, day_files
from auctionsim.experiments.running.market_setup import actors_from, market_from, market_sources
from auctionsim.experiments.running.recipes import FanOut
from auctionsim.experiments.studies.market_run import MarketRunSettings, main
from auctionsim.market import Actors, Market, Simulation, Tally, shards
from auctionsim.market.ledger import day_ledger
from auctionsim.market.simulation import Calls

ray = pytest.importorskip("ray", reason="workers are Ray's")
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # ray's tips about accelerators that are not there
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
FOUR: MarketConfig = CONFIG.__class__(
    generator=CONFIG.generator, placements=dict(PLACEMENTS), rules=CONFIG.rules, users=CONFIG.users, ticks=3
)


@pytest.fixture(scope="module", autouse=True)
def one_ray() -> Any:
    """One Ray for the whole file: `ray_categories` uses what is there. Torch has one thread, as its workers have."""
    os.environ.setdefault("RAY_worker_niceness", "0")
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    ray.shutdown()


def ledger(folder: Path, workers: int) -> dict[str, bytes]:
    settings = MarketRunSettings(folder, FOUR)
    main(settings, "auctionsim market run", CONSOLE, FanOut(workers=workers), days=2, page=False)
    return tables(folder)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the tables of a run without workers."""
    return ledger(tmp_path_factory.mktemp("here"), 0)


@pytest.mark.parametrize(
    "workers", [pytest.param(1, marks=pytest.mark.deep), pytest.param(2, marks=pytest.mark.deep), 4]
)
def test_any_number_of_workers_gives_the_same_ledger(workers: int, here: dict[str, bytes], tmp_path: Path) -> None:
    assert ledger(tmp_path, workers) == here


def test_a_worker_that_dies_changes_nothing() -> None:
    """One of two is killed between two ticks: it is started again, and clears what it was asked for."""
    market, actors, files = whole_market()
    usual, died = Simulation(market, actors), 0
    with shards.ray_categories(market, 2) as clear:

        def deadly(calls: Calls) -> Mapping[str, Tally]:
            nonlocal died
            if not died:
                clear(calls)
                (first, *_) = workers_of(psutil.Process())
                first.kill()
                died = first.pid
            return clear(calls)

        sharded = Simulation(market, actors, clear=deadly)
        one, other = (s.day(s.begin()) for s in (usual, sharded))
        assert died
        assert died not in [worker.pid for worker in workers_of(psutil.Process())]
    first, second = (day_ledger(record, files.shape) for record in (one, other))
    assert first.news == second.news
    for name, column in first.campaigns.items():
        assert column.tobytes() == second.campaigns[name].tobytes(), name


def whole_market() -> tuple[Market, Actors, DayFiles]:
    """Return the market of `FOUR` and who acts in it."""
    sources = market_sources(FOUR, Path())
    market = market_from(FOUR, sources, UNKEPT)
    return market, actors_from(FOUR, market.campaigns.controller), day_files(Path(), market, "")


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    """Return the shards among a process's descendants."""
    return [one for one in process.children(recursive=True) if "CategoryShard" in " ".join(one.cmdline())]
