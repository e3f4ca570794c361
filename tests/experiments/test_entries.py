"""Published systems: a file each, whole texts; one's own mechanism and system, in one file, get a row of the board."""

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from carrier_fakes import MadeUp, write_list

from auctionsim import plugins
from auctionsim.errors import InputError, PluginError
from auctionsim.experiments import entries
from auctionsim.experiments.entries import CLAIMS, SystemEntry, load_entry, refusal, systems
from auctionsim.experiments.running.board_cell import Price, RowName
from auctionsim.experiments.running.board_rows import system_rows
from auctionsim.experiments.running.board_score import BoardSettings, board_cell
from auctionsim.experiments.running.carrier_sources import carrier_source, read_cell
from auctionsim.mechanisms import table

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "board.md").read_text(encoding="utf-8")
FILE, TEST = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
NAME, MECHANISM = "half-price-segments", "half-price"
TINY = BoardSettings(profiles=32, regret_profiles=8, regret_budget=64, draws=2)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of docs/board.md, in a process that has loaded no plugin."""
    monkeypatch.setattr(plugins, "_files", {})
    path = tmp_path / "half_price.py"
    path.write_text(FILE, encoding="utf-8")
    yield path
    if NAME in systems():
        entries.withdraw(NAME)
    if MECHANISM in table.names():
        table.withdraw(MECHANISM)
    sys.modules.pop(plugins.module_name(path), None)


def test_a_file_each_named_as_its_system() -> None:
    files = {path.stem for path in (ROOT / "experiments" / "entries").glob("*.py")}
    assert files - {"__init__", "registry", "loading"} == {name.replace("-", "_") for name in systems()}
    assert len(systems()) >= 12


@pytest.mark.parametrize("one", systems().values(), ids=lambda one: one.name)
def test_texts_are_whole(one: SystemEntry) -> None:
    """A stranger reads them: sentences, a year and a place in the citation, one line on what is sold."""
    for text in (one.sold, one.pays, one.claims, one.exposure, one.assumed):
        assert text[0].isupper(), text
        assert text.endswith("."), text
    assert re.search(r"\((19|20)\d\d\)", one.citation)
    assert re.search(r"arXiv \d{4}\.\d{5}|\.com", one.citation)
    assert len(one.sold) <= 160


def test_all_kinds_of_claims_are_there() -> None:
    assert {one.claim for one in systems().values()} == set(CLAIMS)


def test_no_two_systems_are_one() -> None:
    """Equal carriers, mechanisms and settings would be one row under two names."""
    rows = [row._replace(name="") for row in system_rows(systems())]
    assert len(set(rows)) == len(rows)


def test_the_page_says_what_is_run() -> None:
    """Each line of its table is a system; what it says of carrier and mechanism is what the file says."""
    lines = re.findall(r"^\| (.+?) \| `([a-z-]+)` \| `([a-z-]+)` \|$", PAGE, flags=re.MULTILINE)
    assert sorted((carrier, mechanism) for _, carrier, mechanism in lines) == sorted(
        (one.carrier, one.mechanism) for one in systems().values()
    )


def test_a_system_and_its_mechanism_are_one_file_and_get_a_row(own: Path, tmp_path: Path) -> None:
    (one,) = load_entry(own)
    assert load_entry(own) == (one,), "run once, and the same again"
    assert (one.name, systems()[NAME], refusal(one)) == (NAME, one, None)
    (row,) = (row for row in system_rows(systems()) if row.name == NAME)
    assert row == RowName("systems", NAME, "segments", MECHANISM)
    measured = write_list(tmp_path, MadeUp("segments"))
    cell = board_cell(
        row, table.entry(MECHANISM), read_cell(carrier_source(str(measured))), Price("reply_kl", 0.1), TINY
    )
    assert (cell.row, cell.tried) == (row, 2), "both strengths were tried on A"
    assert cell.scores["revenue"] > 0
    assert cell.scores["regret_max"] > 0.01, "shading a first price pays"
    assert cell.scores["ir_max"] == 0
    exec(compile(TEST, "docs/board.md, its test", "exec"), {})


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('carrier="segments"', 'carrier="bill-boards"', "carrier must be one of .*neurons.*, got 'bill-boards'"),
        ('mechanism="half-price"', 'mechanism="nothing"', "mechanism must be one of .*vcg.*, got 'nothing'"),
        ('assumed="Everything."', 'assumed="All.", settings={"price": 1.0}', "half-price has no knob 'price'"),
    ],
)
def test_what_a_system_names_must_be_there(own: Path, old: str, new: str, words: str) -> None:
    own.write_text(FILE.replace(old, new), encoding="utf-8")
    for _ in range(2):  # the file is not run again, and no better
        with pytest.raises(InputError, match=rf"half_price\.py: {NAME}: {words}"):
            load_entry(own)


def test_a_file_with_a_mechanism_only_is_a_plugin(own: Path) -> None:
    own.write_text(FILE.partition("entries.register(")[0], encoding="utf-8")
    assert load_entry(own) == ()
    assert MECHANISM in table.names()


def test_what_does_not_run_is_named(own: Path) -> None:
    own.write_text("1 / 0", encoding="utf-8")
    with pytest.raises(PluginError, match=r"half_price\.py, line 1: ZeroDivisionError"):
        load_entry(own)


def test_systems_are_told_apart_and_checked() -> None:
    one = next(iter(systems().values()))
    with pytest.raises(InputError, match="already"):
        entries.register(one)
    with pytest.raises(InputError, match="already"):
        entries.register(replace(one, name="another"))
    with pytest.raises(InputError, match="lower-case words"):
        replace(one, name="Two Words")
    with pytest.raises(InputError, match="claim must be one of truthful, "):
        replace(one, claim="honest")
    with pytest.raises(InputError, match="pays must not be empty"):
        replace(one, pays=" ")
    with pytest.raises(InputError, match=r"system must be one of .*lera.*, got 'nobody'"):
        entries.withdraw("nobody")
