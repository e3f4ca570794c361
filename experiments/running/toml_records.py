"""Records from TOML: a table is a frozen dataclass, a key a field; unknown keys and other kinds are refused by name.

A field's type says what its key must hold: a text, a number, true or false, a table that is a record in turn, a list or
a table of any of these.
"""

import os
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from auctionsim.errors import InputError
from auctionsim.files import read_text_bounded
from auctionsim.records import Record, shown

MOST_TOML_BYTES = 1 << 20
"""Of a TOML file that is read: 1 MiB."""


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a TOML file says.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is no TOML, too long, or nested too deeply; names it.
    """
    import tomllib

    text = read_text_bounded(path, MOST_TOML_BYTES)
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        words = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{os.fspath(path)}: is not TOML: {words}") from None


def record_from(kind: type, table: object, where: str, given: Mapping[str, Any] | None = None) -> Any:
    """Return a dataclass made from a table.

    Args:
        kind: The dataclass.
        table: Of the file.
        where: How messages call the table.
        given: Fields that are no keys.
    Raises:
        ValueError: An unknown or a missing key, or a value of another kind or that the record refuses; names them.
    """
    record, fixed = Record(table, where), dict(given or {})
    hints = get_type_hints(kind)
    keys = [one for one in fields(kind) if one.init and one.name not in fixed]
    record.only(*(one.name for one in keys))
    values = {}
    for one in keys:
        if one.name in record:
            values[one.name] = _value(hints[one.name], record.value(one.name), f"{where}, {one.name}")
        elif one.default is MISSING and one.default_factory is MISSING:
            raise InputError(f"{where} lacks {one.name!r}")
    try:
        return kind(**fixed, **values)
    except (ValueError, TypeError) as error:
        raise InputError(f"{where}: {error}") from error


def _value(kind: Any, value: Any, where: str) -> Any:
    """Return a value as a field of this type has it."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        (kind,) = (one for one in inside if one is not type(None))
        return _value(kind, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise InputError(f"{where} must be a list, got {shown(value)}")
        return tuple(_value(inside[0], part, f"{where}[{k}]") for k, part in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        return {
            name: _value(inside[1], part, f"{where}, {name}") for name, part in Record(value, where).content.items()
        }
    if is_dataclass(kind):
        return record_from(kind, value, where)  # type: ignore[arg-type]
    whole, _, name = where.rpartition(", ")
    record = Record({name: value}, whole)
    readers: dict[Any, Callable[[str], Any]] = {
        bool: record.flag,
        int: record.whole,
        float: record.number,
        str: record.text,
    }
    if kind not in readers:
        raise InputError(f"{where} cannot be given in a file")
    return readers[kind](name)
