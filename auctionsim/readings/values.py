"""Values of readings: taken of replies, checked against what the reading declares, and as JSON."""

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np
import torch
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.errors import InputError
from auctionsim.readings.passes import TeacherForced
from auctionsim.readings.protocol import ModelReading, Reading, ReferenceReading, Reply, TextReading, Unscored, Value
from auctionsim.records import Record, shown


def read_texts(reading: TextReading, replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[Value]:
    """Return a text reading's value of each reply.

    Raises:
        ValueError: It gives another number of values, or one that it must not give.
    """
    return checked_values(reading, reading.read(replies, brands), len(replies), len(brands))


def read_beside(
    reading: ReferenceReading,
    replies: Sequence[Reply],
    brands: tuple[Brand, ...],
    references: Sequence[Sequence[Reply]],
) -> list[Value]:
    """Return a reference reading's value of each reply.

    Args:
        reading: Which.
        replies: A value each.
        brands: The bidders.
        references: Untouched replies to each reply's prompt, that reply itself left out.
    Raises:
        ValueError: It gives another number of values, or one that it must not give.
    """
    return checked_values(reading, reading.read(replies, brands, references), len(replies), len(brands))


def read_set(reading: TextReading, replies: Sequence[Reply], brands: tuple[Brand, ...]) -> Value:
    """Return the one value of all replies to a prompt under an intervention.

    Raises:
        ValueError: It gives one that it must not give.
    """
    return checked_values(reading, [reading.read(replies, brands)], 1, len(brands))[0]


def read_passes(readings: Sequence[ModelReading], passes: Iterable[TeacherForced]) -> dict[str, Tensor]:
    """Return every model reading's values, (row,) on the CPU, by name; all are taken of the same passes.

    Raises:
        ValueError: One gives another shape than (row,).
    """
    parts: dict[str, list[Tensor]] = {reading.name: [] for reading in readings}
    for part in passes:
        for reading in readings:
            values = reading.read(part)
            if not isinstance(values, Tensor) or values.shape != (len(part.tokens),):
                got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
                raise InputError(f"the reading {reading.name} must give {(len(part.tokens),)} values, got {got}")
            parts[reading.name].append(values)
    return {name: torch.cat(listed).cpu() for name, listed in parts.items()}


def checked_values(reading: Reading, values: Any, count: int, brands: int) -> list[Value]:
    """Return the values of some replies, if they are what the reading declares.

    Args:
        reading: Whose they are.
        values: What it gave: a list, a tuple, a tensor, an array, or what yields them.
        count: How many there must be.
        brands: How many numbers each has, where the reading is per brand.
    Raises:
        ValueError: Another number of them; one that is no number and not unscored, not finite, or out of bounds.
    """
    listed = _listed(values)
    if listed is None:
        raise InputError(f"the reading {reading.name} must give a list of {count} values, got {shown(values)}")
    if len(listed) != count:
        raise InputError(f"the reading {reading.name} must give {count} values, got {len(listed)}")
    return [_checked(reading, value, brands) for value in listed]


def _listed(values: Any) -> list[Any] | None:
    """Return values as a list; None of what has no order, or is one value."""
    if isinstance(values, (Tensor, np.ndarray)):
        return list(values.tolist()) if values.ndim else None
    plain = isinstance(values, Iterable) and not isinstance(values, (str, bytes, Mapping, Set))
    return list(values) if plain else None


def _checked(reading: Reading, value: Any, brands: int) -> Value:
    if isinstance(value, Unscored):
        return value
    if reading.per != "brand":
        return _number(reading, value)
    listed = _listed(value)
    if listed is None or len(listed) != brands:
        raise InputError(f"the reading {reading.name} must give {brands} numbers a reply, got {shown(value)}")
    return [_number(reading, one) for one in listed]


def _number(reading: Reading, value: Any) -> float:
    low, high = reading.bounds
    if isinstance(value, (Tensor, np.ndarray, np.generic)) and value.ndim == 0:
        value = value.item()
    number = isinstance(value, (int, float)) and math.isfinite(value)
    if not number or not low <= value <= high:
        rule = f"finite numbers in [{low:g}, {high:g}], or Unscored"
        raise InputError(f"the reading {reading.name} must give {rule}, got {shown(value)}")
    return float(value)


def as_tensor(values: Sequence[Value], width: int) -> Tensor:
    """Return values as (reply, width), float64, NaN where unscored."""
    blank = [math.nan] * width
    rows = [blank if isinstance(v, Unscored) else v if isinstance(v, list) else [v] for v in values]
    return torch.tensor(rows, dtype=torch.float64).view(len(rows), width)


def as_json(value: Value) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, Unscored):
        return {"unscored": value.reason, **({"for_now": True} if value.for_now else {})}
    return value


def value_from_json(item: Any, what: str) -> Value:
    """Return what `as_json` made JSON of.

    Raises:
        ValueError: Something else than a number, a list of numbers or an object with a reason.
    """
    if isinstance(item, dict):
        record = Record(item, what).only("unscored", "for_now")
        return Unscored(record.text("unscored"), "for_now" in item and record.flag("for_now"))
    one = Record({"value": item}, what)
    return list(one.numbers("value")) if isinstance(item, list) else one.number("value")
