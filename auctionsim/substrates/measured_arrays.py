"""A measurement as a file and a table have it: arrays by name, each intervention once, and a row a number."""

import itertools
from collections import namedtuple
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.levers import at_null
from auctionsim.substrates.covariances import Pair
from auctionsim.substrates.measurements import REPLICATES, Cells, Measurement, Replicate
from auctionsim.substrates.quantities import DEFAULT_LOSS, Quantity

MOST_NUMBERS = 1 << 25
"""Means, errors and counts of a file, once spread over the cells: 256 MiB in 64 bits each."""
OLD_LOSS = "user_loss"
"""How files of version 1 call their only loss, which is `kl`."""

COVARIANCE = "covariance"
"""How the array of a replicate's covariances is called: (context, intervention, pair)."""


def replicate_arrays(replicates: Mapping[str, Replicate], cells: Cells) -> dict[str, Tensor]:
    """Name every array of the replicates, as files of version 2 do: replicate/quantity/part, each intervention once."""
    arrays: dict[str, Tensor] = {}
    for name, replicate in replicates.items():
        items = {"features": replicate.features}
        items |= {f"losses/{key}": item for key, item in replicate.losses.items()}
        items |= {f"diagnostics/{key}": item for key, item in replicate.diagnostics.items()}
        for key, item in items.items():
            arrays |= {f"{name}/{key}/{part}": _distinct(array, cells) for part, array in item._asdict().items()}
        if replicate.covariances:
            pairs = [_distinct(replicate.covariances[pair], cells) for pair in sorted(replicate.covariances)]
            arrays[f"{name}/{COVARIANCE}"] = torch.stack(pairs, -1)
    return arrays


def arrays_of_version_1(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the arrays as version 1 names them, which has one loss, `kl`, and calls it user_loss."""
    return {name.replace(f"/losses/{DEFAULT_LOSS}/", f"/{OLD_LOSS}/"): array for name, array in arrays.items()}


def replicates_from(arrays: Mapping[str, Tensor], cells: Cells, pairs: Sequence[Pair] = ()) -> dict[str, Replicate]:
    """Collect the replicates from arrays that `replicate_arrays` or version 1 named.

    Args:
        arrays: By name.
        cells: Which interventions were measured.
        pairs: Of losses, in the order of their covariances.

    Raises:
        ValueError: One is not there, of another kind, or has another number of contexts or interventions; or spread
            over the cells there are more than `MOST_NUMBERS`.
    """
    spread_out = sum(array.numel() for array in arrays.values()) * len(cells.canonical) // len(cells.distinct)
    if spread_out > MOST_NUMBERS:
        raise InputError(f"holds {spread_out} numbers, spread over its cells; at most {MOST_NUMBERS} are read")

    def names(start: str) -> list[str]:
        return sorted({key[len(start) :].rpartition("/")[0] for key in arrays if key.startswith(start)})

    def replicate(name: str) -> Replicate:
        losses = items_from(arrays, f"{name}/losses/", names(f"{name}/losses/"), cells)
        losses = losses or {DEFAULT_LOSS: items_from(arrays, f"{name}/", [OLD_LOSS], cells)[OLD_LOSS]}
        features = items_from(arrays, f"{name}/", ["features"], cells)["features"]
        start = f"{name}/diagnostics/"
        diagnostics = items_from(arrays, start, names(start), cells)
        return Replicate(features, losses, diagnostics, covariances_from(arrays, name, pairs, cells))

    return {name: replicate(name) for name in REPLICATES}


def items_from(arrays: Mapping[str, Tensor], start: str, names: Iterable[str], cells: Cells) -> dict[str, Measurement]:
    """Return measurements by name from the arrays start/name/part, spread over all cells.

    Raises:
        ValueError: An array is not there, or has another number of contexts or interventions.
    """
    return {
        name: Measurement(*(_spread(arrays, f"{start}{name}/{part}", cells) for part in Measurement._fields))
        for name in names
    }


def covariances_from(
    arrays: Mapping[str, Tensor], replicate: str, pairs: Sequence[Pair], cells: Cells
) -> dict[Pair, Tensor]:
    """Return a replicate's covariances by pair, spread over all cells.

    Raises:
        ValueError: The array is not there, or has another number of contexts, interventions or pairs.
    """
    if not pairs:
        return {}
    array = _spread(arrays, f"{replicate}/{COVARIANCE}", cells)
    if array.shape[1 + len(cells.shape) :] != (len(pairs),):
        raise InputError(f"{replicate}/{COVARIANCE} must have {len(pairs)} pairs, got {tuple(array.shape)}")
    return dict(zip(pairs, array.unbind(-1), strict=True))


def _spread(arrays: Mapping[str, Tensor], name: str, cells: Cells) -> Tensor:
    """Return an array that has each distinct intervention once, spread over all cells."""
    if name not in arrays:
        raise InputError(f"lacks the tensor {name!r}")
    array, wanted = arrays[name], (len(cells.contexts), len(cells.distinct))
    if array.shape[:2] != wanted:
        raise InputError(f"{name} must be of shape {(*wanted, ...)}, got {tuple(array.shape)}")
    entries = torch.zeros_like(cells.canonical)
    entries[cells.distinct] = torch.arange(len(cells.distinct))
    return array[:, entries[cells.canonical]].reshape(len(cells.contexts), *cells.shape, *array.shape[2:])


def measured_rows(cells: Cells, replicates: Mapping[str, Replicate], quantities: Mapping[str, Quantity]) -> list[Any]:
    """Return one named tuple for every number measured on the distinct interventions; see `Measured.table`."""
    settings = [f"{lever.name}_{bidder}" for bidder in range(cells.num_bidders) for lever in cells.levers]
    columns = ["replicate", "context", *settings, "bidder", "quantity", "mean", "standard_error", "n", "unit"]
    make_row: Any = namedtuple  # the columns are known at run time only
    row = make_row("MeasuredRow", columns)
    meaning = at_null(cells.allocations[cells.distinct], cells.levers).flatten(1).tolist()
    rows = []
    for name, replicate in replicates.items():
        items = [(feature, _one(replicate.features, k)) for k, feature in enumerate(cells.features)]
        items += [*replicate.losses.items(), *replicate.diagnostics.items()]
        for quantity, item in items:
            unit = quantities[quantity].unit
            parts = [_distinct(array, cells) for array in item]
            places = itertools.product(*map(range, parts[0].shape))
            for place, *numbers in zip(places, *(part.flatten().tolist() for part in parts), strict=True):
                context, entry, *rest = place
                bidder = rest[0] if rest else None
                rows.append(row(name, cells.contexts[context], *meaning[entry], bidder, quantity, *numbers, unit))
    return rows


def _distinct(array: Tensor, cells: Cells) -> Tensor:
    return array.flatten(1, len(cells.shape))[:, cells.distinct]


def _one(features: Measurement, feature: int) -> Measurement:
    return Measurement(*(array[..., feature] for array in features))
