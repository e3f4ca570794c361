"""Cells of the board in a folder: which there are, and how one is made.

A cell whose list, price, settings or plug-in's mechanism is another now is made anew (`kept_cells`).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from auctionsim.errors import InputError
from auctionsim.experiments.running.board_cell import BoardCell, Price, RowName, board_cell_document, board_cell_from
from auctionsim.experiments.running.board_rows import prices_of
from auctionsim.experiments.running.board_score import BoardSettings, board_cell
from auctionsim.experiments.running.carrier_cell import CarrierCell
from auctionsim.experiments.running.carrier_sources import CarrierSource, read_cell
from auctionsim.experiments.running.kept_cells import CellForm, MadeCell, kept_cells
from auctionsim.experiments.running.preparation import slug
from auctionsim.kept import key_digest
from auctionsim.measurement import Report, Workers
from auctionsim.measurement.crew import Job
from auctionsim.mechanisms.table import entry, made_by

FORM = CellForm("auctionsim cell of the board", 1, board_cell_from)
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


class BoardPlan(NamedTuple):
    """A cell that is to be made, and all that it depends on.

    Attributes:
        task: What a worker is given.
        key: What its file must have been made for.
    """

    task: BoardTask
    key: dict[str, Any]


def make_board_cell(task: BoardTask) -> MadeCell:
    """Make one cell from a carrier's files.

    Raises:
        ValueError: It cannot be made; names the row.
    """
    cell = list_of(task.source)
    try:
        made = board_cell(task.row, entry(task.row.mechanism), cell, task.price, task.settings)
    except InputError as error:
        raise InputError(f"{task.row.name} on {cell.measured}: {error}") from error
    return MadeCell(task, board_cell_document(made))


@lru_cache(maxsize=32)
def list_of(source: CarrierSource) -> CarrierCell:
    """Return a carrier's list, read once in a process."""
    return read_cell(source)


def _maker(model: None) -> Callable[[BoardTask], MadeCell]:
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
    keys = {one.task: one.key for one in plans}
    return [*kept_cells(folder, keys, FORM, make_board_cell, Job(_maker, None), workers, report).values()]


def stored_board_cells(folder: Path, names: Sequence[str]) -> list[BoardCell]:
    """Return the cells that a folder holds under these names of files, in order; nothing is computed.

    Raises:
        ValueError: A file is damaged.
    """
    found = (FORM.read(folder / Path(name).name, None) for name in names)
    return [cell for cell in found if cell is not None]
