"""Readings that were taken of a measurement's replies later: more losses and diagnostics, in a file beside it."""

import hashlib
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.records import Record
from auctionsim.storage import Stored, read_stored
from auctionsim.substrates.covariances import Pair, pairs_from, pairs_of
from auctionsim.substrates.measured_arrays import COVARIANCE, covariances_from, items_from
from auctionsim.substrates.measurements import REPLICATES, Cells, Measurement, Replicate
from auctionsim.substrates.quantities import Quantity, bounded

FORMAT = "auctionsim readings beside a measurement"
VERSION = 2
"""The first had no covariances and no bases."""
FOLDERS = {"loss": "losses", "diagnostic": "diagnostics", "feature": "features"}
"""By the role of a reading, where its arrays are."""


class SideReadings(NamedTuple):
    """What a file beside a measurement holds.

    Attributes:
        losses: By replicate and name.
        diagnostics: By replicate and name.
        quantities: Unit, bounds and basis of each.
        digests: Of each loss, by name: its values, unit, bounds and basis. Another loss in the file leaves it as it is.
        covariances: By replicate and pair of losses: of those that were read later, and of these with measured ones.
        pair_digests: Of each pair's covariances.
    """

    losses: Mapping[str, Mapping[str, Measurement]]
    diagnostics: Mapping[str, Mapping[str, Measurement]]
    quantities: Mapping[str, Quantity]
    digests: Mapping[str, str]
    covariances: Mapping[str, Mapping[Pair, Tensor]]
    pair_digests: Mapping[Pair, str]

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The pairs of losses whose covariances it holds."""
        return tuple(self.covariances[REPLICATES[0]])

    def charged(self, names: Collection[str], measured: Collection[Pair]) -> str | None:
        """Return a digest of what a sum of losses takes from the file; None where it takes nothing.

        Args:
            names: Of the losses.
            measured: Pairs whose covariances are the measurement's own.
        """
        parts = [self.digests[name] for name in sorted(names) if name in self.digests]
        parts += [self.pair_digests[pair] for pair in pairs_of(names) if pair in self.pairs and pair not in measured]
        return hashlib.sha256("".join(parts).encode()).hexdigest() if parts else None


def read_side_readings(path: Path, digest: str, cells: Cells) -> SideReadings:
    """Return the readings beside a measurement.

    A brand's own number that was read later is a diagnostic: what is sold is what was measured.

    Args:
        path: Of the side file.
        digest: Of the measurement that it must belong to.
        cells: Of the measurement.
    Raises:
        ValueError: It is damaged, belongs to another measurement, or does not fit; names the file.
    """
    stored = read_stored(path, FORMAT, VERSION)
    try:
        return _parsed(stored, digest, cells)
    except (TypeError, ValueError) as error:
        raise InputError(f"{os.fspath(path)}: {error}") from error


def _parsed(stored: Stored, digest: str, cells: Cells) -> SideReadings:
    record = stored.fields
    if record.text("surface") != digest:
        raise InputError(f"belongs to the measurement {record.text('surface')}, not to {digest}: remove it")
    if record.texts("contexts") != cells.contexts or record.whole("num_bidders") != cells.num_bidders:
        raise InputError(f"is of other contexts or bidders than the measurement's {cells.contexts}")
    readings = record.record("readings")
    roles = {name: readings.record(name).text("role") for name in readings.content}
    unknown = sorted(set(roles.values()) - set(FOLDERS))
    if unknown:
        raise InputError(f"the role of a reading must be one of {', '.join(FOLDERS)}, got {unknown[0]!r}")

    def items(replicate: str, role: str) -> dict[str, Measurement]:
        names = [name for name, own in roles.items() if own == role]
        return items_from(stored.arrays, f"{replicate}/{FOLDERS[role]}/", names, cells)

    losses = {one: items(one, "loss") for one in REPLICATES}
    diagnostics = {one: items(one, "diagnostic") | items(one, "feature") for one in REPLICATES}
    quantities = {name: _quantity(readings.record(name)) for name in readings.content}
    pairs = pairs_from(record)
    _refuse_nameless(stored, roles, pairs)
    covariances = {one: covariances_from(stored.arrays, one, pairs, cells) for one in REPLICATES}
    digests = {
        name: _digest((name, *_meaning(quantities[name])), [part for one in REPLICATES for part in losses[one][name]])
        for name, role in roles.items()
        if role == "loss"
    }
    pair_digests = {pair: _digest(pair, [covariances[one][pair] for one in REPLICATES]) for pair in pairs}
    return SideReadings(losses, diagnostics, quantities, digests, covariances, pair_digests)


def _meaning(quantity: Quantity) -> tuple[str, float, float, str]:
    return quantity.unit, quantity.low, quantity.high, quantity.basis


def _digest(meaning: tuple[str | float, ...], arrays: Iterable[Tensor]) -> str:
    found = hashlib.sha256(repr(meaning).encode())
    for array in arrays:
        found.update(array.contiguous().numpy().tobytes())
    return found.hexdigest()


def _refuse_nameless(stored: Stored, roles: Mapping[str, str], pairs: Collection[Pair]) -> None:
    """Refuse arrays that no reading of the record has, from version 2 on: they would be another basis's."""
    starts = {f"{one}/{FOLDERS[role]}/{name}" for name, role in roles.items() for one in REPLICATES}
    wanted = {f"{start}/{part}" for start in starts for part in Measurement._fields}
    wanted |= {f"{one}/{COVARIANCE}" for one in REPLICATES if pairs}
    other = sorted(set(stored.arrays) - wanted)
    if other and "covariances" in stored.record:
        raise InputError(f"has the tensor {other[0]!r:.80}, which none of its readings has")


def _quantity(reading: Record) -> Quantity:
    ends = reading.items("bounds")
    if len(ends) != 2:
        raise InputError(f"bounds must be two ends, each a number or null, got {len(ends)}")
    low, high = (Record({"bound": bound}, "bounds").number_or_none("bound") for bound in ends)
    return bounded(reading.text("unit"), low, high, reading.text("basis") if "basis" in reading else "")


def with_side_readings(replicates: Mapping[str, Replicate], side: SideReadings) -> dict[str, Replicate]:
    """Return the replicates with the losses and diagnostics beside them added.

    Raises:
        ValueError: One that was measured already.
    """
    own = replicates[REPLICATES[0]]
    twice = sorted(set(side.quantities) & {*own.losses, *own.diagnostics})
    if twice:
        raise InputError(f"{twice[0]!r} was measured and also read later: there must be one of each name")
    return {
        name: one._replace(
            losses={**one.losses, **side.losses[name]},
            diagnostics={**one.diagnostics, **side.diagnostics[name]},
            covariances={**side.covariances[name], **one.covariances},
        )
        for name, one in replicates.items()
    }


def without(replicate: Replicate, names: Collection[str], pairs: Collection[Pair]) -> Replicate:
    """Return the replicate without these losses and diagnostics, and with the covariances of these pairs only."""
    return replicate._replace(
        covariances={pair: item for pair, item in replicate.covariances.items() if pair in pairs},
        losses={name: item for name, item in replicate.losses.items() if name not in names},
        diagnostics={name: item for name, item in replicate.diagnostics.items() if name not in names},
    )
