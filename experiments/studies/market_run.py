"""A market run: days of ticks of a config's campaigns, users and platform, a ledger, and its money counted.

auctionsim market run market.toml
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from auctionsim.errors import FailedRunError, InputError
from auctionsim.experiments.figures.market import FIGURES, draw_market
from auctionsim.experiments.running.designs import Designs
from auctionsim.experiments.running.market_config import DAYS, MarketConfig
from auctionsim.experiments.running.market_days import KeptMarketRun, day_files, run_days
from auctionsim.experiments.running.market_setup import actors_from, market_from, market_sources
from auctionsim.experiments.running.preparation import Stages
from auctionsim.experiments.running.recipes import FanOut
from auctionsim.experiments.running.run import Run
from auctionsim.experiments.running.run_folder import run_record
from auctionsim.experiments.tables.market_days import (
    MarketTotals,
    controller_rows,
    day_row,
    day_rows,
    totals,
)
from auctionsim.experiments.tables.market_findings import MarketFindings
from auctionsim.experiments.tables.market_ledger import write_ledger
from auctionsim.experiments.tables.market_page import page_section, page_tables
from auctionsim.experiments.tables.market_sensitivity import FACTORS, changeable, sensitivity_rows, with_users
from auctionsim.experiments.tables.market_sums import market_sums
from auctionsim.market import RetainedUsers, SimulationSettings
from auctionsim.market.conservation import Conservation, conservation
from auctionsim.market.ledger import read_axes, read_day
from auctionsim.market.shards import ray_categories
from auctionsim.market.simulation import LocalCategories
from auctionsim.records import Record
from auctionsim.report import write_runs_report

NAME = "market-run"
PAGE = "report.html"
VARIED_DAYS = 7
"""How many of the first days are simulated again with other users, at most."""


@dataclass(frozen=True)
class MarketRunSettings:
    """What decides a market run's numbers; how long it goes on does not, so that a run can be made longer.

    Attributes:
        folder: Run folder; days are kept in it.
        config: The market.
    """

    folder: Path
    config: MarketConfig


class MarketRun(NamedTuple):
    """A market run that is finished.

    Attributes:
        kept: Its days, read one at a time.
        days: A row each.
        controllers: A row each.
        totals: Of all days.
        money: What counting it gave.
    """

    kept: KeptMarketRun
    days: list[dict[str, Any]]
    controllers: list[dict[str, Any]]
    totals: MarketTotals
    money: Conservation


class ShownMarketRun(NamedTuple):
    """A market run as its folder has it, finished or not.

    Attributes:
        days: A row each of those that are there.
        finished: Whether the run came to its end.
        command: That makes it.
    """

    days: list[dict[str, Any]]
    finished: bool
    command: str


def main(
    settings: MarketRunSettings,
    command: str,
    console: Console,
    fan_out: FanOut | None = None,
    *,
    days: int = DAYS,
    tables: Path = Path(),
    page: bool = True,
) -> MarketRun:
    """Simulate, write the ledger, count its money, and write a page about it.

    Args:
        settings: What to run, and where.
        command: What the user typed.
        console: Where progress goes.
        fan_out: Who clears ticks; None: this process.
        days: How many.
        tables: Folder from which the names of tables count.
        page: Whether figures and a page are made, for which the first days are simulated again with other users.
    Raises:
        ValueError: A config that does not fit, or a damaged file; before a day is simulated where that can be known.
        RuntimeError: Money is not conserved.
    """
    sources = market_sources(settings.config, tables)
    run = Run(settings.folder, settings, sources.digests)
    actors = actors_from(settings.config, sources.tables.campaigns.controller)
    with Stages(console) as stages, contextlib.ExitStack() as stack:
        with stages.stage("rules", 1):
            market = market_from(settings.config, sources, Designs(run.parts / "designs"))
        run.begin(command)
        files = day_files(run.parts, market, run.digest)
        with stages.stage("days", days) as tick:
            workers = None if fan_out is None or not fan_out.workers else fan_out
            clear = (
                None
                if workers is None
                else lambda: stack.enter_context(ray_categories(market, workers.workers, workers.address))
            )
            kept = run_days(settings.config, market, actors, files, days, clear=clear, tick=tick)
        with stages.stage("ledger", 1):
            written = write_ledger(kept, settings.folder)
            money = conservation(kept.days(), market.campaigns, market.categories)
            if not money.holds:
                raise FailedRunError(f"{settings.folder}: {money.sentence}")
            found = MarketRun(kept, day_rows(kept), controller_rows(kept, sums := totals(kept)), sums, money)
        findings = _findings(run, found, stages, varied=page)
    for name in (PAGE, *FIGURES):  # those of fewer days
        (settings.folder / name).unlink(missing_ok=True)
    section = page_section(findings, draw_market(findings, settings.folder) if page else {})
    run.commits.update(ledger.commit for ledger in kept.days())
    run.finish(page_tables(findings), section, command=command, console=console, files=[*written, PAGE])
    if page:
        write_runs_report([settings.folder], settings.folder / PAGE)
    return found


def _findings(run: Run, found: MarketRun, stages: Stages, *, varied: bool) -> MarketFindings:
    """Return what the page tells of.

    Args:
        run: Keeps what is simulated.
        found: The run.
        stages: Where progress goes.
        varied: Whether the first days are simulated again with other users, where there are users.
    """
    kept = found.kept
    users = kept.actors.users if isinstance(kept.actors.users, RetainedUsers) else None
    sensitivity = []
    if users is not None and varied:
        count = min(kept.count, VARIED_DAYS)
        sampled = SimulationSettings(sampled=kept.config.mode == "sampled")
        simulate = with_users(kept.market, kept.actors, sampled, LocalCategories(kept.market))
        with stages.stage("users' parameters", 1 + len(FACTORS) * len(changeable(users))) as tick:
            sensitivity = run.part(
                f"user parameters over {count} days", lambda: sensitivity_rows(simulate, users, count, tick=tick)
            )
    return MarketFindings(
        kept.market,
        market_sums(kept.days(), kept.market, None if users is None else users.clicks),
        found.days,
        found.controllers,
        users,
        sensitivity,
        kept.config.mode,
        found.money.sentence,
    )


def shown(folder: Path) -> ShownMarketRun:
    """Return the days of a run, finished or not, that are there; nothing is simulated.

    Raises:
        ValueError: There is no run of a market in the folder, no day yet, or a file is damaged.
    """
    record = run_record(folder)
    if not record:
        raise InputError(f"{folder} holds no market: `auctionsim market run CONFIG --out {folder}` runs one")
    about = Record(record, f"{folder / 'run.json'}:")
    rows = [day_row(ledger) for ledger in _days_in(folder / "parts" / Path(about.text("plan")).name / "days")]
    if not rows:
        raise InputError(f"{folder} holds no day of a market yet: the same command goes on")
    return ShownMarketRun(rows, about.flag("finished"), about.text("command"))


def _days_in(place: Path) -> Iterator[Any]:
    paths = sorted(place.glob("day-*.safetensors"))
    for path in paths:
        yield read_day(path, read_axes(path), None)
