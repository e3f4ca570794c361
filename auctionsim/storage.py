"""What a measurement file holds: named tensors and a JSON record in one safetensors file, under one checksum.

The file's metadata has one entry, "auctionsim", a JSON object: `sha256` first, then `format`, `version` and `record`.
The checksum is over the whole file with its own 64 digits written as zeros, so no byte of the file is outside it.
Equal contents give equal bytes: the checksum names the contents, too.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from auctionsim.files import write_bytes

_NO_DIGEST = b"0" * 64
_MAX_HEADER = 100_000_000  # bytes: the limit of safetensors itself


class Stored(NamedTuple):
    """The contents of a file.

    Attributes:
        record: What JSON says of it.
        arrays: The tensors by name.
    """

    record: dict[str, Any]
    arrays: dict[str, Tensor]


def plain_json(record: object, what: str) -> Any:
    """Return `record` as JSON gives it back: keys sorted, tuples as lists.

    Raises:
        ValueError: It has something that JSON has not, such as a tensor, a path, NaN or infinity.
    """
    try:
        return json.loads(json.dumps(record, allow_nan=False, sort_keys=True))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} must be JSON-serialisable: {error}") from error


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
    return str(_document(data)["sha256"])


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
        return str(_document(Path(path).read_bytes())["format"])
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error


def read_stored(path: str | os.PathLike[str], file_format: str, version: int) -> Stored:
    """Read a file of this format, up to this version.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is truncated, damaged, of another format or of a later version; names the file.
    """
    data = Path(path).read_bytes()
    try:
        return _parsed(data, file_format, version)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error


def _parsed(data: bytes, file_format: str, version: int) -> Stored:
    document = _document(data)
    if document["format"] != file_format:
        raise ValueError(f"holds {document['format']!r}, not {file_format!r}")
    if not isinstance(document["version"], int) or document["version"] > version:
        raise ValueError(
            f"is of version {document['version']} of {file_format!r}; this auctionsim reads versions up to {version}: "
            "upgrade auctionsim"
        )
    claimed = str(document["sha256"]).encode()
    actual = hashlib.sha256(data.replace(claimed, _NO_DIGEST, 1)).hexdigest().encode()
    if len(claimed) != len(_NO_DIGEST) or claimed != actual:
        raise ValueError("is damaged: the checksum does not match; copy or measure it again")
    try:
        return Stored(document["record"], safetensors.torch.load(data))
    except SafetensorError as error:
        raise ValueError(f"is damaged: {error}") from error


def _document(data: bytes) -> dict[str, Any]:
    """Return what the header says, before any of it is believed."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= length <= min(len(data) - 8, _MAX_HEADER):
        raise ValueError("is truncated, or no safetensors file")
    try:
        document = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["auctionsim"])
        missing = {"sha256", "format", "version", "record"} - set(document)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("was not written by auctionsim, or its header is damaged") from error
    if missing or not isinstance(document, dict):
        raise ValueError(f"is damaged: its header lacks {', '.join(sorted(missing)) or 'its fields'}")
    return document
