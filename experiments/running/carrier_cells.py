"""Cells of the table of carriers in a folder: one carrier in one category each.

A cell whose list, replies, values or readings are others now is made anew (`kept_cells`).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from auctionsim.experiments.running.carrier_cell import CarrierCell, cell_document, cell_from
from auctionsim.experiments.running.carrier_sources import CarrierSource, read_cell
from auctionsim.experiments.running.kept_cells import CellForm, MadeCell, kept_cells
from auctionsim.experiments.running.preparation import slug
from auctionsim.kept import key_digest
from auctionsim.measurement import Report, Workers
from auctionsim.measurement.crew import Job

FORM = CellForm("auctionsim cell of the table of carriers", 1, cell_from)


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
    keys = {name: source.key() for name, source in sources.items()}
    tasks = {name: CellTask(source, key_digest(keys[name])) for name, source in sources.items()}
    by_task = {task: keys[name] for name, task in tasks.items()}
    cells = kept_cells(folder, by_task, FORM, make_cell, Job(_maker, None), workers, report)
    return {name: cells[task] for name, task in tasks.items()}
