"""Measured lists of carriers, by name or file, and how one becomes a cell of the table of carriers."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from auctionsim.carriers.protocol import Carrier
from auctionsim.carriers.registry import carrier_entry, carrier_names, load_carrier
from auctionsim.data import carrier_beside, packaged_names, replies_beside, surfaces_folder, values_beside
from auctionsim.errors import InputError
from auctionsim.experiments.running.carrier_cell import AD_WORDS, COLUMNS, CarrierCell, CellReplicate
from auctionsim.experiments.running.carrier_lists import CARRIER_FILE
from auctionsim.experiments.running.measured import brand_names, subsets_named
from auctionsim.experiments.running.preparation import LIST_FILE, MEASUREMENT
from auctionsim.experiments.running.prompt_intervals import Array
from auctionsim.experiments.running.stored_by_name import values_folder
from auctionsim.kept import file_digest
from auctionsim.levers import at_null
from auctionsim.measurement import REPLIES_FILE
from auctionsim.measurement.reply_values import read_reply_values
from auctionsim.measurement.second_pass import values_by_number
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.readings.protocol import HIGHER, LOWER, TextReading, Value, basis_of
from auctionsim.readings.registry import reading
from auctionsim.readings.values import as_tensor, read_texts
from auctionsim.records import Record
from auctionsim.substrates import MeasuredList
from auctionsim.substrates.measurements import REPLICATES

SLOTS = "slot_probability"
_NAMED = "mention_probability"


class CarrierSource(NamedTuple):
    """The files of a measured list of a carrier's settings; those that need not be there may be missing.

    Attributes:
        name: Of the list.
        measured: The list.
        replies: Its replies.
        values: Values of single replies, or a folder that a second pass left them in.
        carrier: The carrier.
    """

    name: str
    measured: Path
    replies: Path
    values: tuple[Path, ...]
    carrier: Path

    def key(self) -> dict[str, Any]:
        """Return all that its cell depends on, as JSON: digests of the files, and what readings rest on.

        Raises:
            ValueError: A file that is needed is not there.
        """
        for path in (self.measured, self.replies):
            if not path.is_file():
                raise InputError(f"{self.name}: there is no {path}, which a cell of carriers is made from")
        there = [path for path in (self.measured, self.replies, self.carrier) if path.is_file()]
        values = [
            path for place in self.values for path in (sorted(place.glob("*.json")) if place.is_dir() else [place])
        ]
        files = {path.name: file_digest(path) for path in (*there, *(path for path in values if path.is_file()))}
        names = (_NAMED, *COLUMNS, AD_WORDS)
        return {"list": self.name, "files": files, "bases": {name: basis_of(reading(name)) for name in names}}


def carrier_source(name: str) -> CarrierSource:
    """Return the files of a list: a packaged one's, or those beside a .safetensors file.

    A list in a run folder of `arena measure`, called list.safetensors, has the folder's name.
    """
    path = Path(name) if Path(name).suffix == ".safetensors" else surfaces_folder() / f"{name}.safetensors"
    values = (values_beside(path), values_folder(name))
    if path.name == LIST_FILE:
        replies, carrier = path.parent / MEASUREMENT / REPLIES_FILE, path.parent / CARRIER_FILE
        return CarrierSource(path.resolve().parent.name, path, replies, values, carrier)
    return CarrierSource(path.stem, path, replies_beside(path), values, carrier_beside(path))


def packaged_lists(names: Iterable[str] | None = None) -> tuple[str, ...]:
    """Return the packaged lists of carriers, `CATEGORY-N-CARRIER@VERSION`, the last version of each.

    Args:
        names: Of packaged measurements; None: all that ship.
    """
    last: dict[str, tuple[int, str]] = {}
    for name in packaged_names() if names is None else names:
        stem, _, version = name.rpartition("@")
        if version.isdigit() and any(stem.endswith(f"-{carrier}") for carrier in carrier_names()):
            last[stem] = max(last.get(stem, (0, "")), (int(version), name))
    return tuple(name for _, name in sorted(last.values(), key=lambda one: one[1]))


def read_cell(source: CarrierSource) -> CarrierCell:
    """Return what a carrier's replies in a category were worth.

    Raises:
        ValueError: No list, replies of something else, prompts with different numbers of replies, or divergences of
            single replies that are not kept.
    """
    measured = subsets_named(str(source.measured))
    stored = StoredReplies.load(source.replies, measured.provenance)
    name = str(stored.carrier["name"])
    carrier = load_carrier(source.carrier) if source.carrier.is_file() else None
    values, unread = _values(source, stored, () if carrier is None else carrier.without)
    nulls = [null for _, null in stored.levers]
    return CarrierCell(
        measured=source.name,
        carrier=name,
        label=carrier_entry(name).label if name in carrier_names() else name,
        category=Record(measured.provenance, f"{source.name}'s provenance").text("category"),
        brands=brand_names(measured),
        levers=tuple(lever for lever, _ in stored.levers),
        settings=stored.interventions.numpy(),
        nulls=np.array(nulls),
        rows=None if carrier is None else _rows(carrier, stored),
        replicates={one: _replicate(one, source.name, measured, stored, values) for one in REPLICATES},
        unread=unread,
    )


def _values(
    source: CarrierSource, stored: StoredReplies, without: Sequence[str]
) -> tuple[dict[str, list[Value]], dict[str, str]]:
    """Return each reply's value of every column, and why some have none: kept ones, else those of the texts.

    Raises:
        ValueError: The divergences of single replies are not kept.
    """
    beside, folder = source.values
    kept = {name: one.values for name, one in read_reply_values(beside, stored).items()} if beside.exists() else {}
    found: dict[str, list[Value]] = {}
    unread = {}
    replies = [stored.reply(number) for number in range(len(stored.kept.replies))]
    for name in (_NAMED, *COLUMNS, AD_WORDS):
        one, later = reading(name), folder / f"{name}.json"
        if name in kept:
            found[name] = kept[name]
        elif later.exists():
            by_number = values_by_number(later, name, stored)
            found[name] = [by_number[number] for number in range(len(replies))]
        elif isinstance(one, TextReading) and one.basis is None:
            found[name] = read_texts(one, replies, stored.brands)
        elif name in without:
            unread[name] = "it has no meaning for this carrier"
        else:
            unread[name] = (
                f"no value of single replies is kept; `surface read {source.name} --reading {name}` takes them"
            )
    if "reply_kl" in unread:
        raise InputError(f"{source.name}: reply_kl: {unread['reply_kl']}")
    return found, unread


def _replicate(
    replicate: str, name: str, measured: MeasuredList, stored: StoredReplies, values: Mapping[str, Sequence[Value]]
) -> CellReplicate:
    kept = stored.kept.replies
    numbers = [k for k, reply in enumerate(kept) if reply.replicate == replicate]
    asked = sorted({(kept[k].context, kept[k].prompt) for k in numbers})
    place = {one: index for index, one in enumerate(asked)}
    replies = 1 + max(int(kept[k].place[-1]) for k in numbers)
    shape = (len(stored.interventions), len(asked), replies)
    where = tuple(
        np.array([(kept[k].intervention, place[kept[k].context, kept[k].prompt], kept[k].place[-1]) for k in numbers]).T
    )
    if len(numbers) != int(np.prod(shape)):
        raise InputError(f"{name}: every prompt of {replicate} needs the same number of replies under each setting")

    def table(column: str, width: int = 1) -> Array:
        found = np.full((*shape, width), np.nan)
        found[where] = as_tensor([values[column][k] for k in numbers], width).numpy()
        return found

    named = table(_NAMED, len(stored.brands)).sum(2)
    columns = {}
    for column in (*COLUMNS, AD_WORDS):
        if column in values:
            means = _means(table(column)[..., 0])
            columns[column] = _as_loss(column, means)
    slots, errors = _slots(replicate, measured, stored)
    texts = stored.kept.record["prompts"][replicate]
    prompts = tuple(hashlib.sha256(texts[c][p].encode()).hexdigest()[:16] for c, p in asked)
    context = np.array([c for c, _ in asked], dtype=np.int64)
    return CellReplicate(context, prompts, replies, named, table("reply_kl")[..., 0], columns, slots, errors)


def _means(values: Array) -> Array:
    """Return means over replies, NaN where no reply was scored."""
    known = ~np.isnan(values)
    totals = np.where(known, values, 0.0).sum(2)
    with np.errstate(invalid="ignore"):
        return np.asarray(totals / known.sum(2))


def _as_loss(name: str, means: Array) -> Array:
    """Return a loss by difference as its rise above the untouched replies to the same prompt; others as they are."""
    sign = {LOWER: 1.0, HIGHER: -1.0}.get(str(reading(name).loss), 0.0)
    return sign * (means - means[:1]) if sign else means


def _slots(replicate: str, measured: MeasuredList, stored: StoredReplies) -> tuple[Array | None, Array | None]:
    """Return slot probabilities (setting, brand) after the replicate's stems, mean over contexts, and their errors."""
    if SLOTS not in measured.measured_features:
        return None, None
    features = measured.replicates[replicate].features
    column = measured.measured_features.index(SLOTS)
    mine = at_null(stored.interventions, measured.levers).flatten(1)
    listed = at_null(measured.allocations, measured.levers).flatten(1)
    equal = (mine.unsqueeze(1) == listed).all(2)
    if not bool(equal.any(1).all()):
        raise InputError("the replies are not those of this measurement: its settings are others")
    entries = equal.to(torch.uint8).argmax(1)
    means, errors = (part[:, entries, :, column].double() for part in (features.mean, features.standard_error))
    return means.mean(0).numpy(), (errors.square().sum(0).sqrt() / len(errors)).numpy()


def _rows(carrier: Carrier, stored: StoredReplies) -> tuple[int, ...]:
    """Return how many rows of the model are decoded for a reply in each setting: voices times candidates."""
    found = []
    for setting in stored.interventions.float():
        change = carrier.change(setting[None])
        is_null = bool(change.null.all())
        voices = 1 if bool(change.reply_null.all()) else 1 + len(change.companions)
        found.append(1 if is_null else voices * change.candidates)
    return tuple(found)
