"""What counts as a measurement: a mean, its standard error and a count in every cell, nothing missing, none at odds."""

import itertools
from collections import namedtuple
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auctionsim.substrates.protocol import Lever

REPLICATES = ("A", "B")
MOST_NUMBERS = 1 << 25
"""Means, errors and counts of a file, once spread over the cells: 256 MiB in 64 bits each."""
_NOTHING: Mapping[str, "Measurement"] = {}


class Measurement(NamedTuple):
    """One quantity, or several alike, in every cell; three tensors of one shape.

    Attributes:
        mean: Floating point, finite.
        standard_error: Of the mean; floating point, finite, ≥ 0.
        n: How many draws (prompts, replies) the mean is over; integer, ≥ 1.
    """

    mean: Tensor
    standard_error: Tensor
    n: Tensor


class Replicate(NamedTuple):
    """One whole measurement, with its own seeds and prompts. `…` are the axes of the cells: a grid's, or a list's one.

    Attributes:
        features: (context, …, bidder, feature), ≥ 0; a feature called *_probability is ≤ 1.
        user_loss: (context, …), ≥ 0.
        diagnostics: What is measured besides and not sold, by name: each (context, …) or (context, …, bidder).
    """

    features: Measurement
    user_loss: Measurement
    diagnostics: Mapping[str, Measurement] = _NOTHING


class Cells(NamedTuple):
    """Which interventions were measured, and how the axes are called.

    Attributes:
        levers: The controls of one bidder.
        features: Names of what is measured for each bidder.
        contexts: Names of the prompts' groups.
        shape: The axes of the cells.
        allocations: (cell, bidder, lever), float64.
        canonical: (cell,), the first cell of the same intervention; it stands for all of them. A bidder with any lever
            at its null has all of them there.
        distinct: (entry,), the cells that stand for themselves, the null first, then in order.
    """

    levers: tuple[Lever, ...]
    features: tuple[str, ...]
    contexts: tuple[str, ...]
    shape: tuple[int, ...]
    allocations: Tensor
    canonical: Tensor
    distinct: Tensor

    @property
    def num_bidders(self) -> int:
        """How many bidders an allocation has."""
        return self.allocations.shape[1]

    def place(self, index: Sequence[int]) -> str:
        """Name a cell: `index` is (context, cell), then a bidder, then a feature, as far as they go."""
        context, cell, *rest = index
        settings = "; ".join(
            ", ".join(f"{lever.name} {value:g}" for lever, value in zip(self.levers, levels, strict=True))
            for levels in self.allocations[cell].tolist()
        )
        words = [f"context {self.contexts[context]!r}", f"allocation ({settings})"]
        words += [f"bidder {bidder}" for bidder in rest[:1]] + [self.features[feature] for feature in rest[1:]]
        return ", ".join(words)


def checked_names(names: Sequence[str], what: str) -> tuple[str, ...]:
    """Return `names` as a tuple if there is one at least, none is blank and each is used once.

    Raises:
        ValueError: They are not.
    """
    listed = (names,) if isinstance(names, str) else tuple(names)
    blank = not all(isinstance(name, str) and name.strip() for name in listed)
    if blank or not listed or len(set(listed)) < len(listed):
        raise ValueError(f"{what} must be one or more different names, got {listed}")
    return listed


def at_null(allocation: Tensor, levers: tuple[Lever, ...]) -> Tensor:
    """Return `allocation` (…, bidder, lever) with every lever of a bidder at its null where one of them is."""
    nulls = allocation.new_tensor([lever.null for lever in levers])
    untouched = (allocation == nulls).any(-1, keepdim=True)
    return torch.where(untouched, nulls, allocation)


def described_cells(
    levers: tuple[Lever, ...],
    features: Sequence[str],
    contexts: Sequence[str],
    shape: tuple[int, ...],
    allocations: Tensor,
) -> Cells:
    """Say which of the cells mean the same intervention.

    Args:
        levers: With the null of each.
        features: Names.
        contexts: Names.
        shape: The axes of the cells; their product is the number of cells.
        allocations: (cell, bidder, lever), float64, finite.
    Raises:
        ValueError: Bad names, or the null allocation is not among the cells.
    """
    for name in checked_names([lever.name for lever in levers], "levers"):
        if not name.isidentifier() or name.startswith("_"):
            raise ValueError(f"a lever's name must be a Python identifier, as it names a table's column; got {name!r}")
    meaning = at_null(allocations, levers).flatten(1)
    _, group = torch.unique(meaning, dim=0, return_inverse=True)
    number = torch.arange(len(group))
    first = torch.full((int(group.max()) + 1,), len(group)).scatter_reduce(0, group, number, "amin")
    canonical = first[group]
    distinct = number[canonical == number]
    nulls = torch.tensor([lever.null for lever in levers], dtype=allocations.dtype)
    is_null = (meaning[distinct].view(-1, *allocations.shape[1:]) == nulls).all(2).all(1)
    if not is_null.any():
        raise ValueError(f"the null allocation must be among the cells: every bidder at {nulls.tolist()}")
    distinct = torch.cat([distinct[is_null], distinct[~is_null]])
    return Cells(
        levers,
        checked_names(features, "features"),
        checked_names(contexts, "contexts"),
        shape,
        allocations,
        canonical,
        distinct,
    )


def checked_replicates(replicates: Mapping[str, Replicate], cells: Cells) -> Mapping[str, Replicate]:
    """Return the replicates as float64 and int64 on the CPU, if they obey every rule.

    Raises:
        TypeError: Means without a fraction, counts with one.
        ValueError: Other replicates than A and B; a wrong shape; a missing, infinite or out-of-range number; cells of
            the same intervention that differ; diagnostics that only one replicate has.
    """
    if set(replicates) != set(REPLICATES):
        raise ValueError(f"replicates must be A and B, got {sorted(replicates)}")
    checked = {name: _checked_replicate(replicates[name], cells, f"replicate {name}") for name in REPLICATES}
    shapes = [{name: item.mean.shape for name, item in replicate.diagnostics.items()} for replicate in checked.values()]
    if shapes[0] != shapes[1]:
        raise ValueError(f"replicates A and B must have the same diagnostics, got {shapes[0]} and {shapes[1]}")
    return checked


def _checked_replicate(replicate: Replicate, cells: Cells, what: str) -> Replicate:
    n, f = cells.num_bidders, len(cells.features)
    features = _checked(replicate.features, cells, (n, f), f"{what}, features")
    _within_bounds(features.mean, cells, cells.features, f"{what}, features")
    user_loss = _checked(replicate.user_loss, cells, (), f"{what}, user_loss")
    _within_bounds(user_loss.mean, cells, ("user_loss",), f"{what}, user_loss")
    diagnostics = {}
    for name in sorted(replicate.diagnostics):
        if name in (*cells.features, "user_loss"):
            raise ValueError(f"{what}: a diagnostic may not be called {name!r}, as a feature or the loss is")
        item = replicate.diagnostics[name]
        per_bidder = item.mean.ndim == 2 + len(cells.shape)
        diagnostics[name] = _checked(item, cells, (n,) if per_bidder else (), f"{what}, {name}")
        if name.endswith("_probability"):
            _within_bounds(item.mean, cells, (name,), f"{what}, {name}")
    return Replicate(features, user_loss, diagnostics)


def _checked(item: Measurement, cells: Cells, rest: tuple[int, ...], what: str) -> Measurement:
    shape = (len(cells.contexts), *cells.shape, *rest)
    for part, array in item._asdict().items():
        if not isinstance(array, Tensor) or tuple(array.shape) != shape:
            got = tuple(array.shape) if isinstance(array, Tensor) else type(array).__name__
            raise ValueError(f"{what}: {part} must be a tensor of shape {shape}, got {got}")
        whole = not (array.is_floating_point() or array.is_complex() or array.dtype == torch.bool)
        if whole != (part == "n") or array.is_complex() or array.dtype == torch.bool:
            kind = "integers" if part == "n" else "floating point"
            raise TypeError(f"{what}: {part} must be {kind}, got {array.dtype}")
    item = Measurement(
        item.mean.detach().to("cpu", torch.float64, copy=True, memory_format=torch.contiguous_format),
        item.standard_error.detach().to("cpu", torch.float64, copy=True, memory_format=torch.contiguous_format),
        item.n.detach().to("cpu", torch.int64, copy=True, memory_format=torch.contiguous_format),
    )
    _refuse(~item.mean.isfinite(), item.mean, cells, f"{what}: the mean is missing or infinite")
    bad = ~(item.standard_error.isfinite() & (item.standard_error >= 0))
    _refuse(bad, item.standard_error, cells, f"{what}: standard errors must be finite and >= 0")
    _refuse(item.n < 1, item.n, cells, f"{what}: n must be >= 1")
    for part, array in item._asdict().items():
        flat = array.flatten(1, len(cells.shape))
        differs = flat != flat[:, cells.canonical]
        _refuse(differs, array, cells, f"{what}: {part} differs from the same intervention's in another cell")
    return item


def _within_bounds(mean: Tensor, cells: Cells, names: tuple[str, ...], what: str) -> None:
    high = [1.0 if name.endswith("_probability") else torch.inf for name in names]
    bad = (mean < 0) | (mean > mean.new_tensor(high if len(names) > 1 else high[0]))
    _refuse(bad, mean, cells, f"{what}: must be >= 0, and <= 1 where called *_probability")


def _refuse(bad: Tensor, array: Tensor, cells: Cells, sentence: str) -> None:
    if not bad.any():
        return
    flat = array.flatten(1, len(cells.shape))
    places = bad.reshape(flat.shape).nonzero().tolist()
    more = f", and in {len(places) - 1} more places" if len(places) > 1 else ""
    raise ValueError(f"{sentence}: {flat[tuple(places[0])].item()} at {cells.place(places[0])}{more}")


def replicate_arrays(replicates: Mapping[str, Replicate], cells: Cells) -> dict[str, Tensor]:
    """Name every array of the replicates, as files do: replicate/quantity/part, each intervention once."""
    arrays: dict[str, Tensor] = {}
    for name, replicate in replicates.items():
        items = {"features": replicate.features, "user_loss": replicate.user_loss}
        items |= {f"diagnostics/{key}": item for key, item in replicate.diagnostics.items()}
        for key, item in items.items():
            arrays |= {f"{name}/{key}/{part}": _distinct(array, cells) for part, array in item._asdict().items()}
    return arrays


def replicates_from(arrays: Mapping[str, Tensor], cells: Cells) -> dict[str, Replicate]:
    """Collect the replicates from arrays named by `replicate_arrays`.

    Raises:
        ValueError: One is not there, of another kind, or has another number of contexts or interventions; or spread
            over the cells there are more than `MOST_NUMBERS`.
    """
    spread_out = sum(array.numel() for array in arrays.values()) * len(cells.canonical) // len(cells.distinct)
    if spread_out > MOST_NUMBERS:
        raise ValueError(f"holds {spread_out} numbers, spread over its cells; at most {MOST_NUMBERS} are read")
    entries = torch.zeros_like(cells.canonical)
    entries[cells.distinct] = torch.arange(len(cells.distinct))

    def spread(name: str) -> Tensor:
        if name not in arrays:
            raise ValueError(f"lacks the tensor {name!r}")
        array, wanted = arrays[name], (len(cells.contexts), len(cells.distinct))
        if array.shape[:2] != wanted:
            raise ValueError(f"{name} must be of shape {(*wanted, ...)}, got {tuple(array.shape)}")
        return array[:, entries[cells.canonical]].reshape(len(cells.contexts), *cells.shape, *array.shape[2:])

    def item(name: str) -> Measurement:
        return Measurement(*(spread(f"{name}/{part}") for part in Measurement._fields))

    def replicate(name: str) -> Replicate:
        start = f"{name}/diagnostics/"
        keys = sorted({key[len(start) :].rpartition("/")[0] for key in arrays if key.startswith(start)})
        return Replicate(item(f"{name}/features"), item(f"{name}/user_loss"), {key: item(start + key) for key in keys})

    return {name: replicate(name) for name in REPLICATES}


def measured_rows(cells: Cells, replicates: Mapping[str, Replicate]) -> list[Any]:
    """Return one named tuple for every number measured on the distinct interventions; see `Measured.table`."""
    settings = [f"{lever.name}_{bidder}" for bidder in range(cells.num_bidders) for lever in cells.levers]
    columns = ["replicate", "context", *settings, "bidder", "quantity", "mean", "standard_error", "n"]
    make_row: Any = namedtuple  # the columns are known at run time only
    row = make_row("MeasuredRow", columns)
    meaning = at_null(cells.allocations[cells.distinct], cells.levers).flatten(1).tolist()
    rows = []
    for name, replicate in replicates.items():
        items = [(feature, _one(replicate.features, k)) for k, feature in enumerate(cells.features)]
        items += [("user_loss", replicate.user_loss), *replicate.diagnostics.items()]
        for quantity, item in items:
            parts = [_distinct(array, cells) for array in item]
            places = itertools.product(*map(range, parts[0].shape))
            for place, *numbers in zip(places, *(part.flatten().tolist() for part in parts), strict=True):
                context, entry, *rest = place
                bidder = rest[0] if rest else None
                rows.append(row(name, cells.contexts[context], *meaning[entry], bidder, quantity, *numbers))
    return rows


def _distinct(array: Tensor, cells: Cells) -> Tensor:
    return array.flatten(1, len(cells.shape))[:, cells.distinct]


def _one(features: Measurement, feature: int) -> Measurement:
    return Measurement(*(array[..., feature] for array in features))
