"""How any runs become one page: whatever a run folder holds of tables, figures and replies, and links to its files."""

import base64
import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from auctionsim.errors import InputError
from auctionsim.files import read_bounded, read_text_bounded, write_text
from auctionsim.records import Record, read_record
from auctionsim.report import wording
from auctionsim.report.figures import trade_off_figures
from auctionsim.report.heat_maps import Switch
from auctionsim.report.page import FigureGroup, template_tools
from auctionsim.report.run_records import (
    Card,
    Judged,
    brands_of,
    claims_of,
    is_own_file,
    is_unfinished,
    own_file,
    replies_of,
    settings_of,
    text_of,
    title_of,
)
from auctionsim.scoring.records import TradeOffPoint, titled
from auctionsim.substrates.protocol import ChargedLoss
from auctionsim.substrates.quantities import DEFAULT_LOSS, UNDECLARED
from auctionsim.tables import MOST_TABLE_BYTES, read_parquet

_log = logging.getLogger(__name__)

MOST_ROWS = 500  # of a table on the page; the file has them all
MOST_LETTERS = 1 << 22  # of such a table's texts together; longer ones are cut to their share of it
FEWEST_LETTERS = 40  # that are left of a text
MOST_TABLES = 100  # of a run
MOST_FILES = 1000  # that a page links to
MOST_PICTURE_BYTES = 1 << 26
"""Of a run's pictures together: 64 MiB."""
MOST_SECTION_BYTES = 1 << 18
"""Of what a run concludes: 256 KiB."""
PNG = b"\x89PNG\r\n\x1a\n"
LISTED = {".parquet", ".csv", ".json", ".png", ".html", ".safetensors"}


class Cell(NamedTuple):
    """What a table shows, and the number it sorts by; None: it sorts by the text."""

    text: str
    sort: float | str | None


class Column(NamedTuple):
    """A table's column."""

    name: str
    numeric: bool


class DataTable(NamedTuple):
    """A parquet file on the page."""

    name: str
    file: str
    link: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: int


class Picture(NamedTuple):
    """A PNG, inlined."""

    name: str
    source: str


class File(NamedTuple):
    """A link to the data."""

    name: str
    link: str


class RunPart(NamedTuple):
    """All that the page tells of one run."""

    name: str
    command: str
    commit: str
    section: str
    claims: tuple[Judged, ...]
    settings: Mapping[str, object]
    figure_group: FigureGroup | None
    pictures: tuple[Picture, ...]
    tables: tuple[DataTable, ...]
    replies: Mapping[str, tuple[Card, ...]]
    files: tuple[File, ...]
    brand_index: Mapping[str, int]
    highlighted: Callable[[str], str]
    unfinished: bool = False


def write_runs_report(folders: Sequence[str | os.PathLike[str]], path: str | os.PathLike[str]) -> Path:
    """Write one self-contained page about one or more run folders, whole or not at all, and return its path.

    Args:
        folders: Each holds a run.json; its parquet files, PNGs and replies are shown where it has them.
        path: The page; links to the data are relative to it.
    Raises:
        ValueError: No folder, or one that is no run.
        ImportError: jinja2, plotly or pandas is not installed.
    """
    if not folders:
        raise InputError("a report needs one or more run folders")
    out = Path(path)
    runs = [read_run(Path(folder), out.parent, f"run{number}") for number, folder in enumerate(folders)]
    environment, plotly_js = template_tools()
    groups = [run.figure_group for run in runs if run.figure_group is not None]
    drawn = {f.name: {"variants": f.variants, "layout": f.layout} for group in groups for f in group.figures}
    title = runs[0].name if len(runs) == 1 else "Runs of auctionsim"
    template = environment.get_template("runs.html")
    write_text(out, template.render(title=title, runs=runs, figures=drawn, plotly_js=plotly_js, brand_index={}))
    return out


def read_run(folder: Path, beside: Path, key: str) -> RunPart:
    """Read what a run folder holds.

    Args:
        folder: Of the run.
        beside: The folder that links are relative to.
        key: Names its figures apart from other runs'.
    Raises:
        ValueError: There is no run.json; or a file is damaged, too large, or a link out of the folder; names it.
    """
    path = folder / "run.json"
    if not path.is_file():
        raise InputError(f"{folder} is no run folder: it has no run.json")
    record = read_record(own_file(folder, path), finite=False)
    if is_unfinished(record):
        return _unfinished(folder, record)
    link = partial(_link, beside=beside)
    replies = replies_of(folder, record)
    brands = brands_of(record, replies)
    return RunPart(
        name=title_of(record) or folder.resolve().name,
        command=text_of(record, "command"),
        commit=text_of(record, "commit"),
        section=_section(folder),
        claims=claims_of(record),
        settings=settings_of(record),
        figure_group=_trade_off(folder, key),
        pictures=tuple(_pictures(folder)),
        tables=tuple(_table(own_file(folder, found), link(found)) for found in _tables(folder)),
        replies=replies,
        files=tuple(File(f.name, link(f)) for f in _listed(folder)),
        brand_index={brand.name: index for index, brand in enumerate(brands)},
        highlighted=partial(wording.highlighted, brands=brands),
    )


def _unfinished(folder: Path, record: Record) -> RunPart:
    """Return what is known of a run that began and did not end: nothing in its folder is taken for its results."""
    return RunPart(
        name=folder.resolve().name,
        command=text_of(record, "command"),
        commit=text_of(record, "commit"),
        section="",
        claims=(),
        settings=settings_of(record),
        figure_group=None,
        pictures=(),
        tables=(),
        replies={},
        files=(),
        brand_index={},
        highlighted=partial(wording.highlighted, brands=()),
        unfinished=True,
    )


def _section(folder: Path) -> str:
    """Return what the run concludes, written in markdown, as HTML in which nothing that it holds is markup of its own.

    Links and pictures are left out: the page asks for nothing.
    """
    path = folder / "section.md"
    if not path.is_file():
        return ""
    from markdown_it import MarkdownIt
    from markupsafe import Markup

    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "link", "autolink"])
    html = str(reader.render(read_text_bounded(own_file(folder, path), MOST_SECTION_BYTES)))
    return Markup(html.replace("<table>", '<div class="scroll"><table>').replace("</table>", "</table></div>"))


def _listed(folder: Path) -> list[Path]:
    """Return the files of data, those that lie in the folder itself."""
    data = [file for file in sorted(folder.iterdir()) if file.suffix in LISTED and file.is_file()]
    found = [file for file in data if is_own_file(folder, file)]
    for file in set(data) - set(found):
        _log.warning("%s is a link that leads out of its run folder: it is not shown", file)
    if len(found) > MOST_FILES:
        raise InputError(f"{folder}: has {len(found)} files of data; a page lists at most {MOST_FILES}")
    return found


def _link(path: Path, beside: Path) -> str:
    return quote(Path(os.path.relpath(os.path.realpath(path), os.path.realpath(beside))).as_posix())


def _pictures(folder: Path) -> Iterator[Picture]:
    left = MOST_PICTURE_BYTES
    for path in sorted(folder.glob("*.png")):
        content = read_bounded(own_file(folder, path), left)
        left -= len(content)
        if not content.startswith(PNG):
            raise InputError(f"{path}: is no PNG picture")
        coded = base64.b64encode(content).decode("ascii")
        yield Picture(path.stem.replace("_", " "), f"data:image/png;base64,{coded}")


def _tables(folder: Path) -> list[Path]:
    """Return the tables that the page shows: those larger than `MOST_TABLE_BYTES` are linked alone."""
    every = sorted(folder.glob("*.parquet"))
    found = [path for path in every if path.is_symlink() or path.stat().st_size <= MOST_TABLE_BYTES]
    for path in set(every) - set(found):
        _log.info("%s is too large to be shown: the page links to it", path)
    if len(found) > MOST_TABLES:
        raise InputError(f"{folder}: has {len(found)} tables; a page shows at most {MOST_TABLES}")
    return found


def _table(path: Path, link: str) -> DataTable:
    table = read_parquet(path, MOST_ROWS)
    columns = tuple(Column(n.replace("_", " "), kind) for n, kind in zip(table.columns, table.numeric, strict=True))
    letters = max(MOST_LETTERS // max(len(table.rows) * len(columns), 1), FEWEST_LETTERS)
    rows = tuple(tuple(_cell(*part, letters) for part in zip(row, table.numeric, strict=True)) for row in table.rows)
    return DataTable(path.stem.replace("_", " "), path.name, link, columns, rows, table.total)


def _cell(value: Any, numeric: bool, letters: int) -> Cell:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Cell(wording.NOTHING, "" if numeric else None)
    if isinstance(value, bool):
        return Cell("yes" if value else "no", None)
    if isinstance(value, int):
        return Cell(str(value), value)
    if isinstance(value, float):
        return Cell(wording.number(value, 4), value)
    text = str(value)
    return Cell(text if len(text) <= letters else f"{text[:letters]}…", None)


def _trade_off(folder: Path, key: str) -> FigureGroup | None:
    """Return the sweep of `auction compare` as interactive figures, None where there is none."""
    path = folder / "comparison.parquet"
    if not path.is_file():
        return None
    rows = [Record(row, f"{path}:") for row in read_parquet(own_file(folder, path)).records()]
    best = {  # every row of a replicate and user weight is a share of the same optimum
        _replicate_and_weight(row): row.number("objective") / share
        for row in rows
        if (share := row.number_or_none("objective_share"))
    }
    points = [
        TradeOffPoint(
            mechanism=_titled(row),
            replicate=row.text("replicate"),
            user_weight=row.number("user_weight"),
            revenue=row.number("revenue"),
            user_loss=row.number("user_loss"),
            objective=row.number("objective"),
            optimum=best[_replicate_and_weight(row)],
        )
        for row in rows
        if _replicate_and_weight(row) in best and row.value("objective") is not None
    ]
    if not points:
        return None
    figures = tuple(
        replace(figure, name=f"{key}-{figure.name}") for figure in trade_off_figures(points, 2, _charged(rows[0]))
    )
    choices = tuple(sorted(figures[0].variants))
    return FigureGroup(f"{key}-trade-off", (Switch("replicate", choices, len(choices) - 1),), figures)


def _charged(row: Record) -> ChargedLoss:
    """Return which loss a row charges; files of before losses had names do not say, and mean `kl`."""
    if "loss" not in row:
        return ChargedLoss(DEFAULT_LOSS, UNDECLARED[DEFAULT_LOSS].unit)
    return ChargedLoss(row.text("loss"), row.text("loss_unit"))


def _titled(row: Record) -> str:
    """Return a row's mechanism, with its recipe where that is not the full one; files of before do not say."""
    recipe = row.text("recipe") if "recipe" in row else ""
    return titled(row.text("mechanism"), recipe)


def _replicate_and_weight(row: Record) -> tuple[str, float]:
    return row.text("replicate"), row.number("user_weight")
