"""The ledger of a market: what every tick brought each campaign and each category, a day at a time.

A day is one file: its numbers, and the state from which the next day begins. It is written whole or not at all, so a
run that is stopped, by whatever means, goes on behind the last day that has a file, and no day is there twice.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from auctionsim.errors import DamagedFileError, InputError
from auctionsim.market.actors import DayNews
from auctionsim.market.controllers import State
from auctionsim.market.day_records import DayRecord, MarketState
from auctionsim.records import Record
from auctionsim.storage import MOST_STORED_BYTES, Stored, read_stored, write_stored

FORMAT, VERSION = "auctionsim.market-day", 1
CAMPAIGN_COLUMNS = (
    "multiplier",
    "participation",
    "present",
    "auctions",
    "shortlisted",
    "exposure",
    "value",
    "spend",
    "ended",
    "budget_left",
)
"""What is noted per tick and campaign; see `Orders` and `CampaignTally`."""
CATEGORY_COLUMNS = ("arrivals", "paid", "sold", "splits")
"""What is noted per tick and category, besides a `loss_…` for each loss; see `Tally`."""
_MAY_BE_NAN, _MAY_BE_INFINITE = "ended", "budget_left"


class LedgerShape(NamedTuple):
    """The axes of a ledger.

    Attributes:
        ticks: Per day.
        campaigns: Names, in the order of their table.
        categories: Names, in the order of the market's.
        losses: Names of the user losses.
    """

    ticks: int
    campaigns: tuple[str, ...]
    categories: tuple[str, ...]
    losses: tuple[str, ...]


@dataclass(frozen=True)
class DayLedger:
    """One day of a ledger.

    Attributes:
        news: Sums of the day: rule, revenue, arrivals, losses, replies with anything sold, traffic.
        campaigns: Each of `CAMPAIGN_COLUMNS`: (tick, campaign); `present` is true or false, the others float64.
        categories: Each of `CATEGORY_COLUMNS`, and `loss_NAME` of each loss: (tick, category), float64.
        state: From which the next day begins.
        commit: Of the code that computed it; None: it is not known.
    """

    news: DayNews
    campaigns: Mapping[str, NDArray[Any]]
    categories: Mapping[str, NDArray[np.float64]]
    state: MarketState
    commit: str | None = None


def day_ledger(record: DayRecord, shape: LedgerShape, commit: str | None = None) -> DayLedger:
    """Return the ledger of a day that was simulated."""
    ticks = record.ticks
    campaigns = {
        "multiplier": np.stack([tick.orders.multiplier for tick in ticks]),
        "participation": np.stack([tick.orders.participation for tick in ticks]),
        "present": np.stack([tick.present for tick in ticks]),
        "budget_left": np.stack([tick.budget_left for tick in ticks]),
        **{name: np.stack([getattr(tick.won, name) for tick in ticks]) for name in record.ticks[0].won._fields},
    }
    tallies = [[tick.tallies[name] for name in shape.categories] for tick in ticks]
    categories = {
        **{name: _table(tallies, name) for name in CATEGORY_COLUMNS},
        **{
            f"loss_{loss}": np.array([[tally.losses[loss] for tally in row] for row in tallies])
            for loss in shape.losses
        },
    }
    ordered = {name: campaigns[name] for name in CAMPAIGN_COLUMNS}
    return DayLedger(record.news, ordered, categories, record.state, commit)


def _table(tallies: Sequence[Sequence[Any]], name: str) -> NDArray[np.float64]:
    return np.array([[getattr(tally, name) for tally in row] for row in tallies], dtype=np.float64)


def check_size(shape: LedgerShape) -> None:
    """Refuse a market whose days would not fit into a file that is read again.

    Raises:
        ValueError: Ticks × campaigns are too many; says how many there may be.
    """
    row = 8 * len(CAMPAIGN_COLUMNS)
    most = MOST_STORED_BYTES // (2 * row)  # the other half for what controllers remember
    if shape.ticks * len(shape.campaigns) > most:
        raise InputError(
            f"a day of {shape.ticks} ticks and {len(shape.campaigns)} campaigns is too large for a file: "
            f"{most} rows of a tick and a campaign are kept per day"
        )


def write_day(path: str | os.PathLike[str], ledger: DayLedger, shape: LedgerShape, plan: str) -> None:
    """Write a day, whole or not at all.

    Args:
        path: The file.
        ledger: The day.
        shape: Its axes, which the file names.
        plan: Digest of all that decides the numbers.
    """
    arrays = {f"campaigns.{name}": column for name, column in ledger.campaigns.items()}
    arrays |= {f"categories.{name}": column for name, column in ledger.categories.items()}
    actors = {"controllers": ledger.state.controllers, "actors": _others(ledger.state)}
    listed = []
    for kind, states in actors.items():
        listed += [[kind, name, list(state)] for name, state in states.items()]
        for k, state in enumerate(states.values()):
            arrays |= {f"state.{kind}.{k}.{j}": np.asarray(array) for j, array in enumerate(state.values())}
    record = {
        "plan": plan,
        "axes": shape._asdict(),
        "news": ledger.news._asdict(),
        "next_day": ledger.state.day,
        "state": listed,
        "commit": ledger.commit,
    }
    write_stored(path, Stored(record, {name: _tensor(name, array) for name, array in arrays.items()}), FORMAT, VERSION)


def _others(state: MarketState) -> dict[str, State]:
    return {"users": state.users, "platform": state.platform}


def _tensor(name: str, array: NDArray[Any]) -> torch.Tensor:
    if array.dtype.kind not in "bif":
        raise InputError(f"{name} must be numbers, or true and false, to be kept in a file, got {array.dtype}")
    return torch.from_numpy(np.array(array, order="C"))  # a copy, as others may not be written to


def read_day(path: str | os.PathLike[str], shape: LedgerShape, plan: str | None) -> DayLedger:
    """Read a day.

    Args:
        path: The file.
        shape: The axes that it must have.
        plan: What it must have been made under; None: whatever it was.
    Raises:
        FileNotFoundError: There is none.
        ValueError: It is damaged, of another plan, or of another shape; names the file.
    """
    stored = read_stored(path, FORMAT, VERSION)
    try:
        return _day_from(stored, shape, plan)
    except ValueError as error:
        raise DamagedFileError(f"{os.fspath(path)} is damaged ({error}): remove it and run again") from error


def read_axes(path: str | os.PathLike[str]) -> LedgerShape:
    """Return the axes that a day's file names.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is damaged; names the file.
    """
    stored = read_stored(path, FORMAT, VERSION)
    try:
        return _axes(stored)
    except ValueError as error:
        raise DamagedFileError(f"{os.fspath(path)} is damaged ({error}): remove it and run again") from error


def _axes(stored: Stored) -> LedgerShape:
    axes = stored.fields.record("axes")
    return LedgerShape(axes.whole("ticks", 1), *(axes.texts(name) for name in LedgerShape._fields[1:]))


def _day_from(stored: Stored, shape: LedgerShape, plan: str | None) -> DayLedger:
    record = stored.fields
    if plan is not None and record.text("plan") != plan:
        raise InputError("it is of another run")
    if _axes(stored) != shape:
        raise InputError("its ticks, campaigns, categories or losses are not the market's")
    news = record.record("news")
    losses = news.record("losses")
    day = DayNews(
        news.whole("day"),
        news.text("rule"),
        news.number("revenue"),
        news.number("arrivals"),
        {name: losses.number(name) for name in shape.losses},
        news.number("sold"),
        news.number("traffic"),
        news.number("returning"),
    )
    rows, cells = (shape.ticks, len(shape.campaigns)), (shape.ticks, len(shape.categories))
    columns = (*CATEGORY_COLUMNS, *(f"loss_{name}" for name in shape.losses))
    return DayLedger(
        day,
        {name: _column(stored, f"campaigns.{name}", rows) for name in CAMPAIGN_COLUMNS},
        {name: _column(stored, f"categories.{name}", cells) for name in columns},
        _state_from(stored, record, day.day + 1),
        record.text_or_none("commit"),
    )


def _column(stored: Stored, name: str, shape: tuple[int, int]) -> NDArray[Any]:
    """Return a column of the ledger, if it is of its kind and shape."""
    short = name.rpartition(".")[2]
    kind = torch.bool if short == "present" else torch.float64
    array = stored.arrays.get(name)
    if array is None or array.dtype != kind or tuple(array.shape) != shape:
        got = "none" if array is None else f"{array.dtype} {tuple(array.shape)}"
        raise InputError(f"{name} must be {kind} of shape {shape}, got {got}")
    fits = array.isnan() | array.isfinite() if short == _MAY_BE_NAN else array.isfinite()
    if short == _MAY_BE_INFINITE:
        fits = fits | (array == torch.inf)
    if not bool(fits.all()):
        raise InputError(f"{name} holds a number that it may not")
    column: NDArray[Any] = array.numpy()
    return column


def _state_from(stored: Stored, record: Record, next_day: int) -> MarketState:
    if record.whole("next_day") != next_day:
        raise InputError(f"the day after it must be {next_day}, got {record.whole('next_day')}")
    kinds: dict[str, dict[str, State]] = {"controllers": {}, "actors": {}}
    for line in record.items("state"):
        fits = isinstance(line, list) and len(line) == 3 and isinstance(line[1], str) and isinstance(line[2], list)
        if not fits or line[0] not in ("controllers", "actors"):
            raise InputError("its state must list kinds, names and arrays")
        own = kinds[line[0]]
        names = [f"state.{line[0]}.{len(own)}.{j}" for j in range(len(line[2]))]
        missing = [name for name in names if name not in stored.arrays]
        if missing or not all(isinstance(key, str) for key in line[2]):
            raise InputError(f"it lacks the array {missing[0] if missing else 'of a name that is no text'!r}")
        own[line[1]] = {key: stored.arrays[name].numpy() for key, name in zip(line[2], names, strict=True)}
    if set(kinds["actors"]) != {"users", "platform"}:
        raise InputError("its state must be of controllers, users and platform")
    return MarketState(next_day, kinds["controllers"], kinds["actors"]["users"], kinds["actors"]["platform"])
