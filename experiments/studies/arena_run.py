"""The board: every mechanism on one carrier and published systems on theirs, on one exposure, with one regret.

auctionsim arena run
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from auctionsim.carriers.registry import carrier_entry, carrier_names
from auctionsim.errors import InputError
from auctionsim.experiments.entries import SystemEntry, refusal, system, systems
from auctionsim.experiments.figures.board import draw_objectives, draw_trade_offs
from auctionsim.experiments.running.board_cell import MECHANISMS, SYSTEMS, BoardCell, Price, RowName
from auctionsim.experiments.running.board_cells import BoardPlan, board_cells, list_of, planned, stored_board_cells
from auctionsim.experiments.running.board_range import prompt_values, view_of
from auctionsim.experiments.running.board_rows import (
    REPLY_KL,
    SAME_HERE,
    TRAINED_FOR_MINUTES,
    carrier_rows,
    mechanism_rows,
    system_rows,
)
from auctionsim.experiments.running.board_score import BoardSettings
from auctionsim.experiments.running.carrier_cell import CarrierCell
from auctionsim.experiments.running.carrier_sources import CarrierSource, carrier_source
from auctionsim.experiments.running.measured import subsets_named
from auctionsim.experiments.running.preparation import Stages
from auctionsim.experiments.running.recipes import FanOut
from auctionsim.experiments.running.run import Row, Run
from auctionsim.experiments.running.run_folder import run_record
from auctionsim.experiments.tables.board_ranks import AFTER
from auctionsim.experiments.tables.board_section import TITLES, board_section
from auctionsim.experiments.tables.board_tables import BoardNames, BoardTables, board_tables
from auctionsim.files import write_text
from auctionsim.kept import key_digest
from auctionsim.mechanisms.table import entry, table
from auctionsim.records import Record, json_in
from auctionsim.substrates import Randomised

FIGURES = {
    "trade_offs.png": "Revenue on B over the reply_kl that replies pay there, along the user weights 0 to .25 that "
    "each row was designed at: to the right the user weighs less.",
    "objectives.png": "Objectives on B at λ = .1 per unit of reply_kl, all categories together, with 95 % intervals; "
    "ranks in brackets.",
}
NAME = "arena-run"
SHOWS = "published ad mechanisms on one model, one exposure and one regret evaluator: what they bring, whose claim held"
PLAN_FILE = "board.json"
"""Names of the files of the cells that a run has, so that they are shown before all of them are there."""
MAIN = Price("reply_kl", 0.1)
SHOWN = (MAIN, Price("quality", 1.0))
"""Prices at which every column is on the page; the first one orders rows in headlines."""
_FORMAT = "auctionsim plan of the board"


@dataclass(frozen=True)
class ArenaRunSettings:
    """What is on the board.

    Attributes:
        folder: Run folder; cells are kept in it.
        lists: Measured lists of carriers: packaged names, or files.
        carrier: Carrier on which every mechanism is run.
        categories: In which; none named: all that lists were measured in.
        systems: Published systems by name; none named: all that have a measured carrier.
        caps: On reply_kl, nats per reply, at which revenue is compared.
        scoring: How much is computed for a cell.
    """

    folder: Path
    lists: tuple[str, ...]
    carrier: str = "neurons"
    categories: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    caps: tuple[float, ...] = (0.5, 1.0, 2.0)
    scoring: BoardSettings = field(default_factory=BoardSettings)

    def __post_init__(self) -> None:
        if not self.lists:
            raise InputError("one measured list of a carrier at least is needed, got none")
        if not self.caps or min(self.caps) < 0:
            raise InputError(f"caps must be one or more numbers >= 0, got {self.caps}")


class ArenaRun(NamedTuple):
    """The board as it is made or shown.

    Attributes:
        cells: That are there.
        wanted: How many the board has.
        tables: Made of the cells that are there.
        gaps: What has no row, a sentence each; where the board is shown only, what has no label and no verdict.
        command: That makes it.
    """

    cells: list[BoardCell]
    wanted: int
    tables: BoardTables
    gaps: list[str]
    command: str


class Board(NamedTuple):
    """What is to be computed.

    Attributes:
        plans: Of cells.
        systems: By name, those with a row.
        gaps: What has no row, a sentence each.
    """

    plans: list[BoardPlan]
    systems: dict[str, SystemEntry]
    gaps: list[str]


def board_of(settings: ArenaRunSettings) -> Board:
    """Return the cells of a board, and what has none.

    Raises:
        ValueError: A list that is none of a carrier's, two of one carrier and category, a name that is unknown, or a
            system that is named and whose carrier was measured nowhere.
    """
    lists = _lists_of(settings)
    categories = list(dict.fromkeys(category for _, category in lists))
    unknown = [name for name in settings.categories if name not in categories]
    if unknown:
        raise InputError(f"category must be one of {', '.join(categories)}, got {unknown[0]!r}")
    chosen = list(settings.categories) or categories
    measured = {one: [name for name in chosen if (one, name) in lists] for one in dict.fromkeys(c for c, _ in lists)}
    on_board = {one: some for one, some in measured.items() if some}
    if settings.carrier not in on_board:
        raise InputError(f"carrier must be one of {', '.join(on_board)}, got {settings.carrier!r}")
    lists = {key: one for key, one in lists.items() if key[1] in chosen}
    shown, gaps = _with_a_row(settings, lists)
    first = list_of(lists[settings.carrier, on_board[settings.carrier][0]])
    rows = [*system_rows(shown), *mechanism_rows(settings.carrier, first), *carrier_rows(list(on_board))]
    plans = _plans(rows, lists, on_board, settings.scoring)
    return Board(plans, shown, [*gaps, *_refused(first), *_missing(rows, on_board, chosen)])


def _with_a_row(
    settings: ArenaRunSettings, lists: Mapping[tuple[str, str], CarrierSource]
) -> tuple[dict[str, SystemEntry], list[str]]:
    """Return the systems that can run on the lists at hand, and why others cannot, a sentence.

    Raises:
        ValueError: A system that is named and cannot, or is unknown.
    """
    named = {name: system(name) for name in settings.systems} if settings.systems else systems()
    reasons = {name: _reason(one, lists) for name, one in named.items()}
    why = {name: reason for name, reason in reasons.items() if reason is not None}
    if why and settings.systems:
        raise InputError(next(iter(why.values())))
    gaps = [f"Systems without a row, and why: {'; '.join(why.values())}."] if why else []
    return {name: one for name, one in named.items() if name not in why}, gaps


def _reason(one: SystemEntry, lists: Mapping[tuple[str, str], CarrierSource]) -> str | None:
    """Return why a system has no row, None where it has one."""
    if one.mechanism not in table():
        return f"{one.name} needs the mechanism {one.mechanism}, and there is none"
    reason = refusal(one)
    if reason is not None:
        return reason
    own = next((source for (carrier, _), source in lists.items() if carrier == one.carrier), None)
    if own is None:
        return f"{one.name} needs a measured list of {one.carrier}, and there is none"
    reason = entry(one.mechanism).refusal(_view(list_of(own)))
    return None if reason is None else f"{one.name}: {reason.partition(', got ')[0]}"


def _view(cell: CarrierCell) -> Randomised:
    return view_of(cell, prompt_values(cell, "A", REPLY_KL[0]), REPLY_KL[0])


def _lists_of(settings: ArenaRunSettings) -> dict[tuple[str, str], CarrierSource]:
    found: dict[tuple[str, str], CarrierSource] = {}
    for name in settings.lists:
        source = carrier_source(name)
        if not source.measured.is_file():
            raise InputError(f"{source.name}: there is no {source.measured}")
        record = Record(subsets_named(str(source.measured)).provenance, f"{source.name}'s provenance")
        if "carrier" not in record:
            raise InputError(f"{source.name} is no list of a carrier: `auctionsim arena measure` makes them")
        key = (record.record("carrier").text("name"), record.text("category"))
        if key in found:
            raise InputError(f"two lists are of the carrier {key[0]} in {key[1]}: name one of them")
        found[key] = source
    return found


def _plans(
    rows: Sequence[RowName],
    lists: Mapping[tuple[str, str], CarrierSource],
    measured: Mapping[str, list[str]],
    scoring: BoardSettings,
) -> list[BoardPlan]:
    """Return the cells of all rows, each in the categories that its carrier was measured in."""
    by_categories: dict[tuple[str, ...], list[RowName]] = {}
    for row in rows:
        by_categories.setdefault(tuple(measured[row.carrier]), []).append(row)
    return [one for names, some in by_categories.items() for one in planned(some, lists, names, scoring)]


def _refused(cell: CarrierCell) -> list[str]:
    """Return why mechanisms of the table have no row."""
    view = _view(cell)
    why = [reason for reason in (one.refusal(view) for one in table().values()) if reason is not None]
    short = [reason.partition(", got ")[0] for reason in why]
    short += [f"{name} is another mechanism's double under the board's prior" for name in SAME_HERE]
    short += [f"{name} is a network that is trained for minutes at each price" for name in TRAINED_FOR_MINUTES]
    return [f"Mechanisms of the library that have no row, and why: {'; '.join(short)}."]


def _missing(rows: Sequence[RowName], measured: Mapping[str, list[str]], chosen: Sequence[str]) -> list[str]:
    """Return which rows lack a category because no list was measured there."""
    gaps = {one: [name for name in chosen if name not in some] for one, some in measured.items()}
    partly = [f"{row.name} in {', '.join(gaps[row.carrier])}" for row in rows if gaps[row.carrier]]
    words = "Not measured, and so not in the rows of all categories together"
    return [f"{words}: {'; '.join(partly)}."] if partly else []


def inputs_of(board: Board) -> dict[str, str]:
    """Return digests of all that the cells depend on, and of what is said of systems."""
    texts = {name: asdict(one) for name, one in board.systems.items()}
    cells = [one.task.digest for one in board.plans]
    return {"cells": key_digest({"cells": cells}), "systems": key_digest({"systems": texts})}


def main(settings: ArenaRunSettings, command: str, console: Console, fan_out: FanOut | None = None) -> ArenaRun:
    """Make the cells that are not there, rank, judge, draw, and write tables and section.

    Args:
        settings: What is on the board.
        command: What the user typed, for run.json.
        console: Told how far it is.
        fan_out: Who makes cells; None: this process.
    Raises:
        ValueError: A list, a name or a file that is damaged, unknown or refused.
        RuntimeError: Workers died again and again over one cell.
    """
    board = board_of(settings)
    run = Run(settings.folder, settings, inputs_of(board))
    run.begin(command)
    files = [one.task.file_name for one in board.plans]
    write_text(settings.folder / PLAN_FILE, json.dumps({"format": _FORMAT, "version": 1, "cells": files}))
    place = settings.folder / "parts" / "cells"
    workers = None if fan_out is None else fan_out.crew("smollm2", None)
    with Stages(console) as stages, stages.measuring("cells", place) as report:
        cells = board_cells(place, board.plans, workers, report)
    names = names_of(board.systems)
    tables = board_tables(cells, names, settings.caps, MAIN.user_weight)
    _draw(tables, settings.folder)
    section = board_section(cells, tables, names, SHOWN, board.gaps, FIGURES)
    run.finish(_written(tables), section, command=command, console=console, files=[PLAN_FILE])
    return ArenaRun(cells, len(board.plans), tables, board.gaps, command)


def _written(tables: BoardTables) -> dict[str, list[Row]]:
    """Return tidy rows by table, empty ones left out."""
    rows = {**tables._asdict(), "verdicts": [one._asdict() for one in tables.verdicts]}
    return {name: some for name, some in rows.items() if some}


def shown(folder: Path, caps: Sequence[float] = ArenaRunSettings.caps) -> ArenaRun:
    """Return the board of a run, finished or not, from the cells that are there; nothing is computed for one.

    Raises:
        ValueError: There is no run of the board in the folder, no cell yet, or a file is damaged.
    """
    path = folder / PLAN_FILE
    made = run_record(folder)
    if not made or not path.is_file():
        raise InputError(f"{folder} holds no board: `auctionsim arena run --out {folder}` makes one")
    record = Record(json_in(path), f"{path}:")
    if record.text("format") != _FORMAT:
        raise InputError(f"{path} is no plan of the board")
    files = record.texts("cells")
    cells = stored_board_cells(folder / "parts" / "cells", files)
    if not cells:
        raise InputError(f"{folder} holds no cell yet of the {len(files)} of its board: the same command goes on")
    known = systems()
    tables = board_tables(cells, names_of(known), caps, MAIN.user_weight)
    command = Record(made, f"{folder / 'run.json'}:").text("command")
    return ArenaRun(cells, len(files), tables, _unregistered(cells, known), command)


def _unregistered(cells: Sequence[BoardCell], known: Mapping[str, SystemEntry]) -> list[str]:
    """Return which systems of a board are in no file that was run."""
    names = list(dict.fromkeys(cell.row.name for cell in cells if cell.row.table == SYSTEMS))
    absent = [name for name in names if name not in known]
    words = "Without a label and a verdict, for no file that was run registers them (`--entry` names one)"
    return [f"{words}: {', '.join(absent)}."] if absent else []


def names_of(known: Mapping[str, SystemEntry]) -> BoardNames:
    """Return what rows are called, from the tables that they are registered in."""
    return BoardNames(known, table(), {name: carrier_entry(name) for name in carrier_names()})


def _draw(tables: BoardTables, folder: Path) -> None:
    blocks: Mapping[str, Any] = {TITLES[SYSTEMS]: tables.systems, TITLES[MECHANISMS]: tables.mechanisms}
    draw_trade_offs(blocks, folder / "trade_offs.png")
    draw_objectives(
        tables.ranks, {one: TITLES[one] for one in (SYSTEMS, AFTER, MECHANISMS)}, MAIN, folder / "objectives.png"
    )
