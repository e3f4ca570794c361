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
from typing import Any, NamedTuple

from auctionsim.errors import DamagedFileError, InputError
from auctionsim.files import read_bounded, write_bytes
from auctionsim.measurement.units import UnitResult, ad_spans, place_of
from auctionsim.records import Record, parse_json, shown

_FORMAT, _VERSION = "auctionsim replies", 3  # 1 had brands without the mark of a case-sensitive name, 2 had no ads
MOST_UNPACKED_BYTES = 1 << 27
"""Of a file's lines together: 128 MiB, some 200,000 replies of 48 tokens."""
_LONGEST_LINE = 1 << 24  # bytes: a longer one is no reply


class KeptReply(NamedTuple):
    """One sampled reply.

    Attributes:
        replicate: "A" or "B".
        context: Index of the prompt's context.
        prompt: Index of the prompt within it.
        intervention: Index of the record's `interventions`, each (bidder, lever).
        place: What keys its random numbers beside the seed: replicate, context, prompt, sample.
        text: The page that the user is shown, without special tokens.
        token_ids: Of the model's own words, the end token included where it came.
        length: How many tokens.
        ads: Beginnings and ends, in letters of the text, of what was put on the page as an ad.
    """

    replicate: str
    context: int
    prompt: int
    intervention: int
    place: list[int]
    text: str
    token_ids: list[int]
    length: int
    ads: tuple[tuple[int, int], ...] = ()


class KeptReplies(NamedTuple):
    """The sampled replies of a measurement's file, and what was measured.

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
        asked = (unit.replicate, unit.context, unit.prompt)
        yield KeptReply(*asked, reply.intervention, place, reply.text, ids, len(ids), reply.ads)


def write_replies(path: str | os.PathLike[str], record: dict[str, Any], replies: Iterable[KeptReply]) -> None:
    """Write a file, whole or not at all; equal contents give equal bytes. Without ads it is one of version 2."""
    listed = list(replies)
    version = _VERSION if any(reply.ads for reply in listed) else _VERSION - 1
    head = {"format": _FORMAT, "version": version, "replies": len(listed), "record": record}
    written = ({k: v for k, v in reply._asdict().items() if k != "ads" or v} for reply in listed)
    lines = [json.dumps(line, ensure_ascii=False).encode() for line in (head, *written)]
    digest = hashlib.sha256(b"\n".join(lines)).hexdigest()
    content = b"\n".join([*lines, json.dumps({"sha256": digest}).encode(), b""])
    write_bytes(path, gzip.compress(content, mtime=0))


def read_replies(path: str | os.PathLike[str], most: int = MOST_UNPACKED_BYTES) -> KeptReplies:
    """Read what `write_replies` wrote.

    Args:
        path: The file.
        most: Bytes that its lines may have together, unpacked; Python's objects take up to some 10 times as much.
    Raises:
        FileNotFoundError: There is none.
        ValueError: It is truncated, damaged, too long, of another format or of a later version; names the file.
    """
    packed = io.BytesIO(read_bounded(path, most))
    try:
        with gzip.GzipFile(fileobj=packed) as unpacked:
            return _parsed(_Lines(io.BufferedReader(unpacked), most))
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{os.fspath(path)}: is truncated, or no gzip file: {error}") from error
    except ValueError as error:
        raise InputError(f"{os.fspath(path)}: {error}") from error


class _Lines:
    """The lines of a file; a line, and all lines together, are no longer than they may be."""

    def __init__(self, lines: io.BufferedReader, most: int) -> None:
        self.lines, self.left, self.most = lines, most, most

    def next(self) -> bytes:
        """Return the next line without its end.

        Raises:
            ValueError: It does not end, or the lines are longer together than they may be.
        """
        longest = min(_LONGEST_LINE, self.left)
        line = self.lines.readline(longest)
        self.left -= len(line)
        if not line.endswith(b"\n"):
            if len(line) == longest < _LONGEST_LINE:
                raise InputError(f"unpacks to more than {self.most} bytes")
            raise InputError("is truncated, or has a line that no reply has")
        return line[:-1]


def _parsed(lines: _Lines) -> KeptReplies:
    line = lines.next()
    digest = hashlib.sha256(line)
    head = Record(parse_json(line), "the first line")
    if head.content.get("format") != _FORMAT:
        raise InputError(f"is no file of {_FORMAT}")
    if not 1 <= head.whole("version") <= _VERSION:
        raise InputError(f"is of version {head.whole('version')}; this auctionsim reads versions up to {_VERSION}")
    record, found = head.record("record"), []
    prompts, interventions = _prompt_counts(record), len(record.items("interventions"))
    for number in range(head.whole("replies")):
        line = lines.next()
        digest.update(b"\n" + line)
        found.append(_checked(Record(parse_json(line), f"reply {number}"), prompts, interventions))
    if parse_json(lines.next()) != {"sha256": digest.hexdigest()} or lines.lines.read(1):
        raise DamagedFileError("is damaged: the checksum does not match")
    return KeptReplies(dict(record.content), found)


def _prompt_counts(record: Record) -> dict[str, list[int]]:
    """Return how many prompts each context has, by replicate."""
    prompts = record.record("prompts")
    lists = {name: prompts.items(name) for name in prompts.content}
    for name, contexts in lists.items():
        for context in contexts:
            Record({"prompts": context}, f"prompts of {name}").texts("prompts")
    return {name: [len(context) for context in contexts] for name, contexts in lists.items()}


def _checked(reply: Record, prompts: dict[str, list[int]], interventions: int) -> KeptReply:
    """Return one reply, if every field is what it should be."""
    reply.only(*KeptReply._fields)
    replicate, ids = reply.text("replicate"), reply.wholes("token_ids")
    contexts = prompts.get(replicate)
    if contexts is None:
        raise InputError(f"{reply.what}, replicate must be one of {', '.join(prompts)}, got {shown(replicate)}")
    context = reply.whole("context", 0, len(contexts) - 1)
    prompt = reply.whole("prompt", 0, contexts[context] - 1)
    intervention = reply.whole("intervention", 0, interventions - 1)
    if reply.whole("length") != len(ids):
        raise InputError(f"{reply.what} has {len(ids)} tokens, and says it has {reply.whole('length')}")
    place, text = list(reply.wholes("place")), reply.text("text")
    ads = ad_spans(reply.items("ads"), text) if "ads" in reply else ()
    return KeptReply(replicate, context, prompt, intervention, place, text, list(ids), len(ids), ads)
