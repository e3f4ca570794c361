"""The work unit: one prompt under a slice of the interventions, in one round; stored whole, signed, or not at all."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from auctionsim.errors import DamagedFileError, InputError
from auctionsim.files import read_bounded, write_text
from auctionsim.prompts import PromptSet
from auctionsim.readings.protocol import Reply, Value, basis_of
from auctionsim.readings.registry import made_by, reading
from auctionsim.readings.registry import names as registered
from auctionsim.readings.values import as_json, value_from_json
from auctionsim.records import Record, parse_json, shown
from auctionsim.substrates.measurements import REPLICATES

MOST_UNIT_BYTES = 1 << 25
"""Of a unit's file: 32 MiB."""
_FORMAT = "auctionsim measurement unit 5"
_FORMAT_6 = "auctionsim measurement unit 6"  # with ads on pages; where there are none it is format 5
_FORMAT_4 = "auctionsim measurement unit 4"
_FORMATS = (_FORMAT_6, _FORMAT, _FORMAT_4)


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
    """One sampled reply, as it is stored; unit and sample key its random numbers.

    Attributes:
        intervention: Its number.
        sample: Its number.
        text: The page that the user is shown.
        token_ids: Of the model's own words.
        ads: Beginnings and ends of what was put on the page as an ad.
    """

    intervention: int
    sample: int
    text: str
    token_ids: list[int]
    ads: tuple[tuple[int, int], ...] = ()


class UnitResult(NamedTuple):
    """Replies of a unit and what readings gave of them.

    Attributes:
        unit: The piece of work.
        scored: By reading, [intervention][stem][brand] exact values; empty after the first round.
        replies: samples × interventions of them.
        readings: By reading, a value of each reply, in order.
        sets: By reading per set, a value of each intervention's replies, in order.
    """

    unit: Unit
    scored: dict[str, list[list[list[float]]]]
    replies: list[MeasuredReply]
    readings: dict[str, list[Value]]
    sets: dict[str, list[Value]]


def place_of(unit: Unit) -> tuple[int, int, int]:
    """Return what keys a unit's random numbers beside the seed and the sample: replicate, context, prompt."""
    return REPLICATES.index(unit.replicate), unit.context, unit.prompt


def replies_of(result: UnitResult, prompts: PromptSet) -> list[Reply]:
    """Return a unit's replies with their prompt and place.

    Args:
        result: The unit's.
        prompts: Its replicate's.
    """
    prompt = prompts.prompts[result.unit.context][result.unit.prompt]
    return [
        Reply(prompt, reply.text, reply.token_ids, (*place_of(result.unit), reply.sample), reply.ads)
        for reply in result.replies
    ]


def write_unit(folder: Path, result: UnitResult, plan: str) -> None:
    """Store a result, whole or not at all, with its plan's digest and a checksum."""
    values = {
        name: {key: [as_json(value) for value in listed] for key, listed in part.items()}
        for name, part in (("readings", result.readings), ("sets", result.sets))
    }
    names = (*result.scored, *result.readings, *result.sets)
    makers = {name: made_by(name) for name in names if made_by(name)}
    bases = {name: basis for name in names if name in registered() and (basis := basis_of(reading(name)))}
    origins = {key: part for key, part in (("plugins", makers), ("bases", bases)) if part}
    some_ads = any(reply.ads for reply in result.replies)
    replies = [reply if some_ads else reply[:4] for reply in result.replies]
    kind = _FORMAT_6 if some_ads else _FORMAT
    document = {"format": kind, "plan": plan, **result._asdict(), "replies": replies, **values, **origins}
    plain = json.loads(json.dumps(document))  # tuples as lists, as they are read back
    write_text(folder / result.unit.file_name, json.dumps({**plain, "sha256": _checksum(plain)}, ensure_ascii=False))


def read_unit(folder: Path, unit: Unit, plan: str) -> UnitResult | None:
    """Return what is stored for a unit, None where there is no file; earlier formats are read, too.

    Raises:
        ValueError: The file is damaged or of another measurement; names it.
    """
    path = folder / unit.file_name
    if not path.exists():
        return None
    try:
        document = Record(parse_json(read_bounded(path, MOST_UNIT_BYTES)), "it")
        if (
            document.content.get("format") not in (_FORMAT_6, _FORMAT, _FORMAT_4)
            or document.content.get("plan") != plan
        ):
            raise InputError("it belongs to another measurement")
        if document.items("unit") != list(unit):
            raise InputError("it belongs to another measurement")
        plain = {name: value for name, value in document.content.items() if name != "sha256"}
        if document.text("sha256") != _checksum(plain):
            raise InputError("its checksum does not match")
        scored = _scored(document.record("scored"), unit)
        if document.content["format"] == _FORMAT_4:
            replies, readings = _replies_of_format_4(document.items("replies"))
            return UnitResult(unit, scored, _each_once(replies, unit), readings, {})
        replies = _each_once([_reply(item, f"reply {k}") for k, item in enumerate(document.items("replies"))], unit)
        readings = _values(document.record("readings"), len(replies))
        whole = UnitResult(unit, scored, replies, readings, _values(document.record("sets"), unit.stop - unit.start))
        return _of_these_origins(whole, _origins(document, "plugins"), _origins(document, "bases"))
    except ValueError as error:
        raise DamagedFileError(
            f"{path} is damaged ({error}): remove it and run again to measure this unit anew"
        ) from error


def _origins(document: Record, what: str) -> dict[str, str]:
    """Return which plugin, or which basis, each reading's values are of; those that are of none are not there."""
    if what not in document:
        return {}
    listed = document.record(what)
    return {name: listed.text(name) for name in listed.content}


def _of_these_origins(result: UnitResult, makers: dict[str, str], bases: dict[str, str]) -> UnitResult:
    """Leave out what a reading gave whose plugin is another version now, or that rests on another basis.

    Texts are read again, the rest is lacking. Of a reading that is not known now, nothing is said.
    """
    stale = {name for name, maker in makers.items() if made_by(name) and made_by(name) != maker}
    there = (name for name in (*result.scored, *result.readings, *result.sets) if name in registered())
    stale |= {name for name in there if basis_of(reading(name)) != bases.get(name, "")}
    if not stale:
        return result
    return result._replace(
        scored={name: table for name, table in result.scored.items() if name not in stale},
        readings={name: values for name, values in result.readings.items() if name not in stale},
        sets={name: values for name, values in result.sets.items() if name not in stale},
    )


def _scored(scored: Record, unit: Unit) -> dict[str, list[list[list[float]]]]:
    """Return scored features, if each is a table [intervention][stem][brand]."""
    found = {}
    for name in scored.content:
        table = [
            [Record({name: row}, "scored").numbers(name) for row in _listed(stems)] for stems in scored.items(name)
        ]
        if len(table) != unit.stop - unit.start or len({(len(stems), *map(len, stems)) for stems in table}) != 1:
            raise InputError(f"scored, {name} must be a table of {unit.stop - unit.start} interventions")
        found[name] = [[list(row) for row in stems] for stems in table]
    return found


def _each_once(replies: list[MeasuredReply], unit: Unit) -> list[MeasuredReply]:
    """Return the replies, if every intervention of the unit has the samples of its round, each once."""
    samples = len(replies) // (unit.stop - unit.start)
    wanted = {(k, unit.round * samples + s) for k in range(unit.start, unit.stop) for s in range(samples)}
    if not replies or len(wanted) != len(replies) or {(r.intervention, r.sample) for r in replies} != wanted:
        raise InputError(f"its {len(replies)} replies are not the samples of interventions {unit.start} … {unit.stop}")
    return replies


def _reply(item: Any, what: str) -> MeasuredReply:
    fields = MeasuredReply._fields
    if len(_listed(item)) not in (len(fields) - 1, len(fields)):
        raise InputError(f"{what} must be a list of {len(fields) - 1} or {len(fields)}, got {shown(item)}")
    one = Record(dict(zip(fields, item, strict=False)), what)
    text, ads = one.text("text"), one.items("ads") if "ads" in one else []
    return MeasuredReply(
        one.whole("intervention"), one.whole("sample"), text, list(one.wholes("token_ids")), ad_spans(ads, text)
    )


def ad_spans(listed: Sequence[Any], text: str) -> tuple[tuple[int, int], ...]:
    """Return spans of ads as they were written, if they lie in the text, in order, none over another.

    Raises:
        ValueError: They do not.
    """
    spans, last = [], 0
    for span in listed:
        whole = isinstance(span, list) and len(span) == 2 and all(type(end) is int for end in span)
        if not whole or not last <= span[0] < span[1] <= len(text):
            raise InputError(f"ads must be spans in the text, in order, got {shown(listed)}")
        spans.append((span[0], span[1]))
        last = span[1]
    return tuple(spans)


def _replies_of_format_4(listed: list[Any]) -> tuple[list[MeasuredReply], dict[str, list[Value]]]:
    """Return replies and readings of the format that had fixed columns behind each reply."""
    replies, columns = [], ("hits", "mentions", "kl", "surprise", "repetition_rate")
    readings: dict[str, list[Value]] = {name: [] for name in (*columns, "mention_probability")}
    for number, item in enumerate(listed):
        if len(_listed(item)) != 4 + len(columns):
            raise InputError(f"reply {number} must be a list of 9, got {shown(item)}")
        replies.append(_reply(item[:4], f"reply {number}"))
        one = Record(dict(zip(columns, item[4:], strict=True)), f"reply {number}")
        hits, mentions = one.wholes("hits"), one.wholes("mentions")
        readings["hits"].append([float(count) for count in hits])
        readings["mentions"].append([float(count) for count in mentions])
        readings["mention_probability"].append([float(count > 0) for count in hits])
        for name in columns[2:]:
            readings[name].append(one.number(name))
    if len({len(value) for name in ("hits", "mentions") for value in readings[name] if isinstance(value, list)}) > 1:
        raise InputError("its replies count different numbers of brands")
    return replies, readings


def _values(record: Record, count: int) -> dict[str, list[Value]]:
    """Return values by reading: numbers, lists of as many numbers as there are brands, or reasons."""
    found = {}
    for name in record.content:
        values = [value_from_json(item, f"{record.what} {name}") for item in record.items(name)]
        if len(values) != count or len({len(value) for value in values if isinstance(value, list)}) > 1:
            raise InputError(f"{name} must have {count} values of one length, got {shown(record.content[name])}")
        found[name] = values
    return found


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"it must hold a list, got {shown(value)}")
    return value


def _checksum(document: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
