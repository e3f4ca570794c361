"""How units become numbers: mean, standard error and count of every reading, over prompts, sets or replies."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.errors import InputError
from auctionsim.measurement.covariances import loss_covariances
from auctionsim.measurement.relation import relative, summarise
from auctionsim.measurement.units import UnitResult, replies_of
from auctionsim.prompts import PromptSet
from auctionsim.readings.protocol import (
    IS_ONE,
    UNSCORED_SHARE,
    PromptReading,
    Reading,
    TextReading,
    Unscored,
    Value,
    basis_of,
)
from auctionsim.readings.slots import slots_by_kind
from auctionsim.readings.values import as_tensor, read_texts
from auctionsim.substrates.covariances import Pair
from auctionsim.substrates.measurements import Measurement, Replicate
from auctionsim.substrates.quantities import Quantity

_TOGETHER = ("kl", "surprise", "repetition_rate", "hits", "mention_probability")
"""Readings whose sums share one table. How a sum rounds depends on the columns beside it, so this order stays."""


SHARE, PROBABILITY = Quantity("share of replies", 0.0, 1.0), Quantity("probability", 0.0, 1.0)


class Gathered(NamedTuple):
    """What readings say of one replicate, each (context, intervention[, brand]).

    Attributes:
        features: By reading per brand.
        losses: By name; relative to the untouched reply, exactly 0 at the null.
        diagnostics: By name.
        unscored: Share of replies without a value, by reading.
        covariances: Of every two losses' means, by pair.
    """

    features: dict[str, Measurement]
    losses: dict[str, Measurement]
    diagnostics: dict[str, Measurement]
    unscored: dict[str, Measurement]
    covariances: dict[Pair, Tensor]


class ReplyTable(NamedTuple):
    """Values of one or more readings of every reply.

    Attributes:
        values: (context, intervention, prompt, sample, column), NaN where unscored or never drawn.
        drawn: (context, intervention, prompt, sample), whether there is a reply.
    """

    values: Tensor
    drawn: Tensor


def gather(
    results: Sequence[UnitResult], readings: Sequence[Reading], brands: tuple[Brand, ...], prompts: PromptSet
) -> Gathered:
    """Average one replicate's units.

    Scored readings are averaged over stems first, so that prompts are their draws. Replies count one by one: the error
    is that of sampling replies to these prompts, and says nothing of other prompts; replicate B has others. A reply
    that a reading left unscored does not count.

    Args:
        results: All units of the replicate.
        readings: What to gather. A text reading that a unit lacks is taken of its stored replies.
        brands: The bidders.
        prompts: The replicate's prompts and stems.
    Raises:
        ValueError: A model reading that a unit lacks; a cell without any scored reply.
    """
    contexts = len(prompts.contexts)
    parts = _scored(results, readings, contexts, [stem.kind for stem in prompts.stems])
    drawn = [one for one in readings if one.needs != "prompt" and one.per != "set"]
    unscored, of_losses = {}, {}
    for columns, table in _tables(results, drawn, brands, prompts):
        summary, start = summarise(table.values.flatten(2, 3)), 0
        for reading in columns:
            width = len(brands) if reading.per == "brand" else 1
            own = slice(start, start + width) if reading.per == "brand" else start
            parts[reading.name] = Measurement(*(part[..., own] for part in summary))
            if reading.role == "loss":
                of_losses[reading.name] = table.values[..., start].flatten(2)
            unscored[reading.name] = unscored_share(
                reading, table.values[..., start], table.drawn, _given(results, reading)
            )
            start += width
    parts |= _sets(results, readings, contexts)
    roles = {role: [one.name for one in readings if one.role == role] for role in ("feature", "loss", "diagnostic")}
    by_name = {one.name: one for one in readings}
    by_kind = [name for name in parts if name not in by_name]
    return Gathered(
        {name: parts[name] for name in roles["feature"]},
        {name: relative(by_name[name], parts[name]) for name in roles["loss"]},
        {name: parts[name] for name in (*roles["diagnostic"], *by_kind)},
        unscored,
        loss_covariances([by_name[name] for name in of_losses], of_losses),
    )


def with_unscored(replicates: Mapping[str, Gathered]) -> dict[str, Gathered]:
    """Return replicates with the share of unscored replies among the diagnostics, for readings that left any."""
    some = {name for one in replicates.values() for name, share in one.unscored.items() if bool((share.mean > 0).any())}
    return {
        key: one._replace(
            diagnostics={**one.diagnostics, **{f"{k}{UNSCORED_SHARE}": one.unscored[k] for k in sorted(some)}}
        )
        for key, one in replicates.items()
    }


def replicate_of(gathered: Gathered, cells: Tensor) -> Replicate:
    """Return what was gathered in the cells of a grid or list.

    Args:
        gathered: Of the distinct interventions.
        cells: (…), which intervention each cell is.
    """
    columns = zip(*gathered.features.values(), strict=True)
    features = Measurement(*(torch.stack(column, dim=-1) for column in columns))
    losses = {name: _in_cells(item, cells) for name, item in gathered.losses.items()}
    placed = {name: _in_cells(item, cells) for name, item in gathered.diagnostics.items()}
    covariances = {pair: item[:, cells] for pair, item in gathered.covariances.items()}
    return Replicate(_in_cells(features, cells), losses, placed, covariances)


def quantities(readings: Sequence[Reading], gathered: Gathered) -> dict[str, Quantity]:
    """Return unit and bounds of everything that was gathered, by name."""
    found = {one.name: quantity_of(one) for one in readings}
    kinds = {name for name in gathered.diagnostics if name not in found}
    return found | {name: SHARE if name.endswith(UNSCORED_SHARE) else PROBABILITY for name in kinds}


def quantity_of(one: Reading) -> Quantity:
    """Return unit and bounds of a reading's means; a loss by difference is signed, so it has no bounds."""
    signed = one.role == "loss" and one.loss != IS_ONE
    bounds = (-math.inf, math.inf) if signed else one.bounds
    return Quantity(one.unit, *bounds, basis_of(one))


def unscored_share(reading: Reading, values: Tensor, drawn: Tensor, given: Iterable[Value] = ()) -> Measurement:
    """Return the share of replies that a reading left unscored.

    Args:
        reading: Which.
        values: (context, intervention, prompt, sample), NaN where unscored or never drawn.
        drawn: The same, whether there is a reply.
        given: What the reading gave, reasons among it.
    Raises:
        ValueError: Nothing was scored in some context under some intervention.
    """
    nothing = values.isnan().flatten(2).all(2)
    if bool(nothing.any()):
        context, intervention = nothing.nonzero()[0].tolist()
        why = next((f": {value.reason}" for value in given if isinstance(value, Unscored)), "")
        raise InputError(
            f"{reading.name} left every reply unscored in context {context} under intervention {intervention}{why}"
        )
    left_out = torch.where(drawn, values.isnan().double(), torch.nan)
    return Measurement(*(part[..., 0] for part in summarise(left_out.flatten(2).unsqueeze(3))))


def _given(results: Sequence[UnitResult], reading: Reading) -> Iterator[Value]:
    """Go through what a reading gave of replies and sets."""
    for result in results:
        yield from (*result.readings.get(reading.name, ()), *result.sets.get(reading.name, ()))


def _scored(
    results: Sequence[UnitResult], readings: Sequence[Reading], contexts: int, kinds: Sequence[str]
) -> dict[str, Measurement]:
    """Return what was scored of prompts; also after either kind of stem, where a reading is kept by kind."""
    first = [result for result in results if result.scored]
    if not first and not any(isinstance(reading, PromptReading) for reading in readings):
        return {}
    prompts = max(result.unit.prompt for result in first) + 1
    count = max(result.unit.stop for result in results)
    table: dict[str, Tensor] = {}
    for result in first:
        unit = result.unit
        for reading in (one for one in readings if isinstance(one, PromptReading)):
            by_stem = torch.tensor(_stored(result, result.scored, reading.name), dtype=torch.float64)
            means = {reading.name: by_stem.mean(1)}
            for kind in dict.fromkeys(kinds if reading.by_kind else ()):
                some = torch.tensor([own == kind for own in kinds])
                means[slots_by_kind(kind)] = by_stem[:, some].mean(1)
            for name, mean in means.items():
                empty = torch.full((contexts, count, prompts, mean.shape[1]), torch.nan, dtype=torch.float64)
                table.setdefault(name, empty)[unit.context, unit.start : unit.stop, unit.prompt] = mean
    return {name: summarise(values) for name, values in table.items()}


def _tables(
    results: Sequence[UnitResult], readings: Sequence[Reading], brands: tuple[Brand, ...], prompts: PromptSet
) -> list[tuple[list[Reading], ReplyTable]]:
    """Return every reply's values, standard readings in one table, each other one in its own."""
    by_name = {reading.name: reading for reading in readings}
    standard = [by_name[name] for name in _TOGETHER if name in by_name]
    groups = [group for group in (standard, *([one] for one in readings if one not in standard)) if group]
    most = max(result.unit.prompt for result in results) + 1
    samples = max(reply.sample for result in results for reply in result.replies) + 1
    shape = (len(prompts.contexts), max(result.unit.stop for result in results), most, samples)
    tables = []
    for group in groups:
        widths = [len(brands) if reading.per == "brand" else 1 for reading in group]
        values = torch.full((*shape, sum(widths)), torch.nan, dtype=torch.float64)
        drawn = torch.zeros(shape, dtype=torch.bool)
        for result in results:
            own = zip(group, widths, strict=True)
            parts = [as_tensor(_values(result, reading, brands, prompts), width) for reading, width in own]
            sample = torch.tensor([reply.sample for reply in result.replies])
            which = torch.tensor([reply.intervention for reply in result.replies])
            values[result.unit.context, which, result.unit.prompt, sample] = torch.cat(parts, dim=1)
            drawn[result.unit.context, which, result.unit.prompt, sample] = True
        tables.append((group, ReplyTable(values, drawn)))
    return tables


def _sets(results: Sequence[UnitResult], readings: Sequence[Reading], contexts: int) -> dict[str, Measurement]:
    """Return readings per set: prompts and rounds are their draws."""
    found = {}
    for reading in (one for one in readings if one.per == "set"):
        count = max(result.unit.stop for result in results)
        prompts = max(result.unit.prompt for result in results) + 1
        rounds = max(result.unit.round for result in results) + 1
        values = torch.full((contexts, count, prompts, rounds, 1), torch.nan, dtype=torch.float64)
        for result in results:
            unit = result.unit
            own = as_tensor(_stored(result, result.sets, reading.name), 1)
            values[unit.context, unit.start : unit.stop, unit.prompt, unit.round] = own
        unscored_share(
            reading, values[..., 0], torch.ones_like(values[..., 0], dtype=torch.bool), _given(results, reading)
        )
        found[reading.name] = Measurement(*(part[..., 0] for part in summarise(values.flatten(2, 3))))
    return found


def _values(result: UnitResult, reading: Reading, brands: tuple[Brand, ...], prompts: PromptSet) -> list[Value]:
    """Return a reading of a unit's replies: stored, or taken now of their texts."""
    if reading.name not in result.readings and isinstance(reading, TextReading):
        return read_texts(reading, replies_of(result, prompts), brands)
    return list(_stored(result, result.readings, reading.name))


def _stored(result: UnitResult, there: Mapping[str, Any], name: str) -> Any:
    if name not in there:
        raise InputError(
            f"{result.unit.file_name} was measured without {name}: read its replies again by "
            f"`auctionsim surface read RUN --reading {name}`"
        )
    return there[name]


def _in_cells(item: Measurement, cells: Tensor) -> Measurement:
    return Measurement(*(part[:, cells] for part in item))
