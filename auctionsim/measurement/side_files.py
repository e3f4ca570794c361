"""Side files: means of readings that were taken of a measurement's replies later, beside the measurement's own file.

The measurement's file, name and digest stay. A side file names that digest, and every array has each distinct
intervention once, in the measurement's order: "A/losses/reply_kl/mean" is (context, intervention).
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.files import sweep
from auctionsim.measurement.gathering import relative, summarise, unscored_share
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.readings.protocol import IS_ONE, UNSCORED_SHARE, Reading, Unscored, Value
from auctionsim.readings.registry import reading
from auctionsim.readings.values import as_tensor
from auctionsim.storage import Stored, read_stored, write_stored
from auctionsim.substrates.measured_list import MeasuredList
from auctionsim.substrates.measurements import REPLICATES, Measurement, at_null
from auctionsim.substrates.side_readings import FOLDERS, FORMAT, VERSION
from auctionsim.substrates.surface import ResponseSurface

_SHARE = {"role": "diagnostic", "unit": "share of replies", "per": "reply", "bounds": [0.0, 1.0]}


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


def _place(stored: StoredReplies, number: int, one: Reading) -> tuple[str, int, int, int, int]:
    reply = stored.kept.replies[number]
    sample = 0 if one.per == "set" else int(reply.place[-1])
    return reply.replicate, reply.context, reply.intervention, reply.prompt, sample


def write_side_file(
    path: Path,
    measured: ResponseSurface | MeasuredList,
    stored: StoredReplies,
    gathered: Mapping[str, dict[str, dict[str, Measurement]]],
    maker: Mapping[str, Any],
) -> None:
    """Write the file, whole or not at all; readings that it has already stay, unless they are taken anew.

    What the measurement's own file holds is left out: there is one of each name.

    Args:
        path: Of the file.
        measured: That it belongs to.
        stored: Its replies.
        gathered: By reading, as `gather_again` returns.
        maker: Which command, commit and packages took these readings.
    Raises:
        ValueError: The replies are not those of the measurement, or the file that is there belongs to another one.
    """
    sweep(path.parent, below=False)
    order = matching(measured, stored)
    there = _already(path, measured)
    later = {name: parts for name, parts in gathered.items() if name in there or name not in measured.units}
    described = {name: how for name, how in there.items() if name.removesuffix(UNSCORED_SHARE) not in later}
    arrays = {} if not described else _arrays(path, described)
    for name, replicates in later.items():
        described[name] = {**_described(reading(name)), "made_by": dict(maker)}
        for replicate, parts in replicates.items():
            for key, item in parts.items():
                described.setdefault(key, {**_SHARE, "made_by": dict(maker)})
                start = f"{replicate}/{FOLDERS[described[key]['role']]}/{key}"
                arrays |= {f"{start}/{part}": array[:, order] for part, array in item._asdict().items()}
    record = {
        "surface": measured.digest,
        "num_bidders": measured.num_bidders,
        "contexts": list(measured.contexts),
        "readings": described,
        "replies": stored.digest,
        "law": stored.law._asdict(),
    }
    write_stored(path, Stored(record, arrays), FORMAT, VERSION)


def _described(one: Reading) -> dict[str, Any]:
    low, high = one.bounds if one.role != "loss" or one.loss == IS_ONE else (-math.inf, math.inf)
    bounds = [end if math.isfinite(end) else None for end in (low, high)]
    return {"role": one.role, "unit": one.unit, "per": one.per, "bounds": bounds}


def _already(path: Path, measured: ResponseSurface | MeasuredList) -> dict[str, Any]:
    """Return how the readings of a file that is there are described."""
    if not path.exists():
        return {}
    there = read_stored(path, FORMAT, VERSION)
    if there.record.get("surface") != measured.digest:
        raise InputError(f"{path} belongs to the measurement {there.record.get('surface')}, not to {measured.digest}")
    return dict(there.record["readings"])


def _arrays(path: Path, described: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the arrays of these readings in a file that is there."""
    found = read_stored(path, FORMAT, VERSION).arrays
    return {key: array for key, array in found.items() if key.split("/")[2] in described}


def matching(measured: ResponseSurface | MeasuredList, stored: StoredReplies) -> Tensor:
    """Return, for each distinct intervention of a measurement in its order, its number among the replies'.

    Raises:
        ValueError: They are not the same interventions, contexts or brands.
    """
    names = ("num_neurons", "amplification")
    if list(measured.contexts) != stored.kept.record.get("contexts") or measured.num_bidders != len(stored.brands):
        raise InputError("the replies are not those of this measurement: its contexts or brands are others")
    levers = [names.index(lever.name) for lever in measured.levers]
    theirs = at_null(measured.finite_range().allocations, measured.levers)
    mine = at_null(stored.interventions[:, :, levers], measured.levers)
    found = [(mine == one).flatten(1).all(1).nonzero() for one in theirs]
    if len(mine) != len(theirs) or any(len(where) != 1 for where in found):
        raise InputError("the replies are not those of this measurement: its interventions are others")
    return torch.cat(found).squeeze(1)
