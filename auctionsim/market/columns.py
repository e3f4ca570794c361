"""Columns of the market's tables: of one length, names each once, numbers within their range."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from jaxtyping import Float

from auctionsim.errors import InputError, InputTypeError


def one_length(table: Any, what: str) -> None:
    """Refuse a table whose columns differ in length or that has no row.

    Args:
        table: A dataclass of columns.
        what: How the message calls its rows.
    Raises:
        ValueError: It is; names two columns.
    """
    first = fields(table)[0].name
    length = len(getattr(table, first))
    if not length:
        raise InputError(f"there must be {what}, got none")
    for column in fields(table):
        values = getattr(table, column.name)
        if len(values) != length:
            raise InputError(f"{what} have {length} rows of {first} and {len(values)} of {column.name}")
        if isinstance(values, list):
            object.__setattr__(table, column.name, tuple(values))


def checked_names(names: Sequence[str], what: str) -> None:
    """Refuse names that are no text, empty, or there twice.

    Raises:
        TypeError: One is no text.
        ValueError: One is empty or there twice.
    """
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str):
            raise InputTypeError(f"{what} must be text, got {name!r:.60}")
        if not name or name in seen:
            raise InputError(f"{what} must be given, each once, got {name!r:.60}")
        seen.add(name)


def checked_numbers(
    column: object, names: Sequence[str], what: str, low: float, high: float
) -> Float[np.ndarray, " row"]:
    """Return a column as float64 that nobody can write to, if all its numbers lie in [low, high].

    Raises:
        TypeError: It holds something else than numbers.
        ValueError: A number is NaN or outside; names the row.
    """
    try:
        numbers = np.array(column, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputTypeError(f"{what} must be numbers, got {column!r:.60}") from error
    if numbers.shape != (len(names),):
        raise InputError(f"{what} must be one number per row ({len(names)}), got an array of shape {numbers.shape}")
    wrong = ~((numbers >= low) & (numbers <= high))
    if wrong.any():
        row = int(wrong.argmax())
        least = "> 0" if 0 < low < 1e-300 else f">= {low:g}"
        limits = least if high >= 1e300 else f"{least} and <= {high:g}"
        raise InputError(f"the {what} of {names[row]!r} must be a number {limits}, got {numbers[row]:g}")
    numbers.setflags(write=False)
    return numbers
