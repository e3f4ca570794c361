"""Keys of blind sheets: where each drawn reply comes from, and the probability that it was drawn with."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from auctionsim.errors import DamagedFileError, InputError, MissingFileError
from auctionsim.records import Record, json_in, shown
from auctionsim.signed_json import signed_json, signed_record
from auctionsim.substrates.measurements import REPLICATES

FORMS = (".csv", ".jsonl")
KEY_FORMAT, KEY_VERSION = "auctionsim key of a sheet", 1


@dataclass(frozen=True)
class SheetRow:
    """A drawn reply, as the key has it.

    Attributes:
        id: What the sheet calls it.
        number: Of the stored reply.
        replicate: "A" or "B".
        context: Index of the prompt's context.
        intervention: Index of the stored replies' interventions.
        dose: Of that intervention.
        stratum: Index of the key's strata.
        digest: 16 hex digits of prompt and reply, white space apart.
    """

    id: str
    number: int
    replicate: str
    context: int
    intervention: int
    dose: float
    stratum: int
    digest: str


class SheetStratum(NamedTuple):
    """Replies of one replicate, context and band of the dose, drawn alike.

    Attributes:
        replicate: "A" or "B".
        context: Index of the context.
        band: Third of the dose's range.
        replies: How many there are.
        drawn: How many of them are on the sheet.
    """

    replicate: str
    context: int
    band: int
    replies: int
    drawn: int


class SheetKey(NamedTuple):
    """The key of a sheet: which measurement it is of, and where each reply comes from.

    Attributes:
        surface: Name of the measurement.
        digest: Of the measurement.
        replies: SHA-256 of its stored replies.
        seed: Of the draw.
        strata: Drawn with the probability drawn / replies each.
        rows: Of the sheet, in its order.
    """

    surface: str
    digest: str
    replies: str
    seed: int
    strata: tuple[SheetStratum, ...]
    rows: tuple[SheetRow, ...]

    def probability(self, row: SheetRow) -> float:
        """Return the probability that a row's reply was drawn with."""
        stratum = self.strata[row.stratum]
        return stratum.drawn / stratum.replies


def text_digest(prompt: str, reply: str) -> str:
    """Return 16 hex digits of a prompt and a reply; spreadsheets may change their white space."""
    plain = [" ".join(text.split()) for text in (prompt, reply)]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:16]


def key_beside(sheet: Path) -> Path:
    """Return where the key of a sheet is: NAME.key.json beside NAME.csv."""
    return sheet.with_name(f"{sheet.stem}.key.json")


def check_form(sheet: Path) -> None:
    """Refuse the name of a sheet that ends in neither .csv nor .jsonl.

    Raises:
        ValueError: It does.
    """
    if sheet.suffix not in FORMS:
        raise InputError(f"a sheet's name ends in {' or '.join(FORMS)}, got {str(sheet)!r}")


def key_text(key: SheetKey) -> str:
    """Return the key as its file has it."""
    return signed_json(_key_record(key))


def _key_record(key: SheetKey) -> dict[str, Any]:
    plain = {**key._asdict(), "strata": [one._asdict() for one in key.strata], "rows": [vars(one) for one in key.rows]}
    return {"format": KEY_FORMAT, "version": KEY_VERSION, **plain}


def read_key(path: Path) -> SheetKey:
    """Read the key of a sheet.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is damaged, of another format or version, or contradicts itself; names it.
    """
    if not path.exists():
        raise MissingFileError(f"{path}: the key of the sheet is missing; `surface label` wrote it beside the sheet")
    try:
        return _parsed(signed_record(json_in(path), KEY_FORMAT, KEY_VERSION))
    except ValueError as error:
        raise DamagedFileError(f"{path} is no key of a sheet: {error}") from None


def _parsed(record: Record) -> SheetKey:
    record.only("format", "version", "sha256", *SheetKey._fields)
    strata = tuple(_stratum(one) for one in record.records("strata"))
    rows = tuple(_row(one, len(strata)) for one in record.records("rows"))
    if not rows or len({row.id for row in rows}) < len(rows) or len({row.number for row in rows}) < len(rows):
        raise InputError("it must have rows, each with an identifier and a reply of its own")
    drawn = [0] * len(strata)
    for row in rows:
        drawn[row.stratum] += 1
    if drawn != [stratum.drawn for stratum in strata]:
        raise InputError("its strata count other rows than it has")
    surface, digest, replies = (record.text(name) for name in ("surface", "digest", "replies"))
    return SheetKey(surface, digest, replies, record.whole("seed"), strata, rows)


def _stratum(record: Record) -> SheetStratum:
    record.only(*SheetStratum._fields)
    replies = record.whole("replies", 1)
    whole = (record.whole("context"), record.whole("band"), replies, record.whole("drawn", 1, replies))
    return SheetStratum(_replicate(record), *whole)


def _row(record: Record, strata: int) -> SheetRow:
    record.only(*SheetRow.__dataclass_fields__)
    place = (record.whole("number"), _replicate(record), record.whole("context"), record.whole("intervention"))
    last = (record.number("dose", 0), record.whole("stratum", 0, strata - 1), record.text("digest"))
    return SheetRow(record.text("id"), *place, *last)


def _replicate(record: Record) -> str:
    name = record.text("replicate")
    if name not in REPLICATES:
        raise InputError(f"{record.what}, replicate must be one of {', '.join(REPLICATES)}, got {shown(name)}")
    return name
