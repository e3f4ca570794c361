"""The reference corpus: every environment that needs no language model, every learner, every seed, scored alike.

auctionsim bidders corpus
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from auctionsim import __version__
from auctionsim.errors import InputError
from auctionsim.experiments.figures.bidders_corpus import draw_exploitability
from auctionsim.experiments.learners import learner_named, learners
from auctionsim.experiments.running.corpus_cell import COLUMNS, KEY
from auctionsim.experiments.running.corpus_cells import CorpusPlan, corpus_cells, corpus_environments, planned
from auctionsim.experiments.running.corpus_score import CorpusScoring
from auctionsim.experiments.running.croissant import FILE, DataSet, TableField, TableFile, write_croissant
from auctionsim.experiments.running.preparation import Stages
from auctionsim.experiments.running.recipes import FanOut
from auctionsim.experiments.running.run import Row, Run, Section, write_table
from auctionsim.experiments.running.run_folder import SECTION
from auctionsim.experiments.tables.bidders_corpus import TOLERANCE, corpus_section, headlines, summary_rows
from auctionsim.kept import key_digest

NAME = "bidders-corpus"
SHOWS = "a reference corpus: learners in every auction, who finds the equilibrium and who loses what"
SEEDS = (0, 1, 2, 3, 4)
TABLE, SUMMARY = "corpus", "summary"
FIGURES = {
    "exploitability.png": "Exploitability as a share of what a bidder's exposure is worth where all tell the truth, "
    "with 95 % intervals over seeds; below the dotted line an equilibrium counts as found. Pacing: regret at equal "
    "spend."
}


@dataclass(frozen=True)
class BiddersCorpusSettings:
    """What the corpus holds.

    Attributes:
        folder: Run folder; cells are kept in it.
        environments: Gymnasium ids; none named: all that need no language model.
        learners: By name; none named: all that are registered.
        seeds: One repetition each.
        effort: Share of its own number of updates that each learner makes.
        scoring: How much is computed for a cell.
    """

    folder: Path
    environments: tuple[str, ...] = ()
    learners: tuple[str, ...] = ()
    seeds: tuple[int, ...] = SEEDS
    effort: float = 1.0
    scoring: CorpusScoring = field(default_factory=CorpusScoring)

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise InputError(f"seeds must be one or more different numbers, got {self.seeds}")
        if not 0 < self.effort <= 1:
            raise InputError(f"effort is a share of the learners' updates, above 0 and at most 1, got {self.effort}")

    @property
    def plans(self) -> list[CorpusPlan]:
        """The cells.

        Raises:
            ValueError: An environment or a learner that there is not.
        """
        environments = self.environments or tuple(corpus_environments())
        names = self.learners or tuple(learners())
        return planned(environments, names, self.seeds, self.effort, self.scoring)


class BiddersCorpus(NamedTuple):
    """The corpus.

    Attributes:
        rows: One a bidder, see `corpus_cell.COLUMNS`.
        summary: One an environment and learner.
        section: Of the results.
        headlines: A sentence a learner.
    """

    rows: tuple[Row, ...]
    summary: tuple[Row, ...]
    section: Section
    headlines: tuple[str, ...]


def inputs_of(settings: BiddersCorpusSettings) -> dict[str, str]:
    """Return a digest of all that the cells depend on."""
    return {"cells": key_digest({"cells": [one.task.digest for one in settings.plans]})}


def main(
    settings: BiddersCorpusSettings, command: str, console: Console, fan_out: FanOut | None = None
) -> BiddersCorpus:
    """Make the cells that are not there, and write the corpus, its metadata, a summary, a figure and a section.

    Args:
        settings: What the corpus holds.
        command: What the user typed, for run.json.
        console: Told how far it is.
        fan_out: Who makes cells; None: this process.
    Raises:
        ValueError: A name that is unknown, a learner that cannot learn somewhere, or a damaged file.
        RuntimeError: Workers died again and again over one cell.
    """
    plans, folder = settings.plans, settings.folder
    run = Run(folder, settings, inputs_of(settings))
    run.begin(command)
    place = folder / "parts" / "cells"
    workers = None if fan_out is None else fan_out.crew("smollm2", None)
    with Stages(console) as stages, stages.measuring("cells", place) as report:
        cells = corpus_cells(place, plans, workers, report)
    rows = [row for cell in cells for row in cell.rows]
    summary = summary_rows(rows)
    known = {row["learner"]: learner_named(row["learner"]) for row in summary}
    draw_exploitability(summary, known, TOLERANCE, folder / "exploitability.png")
    section = corpus_section(summary, known, _manner(settings, rows), FIGURES)
    write_table(folder / f"{TABLE}.parquet", rows)  # before the metadata, which names its digest
    write_croissant(folder, _data_set(command))
    files = [FILE, f"{TABLE}.parquet", f"{TABLE}.csv"]
    run.finish({SUMMARY: summary}, section, command=command, console=console, files=files)
    return BiddersCorpus(tuple(rows), tuple(summary), section, tuple(headlines(summary, known)))


def _manner(settings: BiddersCorpusSettings, rows: list[Row]) -> Mapping[str, str]:
    scoring = settings.scoring
    seconds = sum(row["seconds"] for row in rows if row["bidder"] == 0)
    return {
        "seeds": ", ".join(map(str, settings.seeds)),
        "effort": f"{settings.effort:g} of each learner's updates",
        "scored": f"{scoring.draws} auctions, regret on {scoring.regret_draws} per context",
        "processor minutes of learning": f"{seconds / 60:.1f}",
    }


def _data_set(command: str) -> DataSet:
    columns = {name: TableField(one.kind, one.meaning) for name, one in COLUMNS.items()}
    table = TableFile(f"{TABLE}.parquet", "One row for each environment, learner, seed and bidder.", columns, KEY)
    return DataSet(
        name="auctionsim-bidders-corpus",
        description=f"Bidders that learned in single auctions, and what their bids are worth; made by `{command}`.",
        version=__version__,
        published=date.today().isoformat(),  # a day, where it is made
        license="https://spdx.org/licenses/Apache-2.0.html",
        url=SECTION,  # beside the metadata
        creator="The auctionsim maintainers",
        cite_as="The auctionsim maintainers, auctionsim, "
        f"version {__version__}: a reference corpus of learning bidders.",
        files=(table,),
    )
