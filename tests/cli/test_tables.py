"""Tables are printed whole: at any width, in a terminal and in a file, no word of a cell is cut or folded."""

import io
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from auctionsim.console import FILE_WIDTH, TableConsole, table_console
from auctionsim.experiments.running.measured import measured_named
from auctionsim.experiments.tables.measured import measured_tables

ROOT = Path(__file__).parent.parent.parent
CELL = st.lists(st.text("abcXYZ.0123456789-@±λ", min_size=1, max_size=30), min_size=1, max_size=4).map(" ".join)


def printed(rows: Sequence[Sequence[str]], width: int, terminal: bool, lines: bool) -> str:
    file = io.StringIO()
    table = Table(title="every number counts", show_lines=lines)
    for k in range(len(rows[0])):
        table.add_column(f"heading-{k}-of-a-column")
    for row in rows:
        table.add_row(*row)
    console = TableConsole(file=file, width=width, force_terminal=terminal, color_system=None)
    console.print(table)
    assert console.width == width, "the console is as it was"
    return file.getvalue()


@given(
    rows=st.integers(1, 6).flatmap(lambda n: st.lists(st.lists(CELL, min_size=n, max_size=n), min_size=1, max_size=3)),
    width=st.sampled_from([20, 40, 80, 200]),
    terminal=st.booleans(),
    lines=st.booleans(),
)
def test_every_word_stands_whole_on_a_line(rows: list[list[str]], width: int, terminal: bool, lines: bool) -> None:
    shown = printed(rows, width, terminal, lines)
    assert "…" not in shown
    words = shown.split()
    for row in rows:
        for cell in row:
            for word in cell.split():
                assert word in words, (word, shown)


def test_a_file_has_a_row_a_line_where_it_may() -> None:
    """Up to FILE_WIDTH columns texts do not wrap in a file; in a terminal they do, at its width."""
    row = ["one two three four five six seven"] * 3
    in_a_file, in_a_terminal = printed([row], 40, False, False), printed([row], 40, True, False)
    assert sum("one" in line and "seven" in line for line in in_a_file.splitlines()) == 1
    assert not any("one" in line and "seven" in line for line in in_a_terminal.splitlines())
    assert max(map(len, in_a_file.splitlines())) <= FILE_WIDTH


def test_a_long_line_is_not_broken_in_a_file() -> None:
    file = io.StringIO()
    path = "/a/very/long/folder/" * 10
    TableConsole(file=file, width=40).print(f"mean 0.123 ± 0.004, in {path}")
    assert len(file.getvalue().splitlines()) == 1


def test_another_console_is_replaced_by_one_that_prints_whole() -> None:
    plain = Console(file=io.StringIO(), width=30)
    own = table_console(plain)
    assert (own.file, own.width, own.is_terminal) == (plain.file, 30, plain.is_terminal)
    assert table_console(own) is own


@pytest.mark.parametrize("terminal", [True, False])
def test_measured_tables_are_whole(terminal: bool) -> None:
    """What `surface show` prints of five brands has, on a narrow console, every word that a wide one has."""

    def words(columns: int) -> list[str]:
        file = io.StringIO()
        console = TableConsole(file=file, width=columns, force_terminal=terminal, color_system=None)
        for table in measured_tables(measured_named("running-shoes-5-subsets@2")):
            console.print(table)
        return sorted(word for word in file.getvalue().split() if word.strip("│┃─━┏┓┡┩├┤└┘┴┬┼╇╈┳┻╋"))

    narrow = words(40)
    assert "…" not in "".join(narrow)
    assert narrow == words(1000)


def test_no_other_console_prints_tables() -> None:
    """Every console of the package prints whole tables; the one for errors prints none."""
    plain = []
    for folder in ("auctionsim", "experiments", "agents", "envs"):
        for path in (ROOT / folder).rglob("*.py"):
            lines = path.read_text().splitlines()
            made = [line for line in lines if re.search(r" (Plain)?Console\(", line) and "class " not in line]
            plain += [(path.name, line.strip()) for line in made]
    assert plain == [("options.py", "errors = PlainConsole(stderr=True, soft_wrap=True)")]
