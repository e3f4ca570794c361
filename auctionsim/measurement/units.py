"""The work unit: one prompt under a slice of the interventions, in one round; stored whole, signed, or not at all."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from auctionsim.files import read_bounded, write_text
from auctionsim.records import Record, parse_json, shown

MOST_UNIT_BYTES = 1 << 25
"""Of a unit's file: 32 MiB."""
_FORMAT = "auctionsim measurement unit 4"


class Shard(NamedTuple):
    """The interventions from `start` to `stop` in one context of one replicate: what stops at once."""

    replicate: str
    context: int
    start: int
    stop: int


class Unit(NamedTuple):
    """One piece of work: a prompt of a replicate under the interventions from `start` to `stop`, in one round."""

    replicate: str
    context: int
    prompt: int
    start: int
    stop: int
    round: int

    @property
    def file_name(self) -> str:
        """Where its result is stored."""
        return (
            f"{self.replicate}-{self.context}-{self.prompt}-{self.start:05d}-{self.stop:05d}-round{self.round:03d}.json"
        )


class MeasuredReply(NamedTuple):
    """One sampled reply, as it is stored: which intervention, what was said, what it is worth."""

    intervention: int
    sample: int
    text: str
    token_ids: list[int]
    hits: list[int]
    mentions: list[int]
    user_loss: float
    surprise: float
    repetition: float


class UnitResult(NamedTuple):
    """The replies of one unit, and what was scored exactly.

    Attributes:
        unit: The piece of work.
        scored: By feature, [intervention][stem][brand] exact values; empty after the first round.
        replies: samples × interventions of them.
    """

    unit: Unit
    scored: dict[str, list[list[list[float]]]]
    replies: list[MeasuredReply]


def write_unit(folder: Path, result: UnitResult, plan: str) -> None:
    """Store a result, whole or not at all, with its plan's digest and a checksum."""
    document = {"format": _FORMAT, "plan": plan, **result._asdict()}
    plain = json.loads(json.dumps(document))  # tuples as lists, as they are read back
    write_text(folder / result.unit.file_name, json.dumps({**plain, "sha256": _checksum(plain)}, ensure_ascii=False))


def read_unit(folder: Path, unit: Unit, plan: str) -> UnitResult | None:
    """Return what is stored for a unit, None where there is no file.

    Raises:
        ValueError: The file is damaged or of another measurement; names it.
    """
    path = folder / unit.file_name
    if not path.exists():
        return None
    try:
        document = Record(parse_json(read_bounded(path, MOST_UNIT_BYTES)), "it")
        if document.content.get("format") != _FORMAT or document.content.get("plan") != plan:
            raise ValueError("it belongs to another measurement")
        if document.items("unit") != list(unit):
            raise ValueError("it belongs to another measurement")
        plain = {name: value for name, value in document.content.items() if name != "sha256"}
        if document.text("sha256") != _checksum(plain):
            raise ValueError("its checksum does not match")
        return UnitResult(unit, _scored(document.record("scored"), unit), _replies(document.items("replies"), unit))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): remove it and run again to measure this unit anew") from error


def _scored(scored: Record, unit: Unit) -> dict[str, list[list[list[float]]]]:
    """Return scored features, if each is a table [intervention][stem][brand]."""
    found = {}
    for name in scored.content:
        table = [
            [Record({name: row}, "scored").numbers(name) for row in _listed(stems)] for stems in scored.items(name)
        ]
        if len(table) != unit.stop - unit.start or len({(len(stems), *map(len, stems)) for stems in table}) != 1:
            raise ValueError(f"scored, {name} must be a table of {unit.stop - unit.start} interventions")
        found[name] = [[list(row) for row in stems] for stems in table]
    return found


def _replies(listed: list[Any], unit: Unit) -> list[MeasuredReply]:
    """Return the replies, if every intervention of the unit has the samples of its round, each once."""
    replies = [_reply(item, f"reply {number}") for number, item in enumerate(listed)]
    samples = len(replies) // (unit.stop - unit.start)
    wanted = {(k, unit.round * samples + s) for k in range(unit.start, unit.stop) for s in range(samples)}
    if not replies or len(wanted) != len(replies) or {(r.intervention, r.sample) for r in replies} != wanted:
        raise ValueError(f"its {len(replies)} replies are not the samples of interventions {unit.start} … {unit.stop}")
    if len({count for r in replies for count in (len(r.hits), len(r.mentions))}) != 1:
        raise ValueError("its replies count different numbers of brands")
    return replies


def _reply(item: Any, what: str) -> MeasuredReply:
    fields = MeasuredReply._fields
    if len(_listed(item)) != len(fields):
        raise ValueError(f"{what} must be a list of {len(fields)}, got {shown(item)}")
    one = Record(dict(zip(fields, item, strict=True)), what)
    return MeasuredReply(
        one.whole("intervention"),
        one.whole("sample"),
        one.text("text"),
        list(one.wholes("token_ids")),
        list(one.wholes("hits")),
        list(one.wholes("mentions")),
        one.number("user_loss"),
        one.number("surprise"),
        one.number("repetition"),
    )


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"it must hold a list, got {shown(value)}")
    return value


def _checksum(document: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
