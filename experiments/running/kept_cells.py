"""Cells of a table in a folder: each stored whole, signed, under all that it depends on.

Whoever is stopped, by whatever means, goes on with the cells that have no file. What depends on something else now has
another name, and is made anew. This process alone writes.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from auctionsim.errors import DamagedFileError
from auctionsim.files import sweep, write_text
from auctionsim.measurement import Progress, Report, Workers
from auctionsim.measurement.crew import Job, fan_out
from auctionsim.records import Record, json_in
from auctionsim.signed_json import read_signed_json, signed_json, signed_record

_Cell = TypeVar("_Cell")
_Task = TypeVar("_Task")


class MadeCell(NamedTuple):
    """A cell as a worker hands it back: its task, and what its file says."""

    task: Any
    document: dict[str, Any]


@dataclass(frozen=True)
class CellForm(Generic[_Cell]):
    """The file form of a kind of cell.

    Attributes:
        name: The format's.
        version: The latest that is read.
        made: From what a file says to the cell.
    """

    name: str
    version: int
    made: Callable[[Record], _Cell]

    def write(self, path: Path, key: Mapping[str, Any], document: Mapping[str, Any]) -> None:
        """Store a cell, under its key, whole or not at all."""
        whole = {"format": self.name, "version": self.version, "key": key, "cell": document}
        write_text(path, signed_json(whole))

    def read(self, path: Path, key: Mapping[str, Any] | None) -> _Cell | None:
        """Return a cell that is there, None where there is none.

        Args:
            path: Its file.
            key: What it must have been made for; None: whatever it was made for.
        Raises:
            ValueError: It is damaged, of another format, or made for something else; names the file.
        """
        if not path.exists():
            return None
        record = None if key is None else read_signed_json(path, self.name, self.version, key)
        try:
            if record is None:
                record = signed_record(json_in(path), self.name, self.version)
            return self.made(record.record("cell"))
        except ValueError as error:
            raise DamagedFileError(f"{path} is damaged ({error}): remove it and run again") from error


def kept_cells(
    folder: Path,
    keys: Mapping[_Task, Mapping[str, Any]],
    form: CellForm[_Cell],
    make: Callable[[_Task], MadeCell],
    job: Job,
    workers: Workers | None = None,
    report: Report | None = None,
) -> dict[_Task, _Cell]:
    """Return the cells of all tasks, in order, making those that the folder does not hold.

    Args:
        folder: Where they are kept; made if it is not there.
        keys: What each cell depends on, by its task (`measurement.crew.Task`).
        form: Of their files.
        make: Makes one cell here.
        job: Makes one in a worker.
        workers: None makes them in this process.
        report: Told how far it is.
    Raises:
        ValueError: A file is damaged, or a cell cannot be made.
        RuntimeError: Workers died again and again over one cell.
    """
    sweep(folder)
    paths: dict[_Task, Path] = {task: folder / _file_name(task) for task in keys}
    cells = {task: form.read(paths[task], key) for task, key in keys.items()}
    waiting = deque(task for task, cell in cells.items() if cell is None)
    tell = report or (lambda _: None)
    tell(Progress(len(keys) - len(waiting), len(keys)))
    left = len(waiting)

    def store(made: MadeCell) -> None:
        form.write(paths[made.task], keys[made.task], made.document)

    def note(made: MadeCell) -> None:
        nonlocal left
        left -= 1
        cells[made.task] = form.read(paths[made.task], keys[made.task])
        tell(Progress(len(keys) - left, len(keys)))

    if workers is None:
        while waiting:
            made = make(waiting.popleft())
            store(made)
            note(made)
    else:
        fan_out(waiting, job, workers, store, note)
    return {task: cell for task, cell in cells.items() if cell is not None}


def _file_name(task: Any) -> str:
    name: str = task.file_name
    return name
