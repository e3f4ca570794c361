"""What counts as a measurement: a mean, its standard error and a count in every cell, nothing missing, none at odds."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim.checks import MOST_MONEY
from auctionsim.errors import InputError, InputTypeError
from auctionsim.levers import Lever, at_null
from auctionsim.substrates.covariances import LARGEST_SLACK, Pair
from auctionsim.substrates.quantities import DEFAULT_LOSS, Quantity

REPLICATES = ("A", "B")
_NOTHING: Mapping[str, "Measurement"] = {}
_NO_PAIRS: Mapping[Pair, Tensor] = {}


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
        features: (context, …, bidder, feature), ≥ 0.
        losses: What the user loses by it, by name: each (context, …), relative to the untouched reply. Of either sign,
            and exactly 0 at the null.
        diagnostics: What is measured besides and not sold, by name: each (context, …) or (context, …, bidder).
        covariances: Of two losses' means within a cell, by pair: each (context, …). Of a pair that is not there it is
            not known.
    """

    features: Measurement
    losses: Mapping[str, Measurement]
    diagnostics: Mapping[str, Measurement] = _NOTHING
    covariances: Mapping[Pair, Tensor] = _NO_PAIRS


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
        raise InputError(f"{what} must be one or more different names, got {listed}")
    return listed


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
            raise InputError(f"a lever's name must be a Python identifier, as it names a table's column; got {name!r}")
    meaning = at_null(allocations, levers).flatten(1)
    _, group = torch.unique(meaning, dim=0, return_inverse=True)
    number = torch.arange(len(group))
    first = torch.full((int(group.max()) + 1,), len(group)).scatter_reduce(0, group, number, "amin")
    canonical = first[group]
    distinct = number[canonical == number]
    nulls = torch.tensor([lever.null for lever in levers], dtype=allocations.dtype)
    is_null = (meaning[distinct].view(-1, *allocations.shape[1:]) == nulls).all(2).all(1)
    if not is_null.any():
        raise InputError(f"the null allocation must be among the cells: every bidder at {nulls.tolist()}")
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


def checked_replicates(
    replicates: Mapping[str, Replicate], cells: Cells, quantities: Mapping[str, Quantity]
) -> Mapping[str, Replicate]:
    """Return the replicates as float64 and int64 on the CPU, if they obey every rule.

    Args:
        replicates: A and B.
        cells: Which interventions were measured.
        quantities: Unit and bounds of every feature, loss and diagnostic.
    Raises:
        TypeError: Means without a fraction, counts with one.
        ValueError: Other replicates than A and B; a wrong shape; a missing, infinite or out-of-range number; cells of
            the same intervention that differ; a loss that is not 0 at the null.
    """
    return {name: _checked_replicate(replicates[name], cells, quantities, f"replicate {name}") for name in REPLICATES}


def quantity_names(replicates: Mapping[str, Replicate]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the losses, the default one first, and of the diagnostics, if both replicates have the same.

    Raises:
        TypeError: Losses or diagnostics that are no measurements by name.
        ValueError: Other replicates than A and B, no loss, or losses or diagnostics that only one replicate has.
    """
    if set(replicates) != set(REPLICATES):
        raise InputError(f"replicates must be A and B, got {sorted(replicates)}")
    for what in ("losses", "diagnostics"):
        for which in REPLICATES:
            items = getattr(replicates[which], what)
            if not isinstance(items, Mapping) or not all(isinstance(item, Measurement) for item in items.values()):
                raise InputTypeError(
                    f"replicate {which}: {what} must be measurements by name, such as {{'kl': …}}, got {items!r:.60}"
                )
        shapes = [
            {name: _shape(item.mean) for name, item in getattr(replicates[one], what).items()} for one in REPLICATES
        ]
        if shapes[0] != shapes[1]:
            raise InputError(f"replicates A and B must have the same {what}, got {shapes[0]} and {shapes[1]}")
    pairs = [sorted(replicates[which].covariances) for which in REPLICATES]
    if pairs[0] != pairs[1]:
        raise InputError(f"replicates A and B must have the same covariances, got {pairs[0]} and {pairs[1]}")
    one = replicates[REPLICATES[0]]
    losses = sorted(checked_names(tuple(one.losses), "losses"), key=lambda name: (name != DEFAULT_LOSS, name))
    return tuple(losses), tuple(sorted(one.diagnostics))


def _shape(mean: object) -> tuple[int, ...] | None:
    return tuple(mean.shape) if isinstance(mean, Tensor) else None  # what is no tensor is refused with its cells


def _checked_replicate(replicate: Replicate, cells: Cells, quantities: Mapping[str, Quantity], what: str) -> Replicate:
    n, f = cells.num_bidders, len(cells.features)
    features = _checked(replicate.features, cells, (n, f), f"{what}, features")
    _within_bounds(features.mean, cells, [quantities[name] for name in cells.features], f"{what}, features")
    losses, diagnostics = {}, {}
    for name in sorted(replicate.losses, key=lambda name: (name != DEFAULT_LOSS, name)):
        losses[name] = _checked(replicate.losses[name], cells, (), f"{what}, {name}")
        _within_bounds(losses[name].mean, cells, [quantities[name]], f"{what}, {name}")
        _zero_at_null(losses[name].mean, cells, f"{what}, {name}")
    for name in sorted(replicate.diagnostics):
        item = replicate.diagnostics[name]
        per_bidder = item.mean.ndim == 2 + len(cells.shape)
        diagnostics[name] = _checked(item, cells, (n,) if per_bidder else (), f"{what}, {name}")
        _within_bounds(diagnostics[name].mean, cells, [quantities[name]], f"{what}, {name}")
    covariances = {
        pair: _checked_covariance(pair, replicate.covariances[pair], losses, cells, what)
        for pair in sorted(replicate.covariances)
    }
    return Replicate(features, losses, diagnostics, covariances)


def _checked_covariance(
    pair: Pair, array: Tensor, losses: Mapping[str, Measurement], cells: Cells, what: str
) -> Tensor:
    """Return a covariance as float64 on the CPU, if it is of two losses and no larger than their errors allow."""
    one, other = pair
    if one not in losses or other not in losses or not one < other:
        raise InputError(f"{what}: covariances are of two of {tuple(losses)}, in order, got {pair}")
    what = f"{what}, covariance of {one} and {other}"
    shape = losses[one].mean.shape
    if not isinstance(array, Tensor) or array.shape != shape or not array.is_floating_point():
        got = tuple(array.shape) if isinstance(array, Tensor) else type(array).__name__
        raise InputError(f"{what} must be a floating-point tensor of shape {tuple(shape)}, got {got}")
    array = array.detach().to("cpu", torch.float64, copy=True, memory_format=torch.contiguous_format)
    most = losses[one].standard_error * losses[other].standard_error * (1 + LARGEST_SLACK)
    bad = ~(array.abs() <= most)  # a missing one, too
    _refuse(bad, array, cells, f"{what}: must be finite and no larger than the product of the two standard errors")
    flat = array.flatten(1, len(cells.shape))
    sentence = f"{what} differs from the same intervention's in another cell"
    _refuse(flat != flat[:, cells.canonical], array, cells, sentence)
    return array


def _checked(item: Measurement, cells: Cells, rest: tuple[int, ...], what: str) -> Measurement:
    shape = (len(cells.contexts), *cells.shape, *rest)
    for part, array in item._asdict().items():
        if not isinstance(array, Tensor) or tuple(array.shape) != shape:
            got = tuple(array.shape) if isinstance(array, Tensor) else type(array).__name__
            raise InputError(f"{what}: {part} must be a tensor of shape {shape}, got {got}")
        whole = not (array.is_floating_point() or array.is_complex() or array.dtype == torch.bool)
        if whole != (part == "n") or array.is_complex() or array.dtype == torch.bool:
            kind = "integers" if part == "n" else "floating point"
            raise InputTypeError(f"{what}: {part} must be {kind}, got {array.dtype}")
    item = Measurement(
        item.mean.detach().to("cpu", torch.float64, copy=True, memory_format=torch.contiguous_format),
        item.standard_error.detach().to("cpu", torch.float64, copy=True, memory_format=torch.contiguous_format),
        item.n.detach().to("cpu", torch.int64, copy=True, memory_format=torch.contiguous_format),
    )
    _refuse(~item.mean.isfinite(), item.mean, cells, f"{what}: the mean is missing or infinite")
    _refuse(item.mean.abs() > MOST_MONEY, item.mean, cells, f"{what}: a mean must be what float32 holds")
    bad = ~(item.standard_error.isfinite() & (item.standard_error >= 0))
    _refuse(bad, item.standard_error, cells, f"{what}: standard errors must be finite and >= 0")
    _refuse(item.n < 1, item.n, cells, f"{what}: n must be >= 1")
    for part, array in item._asdict().items():
        flat = array.flatten(1, len(cells.shape))
        differs = flat != flat[:, cells.canonical]
        _refuse(differs, array, cells, f"{what}: {part} differs from the same intervention's in another cell")
    return item


def _within_bounds(mean: Tensor, cells: Cells, quantities: Sequence[Quantity], what: str) -> None:
    ends = [[quantity.low for quantity in quantities], [quantity.high for quantity in quantities]]
    low, high = mean.new_tensor(ends) if len(quantities) > 1 else mean.new_tensor(ends).squeeze(1)
    bad = (mean < low) | (mean > high)
    if bad.any():
        rules = dict.fromkeys(f"[{quantity.low:g}, {quantity.high:g}]" for quantity in quantities)
        _refuse(bad, mean, cells, f"{what}: must lie in {' or '.join(rules)}")


def _zero_at_null(mean: Tensor, cells: Cells, what: str) -> None:
    flat = mean.flatten(1, len(cells.shape))
    at_null_cell = torch.zeros_like(flat, dtype=torch.bool)
    at_null_cell[:, cells.distinct[0]] = True
    sentence = f"{what}: a loss is relative to the untouched reply, so exactly 0 at the null"
    _refuse(at_null_cell & (flat != 0), mean, cells, sentence)


def _refuse(bad: Tensor, array: Tensor, cells: Cells, sentence: str) -> None:
    if not bad.any():
        return
    flat = array.flatten(1, len(cells.shape))
    places = bad.reshape(flat.shape).nonzero().tolist()
    more = f", and in {len(places) - 1} more places" if len(places) > 1 else ""
    raise InputError(f"{sentence}: {flat[tuple(places[0])].item()} at {cells.place(places[0])}{more}")
