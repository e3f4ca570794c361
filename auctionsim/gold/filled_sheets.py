"""Sheets that somebody filled in, read strictly: every label belongs to a drawn reply, and says who gave it."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from auctionsim.errors import InputError
from auctionsim.files import read_bounded
from auctionsim.gold.sheet_keys import SheetKey, SheetRow, check_form, key_beside, read_key, text_digest
from auctionsim.records import Record, parse_json, shown
from auctionsim.tables import MOST_TABLE_BYTES, read_csv

LABELLERS = ("person", "language model", "rule")
UNDECLARED = "undeclared"
"""Kind of a labeller whom the sheet does not name."""
MODEL_WARNING = "A model's or a rule's labels are not people's."


class SheetLabel(NamedTuple):
    """A label of a drawn reply.

    Attributes:
        row: Of the key.
        bad: Whether the reply is bad.
        labeller: Kind and name, such as "person: Ann"; "undeclared" where the sheet does not say.
        probability: That the reply is drawn and its row filled in: rows of a stratum that are left empty are taken as
            left so by chance.
    """

    row: SheetRow
    bad: bool
    labeller: str
    probability: float


class SheetLabels(NamedTuple):
    """The labels of a sheet that was filled in.

    Attributes:
        key: Of the sheet.
        labels: In the file's order.
        blank: Rows that were drawn and have no label.
        digest: SHA-256 of the sheet.
    """

    key: SheetKey
    labels: tuple[SheetLabel, ...]
    blank: int
    digest: str

    @property
    def by_labeller(self) -> dict[str, int]:
        """How many labels each labeller gave."""
        return dict(sorted(Counter(label.labeller for label in self.labels).items()))

    @property
    def labelled_by(self) -> str:
        """Who labelled how many, in one sentence; a warning where not all are people."""
        counts = [f"{count} by {labeller}" for labeller, count in self.by_labeller.items()]
        people = all(name.startswith(f"{LABELLERS[0]}: ") for name in self.by_labeller)
        return f"{len(self.labels)} labels: {', '.join(counts)}.{'' if people else f' {MODEL_WARNING}'}"


def labelled_rows(sheet: Path) -> int:
    """Return how many rows of a sheet have a label, right or wrong; 0 of one that nobody has begun.

    Raises:
        ValueError: It is no sheet.
    """
    return sum(bool(row["bad"]) for row in _rows(sheet))


def read_sheet(sheet: Path, key: Path | None = None) -> SheetLabels:
    """Read a sheet that was filled in, with its key.

    Args:
        sheet: The file.
        key: Of the sheet; None: the one beside it.
    Raises:
        FileNotFoundError: One of the two is not there.
        ValueError: A label of no drawn reply, two of one reply, a value that is no label, a row that shows another
            reply, a labeller of no kind, or no label at all; names the file and the row.
    """
    found = read_key(key or key_beside(sheet))
    rows = _rows(sheet)
    by_id = {row.id: row for row in found.rows}
    seen: set[str] = set()
    given: list[tuple[SheetRow, bool, str]] = []
    for number, row in enumerate(rows, start=1):
        where = f"{sheet}, row {number}"
        drawn = by_id.get(row["id"])
        if drawn is None:
            raise InputError(f"{where}: the reply {shown(row['id'])} is not one that was drawn for this key's sheet")
        if drawn.id in seen:
            raise InputError(f"{where}: the reply {drawn.id} has two rows")
        seen.add(drawn.id)
        if "reply" in row and text_digest(row["prompt"], row["reply"]) != drawn.digest:
            raise InputError(f"{where}: {drawn.id} shows another prompt or reply than was drawn: rows must stay whole")
        if row["bad"]:
            given.append((drawn, _bad(row["bad"], where), _labeller(row.get("labeller", ""), where)))
    if not given:
        raise InputError(f"{sheet}: no row is filled in: bad must be 1 or 0 in some")
    filled = Counter(row.stratum for row, _, _ in given)
    labels = tuple(
        SheetLabel(row, bad, labeller, filled[row.stratum] / found.strata[row.stratum].replies)
        for row, bad, labeller in given
    )
    digest = hashlib.sha256(read_bounded(sheet, MOST_TABLE_BYTES)).hexdigest()
    return SheetLabels(found, labels, len(found.rows) - len(labels), digest)


def _rows(sheet: Path) -> list[dict[str, str]]:
    """Return a sheet's rows as texts, white space around identifiers and labels apart."""
    check_form(sheet)
    rows: Sequence[dict[str, str]] = read_csv(sheet) if sheet.suffix == ".csv" else _json_rows(sheet)
    found = []
    for number, cells in enumerate(rows, start=1):
        row = {name.removeprefix("\ufeff").strip('"'): text for name, text in cells.items()}  # spreadsheets' own mark
        lacking = {"id", "bad"} - set(row) or ({"prompt", "reply"} - set(row) if {"prompt", "reply"} & set(row) else ())
        if lacking:
            raise InputError(f"{sheet}, row {number}: lacks the column {sorted(lacking)[0]!r}")
        stripped = {name: row[name].strip() for name in ("id", "bad", "labeller") if name in row}
        found.append(row | stripped)
    if not found:
        raise InputError(f"{sheet}: has no rows")
    return found


def _json_rows(sheet: Path) -> list[dict[str, str]]:
    rows = []
    for number, line in enumerate(read_bounded(sheet, MOST_TABLE_BYTES).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = Record(parse_json(line), "it")
        except ValueError as error:
            raise InputError(f"{sheet}, line {number}: {error}") from None
        rows.append({name: _text(value) for name, value in record.content.items()})
    return rows


def _text(value: Any) -> str:
    """Return a value of a line of JSON as a cell of CSV has it: true and 1 are one label, null is none."""
    if isinstance(value, bool):
        return str(int(value))
    return "" if value is None else value if isinstance(value, str) else repr(value)


def _bad(text: str, where: str) -> bool:
    if text not in ("0", "1"):
        raise InputError(f"{where}: bad must be 1 (bad), 0 (good) or empty, got {shown(text)}")
    return text == "1"


def _labeller(text: str, where: str) -> str:
    if not text:
        return UNDECLARED
    return checked_labeller(text, where)


def checked_labeller(text: str, where: str = "labeller") -> str:
    """Return a labeller's kind and name, one space between.

    Raises:
        ValueError: Another kind, or no name.
    """
    kind, sign, name = text.partition(":")
    if kind.strip() not in LABELLERS or not sign or not name.strip() or not text.isprintable() or len(text) > 80:
        forms = ", ".join(f"'{one}: NAME'" for one in LABELLERS)
        raise InputError(f"{where}: a labeller is one of {forms}, up to 80 letters, got {shown(text)}")
    return f"{kind.strip()}: {name.strip()}"
