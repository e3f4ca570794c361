"""`arena run` and `arena show` on made-up lists: rows, gaps, what is kept, what is refused; one's own entry."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from carrier_fakes import MadeUp, write_list
from typer.testing import CliRunner

from auctionsim import plugins
from auctionsim.cli import app
from auctionsim.data import values_beside
from auctionsim.experiments.entries import system, systems, withdraw
from auctionsim.experiments.running import board_cells as cells_module
from auctionsim.experiments.running.board_cell import CARRIERS, MECHANISMS, SYSTEMS, RowName
from auctionsim.experiments.running.board_rows import QUALITY, REPLY_KL, WORDS
from auctionsim.experiments.running.board_score import BoardSettings
from auctionsim.experiments.studies import arena_run
from auctionsim.experiments.studies.arena_run import PLAN_FILE, ArenaRunSettings, board_of, inputs_of, shown
from auctionsim.mechanisms import table

TINY = BoardSettings(profiles=32, regret_profiles=4, regret_budget=16, draws=10)
NAMES = ("ad-insertion", "sponsored-questions")


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Neurons in two categories, slots, insertion and segments in one, to be read only."""
    folder = tmp_path_factory.mktemp("lists")
    sizes: dict[str, Any] = {"strengths": (1.0, 2.0), "prompts": 2, "samples": 2}
    shoes = [MadeUp("neurons"), MadeUp("slots", ads=True), MadeUp("insertion", ads=True)]
    made = {f"shoes {one.name}": write_list(folder, one, **sizes) for one in shoes}
    made["shoes segments"] = write_list(folder, MadeUp("segments"), **sizes)
    made["charities neurons"] = write_list(
        folder, MadeUp("neurons"), category="charities", brands="UNICEF,Oxfam", **sizes
    )
    return {name: str(path) for name, path in made.items()}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A board of few rows and prices, in which nothing is learned."""
    monkeypatch.setattr(
        arena_run,
        "mechanism_rows",
        lambda carrier, cell: [RowName(MECHANISMS, name, carrier, name) for name in ("vcg", "pay-as-bid")],
    )
    monkeypatch.setattr(
        cells_module, "prices_of", lambda row: (REPLY_KL[2], QUALITY[2], *(WORDS[:1] if row.table == SYSTEMS else ()))
    )
    whole = arena_run.main
    monkeypatch.setattr(arena_run, "main", lambda plan, *more: whole(replace(plan, scoring=TINY), *more))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of docs/board.md that adds a mechanism and a system, in a process that has loaded no plugin."""
    page = (Path(__file__).parents[2] / "docs" / "board.md").read_text(encoding="utf-8")
    path = tmp_path / "half_price.py"
    path.write_text(re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)[0], encoding="utf-8")
    monkeypatch.setattr(plugins, "_files", {})
    yield path
    withdraw("half-price-segments")
    table.withdraw("half-price")
    sys.modules.pop(plugins.module_name(path), None)


def settings(folder: Path, lists: Mapping[str, str], **changes: Any) -> ArenaRunSettings:
    return ArenaRunSettings(folder, tuple(lists.values()), **{"scoring": TINY, **changes})


def test_a_board_has_every_row_that_can_run_and_says_why_others_cannot(lists: Mapping[str, str]) -> None:
    board = board_of(settings(Path("run"), lists))
    rows = dict.fromkeys(one.task.row for one in board.plans)
    assert {row.name for row in rows if row.table == CARRIERS} == {"neurons", "slots", "insertion", "segments"}
    assert {"vcg", "pay-as-bid", "optimum", "kl-tilt"} <= {row.name for row in rows if row.table == MECHANISMS}
    assert {row.carrier for row in rows if row.table == MECHANISMS} == {"neurons"}
    assert {*NAMES} <= {row.name for row in rows if row.table == SYSTEMS}
    gaps = "\n".join(board.gaps)
    assert "mosaic needs a measured list of choice, and there is none" in gaps
    assert "generalized-second-price needs a view of the kind Positions" in gaps
    assert "slots in charities" in gaps
    only = board_of(settings(Path("run"), lists, categories=("charities",), systems=("neuron-auctions",)))
    assert {one.task.row.carrier for one in only.plans} == {"neurons"}
    assert inputs_of(only) != inputs_of(board)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"categories": ("hotels",)}, "category must be one of running shoes, charities, got 'hotels'"),
        ({"carrier": "choice"}, "carrier must be one of neurons, slots, insertion, segments, got 'choice'"),
        ({"systems": ("mosaic",)}, "mosaic needs a measured list of choice, and there is none"),
        ({"systems": ("nobody",)}, "system must be one of"),
        ({"caps": (-1.0,)}, "caps must be one or more numbers >= 0"),
    ],
)
def test_what_there_is_none_of_is_refused(lists: Mapping[str, str], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        board_of(settings(Path("run"), lists, **changes))
    twice = {**lists, "again": next(iter(lists.values()))}
    with pytest.raises(ValueError, match="two lists are of the carrier neurons in running shoes"):
        board_of(settings(Path("run"), twice))


def test_run_and_show(lists: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: None) -> None:
    """A run is whole, is gone on from, and is shown before it ends and after, without a cell computed."""
    out, page = tmp_path / "run", tmp_path / "results.md"
    page.write_text("# Results\n\nText.\n\n## Experiments\n\n| experiment |\n| :-- |\n")
    words = ["arena", "run", "--out", str(out), "--results", str(page), "--systems", ",".join(NAMES)]
    words += [part for path in lists.values() for part in ("--from", path)]
    runner = CliRunner()
    empty = runner.invoke(app, ["arena", "show", "--out", str(out)])
    assert empty.exit_code != 0
    assert "holds no board: `auctionsim arena run" in str(empty.exception)
    first = runner.invoke(app, words)
    assert first.exit_code == 0, first.output
    for text in ("Published systems that put ads on the page after", "sponsored-questions: ", "report: ", "results: "):
        assert text in first.output
    assert "## The board: every mechanism and system on one exposure" in page.read_text()
    html = (out / "report.html").read_text()
    for name in NAMES:
        entry = system(name)
        for line in (entry.label, entry.sold, entry.citation.partition(",")[0], "Verdict"):
            assert line in html
    names = {"ranks", "after", "mechanisms", "carriers", "words", "capped", "verdicts"}
    assert names <= {path.stem for path in out.glob("*.parquet")}
    assert (out / "objectives.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr(cells_module, "make_board_cell", lambda task: pytest.fail("a cell was made again"))
    monkeypatch.setattr(arena_run, "_draw", lambda tables, folder: None)
    assert runner.invoke(app, words).exit_code == 0
    again = runner.invoke(app, ["arena", "show", "--out", str(out)])
    assert again.exit_code == 0
    assert "sponsored-questions: " in again.output
    assert "unfinished" not in again.output
    files = json.loads((out / PLAN_FILE).read_text())["cells"]
    (out / "parts" / "cells" / files[0]).unlink()
    part = runner.invoke(app, ["arena", "show", "--out", str(out)])
    assert f"unfinished: {len(files) - 1} of {len(files)} cells; its command goes on: auctionsim" in part.output
    for name in files[1:]:
        (out / "parts" / "cells" / name).unlink()
    with pytest.raises(ValueError, match=f"no cell yet of the {len(files)} of its board"):
        shown(out)


def test_a_changed_list_makes_its_own_cells_anew(lists: Mapping[str, str], tmp_path: Path, small: None) -> None:
    copy = write_list(tmp_path, MadeUp("slots", ads=True), strengths=(1.0, 2.0), prompts=2, samples=2)
    here = {**lists, "shoes slots": str(copy)}
    before = {one.task.digest for one in board_of(settings(tmp_path, here)).plans}
    values_beside(copy).write_bytes(values_beside(write_list(tmp_path / "b", MadeUp("slots"), seed=1)).read_bytes())
    after = board_of(settings(tmp_path, here)).plans
    assert {one.task.row.carrier for one in after if one.task.digest not in before} == {"slots"}
    assert {one.task.row.carrier for one in after if one.task.digest in before} >= {"neurons", "insertion"}


def test_ones_own_mechanism_and_system_get_rows_by_one_option(
    lists: Mapping[str, str], own: Path, small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arena_run, "_draw", lambda tables, folder: None)
    out = tmp_path / "run"
    words = ["arena", "run", "--entry", str(own), "--out", str(out), "--category", "running shoes"]
    words += [part for name in ("neurons", "segments") for part in ("--from", lists[f"shoes {name}"])]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "half-price-segments: Its authors do not claim truthfulness" in done.output
    assert "half-price-segments" in set(pd.read_parquet(out / "systems.parquet")["name"])
    assert json.loads((out / "run.json").read_text())["plugins"][0]["path"] == str(own.resolve())
    assert shown(out).gaps == []
    packaged = {name: one for name, one in systems().items() if name != "half-price-segments"}
    monkeypatch.setattr(arena_run, "systems", lambda: packaged)
    (gap,) = shown(out).gaps
    assert gap.startswith("Without a label and a verdict")
    assert gap.endswith(": half-price-segments.")
