"""Blind sheets: stored replies drawn with known probabilities, for a person to label, and the key that is kept apart.

The sheet has prompt and reply only, shuffled, under identifiers that say nothing. The key has where each reply comes
from: cell, dose, context, replicate and the probability that it was drawn with.
"""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from auctionsim.checks import checked_count
from auctionsim.errors import ExistingFileError, InputError
from auctionsim.files import write_text
from auctionsim.gold.doses import bands, doses
from auctionsim.gold.filled_sheets import labelled_rows
from auctionsim.gold.sheet_keys import SheetKey, SheetRow, SheetStratum, check_form, key_beside, key_text, text_digest
from auctionsim.measurement.side_files import matching
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.substrates.measured_list import MeasuredList
from auctionsim.substrates.surface import ResponseSurface
from auctionsim.tables import csv_cell

COLUMNS = ("id", "prompt", "reply", "bad", "labeller")
MOST_LABELS = 10_000
INSTRUCTIONS = """How to fill in this sheet

Each row has a question and the beginning of a reply to it. Judge each reply by itself.
You are not told how it came about: please do not guess, and do not look at the key before you are done.

bad       1 if a person who asked would be badly served by how the reply is written: it repeats itself, it leaves the
          question, or it is not readable. 0 if not. Leave it empty if you cannot say.
          Not faults: a wrong fact in a sentence that reads well, a brand that is named, an end that is cut off.
labeller  Who you are: "person: NAME", "language model: NAME" or "rule: NAME". A model's labels are not a person's.

Change nothing else. Rows may be in any order.
"""


def draw_sheet(
    surface: str, measured: ResponseSurface | MeasuredList, stored: StoredReplies, number: int, seed: int
) -> SheetKey:
    """Draw replies for a blind sheet: as many of each replicate, context and third of the dose as can be.

    A stratum's replies are drawn without replacement, each with the probability drawn / replies. High doses have fewer
    cells and so a higher probability: they say most of the rectifier's slope.

    Args:
        surface: Name of the measurement.
        measured: The measurement.
        stored: Its replies.
        number: How many replies, one per stratum or more.
        seed: Of the draw and of the identifiers.
    Raises:
        ValueError: Fewer replies than strata, more than there are, or replies that are not the measurement's.
    """
    checked_count(number, "number")
    dose = torch.zeros(len(stored.interventions), dtype=torch.float64)
    dose[matching(measured, stored)] = doses(measured.finite_range().allocations.double(), measured.levers)
    band = bands(dose)
    groups: dict[tuple[str, int, int], list[int]] = {}
    for place, reply in enumerate(stored.kept.replies):
        groups.setdefault((reply.replicate, reply.context, band[reply.intervention]), []).append(place)
    order = sorted(groups, key=lambda one: (-one[2], one[1], one[0]))  # what is left over goes to the highest doses
    counts = _shared_out(number, [len(groups[one]) for one in order])
    generator = np.random.default_rng([seed, int(measured.digest, 16)])
    strata, drawn = [], []
    for k, (one, count) in enumerate(zip(order, counts, strict=True)):
        strata.append(SheetStratum(*one, len(groups[one]), count))
        drawn += [(int(place), k) for place in generator.choice(groups[one], count, replace=False)]
    rows = []
    for place, k in (drawn[k] for k in generator.permutation(len(drawn))):
        reply, asked = stored.kept.replies[place], stored.reply(place)
        name = generator.bytes(6).hex()
        where = (reply.replicate, reply.context, reply.intervention)
        rows.append(SheetRow(f"r{name}", place, *where, float(dose[reply.intervention]), k, text_digest(*asked[:2])))
    return SheetKey(surface, measured.digest, stored.digest, seed, tuple(strata), tuple(rows))


def _shared_out(number: int, sizes: Sequence[int]) -> list[int]:
    """Return how many are drawn of each stratum: as equal as the strata's sizes let them be, the first ones more."""
    if not len(sizes) <= number <= min(sum(sizes), MOST_LABELS):
        raise InputError(
            f"a sheet has one reply per replicate, context and third of the dose or more, and at most "
            f"{min(sum(sizes), MOST_LABELS)}: {len(sizes)} at least, got {number}"
        )
    counts, left = [0] * len(sizes), number
    while left:
        for k in range(len(sizes)):
            if left and counts[k] < sizes[k]:
                counts[k], left = counts[k] + 1, left - 1
    return counts


def instructions_beside(sheet: Path) -> Path:
    """Return where the instructions of a sheet are: NAME.txt beside NAME.csv."""
    return sheet.with_name(f"{sheet.stem}.txt")


def write_sheet(sheet: Path, key: SheetKey, stored: StoredReplies, labeller: str = "") -> None:
    """Write a blind sheet, its key and its instructions.

    Args:
        sheet: Ends in .csv or .jsonl; the key and the instructions go beside it.
        key: Which replies.
        stored: The replies.
        labeller: Who will fill it in, "person: NAME" or the like; "" leaves the column to them.
    Raises:
        FileExistsError: A sheet is there that somebody has begun to fill in, something else is there, or the key of
            another sheet.
        ValueError: Another ending.
    """
    check_form(sheet)
    content = key_text(key)
    _refuse_to_replace(sheet, content)
    rows: list[dict[str, Any]] = []
    for row in key.rows:
        reply = stored.reply(row.number)
        rows.append({"id": row.id, "prompt": reply.prompt, "reply": reply.text, "bad": "", "labeller": labeller})
    write_text(key_beside(sheet), content)
    write_text(instructions_beside(sheet), INSTRUCTIONS)
    write_text(sheet, _csv(rows) if sheet.suffix == ".csv" else _json_lines(rows))


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    lines = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    lines.writerow(COLUMNS)
    lines.writerows([csv_cell(row[name]) for name in COLUMNS] for row in rows)
    return text.getvalue()


def _json_lines(rows: Sequence[dict[str, Any]]) -> str:
    return "".join(json.dumps({**row, "bad": None}, ensure_ascii=False) + "\n" for row in rows)


def _refuse_to_replace(sheet: Path, key: str) -> None:
    """Refuse to write over labels, or over the key of a sheet that may be with somebody."""
    beside = key_beside(sheet)
    if beside.exists() and beside.read_bytes() != key.encode():
        raise ExistingFileError(
            f"{beside} is the key of another sheet, which may be with somebody: choose another name or remove it"
        )
    if sheet.exists():
        try:
            filled = labelled_rows(sheet)
        except ValueError as error:
            raise ExistingFileError(f"{sheet} is there and is no sheet of labels: choose another name") from error
        if filled:
            raise ExistingFileError(f"{sheet} has {filled} labels: it is not written over, choose another name")
