"""How any runs become one page: whatever a run folder holds of tables, figures and replies, and links to its files."""

import base64
import csv
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from auctionsim.brands import Brand
from auctionsim.files import write_text
from auctionsim.report import wording
from auctionsim.report.figures import trade_off_figures
from auctionsim.report.heat_maps import Switch
from auctionsim.report.page import Board, template_tools
from auctionsim.report.records import TradeOffPoint

MOST_ROWS = 500  # of a table on the page; the file has them all
MOST_REPLIES = 200  # of a run
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


class Card(NamedTuple):
    """One reply; a brand that paid for it, or none."""

    brand: str
    label: str
    text: str


class Judged(NamedTuple):
    """A claim, and how it turned out."""

    name: str
    verdict: str
    evidence: str


class RunPart(NamedTuple):
    """All that the page tells of one run."""

    name: str
    command: str
    commit: str
    section: str
    claims: tuple[Judged, ...]
    settings: Mapping[str, object]
    board: Board | None
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
        raise ValueError("a report needs one or more run folders")
    out = Path(path)
    runs = [read_run(Path(folder), out.parent, f"run{number}") for number, folder in enumerate(folders)]
    environment, plotly_js = template_tools()
    boards = [run.board for run in runs if run.board is not None]
    drawn = {f.name: {"variants": f.variants, "layout": f.layout} for board in boards for f in board.figures}
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
        ValueError: There is no run.json, or it is not JSON.
    """
    path = folder / "run.json"
    if not path.is_file():
        raise ValueError(f"{folder} is no run folder: it has no run.json")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(record, dict):
        raise ValueError(f"{path} holds no run: it must be an object")
    if record.get("finished", True) is not True:
        return _unfinished(folder, record)
    link = partial(_link, beside=beside)
    replies = _replies(folder, record)
    brands = _brands(record, replies)
    return RunPart(
        name=str(record.get("title") or folder.resolve().name),
        command=str(record.get("command") or ""),
        commit=str(record.get("commit") or ""),
        section=_section(folder / "section.md"),
        claims=tuple(Judged(*(str(claim.get(name, "")) for name in Judged._fields)) for claim in _claims(path, record)),
        settings=record["settings"] if isinstance(record.get("settings"), dict) else {},
        board=_trade_off(folder / "comparison.parquet", key),
        pictures=tuple(_picture(found) for found in sorted(folder.glob("*.png"))),
        tables=tuple(_table(found, link(found)) for found in sorted(folder.glob("*.parquet"))),
        replies=replies,
        files=tuple(File(f.name, link(f)) for f in sorted(folder.iterdir()) if f.suffix in LISTED and f.is_file()),
        brand_index={brand.name: index for index, brand in enumerate(brands)},
        highlighted=partial(wording.highlighted, brands=brands),
    )


def _unfinished(folder: Path, record: Mapping[str, Any]) -> RunPart:
    """Return what is known of a run that began and did not end: nothing in its folder is taken for its results."""
    settings = record.get("settings")
    return RunPart(
        name=folder.resolve().name,
        command=str(record.get("command") or ""),
        commit=str(record.get("commit") or ""),
        section="",
        claims=(),
        settings=settings if isinstance(settings, dict) else {},
        board=None,
        pictures=(),
        tables=(),
        replies={},
        files=(),
        brand_index={},
        highlighted=partial(wording.highlighted, brands=()),
        unfinished=True,
    )


def _claims(path: Path, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    claims = record.get("claims", [])
    if not isinstance(claims, list) or not all(isinstance(claim, dict) for claim in claims):
        raise ValueError(f"{path} holds no run: its claims must be a list of objects")
    return claims


def _section(path: Path) -> str:
    """Return what the run concludes, written in markdown, as HTML in which nothing that it holds is markup of its own.

    Links and pictures are left out: the page asks for nothing.
    """
    if not path.is_file():
        return ""
    from markdown_it import MarkdownIt
    from markupsafe import Markup

    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "link", "autolink"])
    html = str(reader.render(path.read_text(encoding="utf-8")))
    return Markup(html.replace("<table>", '<div class="scroll"><table>').replace("</table>", "</table></div>"))


def _link(path: Path, beside: Path) -> str:
    return quote(Path(os.path.relpath(path.resolve(), beside.resolve())).as_posix())


def _picture(path: Path) -> Picture:
    coded = base64.b64encode(path.read_bytes()).decode("ascii")
    return Picture(path.stem.replace("_", " "), f"data:image/png;base64,{coded}")


def _table(path: Path, link: str) -> DataTable:
    import pandas as pd

    frame = pd.read_parquet(path)
    numeric = [bool(pd.api.types.is_numeric_dtype(frame[name])) for name in frame.columns]
    columns = tuple(
        Column(str(name).replace("_", " "), kind) for name, kind in zip(frame.columns, numeric, strict=True)
    )
    rows = [tuple(map(_cell, row, numeric)) for row in frame.head(MOST_ROWS).itertuples(index=False, name=None)]
    return DataTable(path.stem.replace("_", " "), path.name, link, columns, tuple(rows), len(frame))


def _cell(value: Any, numeric: bool) -> Cell:
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Cell(wording.NOTHING, "" if numeric else None)
    if isinstance(value, bool):
        return Cell("yes" if value else "no", None)
    if isinstance(value, int):
        return Cell(str(value), value)
    return Cell(wording.number(value, 4), value) if isinstance(value, float) else Cell(str(value), None)


def _trade_off(path: Path, key: str) -> Board | None:
    """Return the sweep of `auction compare` as interactive figures, None where there is none."""
    if not path.is_file():
        return None
    import pandas as pd

    rows = pd.read_parquet(path).to_dict("records")
    best = {  # every row of a replicate and user weight is a share of the same optimum
        (row["replicate"], row["user_weight"]): row["objective"] / row["objective_share"]
        for row in rows
        if row["objective_share"] and not math.isnan(row["objective_share"])
    }
    points = [
        TradeOffPoint(
            row["mechanism"],
            row["replicate"],
            row["user_weight"],
            row["revenue"],
            row["user_loss"],
            row["objective"],
            best[row["replicate"], row["user_weight"]],
        )
        for row in rows
        if (row["replicate"], row["user_weight"]) in best
    ]
    if not points:
        return None
    figures = tuple(replace(figure, name=f"{key}-{figure.name}") for figure in trade_off_figures(points, 2))
    choices = tuple(sorted(figures[0].variants))
    return Board(f"{key}-trade-off", (Switch("replicate", choices, len(choices) - 1),), figures)


def _replies(folder: Path, record: Mapping[str, Any]) -> dict[str, tuple[Card, ...]]:
    """Return replies by prompt: pairs in run.json, and the example replies of a menu."""
    found: dict[str, list[Card]] = {}
    pairs = record.get("replies")
    for pair in pairs if isinstance(pairs, list) else []:
        cards = found.setdefault(pair["prompt"], [])
        cards.append(Card("", "untouched", pair["untouched"]))
        levers = wording.setting(pair["num_neurons"], pair["amplification"])
        cards.append(Card(pair["brand"], f"{pair['brand']}: {levers}", pair["boosted"]))
    menu = folder / "menu.csv"
    if menu.is_file():
        with menu.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row.get("reply"):
                    levers = wording.setting(float(row["num_neurons"]), float(row["amplification"]))
                    label = (
                        f"{row['brand']}: {levers}, price {float(row['price']):.3g}, user weight {row['user_weight']}"
                    )
                    found.setdefault(row["prompt"], []).append(Card(row["brand"], label, row["reply"]))
    kept, left = {}, MOST_REPLIES
    for prompt, cards in found.items():
        kept[prompt] = tuple(cards[:left])
        left -= len(kept[prompt])
    return {prompt: cards for prompt, cards in kept.items() if cards}


def _brands(record: Mapping[str, Any], replies: Mapping[str, tuple[Card, ...]]) -> tuple[Brand, ...]:
    """Return the brands, with their aliases where the settings have them; else those that replies were sold to."""
    settings = record.get("settings")
    listed = settings.get("brands") if isinstance(settings, dict) else None
    listed = listed or record.get("brands") or []
    named = [(one,) if isinstance(one, str) else tuple(map(str, one)) for one in listed]
    if not named:
        named = [(name,) for name in dict.fromkeys(c.brand for cards in replies.values() for c in cards if c.brand)]
    return tuple(Brand.read(names) for names in named)
