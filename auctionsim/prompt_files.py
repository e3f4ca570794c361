"""Which files of prompts are read: JSON, JSON lines, CSV and plain lists, in any Unicode encoding."""

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from auctionsim.errors import FileFormError, InputError

FORMS = (
    '{"context": ["prompt", …], …} or ["prompt", …] as JSON; {"context": "…", "prompt": "…"} in every line (.jsonl); '
    "CSV with the columns context and prompt, or prompt alone, in its header (.csv); or one prompt a line (.txt)"
)
ONE_CONTEXT = "prompts"
"""The context of prompts that come without one."""

MOST_BYTES = 16_000_000
_DELIMITERS = ",;\t"  # spreadsheets write any of them
_COLUMNS = ({"prompt"}, {"context", "prompt"})

Pair = tuple[str, str]  # context, prompt


def prompts_by_context(path: str | os.PathLike[str]) -> dict[str, list[str]]:
    """Read prompts from a file, by context in order of first appearance.

    The text is UTF-8, UTF-16 or UTF-32, with or without a byte-order mark. What begins with { or [ is JSON or JSON
    lines, whatever the file is called; .csv, .tsv and .txt files are what their names say. Prompts without a context
    are all in "prompts".

    Raises:
        ValueError: There is no such file, it is no text, longer than 16 MB, or none of these forms; an object names a
            key twice.
    """
    path = Path(path)
    try:
        return _parsed(_text(path), path.suffix.lower())
    except FileFormError as error:
        raise InputError(f"{path} must hold {FORMS}; {error}") from error
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise InputError(f"cannot read prompts from {path}: {reason}") from error


def _text(path: Path) -> str:
    if not path.is_file():
        raise InputError("it is no regular file" if path.exists() else "there is no such file")
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise InputError(f"it is longer than {MOST_BYTES // 10**6} MB")
    encoding = json.detect_encoding(data)
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InputError(f"it is not text in UTF-8 or UTF-16 (byte {error.start} does not fit {encoding})") from None
    if "\0" in text:
        raise InputError("it is not text: it has a character 0")
    return text


def _parsed(text: str, suffix: str) -> dict[str, list[str]]:
    if not text.strip():
        raise FileFormError("it is empty")
    if suffix in (".csv", ".tsv"):
        return _grouped(_table(text))
    if suffix in (".jsonl", ".ndjson"):
        return _grouped(_json_lines(text))
    if suffix == ".json" or text.lstrip()[0] in "{[":
        return _json(text)
    if suffix == ".txt":
        return {ONE_CONTEXT: [line.strip() for line in text.splitlines() if line.strip()]}
    raise FileFormError(f"a file that ends in {suffix!r} and does not begin with {{ or [ is none of them")


def _json(text: str) -> dict[str, list[str]]:
    """Read JSON: an object of lists or a list; or JSON lines in a file of another name."""
    try:
        loaded = _loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip()[0] == "{":
            return _grouped(_json_lines(text))
        raise
    if isinstance(loaded, list):
        return _grouped(_pair(item, f"item {k + 1}") for k, item in enumerate(loaded))
    if not isinstance(loaded, dict):
        raise FileFormError(f"it holds {_kind(loaded)}")
    for context, prompts in loaded.items():
        if not isinstance(prompts, list):
            raise FileFormError(f"context {context!r} has {_kind(prompts)}")
        for prompt in prompts:
            if not isinstance(prompt, str):
                raise FileFormError(f"context {context!r} has {_kind(prompt)} among its prompts")
    return _checked(loaded)


def _json_lines(text: str) -> Iterator[Pair]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            loaded = _loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"line {number} is no JSON: {error.msg}") from None
        yield _pair(loaded, f"line {number}")


def _table(text: str) -> Iterator[Pair]:
    """Read CSV: its delimiter is the one that cuts the header into the wanted columns."""
    first = text.lstrip().splitlines()[0]
    for delimiter in _DELIMITERS:
        header = [name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter))]
        if set(header) in _COLUMNS and len(set(header)) == len(header):
            break
    else:
        raise FileFormError(f"its header is {first[:80]!r}")
    rows = csv.reader(io.StringIO(text.lstrip(), newline=""), delimiter=delimiter, strict=True)
    next(rows)
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise InputError(f"line {rows.line_num} has {len(row)} cells, its header {len(header)}")
        cells = dict(zip(header, row, strict=True))
        yield cells.get("context", ONE_CONTEXT).strip(), cells["prompt"]


def _pair(loaded: object, place: str) -> Pair:
    """Return the context and prompt of one item of a list."""
    if isinstance(loaded, str):
        return ONE_CONTEXT, loaded
    if not isinstance(loaded, dict):
        raise FileFormError(f"{place} is {_kind(loaded)}")
    if set(loaded) not in _COLUMNS:
        raise FileFormError(f"{place} has the keys {', '.join(map(repr, loaded)) or 'of nothing'}")
    if not all(isinstance(value, str) for value in loaded.values()):
        raise FileFormError(f"{place} has a value that is no text")
    return loaded.get("context", ONE_CONTEXT), loaded["prompt"]


def _grouped(pairs: Iterable[Pair]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for context, prompt in pairs:
        found.setdefault(context, []).append(prompt)
    return _checked(found)


def _checked(by_context: dict[str, list[str]]) -> dict[str, list[str]]:
    if not by_context:
        raise FileFormError("it has no prompts")
    for context, prompts in by_context.items():
        if not context.strip():
            raise InputError("a context's name is blank")
        for text in (context, *prompts):
            if any("\ud800" <= sign <= "\udfff" for sign in text):
                raise InputError(f"{text!r} has half of a surrogate pair: it is no text")
    return by_context


def _loads(text: str) -> object:
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object, refusing doubled keys: all but the last would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise InputError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return found


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
