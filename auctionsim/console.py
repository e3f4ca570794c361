"""Consoles that print texts as they are, and tables whole: no cell is cut, however narrow the terminal or the file."""

import re
from copy import copy
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

FILE_WIDTH = 140
"""Columns that a table may take where it is written to a file, before its texts wrap."""

_UNBOUNDED = 1 << 16  # columns: wider than any table
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tabs and line ends


def visible(text: str) -> str:
    r"""Return a text whose control characters are written out: a terminal would take them for commands.

    Example:
        >>> visible("\x1b[2J")
        '\\x1b[2J'
    """
    return _CONTROL.sub(lambda found: rf"\x{ord(found[0]):02x}", text.replace("\r\n", "\n"))


class PlainConsole(Console):
    """A console to which a text is a text: no markup in brackets, no ":name:" of a picture, no command to the terminal.

    What it prints holds names of files, brands and mechanisms, and what a model or a file from elsewhere says.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text as rich has it, its control characters written out."""
        return super().render_str(visible(text), **options)


class TableConsole(PlainConsole):
    """A console on which no column is narrower than its longest word; rich would cut that and write "…".

    Texts wrap between words where a table is wider than the terminal, or than `FILE_WIDTH` in a file. What is wider
    still is printed as it is, and the terminal wraps it. In a file a line of words is not wrapped at all.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as `rich.console.Console.print` does, tables as wide as they need to be."""
        if not self.is_terminal and all(isinstance(part, str) for part in objects):
            options.setdefault("soft_wrap", True)
        before = self._width
        whole = [self._whole(part) if isinstance(part, Table) else part for part in objects]
        needed = max((self._measured(part).maximum for part in whole if isinstance(part, Table)), default=0)
        try:
            if needed > self.width:
                self._width = needed
            super().print(*whole, **options)
        finally:
            self._width = before

    def _whole(self, table: Table) -> Table:
        """Return a copy whose columns share the width that is there, none below its longest word."""
        spans = [self._span(column) for column in table.columns]
        least, most = sum(span.minimum for span in spans), sum(span.maximum for span in spans)
        frame = self._measured(table).maximum - most
        there = (self.width if self.is_terminal else max(self.width, FILE_WIDTH)) - frame
        share = 1.0 if most == least else min(1.0, max(0.0, (there - least) / (most - least)))
        widths = [span.minimum + int(share * (span.maximum - span.minimum)) for span in spans]
        fixed = copy(table)
        fixed.columns = [replace(column, width=width) for column, width in zip(table.columns, widths, strict=True)]
        return fixed

    def _span(self, column: Column) -> Measurement:
        parts = [self._measured(part) for part in (column.header, *column.cells, column.footer)]
        return Measurement(max(part.minimum for part in parts), max(part.maximum for part in parts))

    def _measured(self, part: Any) -> Measurement:
        return Measurement.get(self, self.options.update(width=_UNBOUNDED), part)


def table_console(console: Console) -> TableConsole:
    """Return the console if it prints tables whole, else one that does so in its place."""
    if isinstance(console, TableConsole):
        return console
    return TableConsole(file=console.file, width=console.width, force_terminal=console.is_terminal)
