"""The work unit: one prompt under a slice of the interventions, in one round; stored whole, signed, or not at all."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from auctionsim.files import write_text

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
    """What a unit found.

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
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != _FORMAT or document["plan"] != plan or Unit(*document["unit"]) != unit:
            raise ValueError("it belongs to another measurement")
        if document.pop("sha256") != _checksum(document):
            raise ValueError("its checksum does not match")
        return UnitResult(unit, document["scored"], [MeasuredReply(*reply) for reply in document["replies"]])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error}): remove it and run again to measure this unit anew") from error


def _checksum(document: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
