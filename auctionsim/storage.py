"""What a measurement file holds: named tensors and a JSON record in one safetensors file, under one checksum.

The file's metadata has one entry, "auctionsim", a JSON object: `sha256` first, then `format`, `version` and `record`.
The checksum is over the whole file with its own 64 digits written as zeros, so no byte of the file is outside it.
Equal contents give equal bytes: the checksum names the contents, too.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from auctionsim.errors import DamagedFileError, InputError
from auctionsim.files import read_bounded, write_bytes
from auctionsim.records import Record, parse_json, shown

MOST_STORED_BYTES = 1 << 28
"""Of a file that is read: 256 MiB."""
MOST_HEADER_BYTES = 1 << 24
"""Of a file's header, which JSON unfolds to some 25 times as much: 16 MiB."""
_NO_DIGEST = b"0" * 64


class Stored(NamedTuple):
    """The contents of a file.

    Attributes:
        record: What JSON says of it.
        arrays: The tensors by name.
    """

    record: dict[str, Any]
    arrays: dict[str, Tensor]

    @property
    def fields(self) -> Record:
        """The record, to be read field by field."""
        return Record(self.record)

    def array(self, name: str, shape: tuple[int | None, ...], *, whole: bool = False) -> Tensor:
        """Return a tensor as `checked_array` has it."""
        return checked_array(self.arrays, name, shape, whole=whole)


def checked_array(
    arrays: Mapping[str, Tensor], name: str, shape: tuple[int | None, ...], *, whole: bool = False
) -> Tensor:
    """Return a tensor of a file, if it is there, of this shape and of this kind, and holds no NaN.

    Args:
        arrays: By name.
        name: Which.
        shape: One size an axis; None where any size will do, 0 too.
        whole: Integers, instead of floating point.
    Raises:
        ValueError: It is not; names the tensor, what it is and what it must be.
    """
    if name not in arrays:
        raise InputError(f"lacks the tensor {name!r}")
    array = arrays[name]
    fits = array.ndim == len(shape) and all(want in (None, got) for want, got in zip(shape, array.shape, strict=True))
    kind = "int64" if whole else "floating point"
    if not fits or not (array.dtype == torch.int64 if whole else array.dtype in FLOATS):
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        raise InputError(f"{name} must be {kind} of shape ({sizes}), got {array.dtype} {tuple(array.shape)}")
    if not whole and bool(array.isnan().any()):
        raise InputError(f"{name} holds a number that is none (NaN)")
    return array


FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def fill_network(network: torch.nn.Module, prefix: str, stored: Stored) -> None:
    """Load the tensors whose names begin with `prefix` into a network; it then learns no more.

    Raises:
        ValueError: One is missing, of another shape or kind, or not finite; or there is one that it has not.
    """
    parameters = network.state_dict()
    weights = {name: stored.array(prefix + name, tuple(value.shape)) for name, value in parameters.items()}
    for name, array in weights.items():
        if not bool(array.isfinite().all()):
            raise InputError(f"{prefix}{name} must be finite")
    other = sorted({name for name in stored.arrays if name.startswith(prefix)} - {prefix + name for name in parameters})
    if other:
        raise InputError(f"has a tensor {shown(other[0])} that the network has not")
    network.load_state_dict(weights)
    network.requires_grad_(False)


def plain_json(record: object, what: str) -> Any:
    """Return `record` as JSON gives it back: keys sorted, tuples as lists.

    Raises:
        ValueError: It has something that JSON has not, such as a tensor, a path, NaN or infinity.
    """
    try:
        return json.loads(json.dumps(record, allow_nan=False, sort_keys=True))
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} must be JSON-serialisable: {error}") from error


def serialise(contents: Stored, file_format: str, version: int) -> bytes:
    """Return the bytes of the file: the same for the same contents."""
    document = {
        "sha256": _NO_DIGEST.decode(),
        "format": file_format,
        "version": version,
        "record": plain_json(contents.record, "the record"),
    }
    arrays = {name: array.contiguous() for name, array in contents.arrays.items()}
    unsigned = safetensors.torch.save(arrays, metadata={"auctionsim": json.dumps(document)})
    return unsigned.replace(_NO_DIGEST, hashlib.sha256(unsigned).hexdigest().encode(), 1)


def checksum(data: bytes) -> str:
    """Return the SHA-256 that a serialised file says it has."""
    return _header(data).sha256


def write_stored(path: str | os.PathLike[str], contents: Stored, file_format: str, version: int) -> None:
    """Write the file, whole or not at all."""
    write_bytes(path, serialise(contents, file_format, version))


def stored_format(path: str | os.PathLike[str]) -> str:
    """Return the format that a file says it has.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is truncated, or no file of auctionsim's; names it.
    """
    try:
        return _header(read_bounded(path, MOST_STORED_BYTES)).format
    except ValueError as error:
        raise InputError(f"{os.fspath(path)}: {error}") from error


def read_stored(path: str | os.PathLike[str], file_format: str, version: int) -> Stored:
    """Read a file of this format, up to this version.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is truncated, damaged, of another format or of a later version; names the file.
    """
    data = read_bounded(path, MOST_STORED_BYTES)
    try:
        return _parsed(data, file_format, version)
    except ValueError as error:
        raise InputError(f"{os.fspath(path)}: {error}") from error


def _parsed(data: bytes, file_format: str, version: int) -> Stored:
    header = _header(data)
    if header.format != file_format:
        raise InputError(f"holds {shown(header.format)}, not {file_format!r}")
    if not 1 <= header.version <= version:
        raise InputError(
            f"is of version {header.version} of {file_format!r}; this auctionsim reads versions up to {version}: "
            "upgrade auctionsim"
        )
    if header.sha256 != _digest(data, header.sha256.encode()):
        raise DamagedFileError("is damaged: the checksum does not match; copy or measure it again")
    try:
        return Stored(header.record, safetensors.torch.load(data))
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:  # KeyError: a dtype that torch has not
        raise DamagedFileError(f"is damaged: {' '.join(str(error).split())}") from error


def _digest(data: bytes, claimed: bytes) -> str:
    """Return the SHA-256 of a file with the digits that it claims written as zeros."""
    place = data.find(claimed) if len(claimed) == len(_NO_DIGEST) else -1
    if place < 0:
        return ""
    view = memoryview(data)
    digest = hashlib.sha256(view[:place])
    digest.update(_NO_DIGEST)
    digest.update(view[place + len(claimed) :])
    return digest.hexdigest()


class _Header(NamedTuple):
    """What a file says of itself."""

    sha256: str
    format: str
    version: int
    record: dict[str, Any]


def _header(data: bytes) -> _Header:
    """Return what the header says, before any of it is believed."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= length <= len(data) - 8:
        raise InputError("is truncated, or no safetensors file")
    if length > MOST_HEADER_BYTES:
        raise InputError(f"has a header of {length} bytes; at most {MOST_HEADER_BYTES} are read")
    try:
        whole = Record(parse_json(data[8 : 8 + length]), "its header")
        text = whole.record("__metadata__").text("auctionsim")
    except ValueError as error:
        raise DamagedFileError(f"was not written by auctionsim, or its header is damaged: {error}") from error
    try:
        header = Record(parse_json(text), "its header")
        return _Header(header.text("sha256"), header.text("format"), header.whole("version"), header.plain("record"))
    except ValueError as error:
        raise DamagedFileError(f"is damaged: {error}") from error
