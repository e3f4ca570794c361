"""What is kept is kept under a key: all that it depends on, as JSON. Another key is another thing, told by name."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MOST = 3  # differences that a sentence names
_ABSENT = object()


def plain(key: Mapping[str, Any]) -> dict[str, Any]:
    """Return a key as JSON gives it back: tuples as lists, paths and other objects as their words."""
    return dict(json.loads(json.dumps(key, sort_keys=True, default=str)))


def key_digest(key: Mapping[str, Any]) -> str:
    """Return 16 hex digits that name a key.

    Example:
        >>> key_digest({"seed": 0}) == key_digest({"seed": 1})
        False
    """
    return hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """Return 16 hex digits that name a file's contents."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def differing(key: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a key differs from the defaults, as JSON: its identity.

    A default that is added later is in no earlier key, and in no later one that keeps to it: both stay the same thing.
    So a default, once released, never changes: a new meaning gets a new name, or the key's format a new number.

    Args:
        key: All that something depends on; keys inside it are compared by part.
        usual: The defaults, of those names that have one.
    Example:
        >>> differing({"seed": 1, "rows": 80, "law": {"top_p": 1.0}}, {"rows": 80, "law": {"top_p": 1.0}})
        {'seed': 1}
    """
    kept: dict[str, Any] = {}
    theirs, defaults = plain(key), plain(usual)
    for name, value in theirs.items():
        default = defaults.get(name, _ABSENT)
        if isinstance(value, dict) and isinstance(default, dict):
            inside = differing(value, default)
            if inside:
                kept[name] = inside
        elif default is _ABSENT or value != default:
            kept[name] = value
    return kept


def difference(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Name what differs between two keys, the first few of it; "" where nothing does.

    Example:
        >>> difference({"seed": 0, "model": {"name": "a"}}, {"seed": 1, "model": {"name": "a"}})
        'seed 0, not 1'
    """
    found = list(_differences(plain(there), plain(wanted), ""))
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return "; ".join(found[:_MOST]) + more


def _differences(there: Any, wanted: Any, name: str) -> list[str]:
    if isinstance(there, dict) and isinstance(wanted, dict):
        prefix = f"{name}." if name else ""
        every = {**there, **wanted}
        return [line for k in every for line in _differences(there.get(k, _ABSENT), wanted.get(k, _ABSENT), prefix + k)]
    return [] if there == wanted else [f"{name} {_shown(there)}, not {_shown(wanted)}"]


def _shown(value: Any) -> str:
    text = "none" if value is _ABSENT else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
