"""The table of platforms: by name, and how one is made from settings as a file has them."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

from auctionsim.errors import InputError, InputTypeError
from auctionsim.market.actors import Platform
from auctionsim.market.platforms.rewards import PlatformReward, RewardScale


@dataclass(frozen=True)
class PlatformEntry:
    """One line of the table.

    Attributes:
        name: Lower-case words, hyphens between.
        summary: How it chooses, one sentence.
        kind: A dataclass whose fields are its settings.
    """

    name: str
    summary: str
    kind: Callable[..., Platform]


_TABLE: dict[str, PlatformEntry] = {}
_RECORDS: Mapping[str, Callable[..., Any]] = {"scale": RewardScale, "reward": PlatformReward}


def register(new: PlatformEntry) -> PlatformEntry:
    """Put a platform into the table.

    Raises:
        ValueError: A name that is taken.
    """
    if new.name in _TABLE:
        raise InputError(f"there is a platform {new.name!r} already")
    _TABLE[new.name] = new
    return new


def platform_names() -> tuple[str, ...]:
    """Return the names of all platforms, sorted."""
    return tuple(sorted(_TABLE))


def platform_entry(name: str) -> PlatformEntry:
    """Return one platform's entry.

    Raises:
        ValueError: No platform of that name; lists those there are.
    """
    if name not in _TABLE:
        raise InputError(f"platform must be one of {', '.join(platform_names())}, got {name!r:.60}")
    return _TABLE[name]


def platform(name: str, settings: Mapping[str, Any] | None = None) -> Platform:
    """Return a platform by name.

    Args:
        name: In the table.
        settings: Values of its fields by name; `scale` and `reward` as mappings of theirs.
    Raises:
        ValueError: No such platform or setting, or a value outside its range.
        TypeError: A value of another kind.
    Example:
        >>> platform("ucb", {"scale": {"low": 0.0, "high": 5.0}, "hold": 7}).hold
        7
    """
    made: Platform = _made(platform_entry(name).kind, settings or {}, name)
    return made


def _made(kind: Callable[..., Any], settings: Mapping[str, Any], what: str) -> Any:
    known = [one.name for one in fields(kind)]  # type: ignore[arg-type]
    unknown = [name for name in settings if name not in known]
    if unknown:
        raise InputError(f"{what} has the settings {', '.join(known) or 'none'}, got {unknown[0]!r:.60}")
    values = dict(settings)
    for name in _RECORDS.keys() & values.keys():
        if isinstance(values[name], Mapping):
            values[name] = _made(_RECORDS[name], values[name], f"{name} of {what}")
        elif not isinstance(values[name], _RECORDS[name]):  # type: ignore[arg-type]
            raise InputTypeError(f"{name} of {what} must be a mapping, got {values[name]!r:.60}")
    missing = [
        one.name
        for one in fields(kind)  # type: ignore[arg-type]
        if one.name not in values and one.default is MISSING and one.default_factory is MISSING
    ]
    if missing:
        raise InputError(f"{what} needs the setting {missing[0]!r}")
    return kind(**values)
