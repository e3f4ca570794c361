"""Cells of the table of carriers in a folder: each stored whole, signed, under all that it depends on.

A cell is one carrier in one category. Whoever is stopped, by whatever means, goes on with the cells that have no file;
a cell whose list, replies, values or readings are others now has another name, and is made anew. This process alone
writes.
"""

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from auctionsim.errors import DamagedFileError
from auctionsim.experiments.running.carrier_cell import CarrierCell, cell_document, cell_from
from auctionsim.experiments.running.carrier_sources import CarrierSource, read_cell
from auctionsim.experiments.running.preparation import slug
from auctionsim.files import sweep, write_text
from auctionsim.kept import key_digest
from auctionsim.measurement import Progress, Report, Workers
from auctionsim.measurement.crew import Job, fan_out
from auctionsim.signed_json import read_signed_json, signed_json

_FORMAT, _VERSION = "auctionsim cell of the table of carriers", 1


class CellTask(NamedTuple):
    """A cell that is to be made.

    Attributes:
        source: Files that it is made from.
        digest: Of all that it depends on.
    """

    source: CarrierSource
    digest: str

    @property
    def file_name(self) -> str:
        """Where it is stored."""
        return f"{slug(self.source.name)}-{self.digest}.json"


class MadeCell(NamedTuple):
    """A cell as a worker hands it back: its task, and what its file says."""

    task: CellTask
    document: dict[str, Any]


def make_cell(task: CellTask) -> MadeCell:
    """Make one cell from its files."""
    return MadeCell(task, cell_document(read_cell(task.source)))


def _maker(model: None) -> Callable[[CellTask], MadeCell]:
    """Return what a worker makes cells with; no model is needed."""
    del model
    return make_cell


def carrier_cells(
    folder: Path, sources: Mapping[str, CarrierSource], workers: Workers | None = None, report: Report | None = None
) -> dict[str, CarrierCell]:
    """Return the cells of all lists, in order, making those that the folder does not hold.

    Args:
        folder: Where they are kept; made if it is not there.
        sources: Files by the list's name.
        workers: None makes them in this process.
        report: Told how far it is.
    Raises:
        ValueError: A file is damaged or missing, or a list is none of a carrier's.
        RuntimeError: Workers died again and again over one cell.
    """
    sweep(folder)
    keys = {name: source.key() for name, source in sources.items()}
    tasks = {name: CellTask(source, key_digest(keys[name])) for name, source in sources.items()}
    cells = {name: _read(folder / task.file_name, keys[name]) for name, task in tasks.items()}
    waiting = deque(task for name, task in tasks.items() if cells[name] is None)
    names = {task: name for name, task in tasks.items()}
    tell = report or (lambda _: None)
    tell(Progress(len(tasks) - len(waiting), len(tasks)))
    left = len(waiting)

    def store(made: MadeCell) -> None:
        key = keys[names[made.task]]
        document = {"format": _FORMAT, "version": _VERSION, "key": key, "cell": made.document}
        write_text(folder / made.task.file_name, signed_json(document))

    def note(made: MadeCell) -> None:
        nonlocal left
        name, left = names[made.task], left - 1
        cells[name] = _read(folder / made.task.file_name, keys[name])
        tell(Progress(len(tasks) - left, len(tasks)))

    if workers is None:
        while waiting:
            made = make_cell(waiting.popleft())
            store(made)
            note(made)
    else:
        fan_out(waiting, Job(_maker, None), workers, store, note)
    return {name: cell for name, cell in cells.items() if cell is not None}


def _read(path: Path, key: Mapping[str, Any]) -> CarrierCell | None:
    """Return a cell that is there, None where there is none."""
    if not path.exists():
        return None
    record = read_signed_json(path, _FORMAT, _VERSION, key)
    try:
        return cell_from(record.record("cell"))
    except ValueError as error:
        raise DamagedFileError(f"{path} is damaged ({error}): remove it and run again") from error
