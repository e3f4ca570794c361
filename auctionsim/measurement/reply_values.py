"""What single replies were worth, beside a measurement: a value a reply of each reading, in the replies' own order.

A measurement's file and its side file hold means. Whatever pairs replies, or draws prompts anew, needs each reply's own
value. `NAME.values.json.gz` is one document: gzip of JSON with a checksum, which names the replies file that it belongs
to by its digest. The k-th value of a reading is that of the k-th reply of that file.
"""

import gzip
import io
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from auctionsim.errors import DamagedFileError, InputError
from auctionsim.files import read_bounded, write_bytes
from auctionsim.kept import difference
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.measurement.units import UnitResult
from auctionsim.readings.protocol import PER, Reading, Unscored, Value, basis_of
from auctionsim.readings.registry import reading
from auctionsim.readings.values import as_json, value_from_json
from auctionsim.records import Record, parse_json
from auctionsim.signed_json import signed_json, signed_record

MOST_VALUES_BYTES = 1 << 25
"""Of a file's document, unpacked: 32 MiB, some 100,000 replies of ten readings; as objects up to 25 times as much."""
_FORMAT, _VERSION = "auctionsim values of replies", 1
_PER = tuple(per for per in PER if per != "set")


class ReadingValues(NamedTuple):
    """A reading's value of each reply.

    Attributes:
        unit: Of a value.
        per: What a value belongs to: a brand (a list of numbers), or the user or the reply (one number).
        basis: What the values rest on beside replies and code, "" for nothing.
        values: One a reply, in the order of the replies file.
    """

    unit: str
    per: str
    basis: str
    values: list[Value]


def live_values(results: Iterable[UnitResult], names: Sequence[str]) -> dict[str, list[Value]]:
    """Return what a measurement took of each reply as it sampled, in the order in which it keeps replies.

    Args:
        results: All units, in the measurement's order, see `Measuring.results`.
        names: Of readings, not per set and not scored of prompts.
    Raises:
        ValueError: A unit lacks one of them.
    """
    found: dict[str, list[Value]] = {name: [] for name in names}
    for result in results:
        for name in names:
            if name not in result.readings:
                raise InputError(f"{result.unit.file_name} has no {name} of single replies")
            found[name] += result.readings[name]
    return found


def in_file_order(numbers: Sequence[int], values: Sequence[Value]) -> list[Value]:
    """Return a second pass's values in the replies' own order.

    Args:
        numbers: The replies' numbers, in the order of values, see `SecondPass.numbers`.
        values: One a reply.
    Raises:
        ValueError: They are not those of all replies, each once.
    """
    if sorted(numbers) != list(range(len(values))):
        raise InputError(f"{len(values)} values must be those of replies 0 … {len(values) - 1}, each once")
    placed = dict(zip(numbers, values, strict=True))
    return [placed[number] for number in range(len(values))]


def write_reply_values(
    path: str | os.PathLike[str],
    stored: StoredReplies,
    values: Mapping[str, Sequence[Value]],
    maker: Mapping[str, Any],
) -> None:
    """Write the file, whole or not at all; readings that it has already stay, unless they are given anew.

    Args:
        path: Of the file.
        stored: The replies.
        values: By reading, one a reply, in the order of the replies file.
        maker: Which command, commit and packages took these values.
    Raises:
        ValueError: Another number of values, a reading per set or scored of prompts, or a file that is there and is
            damaged or of other replies.
    """
    kept = _readings_in(path, stored.digest) if os.path.exists(path) else {}
    for name, listed in values.items():
        one = _of_replies(reading(name))
        if len(listed) != len(stored.kept.replies):
            raise InputError(f"{name} needs {len(stored.kept.replies)} values, one a reply, got {len(listed)}")
        kept[name] = {
            "unit": one.unit,
            "per": one.per,
            "basis": basis_of(one),
            "made_by": dict(maker),
            "values": [as_json(value) for value in listed],
        }
    ordered = {name: kept[name] for name in sorted(kept)}
    document = {"format": _FORMAT, "version": _VERSION, "key": {"replies": stored.digest}, "readings": ordered}
    write_bytes(path, gzip.compress(signed_json(document).encode(), mtime=0))


def read_reply_values(path: str | os.PathLike[str], stored: StoredReplies) -> dict[str, ReadingValues]:
    """Read what `write_reply_values` wrote, by reading.

    Args:
        path: The file.
        stored: The replies that it must belong to.
    Raises:
        FileNotFoundError: There is none.
        ValueError: It is truncated, damaged, of another format or a later version, or of other replies; names it.
    """
    found = {}
    for name, how in _readings_in(path, stored.digest).items():
        try:
            one = Record(how, name)
            listed = [value_from_json(item, name) for item in one.items("values")]
            per = one.text("per")
            if per not in _PER or not all(_fits(value, per, len(stored.brands)) for value in listed):
                raise InputError(f"{name} must have a number a reply, or {len(stored.brands)} if it is per brand")
            if len(listed) != len(stored.kept.replies):
                raise InputError(f"{name} has no value for each of the {len(stored.kept.replies)} replies")
            found[name] = ReadingValues(one.text("unit"), per, one.text("basis"), listed)
        except ValueError as error:
            raise DamagedFileError(f"{os.fspath(path)} is damaged ({error})") from error
    return found


def _fits(value: Value, per: str, brands: int) -> bool:
    """Tell whether a value is of the kind that a reading of a brand, or of a reply or its user, has."""
    if isinstance(value, Unscored):
        return True
    return isinstance(value, list) and len(value) == brands if per == "brand" else isinstance(value, float)


def _of_replies(one: Reading) -> Reading:
    if one.per == "set" or one.needs == "prompt":
        raise InputError(f"{one.name} is of prompts or of sets of replies: single replies have no value of it")
    return one


def _readings_in(path: str | os.PathLike[str], replies: str) -> dict[str, Any]:
    """Return the readings of a file as its JSON has them."""
    name = os.fspath(path)
    packed = io.BytesIO(read_bounded(path, MOST_VALUES_BYTES))
    try:
        with gzip.GzipFile(fileobj=packed) as unpacked:
            content = unpacked.read(MOST_VALUES_BYTES + 1)
        if len(content) > MOST_VALUES_BYTES:
            raise InputError(f"it unpacks to more than {MOST_VALUES_BYTES} bytes")
        record = signed_record(parse_json(content), _FORMAT, _VERSION)
        unlike = difference(record.plain("key"), {"replies": replies})
        readings = record.plain("readings")
    except (gzip.BadGzipFile, zlib.error, EOFError, ValueError) as error:
        raise DamagedFileError(f"{name} is damaged ({error})") from error
    if unlike:
        raise InputError(f"{name} holds values of other replies ({unlike})")
    return readings
