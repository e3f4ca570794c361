"""What is believed of a JSON record: only fields of the kind and in the range that the reader asks for.

Every format that auctionsim reads takes its fields through `Record`, so that a file with a right checksum and a wrong
field is refused in one sentence, before anything is built from it.
"""

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

from auctionsim.errors import InputError
from auctionsim.files import read_bounded

MOST_JSON_BYTES = 1 << 25
"""Of a JSON file that is read whole: 32 MiB; Python's objects take up to some 25 times as much."""
MOST_DEPTH = 64
"""Of lists and objects within each other."""
MOST_DIGITS = 400
"""Of a number in JSON: more than any double has before its exponent."""
LARGEST_WHOLE = 2**63 - 1
"""What a 64-bit integer holds."""

_T = TypeVar("_T")
_HALF_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SHOWN = 60  # characters of a wrong value in a message


def parse_json(text: str | bytes, *, finite: bool = True) -> Any:
    """Return what JSON says, read strictly.

    Args:
        text: In UTF-8, where it is bytes.
        finite: Refuse NaN and Infinity, which are not JSON but what Python writes for them.
    Raises:
        ValueError: No UTF-8, no JSON, nested too deeply, a key that is there twice, a number that no double holds (NaN,
            Infinity, 1e400, hundreds of digits), or half of a surrogate pair.
    """
    try:
        source = text.decode() if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise InputError(f"is not JSON: not UTF-8 at byte {error.start}") from None
    try:
        content = json.loads(
            source,
            object_pairs_hook=_object,
            parse_constant=_no_number if finite else float,
            parse_float=_float,
            parse_int=_integer,
        )
    except json.JSONDecodeError as error:
        raise InputError(f"is not JSON: {error}") from None
    except RecursionError:
        raise InputError("is nested too deeply") from None
    if source.count("[") + source.count("{") > MOST_DEPTH:
        _refuse_depth(content)
    if _ESCAPED_SURROGATE.search(source):
        _refuse_half_surrogates(content)
    return content


def json_in(path: str | os.PathLike[str], *, finite: bool = True) -> Any:
    """Return what a JSON file of at most `MOST_JSON_BYTES` says, as `parse_json`; messages do not name the file."""
    return parse_json(read_bounded(path, MOST_JSON_BYTES), finite=finite)


def read_json(path: str | os.PathLike[str], most: int = MOST_JSON_BYTES, *, finite: bool = True) -> Any:
    """Return what a JSON file says, read strictly.

    Raises:
        FileNotFoundError: There is none.
        ValueError: What `parse_json` refuses, more than `most` bytes, or no regular file; names it.
    """
    content = read_bounded(path, most)
    try:
        return parse_json(content, finite=finite)
    except ValueError as error:
        raise InputError(f"{os.fspath(path)}: {error}") from None


def read_record(path: str | os.PathLike[str], most: int = MOST_JSON_BYTES, *, finite: bool = True) -> "Record":
    """Return the object that a JSON file holds; its messages name the file.

    Raises:
        FileNotFoundError: There is none.
        ValueError: What `read_json` refuses, or something else than an object.
    """
    return Record(read_json(path, most, finite=finite), f"{os.fspath(path)}:")


class Record:
    """A JSON object whose fields are read by kind.

    Every method takes a field's name and raises a ValueError, which names the record, the field and the value, where
    the field is missing, of another kind, or out of range. Ranges include their ends.

    Args:
        content: What JSON gave.
        what: How messages begin.
    """

    def __init__(self, content: object, what: str = "the record") -> None:
        if not isinstance(content, Mapping):
            raise InputError(f"{what} must be an object, got {shown(content)}")
        self.content: Mapping[str, Any] = content
        self.what = what

    def __contains__(self, name: str) -> bool:
        return name in self.content

    def value(self, name: str) -> Any:
        """Return a field of any kind."""
        if name not in self.content:
            raise InputError(f"{self.what} lacks {name!r}")
        return self.content[name]

    def only(self, *names: str) -> "Record":
        """Return the record if it has no other fields than these."""
        other = sorted(set(self.content) - set(names))
        if other:
            raise InputError(f"{self.what} has a field {shown(other[0])}, which is not one of {', '.join(names)}")
        return self

    def text(self, name: str) -> str:
        """Return a text."""
        return _text(self.value(name), self._named(name))

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value = self.value(name)
        return value if isinstance(value, bool) else _refuse(self._named(name), "true or false", value)

    def whole(self, name: str, low: int = 0, high: int = LARGEST_WHOLE) -> int:
        """Return a whole number."""
        return _whole(self.value(name), self._named(name), low, high)

    def number(self, name: str, low: float = -math.inf, high: float = math.inf) -> float:
        """Return a finite number."""
        return _number(self.value(name), self._named(name), low, high)

    def number_or_none(self, name: str, low: float = -math.inf, high: float = math.inf) -> float | None:
        """Return a finite number, or None where JSON has null."""
        return None if self.value(name) is None else self.number(name, low, high)

    def text_or_none(self, name: str) -> str | None:
        """Return a text, or None where JSON has null."""
        return None if self.value(name) is None else self.text(name)

    def items(self, name: str) -> list[Any]:
        """Return a list of anything."""
        value = self.value(name)
        return value if isinstance(value, list) else _refuse(self._named(name), "a list", value)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        return self._each(name, _text)

    def wholes(self, name: str, low: int = 0, high: int = LARGEST_WHOLE) -> tuple[int, ...]:
        """Return a list of whole numbers."""
        items = self.items(name)
        if all(type(value) is int and low <= value <= high for value in items):  # most of the time, and fast
            return tuple(items)
        return self._each(name, lambda value, what: _whole(value, what, low, high))

    def numbers(self, name: str, low: float = -math.inf, high: float = math.inf) -> tuple[float, ...]:
        """Return a list of finite numbers."""
        return self._each(name, lambda value, what: _number(value, what, low, high))

    def record(self, name: str) -> "Record":
        """Return an object within this one."""
        return Record(self.value(name), self._named(name))

    def records(self, name: str) -> list["Record"]:
        """Return a list of objects."""
        return [Record(item, f"{self._named(name)}[{k}]") for k, item in enumerate(self.items(name))]

    def plain(self, name: str) -> dict[str, Any]:
        """Return an object as a dict."""
        return dict(self.record(name).content)

    def _named(self, name: str) -> str:
        return f"{self.what} {name}" if self.what.endswith(":") else f"{self.what}, {name}"

    def _each(self, name: str, reader: Callable[[Any, str], _T]) -> tuple[_T, ...]:
        return tuple(reader(item, f"{self._named(name)}[{k}]") for k, item in enumerate(self.items(name)))


def shown(value: object) -> str:
    """Return a value as messages have it: short, whatever it is."""
    if isinstance(value, (Mapping, list, tuple)):
        return f"{'an object' if isinstance(value, Mapping) else 'a list'} of {len(value)}"
    if isinstance(value, int) and abs(value) > LARGEST_WHOLE:
        return "a whole number beyond 64 bits"
    text = repr(value if not isinstance(value, str) else value[: _SHOWN + 1])
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _refuse(what: str, rule: str, value: object) -> NoReturn:
    raise InputError(f"{what} must be {rule}, got {shown(value)}")


def _text(value: Any, what: str) -> str:
    return value if isinstance(value, str) else _refuse(what, "a text", value)


def _whole(value: Any, what: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        _refuse(what, f"a whole number in [{low}, {high}]", value)
    return value


def _number(value: Any, what: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        _refuse(what, "a number", value)
    if (isinstance(value, int) and abs(value) > LARGEST_WHOLE) or not math.isfinite(value) or not low <= value <= high:
        _refuse(what, f"a finite number in [{low:g}, {high:g}]", value)
    return float(value)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, refusing doubled keys: all but the last would be lost."""
    record = dict(pairs)
    if len(record) < len(pairs):
        keys: set[str] = set()
        twice = next(key for key, _ in pairs if key in keys or keys.add(key))  # type: ignore[func-returns-value]
        raise InputError(f"the key {shown(twice)} is there twice")
    return record


def _no_number(name: str) -> NoReturn:
    raise InputError(f"{name} is no number that JSON has")


def _float(text: str) -> float:
    value = float(text) if len(text) <= MOST_DIGITS else math.inf
    if not math.isfinite(value):
        raise InputError(f"the number {shown(text)} is beyond what a double holds")
    return value


def _integer(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise InputError(f"a number of {len(text)} digits is beyond what a double holds")
    return int(text)


def _refuse_depth(value: Any) -> None:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MOST_DEPTH):
        inner = (child for one in level for child in (one.values() if isinstance(one, dict) else one))
        level = [child for child in inner if isinstance(child, (dict, list))]
        if not level:
            return
    raise InputError(f"is nested too deeply: at most {MOST_DEPTH} lists and objects within each other are read")


def _refuse_half_surrogates(value: Any) -> None:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str) and _HALF_SURROGATE.search(one):
            raise InputError(f"{shown(one)} has half of a surrogate pair: it is no text")
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one
