"""Worlds by name: one file that calls `register_world` makes a world known to the commands and the study."""

from collections.abc import Callable

from auctionsim.errors import InputError
from auctionsim.logs.protocol import World

_WORLDS: dict[str, Callable[[], World]] = {}


def register_world(name: str, make: Callable[[], World]) -> None:
    """Make a world known: `make` builds it with its default parameters.

    Raises:
        ValueError: The name is taken.
    """
    if name in _WORLDS:
        raise InputError(f"a world called {name!r} is registered already: choose another name")
    _WORLDS[name] = make


def world(name: str) -> World:
    """Return a world with its default parameters.

    Raises:
        ValueError: There is none of that name; lists those there are.
    """
    if name not in _WORLDS:
        raise InputError(f"a world must be one of {', '.join(world_names())}, got {name!r}")
    return _WORLDS[name]()


def world_names() -> tuple[str, ...]:
    """Return the names of all worlds, sorted."""
    return tuple(sorted(_WORLDS))
