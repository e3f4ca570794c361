"""What a run folder says of itself: run.json and menu.csv, field by field, and only files that lie in the folder."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from auctionsim.brands import Brand
from auctionsim.errors import InputError
from auctionsim.records import Record, shown
from auctionsim.report import wording
from auctionsim.tables import numbers_of, read_csv

MOST_REPLIES = 200  # of a run


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


def own_file(folder: Path, path: Path) -> Path:
    """Return the path if the file lies in the folder: a link in a run folder from elsewhere must not show other files.

    Raises:
        ValueError: It leads out of the folder.
    """
    if not is_own_file(folder, path):
        raise InputError(f"{path}: leads out of the run folder, and is not shown")
    return path


def is_own_file(folder: Path, path: Path) -> bool:
    """Tell whether a path, links followed, stays in the folder."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))  # a loop of links is one of its own


def text_of(record: Record, name: str) -> str:
    """Return a text of run.json, empty where there is none or null."""
    return (record.text_or_none(name) or "") if name in record else ""


def title_of(record: Record) -> str:
    """Return how the run is called, empty where it does not say."""
    return text_of(record, "title")


def is_unfinished(record: Record) -> bool:
    """Tell whether the run began and did not come to its end; a record that does not say is of a finished one."""
    return "finished" in record and not record.flag("finished")


def settings_of(record: Record) -> Mapping[str, object]:
    """Return the settings, none where it does not say."""
    return record.plain("settings") if record.content.get("settings") is not None else {}


def claims_of(record: Record) -> tuple[Judged, ...]:
    """Return the claims with their verdicts."""
    listed = record.records("claims") if record.content.get("claims") is not None else []
    return tuple(Judged(*(text_of(claim, name) for name in Judged._fields)) for claim in listed)


def replies_of(folder: Path, record: Record) -> dict[str, tuple[Card, ...]]:
    """Return replies by prompt: pairs in run.json, and the example replies of a menu."""
    found: dict[str, list[Card]] = {}
    for pair in record.records("replies") if isinstance(record.content.get("replies"), list) else []:
        cards = found.setdefault(pair.text("prompt"), [])
        cards.append(Card("", "untouched", pair.text("untouched")))
        levers = wording.setting(pair.number("num_neurons"), pair.number("amplification"))
        cards.append(Card(pair.text("brand"), f"{pair.text('brand')}: {levers}", pair.text("boosted")))
    menu = folder / "menu.csv"
    for row in read_csv(own_file(folder, menu)) if menu.is_file() else []:
        if row.get("reply"):
            texts = Record(row, f"{menu}:")
            neurons, factor, price = numbers_of(row, f"{menu}", "num_neurons", "amplification", "price")
            label = (
                f"{texts.text('brand')}: {wording.setting(neurons, factor)}, price {price:.3g}, "
                f"user weight {texts.text('user_weight')}"
            )
            found.setdefault(texts.text("prompt"), []).append(Card(texts.text("brand"), label, texts.text("reply")))
    kept, left = {}, MOST_REPLIES
    for prompt, cards in found.items():
        kept[prompt] = tuple(cards[:left])
        left -= len(kept[prompt])
    return {prompt: cards for prompt, cards in kept.items() if cards}


def brands_of(record: Record, replies: Mapping[str, tuple[Card, ...]]) -> tuple[Brand, ...]:
    """Return the brands, with their aliases where the settings have them; else those that replies were sold to."""
    listed = settings_of(record).get("brands") or record.content.get("brands") or []
    if not isinstance(listed, list):
        raise InputError(f"{record.what} brands must be a list, got {shown(listed)}")
    named = [
        [one] if isinstance(one, str) else list(Record({"names": one}, record.what).texts("names")) for one in listed
    ]
    if not named:
        named = [[name] for name in dict.fromkeys(c.brand for cards in replies.values() for c in cards if c.brand)]
    if not all(named):
        raise InputError(f"{record.what} a brand has no name")
    try:
        return tuple(Brand.read(names) for names in named)
    except ValueError as error:
        raise InputError(f"{record.what} {error}") from None
