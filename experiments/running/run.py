"""What an experiment leaves behind: parts that a stopped run goes on from, tidy tables, figures, a section of prose."""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from auctionsim.errors import DamagedFileError, InputError
from auctionsim.experiments.running.plan import plan_of
from auctionsim.experiments.running.preparation import commit_or_none, slug
from auctionsim.experiments.running.run_folder import RECORD, SECTION, begin, finish, is_finished, run_record
from auctionsim.files import read_text_bounded, replacing, write_text
from auctionsim.kept import key_digest
from auctionsim.neurons.brand_neurons import package_versions
from auctionsim.records import Record, json_in, read_record
from auctionsim.tables import csv_text

Row = dict[str, Any]
MOST_SECTION_BYTES = 1 << 20
"""Of a section of prose that is read: 1 MiB."""


CLAIMS = (
    "orthogonality",
    "strategy-proofness of the menu",
    "user-utility trade-off",
    "menu against VCG revenue",
)
"""The paper's claims that experiments judge, in the order in which results tell of them."""


class PaperClaim(NamedTuple):
    """One of the paper's claims, as far as an experiment speaks of it.

    Attributes:
        name: One of `CLAIMS`.
        verdict: "holds", "holds in part" or "does not hold", by a rule that the evidence names.
        evidence: The numbers, with intervals and the rule, a sentence or two of markdown.
    """

    name: str
    verdict: str
    evidence: str


class Section(NamedTuple):
    """What a reader should know, all of it computed from the tables.

    Attributes:
        title: A heading.
        text: Markdown: what was done, tables, what was found, negative results included.
        figures: File names of PNGs in the run folder, with captions.
        claims: What it says of the paper's claims.
    """

    title: str
    text: str
    figures: Mapping[str, str]
    claims: tuple[PaperClaim, ...] = ()


class Run:
    """A run folder: everything that decides the numbers has one digest, and parts are kept under it.

    Args:
        folder: Where all is kept; made if it is not there.
        settings: A frozen dataclass of what decides the numbers; a `folder` field among it does not.
        inputs: Digests of what is read, such as {"surface": surface.digest}.
    """

    def __init__(self, folder: Path, settings: Any, inputs: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.settings = {name: value for name, value in asdict(settings).items() if name != "folder"}
        self.inputs = dict(inputs or {})
        self.plan = plan_of(settings, self.inputs, package_versions())
        self.digest = self.plan.digest
        self.commits: set[str | None] = set()  # of the code that computed the parts
        self._began, self._before, self._begun = time.perf_counter(), 0.0, False

    @property
    def is_finished(self) -> bool:
        """Whether the folder holds this run, whole."""
        return is_finished(self.record, self.plan) and (self.folder / SECTION).is_file()

    @property
    def record(self) -> dict[str, Any]:
        """What run.json says; empty where there is none.

        Raises:
            ValueError: It is damaged.
        """
        return run_record(self.folder)

    @property
    def parts(self) -> Path:
        """Where this plan's parts are kept: under an earlier format's name where they began so."""
        places = [self.folder / "parts" / name for name in (self.plan.digest, *self.plan.earlier)]
        return next((place for place in places if place.is_dir()), places[0])

    def begin(self, command: str) -> None:
        """Say in run.json that this run has begun and is not finished, before anything in the folder is replaced."""
        begin(self.folder, self.plan, command, self.settings)
        self._begun = True

    def part(self, name: str, make: Callable[[], Sequence[Mapping[str, Any]]]) -> list[Row]:
        """Return the rows that an earlier run of the same plan kept under this name, else make and keep them.

        Raises:
            ValueError: The part's file is damaged.
        """
        path = self._part(name)
        was_there = path.exists()
        if not was_there:
            began = time.perf_counter()
            rows = json.loads(json.dumps([dict(row) for row in make()]))
            seconds = time.perf_counter() - began
            write_text(
                path,
                json.dumps({"seconds": seconds, "commit": commit_or_none(), "rows": rows, "digest": _digest(rows)}),
            )
        kept = _read_part(path)
        self._before += kept.seconds if was_there else 0.0
        self.commits.add(kept.commit)
        return kept.rows

    def kept_seconds(self, name: str) -> float | None:
        """Return how long a part took that is kept; None where there is none.

        Raises:
            ValueError: The part's file is damaged.
        """
        path = self._part(name)
        return _read_part(path).seconds if path.exists() else None

    def _part(self, name: str) -> Path:
        return self.parts / f"{slug(name)}-{key_digest({'part': name})[:8]}.json"  # 1e-6 and 1e+6 have one slug

    def finish(
        self,
        tables: Mapping[str, Sequence[Mapping[str, Any]]],
        section: Section,
        *,
        command: str,
        console: Console,
        files: Sequence[str] = (),
    ) -> None:
        """Write the tables as parquet and CSV, the section, and run.json last of all.

        Args:
            tables: Tidy rows by file name.
            section: Its figures are in the folder already.
            command: What reproduces the run.
            console: Told where it all is.
            files: Names of what else the run wrote into the folder.
        Raises:
            ValueError: A claim that is none of the paper's.
        """
        unknown = [claim.name for claim in section.claims if claim.name not in CLAIMS]
        if unknown:
            raise InputError(f"claims are {', '.join(CLAIMS)}, got {unknown[0]!r}")
        if not self._begun:
            self.begin(command)
        for name, rows in tables.items():
            write_table(self.folder / f"{name}.parquet", rows)
        write_text(self.folder / SECTION, section.text)
        written = [f"{name}.{kind}" for name in tables for kind in ("parquet", "csv")]
        others = sorted(str(commit) for commit in self.commits - {commit_or_none()})
        more = {
            "inputs": self.inputs,
            "settings": self.settings,
            **({"parts_of_commits": others} if others else {}),
            "seconds": round(self._before + time.perf_counter() - self._began, 1),
            "title": section.title,
            "figures": dict(section.figures),
            "claims": [claim._asdict() for claim in section.claims],
        }
        finish(self.folder, self.plan, command, [*written, SECTION, *section.figures, *files], more)
        console.print(f"{section.title}: {self.folder}", soft_wrap=True)


class _KeptPart(NamedTuple):
    """A kept part: its rows, how long they took, and the commit of the code that computed them."""

    rows: list[Row]
    seconds: float
    commit: str | None


def _digest(rows: Sequence[Row]) -> str:
    return key_digest({"rows": rows})


def _read_part(path: Path) -> _KeptPart:
    try:
        kept = Record(json_in(path, finite=False), "it")
        rows = [dict(row.content) for row in kept.records("rows")]
        if kept.text("digest") != _digest(rows):
            raise InputError("its rows are not those that were kept")
        return _KeptPart(rows, kept.number("seconds", 0), kept.text_or_none("commit"))
    except ValueError as error:
        raise DamagedFileError(f"{path} is damaged ({error}): remove it and run again to compute it anew") from None


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write tidy rows as parquet, and as CSV beside it."""
    import pandas as pd

    frame = pd.DataFrame([dict(row) for row in rows])
    with replacing(path) as draft:
        frame.to_parquet(draft)
    write_text(path.with_suffix(".csv"), csv_text(frame))


def kept_section(folder: Path) -> Section:
    """Read a finished run's section.

    Raises:
        FileNotFoundError: The run is not finished.
    """
    record = read_record(folder / RECORD, finite=False)
    claims = tuple(PaperClaim(*(claim.text(name) for name in PaperClaim._fields)) for claim in record.records("claims"))
    figures = record.record("figures")
    text = read_text_bounded(folder / SECTION, MOST_SECTION_BYTES)
    return Section(record.text("title"), text, {name: figures.text(name) for name in figures.content}, claims)


def markdown_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return rows of ready text as a markdown table; columns are the first row's, all but the first right-aligned.

    Example:
        >>> print(markdown_table([{"a": "x", "b": "1"}]))
        | a | b |
        | :-- | --: |
        | x | 1 |
    """
    if not rows:
        return "(no rows)"
    names = list(rows[0])
    lines = [names, [":--", *["--:"] * (len(names) - 1)], *([row[name] for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(_cell(text) for text in line)} |" for line in lines)


def _cell(text: str) -> str:
    """Return a text on one line, without signs that end a cell."""
    return " ".join(text.splitlines()).replace("|", "\\|")


def quoted(text: str) -> str:
    """Return a model's text on one line, every sign that markdown or HTML would take for its own escaped.

    Example:
        >>> quoted("Buy\\n*Nike*")
        'Buy \\\\*Nike\\\\*'
    """
    return re.sub(r"([\\`*_\[\]<>&~])", r"\\\1", " ".join(text.split()))


def with_error(mean: float, error: float | None, digits: int = 3) -> str:
    """Write a mean and its standard error, "0.123 ± 0.004"."""
    return f"{mean:.{digits}f}" if error is None else f"{mean:.{digits}f} ± {error:.{digits}f}"
