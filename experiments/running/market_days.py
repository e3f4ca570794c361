"""The days of a market run in its folder: simulated one after the other, each kept in a file, read one at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from auctionsim.errors import DamagedFileError
from auctionsim.experiments.running.market_config import MarketConfig
from auctionsim.experiments.running.market_setup import ledger_shape
from auctionsim.experiments.running.preparation import Tick, commit_or_none
from auctionsim.files import sweep
from auctionsim.market import Actors, Market, MarketState, Simulation, SimulationSettings
from auctionsim.market.ledger import DayLedger, LedgerShape, check_size, day_ledger, read_day, write_day
from auctionsim.market.simulation import Clear


class DayFiles(NamedTuple):
    """The files of the days of one plan.

    Attributes:
        folder: Where they are.
        shape: Of each.
        plan: Digest of all that decides their numbers.
    """

    folder: Path
    shape: LedgerShape
    plan: str

    def path(self, day: int) -> Path:
        """Return the file of a day."""
        return self.folder / f"day-{day:05d}.safetensors"

    def read(self, day: int) -> DayLedger:
        """Return a day that is there.

        Raises:
            FileNotFoundError: It is not.
            ValueError: Its file is damaged, or is another day's; names it.
        """
        ledger = read_day(self.path(day), self.shape, self.plan)
        if ledger.news.day != day:
            raise DamagedFileError(f"{self.path(day)} holds day {ledger.news.day}: remove it and run again")
        return ledger

    def finished(self) -> int:
        """Return how many days are there, from the first on without a gap."""
        days = 0
        while self.path(days).is_file():
            days += 1
        return days


@dataclass(frozen=True)
class KeptMarketRun:
    """A market run as its folder has it.

    Attributes:
        config: What was run.
        market: Its market.
        actors: Who acted.
        files: Its days.
        count: How many days it has.
    """

    config: MarketConfig
    market: Market
    actors: Actors
    files: DayFiles
    count: int

    def days(self) -> Iterator[DayLedger]:
        """Yield the days in order; each is read when it is asked for."""
        for day in range(self.count):
            yield self.files.read(day)


def run_days(
    config: MarketConfig,
    market: Market,
    actors: Actors,
    files: DayFiles,
    days: int,
    *,
    clear: Callable[[], Clear] | None = None,
    tick: Tick = lambda: None,
) -> KeptMarketRun:
    """Simulate the days that have no file, and keep each as soon as it is over.

    Args:
        config: What is run.
        market: Of it.
        actors: Of it.
        files: Where days are kept.
        days: How many there shall be.
        clear: Returns what clears ticks, called if any day is missing; None clears in this process.
        tick: Called after each day, those that were there too.
    Raises:
        ValueError: A day's file is damaged, or the market too large for such files.
    """
    check_size(files.shape)
    sweep(files.folder)
    there = min(files.finished(), days)
    for _ in range(there):
        tick()
    if there < days:
        sampled = SimulationSettings(sampled=config.mode == "sampled")
        simulation = Simulation(market, actors, sampled, None if clear is None else clear())
        state = state_after(simulation, files, there)
        for day in range(there, days):
            record = simulation.day(state)
            write_day(files.path(day), day_ledger(record, files.shape, commit_or_none()), files.shape, files.plan)
            state = record.state
            tick()
    return KeptMarketRun(config, market, actors, files, days)


def state_after(simulation: Simulation, files: DayFiles, days: int) -> MarketState:
    """Return the state after so many days, from the file of the last of them.

    Raises:
        ValueError: The file is damaged: it remembers other actors, or other things of them.
    """
    first = simulation.begin()
    if not days:
        return first
    state = files.read(days - 1).state
    pairs = [(first.users, state.users), (first.platform, state.platform)]
    same = set(first.controllers) == set(state.controllers)
    pairs += [(first.controllers[name], state.controllers[name]) for name in first.controllers if same]
    if not same or any(set(begun) != set(kept) for begun, kept in pairs):
        raise DamagedFileError(f"{files.path(days - 1)} remembers other actors: remove it and run again")
    return state


def day_files(folder: Path, market: Market, plan: str) -> DayFiles:
    """Return the files of a market's days below a folder."""
    return DayFiles(folder / "days", ledger_shape(market), plan)
