"""One cell of the table of carriers: what a carrier's replies in one category were worth, by setting and prompt."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from auctionsim.errors import InputError
from auctionsim.experiments.running.prompt_intervals import Array, Stratum, rate_variance
from auctionsim.records import Record
from auctionsim.substrates.measurements import REPLICATES

COLUMNS = ("quality", "reply_kl", "kl", "ad_share")
"""The user's side, never one number: how bad replies read, how far their law and tokens moved, what of them is ads."""
AD_WORDS = "ad_words"
FEWEST = 2
"""Prompts of a context that a column must be known of."""


class CellReplicate(NamedTuple):
    """One replicate's replies; K settings with the null first, P prompts, the same number of replies to each.

    Attributes:
        context: (prompt,) index of each prompt's context.
        prompts: (prompt,) digests of the prompts' texts: what is paired across carriers.
        replies: To a prompt under a setting.
        named: (setting, prompt, brand) replies that name the brand.
        reply_kl: (setting, prompt, reply) nats of each reply.
        columns: (setting, prompt) means over replies, NaN where none was scored, by reading. `quality` is the rise
            above the untouched replies to the same prompt.
        slots: (setting, brand) probability of the brand after this replicate's stems, mean over contexts; None where it
            was not taken.
        slot_errors: (setting, brand) its standard errors, over prompts.
    """

    context: np.ndarray[Any, np.dtype[np.int64]]
    prompts: tuple[str, ...]
    replies: int
    named: Array
    reply_kl: Array
    columns: Mapping[str, Array]
    slots: Array | None
    slot_errors: Array | None


class CarrierCell(NamedTuple):
    """A carrier in one category.

    Attributes:
        measured: Name of the measured list.
        carrier: Name in the table of carriers.
        label: Of the carrier.
        category: What the brands sell.
        brands: The bidders.
        levers: Names.
        settings: (setting, bidder, lever), the null first.
        nulls: (lever,) the value at which each does nothing.
        rows: (setting,) rows of the model that are decoded for a reply; None where the carrier's file is not there.
        replicates: By name.
        unread: Columns that are not there, with the reason.
    """

    measured: str
    carrier: str
    label: str
    category: str
    brands: tuple[str, ...]
    levers: tuple[str, ...]
    settings: Array
    nulls: Array
    rows: tuple[int, ...] | None
    replicates: Mapping[str, CellReplicate]
    unread: Mapping[str, str]

    @property
    def acts_after(self) -> bool:
        """Whether the reply's law is the untouched one in every reply: the carrier acts on the page alone."""
        return not any(one.reply_kl.any() for one in self.replicates.values())

    def alone(self, brand: int) -> list[int]:
        """Return the settings in which only this brand moves anything, the null first."""
        moved = (self.settings != self.nulls).all(2)  # one lever at its null leaves the reply untouched
        others = np.delete(moved, brand, axis=1).any(1)
        return [k for k in range(len(moved)) if not others[k]]

    def shares(self, chosen: Mapping[int, float]) -> Array:
        """Return a lottery over settings as (setting,) shares."""
        found = np.zeros(len(self.settings))
        for k, share in chosen.items():
            found[k] = share
        return found

    def named_strata(self, replicate: str, shares: Array, brand: int, *, gain: bool = False) -> list[Stratum]:
        """Return the probability that a reply names a brand under a lottery, prompt by prompt.

        Args:
            replicate: "A" or "B".
            shares: (setting,) of the lottery.
            brand: Which.
            gain: Less that of the untouched reply.
        """
        one = self.replicates[replicate]
        counts = one.named[:, :, brand]
        weights = shares - (np.arange(len(shares)) == 0) * gain
        redrawn = rate_variance(counts, np.full_like(counts, one.replies))
        return _by_context(one.context, weights @ counts / one.replies, weights**2 @ redrawn)

    def column_strata(self, replicate: str, shares: Array, column: str) -> list[Stratum] | None:
        """Return a column's mean under a lottery, prompt by prompt; None where it was not read of enough prompts."""
        one = self.replicates[replicate]
        if column not in one.columns:
            return None
        used = np.flatnonzero(shares)
        values = shares[used] @ one.columns[column][used]
        known = ~np.isnan(values)
        contexts = one.context[known]
        if min(np.bincount(contexts, minlength=int(one.context.max()) + 1)) < FEWEST:
            return None
        return _by_context(contexts, values[known], np.zeros(int(known.sum())))


def _by_context(context: Any, values: Array, redrawn: Array) -> list[Stratum]:
    names = sorted(set(context.tolist()))
    return [Stratum(1 / len(names), values[context == k], redrawn[context == k]) for k in names]


def cell_document(cell: CarrierCell) -> dict[str, Any]:
    """Return a cell as JSON has it; NaN is null."""
    plain = cell._asdict() | {"settings": cell.settings.tolist(), "nulls": cell.nulls.tolist()}
    replicates = {}
    for name, one in cell.replicates.items():
        replicates[name] = {
            "context": one.context.tolist(),
            "prompts": list(one.prompts),
            "replies": one.replies,
            "named": one.named.tolist(),
            "reply_kl": one.reply_kl.tolist(),
            "columns": {key: _with_gaps(values) for key, values in one.columns.items()},
            "slots": None if one.slots is None else one.slots.tolist(),
            "slot_errors": None if one.slot_errors is None else one.slot_errors.tolist(),
        }
    return {**plain, "unread": dict(cell.unread), "replicates": replicates}


def cell_from(record: Record) -> CarrierCell:
    """Return the cell of a document that `cell_document` made.

    Raises:
        ValueError: Something else.
    """
    brands, levers = record.texts("brands"), record.texts("levers")
    settings = _array(record, "settings", (None, len(brands), len(levers)))
    count = len(settings)
    if not count or not brands or not levers:
        raise InputError("a cell has one or more settings, brands and levers")
    parts = {name: _replicate(record.record("replicates").record(name), count, len(brands)) for name in REPLICATES}
    rows = None if record.value("rows") is None else record.wholes("rows", 1)
    unread = record.record("unread")
    return CarrierCell(
        measured=record.text("measured"),
        carrier=record.text("carrier"),
        label=record.text("label"),
        category=record.text("category"),
        brands=brands,
        levers=levers,
        settings=settings,
        nulls=_array(record, "nulls", (len(levers),)),
        rows=rows,
        replicates=parts,
        unread={name: unread.text(name) for name in unread.content},
    )


def _replicate(record: Record, settings: int, brands: int) -> CellReplicate:
    context, prompts = np.array(record.wholes("context"), dtype=np.int64), record.texts("prompts")
    asked, replies = len(context), record.whole("replies", 1)
    if not asked or len(prompts) != asked or context.max() >= asked:
        raise InputError(f"{record.what} has no context of fewer than {asked} for each of {len(prompts)} prompts")
    named = _array(record, "named", (settings, asked, brands), high=replies)
    reply_kl = _array(record, "reply_kl", (settings, asked, replies))
    listed = record.record("columns")
    columns = {name: _array(listed, name, (settings, asked), low=-math.inf, gaps=True) for name in listed.content}
    slots, errors = (
        None if record.value(name) is None else _array(record, name, (settings, brands))
        for name in ("slots", "slot_errors")
    )
    return CellReplicate(context, prompts, replies, named, reply_kl, columns, slots, errors)


def _array(
    record: Record,
    name: str,
    shape: tuple[int | None, ...],
    *,
    low: float = 0.0,
    high: float = math.inf,
    gaps: bool = False,
) -> Array:
    """Return numbers of a shape, None where any size will do, in a range; with gaps, NaN where JSON has null.

    Raises:
        ValueError: Others.
    """
    sizes = ", ".join("any" if size is None else str(size) for size in shape)
    try:
        found = np.array(record.items(name), dtype=np.float64)  # None becomes NaN
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{record.what}, {name} must be numbers of shape ({sizes})") from error
    fits = found.ndim == len(shape) and all(want in (None, got) for want, got in zip(shape, found.shape, strict=True))
    known = (found >= low) & (found <= high) & np.isfinite(found)
    if not fits or not (known | (np.isnan(found) & gaps)).all():
        raise InputError(f"{record.what}, {name} must be numbers in [{low:g}, {high:g}] of shape ({sizes})")
    return found


def _with_gaps(values: Array) -> list[list[float | None]]:
    return [[None if math.isnan(value) else value for value in row] for row in values.tolist()]
