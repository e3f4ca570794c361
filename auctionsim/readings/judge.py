"""Readings made from a judge: those of the default judge are known by name at once, those of others when named.

Nothing is loaded before a reading reads, or is asked what it rests on.
"""

import hashlib
import re
from collections.abc import Sequence
from functools import partial

from auctionsim.errors import InputError
from auctionsim.judges.address import address_judge, is_address
from auctionsim.judges.model import DEFAULT_JUDGE, located
from auctionsim.judges.named import verdict_judge
from auctionsim.language_models.loading import short_name
from auctionsim.readings.mutual_information import mutual_information_readings
from auctionsim.readings.protocol import Reading
from auctionsim.readings.registry import register
from auctionsim.readings.verdicts import verdict_readings

_LONGEST_SUFFIX = 48
_registered: dict[str, str] = {}  # suffix and judge


def judge_suffix(judge: str) -> str:
    """Return what follows the names of a judge's readings, "" for the default judge.

    Example:
        >>> judge_suffix("gemma3-270m"), judge_suffix("Qwen/Qwen3-0.6B"), judge_suffix("smollm2")
        ('_gemma3_270m', '_qwen_qwen3_0_6b', '')
    """
    if judge == DEFAULT_JUDGE:
        return ""
    called = judge.partition("://")[2] if is_address(judge) else short_name(judge)
    words = re.sub(r"[^0-9a-z]+", "_", called.lower()).strip("_")
    if not words or len(words) > _LONGEST_SUFFIX:
        words = f"{words[: _LONGEST_SUFFIX - 9]}_{hashlib.sha256(judge.encode()).hexdigest()[:8]}"
    return f"_{words.lstrip('_')}"


def judge_readings(judge: str = DEFAULT_JUDGE) -> tuple[Reading, ...]:
    """Return all readings that one judge gives, in order; behind an address there are verdicts only.

    Args:
        judge: "smollm2", "gemma3-270m", a hub id, a model folder, or an address, see `auctionsim.judges.address_judge`.
    Raises:
        ValueError: An address that is written otherwise.
    """
    suffix = judge_suffix(judge)
    verdicts = verdict_readings(partial(verdict_judge, judge), suffix)
    if is_address(judge):
        address_judge(judge)
        return verdicts
    return (*mutual_information_readings(judge, suffix), *verdicts)


def register_judge(judge: str) -> tuple[str, ...]:
    """Make a judge's readings known by name, once; return their names.

    Args:
        judge: As in `judge_readings`.
    Raises:
        ValueError: Another judge's readings have these names.
    """
    judge = located(judge)  # workers may stand in another folder
    suffix = judge_suffix(judge)
    other = _registered.get(suffix, judge)
    if other != judge:
        raise InputError(f"readings of the judges {other!r} and {judge!r} would have the same names")
    readings = judge_readings(judge)
    if suffix not in _registered:
        for reading in readings:
            register(reading)
        _registered[suffix] = judge
    return tuple(reading.name for reading in readings)


def registered_judges() -> tuple[str, ...]:
    """Return the judges whose readings are known by name, in order; workers register the same."""
    return tuple(_registered.values())


def judged_by(judge: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return names of readings with those of the default judge turned into another judge's, which is registered.

    Args:
        judge: As in `judge_readings`.
        names: Of readings; `judged_yes` is that judge's.
    Raises:
        ValueError: That judge has no such reading.
    """
    suffix, own, usual = judge_suffix(judge), register_judge(judge), {one.name for one in judge_readings()}
    found = tuple(f"{name}{suffix}" if name in usual else name for name in names)
    for name, turned in zip(names, found, strict=True):
        if name in usual and turned not in own:
            raise InputError(f"{name} needs a model's log probabilities, so no judge behind an address gives it")
    return found


register_judge(DEFAULT_JUDGE)
