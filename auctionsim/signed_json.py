"""JSON files with a checksum of their own: a damaged one is named, a foreign one refused."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auctionsim.errors import DamagedFileError, InputError
from auctionsim.kept import difference
from auctionsim.records import Record, json_in


def signed_json(document: Mapping[str, Any]) -> str:
    """Return a document as JSON, its SHA-256 among its fields."""
    plain = json.loads(json.dumps(document))  # tuples as lists, as they are read back
    return json.dumps({**plain, "sha256": checksum(plain)}, ensure_ascii=False)


def checksum(plain: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document without its checksum."""
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def read_signed_json(path: Path, form: str, version: int, key: Mapping[str, Any]) -> Record:
    """Read a document that `signed_json` wrote.

    Args:
        path: The file.
        form: What its format must be.
        version: The latest that is read.
        key: What it must have been made for.
    Raises:
        ValueError: It is damaged, of another format or later version, or made for something else; names it.
    """
    try:
        record = signed_record(json_in(path), form, version)
        unlike = difference(record.plain("key"), key)
    except ValueError as error:
        raise DamagedFileError(f"{path} is damaged ({error}): remove it and run again") from error
    if unlike:
        raise InputError(f"{path} holds values of something else ({unlike}): choose another folder or remove it")
    return record


def signed_record(content: Any, form: str, version: int) -> Record:
    """Return the fields of a document that `signed_json` wrote.

    Args:
        content: What its JSON says.
        form: What its format must be.
        version: The latest that is read.
    Raises:
        ValueError: It is damaged, of another format or of a later version.
    """
    record = Record(content, "it")
    if record.text("format") != form or not 1 <= record.whole("version") <= version:
        raise InputError(f"it is no file of {form!r} that this auctionsim reads")
    if record.text("sha256") != checksum({k: v for k, v in record.content.items() if k != "sha256"}):
        raise InputError("its checksum does not match")
    return record
