"""Side files: means of readings that were taken of a measurement's replies later, beside the measurement's own file.

The measurement's file, name and digest stay. A side file names that digest, and every array has each distinct
intervention once, in the measurement's order: "A/losses/reply_kl/mean" is (context, intervention), "A/covariance"
(context, intervention, pair), in the order of the record's pairs of losses.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.files import sweep
from auctionsim.levers import at_null
from auctionsim.measurement.covariances import loss_covariances
from auctionsim.measurement.gathering import ReplyTable, unscored_share
from auctionsim.measurement.relation import relative, summarise
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.readings.protocol import IS_ONE, UNSCORED_SHARE, Reading, Unscored, Value, basis_of
from auctionsim.readings.registry import reading
from auctionsim.readings.values import as_tensor
from auctionsim.storage import Stored, read_stored, write_stored
from auctionsim.substrates.covariances import Pair, covariance_record, pairs_from
from auctionsim.substrates.measured_arrays import COVARIANCE
from auctionsim.substrates.measured_list import MeasuredList
from auctionsim.substrates.measurements import REPLICATES, Measurement
from auctionsim.substrates.side_readings import FOLDERS, FORMAT, VERSION
from auctionsim.substrates.surface import ResponseSurface

_SHARE = {"role": "diagnostic", "unit": "share of replies", "per": "reply", "bounds": [0.0, 1.0]}


class GatheredAgain(NamedTuple):
    """What readings that were taken later say of a measurement, each (context, intervention[, brand]).

    Attributes:
        means: By reading, then by replicate: {"A": {name: …}}, the share of unscored replies as "NAME_unscored" beside.
        covariances: By replicate, of every two losses' means whose values are known reply by reply.
    """

    means: Mapping[str, dict[str, dict[str, Measurement]]]
    covariances: Mapping[str, Mapping[Pair, Tensor]]


def gather_again(
    stored: StoredReplies, one: Reading, numbers: list[int], values: list[Value]
) -> dict[str, dict[str, Measurement]]:
    """Average a reading's values by replicate: {"A": {name: (context, intervention[, brand])}}, "NAME_unscored" beside.

    Args:
        stored: The replies.
        one: Whose values these are.
        numbers: Of the replies, in the order of values; of a reading per set, the sets follow this order.
        values: One for each reply, or for each set.
    Raises:
        ValueError: Nothing was scored in some context under some intervention.
    """
    found = {}
    for name, (table, drawn) in _reply_tables(stored, one, numbers, values).items():
        share = unscored_share(one, table[..., 0], drawn, values)
        summary = summarise(table.flatten(2, 3))
        if one.per != "brand":
            summary = Measurement(*(part[..., 0] for part in summary))
        if one.role == "loss":
            summary = relative(one, summary)
        found[name] = {one.name: summary, f"{one.name}{UNSCORED_SHARE}": share}
    if not any(isinstance(value, Unscored) for value in values):
        found = {name: {one.name: parts[one.name]} for name, parts in found.items()}
    return found


def covariances_again(
    stored: StoredReplies, losses: Mapping[str, list[Value]], numbers: list[int]
) -> dict[str, dict[Pair, Tensor]]:
    """Return the covariance of every two losses' means by replicate: (context, intervention).

    Args:
        stored: The replies.
        losses: Values by loss, one for each reply.
        numbers: Of the replies, in the order of values.
    """
    readings = [reading(name) for name in losses]
    tables = {one.name: _reply_tables(stored, one, numbers, losses[one.name]) for one in readings}
    return {
        name: loss_covariances(readings, {key: own[name].values[..., 0].flatten(2) for key, own in tables.items()})
        for name in REPLICATES
    }


def _reply_tables(
    stored: StoredReplies, one: Reading, numbers: list[int], values: list[Value]
) -> dict[str, ReplyTable]:
    """Return every value in its place, by replicate; of a reading per set, a set is one sample."""
    brands = len(stored.brands) if one.per == "brand" else 1
    places = [_place(stored, number, one) for number in numbers]
    if one.per == "set":
        places = list(dict.fromkeys(places))
    rows = as_tensor(values, brands)
    found = {}
    for name in REPLICATES:
        own = [k for k, place in enumerate(places) if place[0] == name]
        index = torch.tensor([places[k][1:] for k in own]).T
        sizes = [int(part.max()) + 1 for part in index]
        sizes[1] = len(stored.interventions)
        table = torch.full((*sizes, brands), math.nan, dtype=torch.float64)
        drawn = torch.zeros(sizes, dtype=torch.bool)
        table[tuple(index)], drawn[tuple(index)] = rows[own], True
        found[name] = ReplyTable(table, drawn)
    return found


def _place(stored: StoredReplies, number: int, one: Reading) -> tuple[str, int, int, int, int]:
    reply = stored.kept.replies[number]
    sample = 0 if one.per == "set" else int(reply.place[-1])
    return reply.replicate, reply.context, reply.intervention, reply.prompt, sample


def write_side_file(
    path: Path,
    measured: ResponseSurface | MeasuredList,
    stored: StoredReplies,
    gathered: GatheredAgain,
    maker: Mapping[str, Any],
) -> None:
    """Write the file, whole or not at all; readings that it has already stay, unless they are taken anew.

    What the measurement's own file holds is left out: there is one of each name. What is taken anew replaces all that
    was there under its name, on whatever basis.

    Args:
        path: Of the file.
        measured: That it belongs to.
        stored: Its replies.
        gathered: What was read.
        maker: Which command, commit and packages took these readings.
    Raises:
        ValueError: The replies are not those of the measurement, or the file that is there belongs to another one.
    """
    sweep(path.parent, below=False)
    order = matching(measured, stored)
    there = _already(path, measured)
    kept = {} if there is None else dict(there.record["readings"])
    later = {name: parts for name, parts in gathered.means.items() if name in kept or name not in measured.units}
    described = {name: how for name, how in kept.items() if name.removesuffix(UNSCORED_SHARE) not in later}
    arrays = {} if there is None else {k: v for k, v in there.arrays.items() if _name_in(k) in described}
    for name, replicates in later.items():
        described[name] = {**_described(reading(name)), "made_by": dict(maker)}
        for replicate, parts in replicates.items():
            for key, item in parts.items():
                described.setdefault(key, {**_SHARE, "made_by": dict(maker)})
                start = f"{replicate}/{FOLDERS[described[key]['role']]}/{key}"
                arrays |= {f"{start}/{part}": array[:, order] for part, array in item._asdict().items()}
    bases = {name: measured.quantities[name].basis for name in measured.losses}
    bases |= {name: how.get("basis", "") for name, how in described.items() if how["role"] == "loss"}
    new = [pair for pair in gathered.covariances[REPLICATES[0]] if pair not in measured.measured_pairs]
    old = [] if there is None else [pair for pair in pairs_from(there.fields) if not set(later) & set(pair)]
    pairs = sorted({*old, *(pair for pair in new if _of_these(pair, bases))})
    for replicate in REPLICATES if pairs else ():
        by_pair = {} if there is None else _covariances(there, replicate)
        by_pair |= {pair: array[:, order] for pair, array in gathered.covariances[replicate].items()}
        arrays[f"{replicate}/{COVARIANCE}"] = torch.stack([by_pair[pair] for pair in pairs], -1)
    record = {
        "surface": measured.digest,
        "num_bidders": measured.num_bidders,
        "contexts": list(measured.contexts),
        "readings": described,
        "covariances": covariance_record(pairs),
        "replies": stored.digest,
        "law": stored.law._asdict(),
    }
    write_stored(path, Stored(record, arrays), FORMAT, VERSION)


def _name_in(array: str) -> str:
    """Return whose array it is: "A/losses/length/mean" is of length; that of covariances is of no reading."""
    parts = array.split("/")
    return parts[2] if len(parts) == 4 else ""


def _covariances(there: Stored, replicate: str) -> dict[Pair, Tensor]:
    """Return a replicate's covariances in a file that is there."""
    pairs = pairs_from(there.fields)
    return dict(zip(pairs, there.arrays[f"{replicate}/{COVARIANCE}"].unbind(-1), strict=True)) if pairs else {}


def _of_these(pair: Pair, bases: Mapping[str, str]) -> bool:
    """Tell whether both losses of a pair are there, on the basis that readings of their names have now."""
    return all(name in bases and bases[name] == basis_of(reading(name)) for name in pair)


def _described(one: Reading) -> dict[str, Any]:
    low, high = one.bounds if one.role != "loss" or one.loss == IS_ONE else (-math.inf, math.inf)
    bounds = [end if math.isfinite(end) else None for end in (low, high)]
    basis = basis_of(one)
    how = {"role": one.role, "unit": one.unit, "per": one.per, "bounds": bounds}
    return {**how, "basis": basis} if basis else how


def _already(path: Path, measured: ResponseSurface | MeasuredList) -> Stored | None:
    """Return a file that is there, None where there is none."""
    if not path.exists():
        return None
    there = read_stored(path, FORMAT, VERSION)
    if there.record.get("surface") != measured.digest:
        raise InputError(f"{path} belongs to the measurement {there.record.get('surface')}, not to {measured.digest}")
    return there


def matching(measured: ResponseSurface | MeasuredList, stored: StoredReplies) -> Tensor:
    """Return, for each distinct intervention of a measurement in its order, its number among the replies'.

    Raises:
        ValueError: They are not the same interventions, contexts or brands.
    """
    names = [name for name, _ in stored.levers]
    if list(measured.contexts) != stored.kept.record.get("contexts") or measured.num_bidders != len(stored.brands):
        raise InputError("the replies are not those of this measurement: its contexts or brands are others")
    if not {lever.name for lever in measured.levers} <= set(names):
        raise InputError(f"the replies are not those of this measurement: their levers are {', '.join(names)}")
    levers = [names.index(lever.name) for lever in measured.levers]
    theirs = at_null(measured.finite_range().allocations, measured.levers)
    mine = at_null(stored.interventions[:, :, levers], measured.levers)
    found = [(mine == one).flatten(1).all(1).nonzero() for one in theirs]
    if len(mine) != len(theirs) or any(len(where) != 1 for where in found):
        raise InputError("the replies are not those of this measurement: its interventions are others")
    return torch.cat(found).squeeze(1)
