"""Cells of the board in a folder: each stored whole, signed, under all that it depends on.

Whoever is stopped, by whatever means, goes on with the cells that have no file. A cell whose list, price, settings or
plug-in's mechanism is another now has another name, and is made anew. This process alone writes.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from auctionsim.errors import DamagedFileError, InputError
from auctionsim.experiments.running.board_cell import BoardCell, Price, RowName, board_cell_document, board_cell_from
from auctionsim.experiments.running.board_rows import prices_of
from auctionsim.experiments.running.board_score import BoardSettings, board_cell
from auctionsim.experiments.running.carrier_cell import CarrierCell
from auctionsim.experiments.running.carrier_sources import CarrierSource, read_cell
from auctionsim.experiments.running.preparation import slug
from auctionsim.files import sweep, write_text
from auctionsim.kept import key_digest
from auctionsim.measurement import Progress, Report, Workers
from auctionsim.measurement.crew import Job, fan_out
from auctionsim.mechanisms.table import entry, made_by
from auctionsim.records import json_in
from auctionsim.signed_json import read_signed_json, signed_json, signed_record

_FORMAT, _VERSION = "auctionsim cell of the board", 1
_SCORING = 2
"""It changes when what the same settings compute does; 1: scored on the profiles that settings had been tried on."""


class BoardTask(NamedTuple):
    """A cell that is to be made.

    Attributes:
        row: Of the board.
        source: Files of the carrier's list.
        price: Of the user's loss.
        settings: How much is computed.
        digest: Of all that it depends on.
    """

    row: RowName
    source: CarrierSource
    price: Price
    settings: BoardSettings
    digest: str

    @property
    def file_name(self) -> str:
        """Where it is stored."""
        return f"{slug(self.row.table, self.row.name)}-{self.digest}.json"


class MadeBoardCell(NamedTuple):
    """A cell as a worker hands it back: its task, and what its file says."""

    task: BoardTask
    document: dict[str, Any]


class BoardPlan(NamedTuple):
    """A cell that is to be made, and all that it depends on.

    Attributes:
        task: What a worker is given.
        key: What its file must have been made for.
    """

    task: BoardTask
    key: dict[str, Any]


def make_board_cell(task: BoardTask) -> MadeBoardCell:
    """Make one cell from a carrier's files.

    Raises:
        ValueError: It cannot be made; names the row.
    """
    cell = list_of(task.source)
    try:
        made = board_cell(task.row, entry(task.row.mechanism), cell, task.price, task.settings)
    except InputError as error:
        raise InputError(f"{task.row.name} on {cell.measured}: {error}") from error
    return MadeBoardCell(task, board_cell_document(made))


@lru_cache(maxsize=32)
def list_of(source: CarrierSource) -> CarrierCell:
    """Return a carrier's list, read once in a process."""
    return read_cell(source)


def _maker(model: None) -> Callable[[BoardTask], MadeBoardCell]:
    """Return what a worker makes cells with; no model is needed."""
    del model
    return make_board_cell


def planned(
    rows: Sequence[RowName],
    lists: Mapping[tuple[str, str], CarrierSource],
    categories: Sequence[str],
    settings: BoardSettings,
) -> list[BoardPlan]:
    """Return the cells of some rows, in order.

    Args:
        rows: Of the board.
        lists: Sources by (carrier, category).
        categories: In which rows are scored.
        settings: How much is computed.
    Raises:
        ValueError: A row's carrier was not measured in a category, or there is no such mechanism.
    """
    keys = {pair: source.key() for pair, source in lists.items()}
    found = []
    for row in rows:
        made = made_by(row.mechanism)
        for category in categories:
            if (row.carrier, category) not in lists:
                raise InputError(f"{row.name} needs a measured list of {row.carrier} for {category}, and there is none")
            for price in prices_of(row):
                key = {
                    "row": row._asdict(),
                    "list": keys[row.carrier, category],
                    "price": price._asdict(),
                    "settings": settings._asdict(),
                    "scoring": _SCORING,
                    **({"plugin": made} if made else {}),
                }
                task = BoardTask(row, lists[row.carrier, category], price, settings, key_digest(key))
                found.append(BoardPlan(task, key))
    return found


def board_cells(
    folder: Path, plans: Sequence[BoardPlan], workers: Workers | None = None, report: Report | None = None
) -> list[BoardCell]:
    """Return cells in order, making those that the folder does not hold.

    Args:
        folder: Where they are kept; made if it is not there.
        plans: Of `planned`.
        workers: None makes them in this process.
        report: Told how far it is.
    Raises:
        ValueError: A file is damaged, or a list is none of a carrier's.
        RuntimeError: Workers died again and again over one cell.
    """
    sweep(folder)
    keys = {one.task: one.key for one in plans}
    cells = {task: _read(folder / task.file_name, key) for task, key in keys.items()}
    waiting = deque(task for task, cell in cells.items() if cell is None)
    tell = report or (lambda _: None)
    tell(Progress(len(keys) - len(waiting), len(keys)))
    left = len(waiting)

    def store(made: MadeBoardCell) -> None:
        document = {"format": _FORMAT, "version": _VERSION, "key": keys[made.task], "cell": made.document}
        write_text(folder / made.task.file_name, signed_json(document))

    def note(made: MadeBoardCell) -> None:
        nonlocal left
        left -= 1
        cells[made.task] = _read(folder / made.task.file_name, keys[made.task])
        tell(Progress(len(keys) - left, len(keys)))

    if workers is None:
        while waiting:
            made = make_board_cell(waiting.popleft())
            store(made)
            note(made)
    else:
        fan_out(waiting, Job(_maker, None), workers, store, note)
    return [cell for cell in (cells[one.task] for one in plans) if cell is not None]


def kept_board_cells(folder: Path, plans: Sequence[BoardPlan]) -> list[BoardCell]:
    """Return those cells that a folder holds already, in order; nothing is computed."""
    cells = [_read(folder / one.task.file_name, one.key) for one in plans]
    return [cell for cell in cells if cell is not None]


def stored_board_cells(folder: Path, names: Sequence[str]) -> list[BoardCell]:
    """Return the cells that a folder holds under these names of files, in order; nothing is computed.

    Raises:
        ValueError: A file is damaged.
    """
    found = []
    for path in (folder / Path(name).name for name in names):
        if path.is_file():
            try:
                found.append(board_cell_from(signed_record(json_in(path), _FORMAT, _VERSION).record("cell")))
            except ValueError as error:
                raise DamagedFileError(f"{path} is damaged ({error}): remove it and run again") from error
    return found


def _read(path: Path, key: Mapping[str, Any]) -> BoardCell | None:
    """Return a cell that is there, None where there is none."""
    if not path.exists():
        return None
    record = read_signed_json(path, _FORMAT, _VERSION, key)
    try:
        return board_cell_from(record.record("cell"))
    except ValueError as error:
        raise DamagedFileError(f"{path} is damaged ({error}): remove it and run again") from error
