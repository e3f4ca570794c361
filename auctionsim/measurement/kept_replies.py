"""The replies that a measurement sampled, in one compressed file: read again later, by any reading, without sampling.

Gzip of JSON lines. The first line says what the file is, how the replies came about and how many follow; then one line
per reply; the last holds the SHA-256 of all lines before it. A reply's k-th token was drawn at the k-th number of
`numpy.random.default_rng([seed, *place]).random(max_new_tokens, dtype=float32)`, `seed` that of the record's settings.
"""

import gzip
import hashlib
import io
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from auctionsim.files import write_bytes
from auctionsim.measurement.measurer import place_of
from auctionsim.measurement.units import UnitResult

_FORMAT, _VERSION = "auctionsim replies", 1
_LONGEST_LINE = 1 << 24  # bytes: a longer one is no reply


class KeptReply(NamedTuple):
    """One sampled reply.

    Attributes:
        replicate: "A" or "B".
        context: Index of the prompt's context.
        prompt: Index of the prompt within it.
        intervention: Index of the record's `interventions`, each (bidder, lever).
        place: What keys its random numbers beside the seed: replicate, context, prompt, sample.
        text: Without special tokens.
        token_ids: Its end token included where it came.
        length: How many tokens.
    """

    replicate: str
    context: int
    prompt: int
    intervention: int
    place: list[int]
    text: str
    token_ids: list[int]
    length: int


class KeptReplies(NamedTuple):
    """What a file holds.

    Attributes:
        record: How the replies came about: settings, model, prompts by replicate and context, interventions.
        replies: All of them.
    """

    record: dict[str, Any]
    replies: list[KeptReply]


def kept_replies(result: UnitResult) -> Iterator[KeptReply]:
    """Yield a unit's replies as they are kept."""
    unit = result.unit
    for reply in result.replies:
        place = [*place_of(unit), reply.sample]
        ids = list(reply.token_ids)
        yield KeptReply(unit.replicate, unit.context, unit.prompt, reply.intervention, place, reply.text, ids, len(ids))


def write_replies(path: str | os.PathLike[str], record: dict[str, Any], replies: Iterable[KeptReply]) -> None:
    """Write a file, whole or not at all; equal contents give equal bytes."""
    listed = list(replies)
    head = {"format": _FORMAT, "version": _VERSION, "replies": len(listed), "record": record}
    lines = [json.dumps(line, ensure_ascii=False).encode() for line in (head, *(r._asdict() for r in listed))]
    digest = hashlib.sha256(b"\n".join(lines)).hexdigest()
    content = b"\n".join([*lines, json.dumps({"sha256": digest}).encode(), b""])
    write_bytes(path, gzip.compress(content, mtime=0))


def read_replies(path: str | os.PathLike[str]) -> KeptReplies:
    """Read what `write_replies` wrote.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is truncated, damaged, of another format or of a later version; names the file.
    """
    try:
        with Path(path).open("rb") as raw, gzip.GzipFile(fileobj=raw) as unpacked:
            return _parsed(io.BufferedReader(unpacked))
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{os.fspath(path)}: is truncated, or no gzip file: {error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error


def _parsed(lines: io.BufferedReader) -> KeptReplies:
    digest = hashlib.sha256()
    first = _line(lines)
    head = json.loads(first)
    if not isinstance(head, dict) or head.get("format") != _FORMAT or not isinstance(head.get("record"), dict):
        raise ValueError(f"is no file of {_FORMAT}")
    if head.get("version") != _VERSION:
        raise ValueError(f"is of version {head.get('version')}; this auctionsim reads version {_VERSION}")
    if type(head.get("replies")) is not int:
        raise ValueError(f"must say how many replies it holds, got {str(head.get('replies'))[:80]}")
    digest.update(first)
    found = []
    for _ in range(head["replies"]):
        line = _line(lines)
        digest.update(b"\n" + line)
        found.append(_checked(json.loads(line)))
    if json.loads(_line(lines)) != {"sha256": digest.hexdigest()} or lines.read(1):
        raise ValueError("is damaged: the checksum does not match")
    return KeptReplies(head["record"], found)


def _line(lines: io.BufferedReader) -> bytes:
    """Return the next line, without its end, and no more than a line's worth of memory."""
    line = lines.readline(_LONGEST_LINE)
    if not line.endswith(b"\n"):
        raise ValueError("is truncated, or has a line that no reply has")
    return line[:-1]


def _checked(document: Any) -> KeptReply:
    """Return one reply, if every field is what it should be."""
    if not isinstance(document, dict) or set(document) != set(KeptReply._fields):
        raise ValueError(f"holds something else than replies: {str(document)[:80]}")
    reply = KeptReply(**document)
    whole = [reply.context, reply.prompt, reply.intervention, reply.length, *reply.place, *reply.token_ids]
    texts = (reply.replicate, reply.text)
    if not all(type(value) is int and value >= 0 for value in whole) or not all(isinstance(t, str) for t in texts):
        raise ValueError(f"holds a reply with a field of another kind: {str(document)[:80]}")
    if reply.length != len(reply.token_ids):
        raise ValueError(f"holds a reply of {len(reply.token_ids)} tokens that says it has {reply.length}")
    return reply
