"""Readings by name: one file that calls `register` makes a reading known to everything that measures or reads."""

from typing import TypeVar

from auctionsim.errors import InputError
from auctionsim.plugins import load_installed
from auctionsim.readings.protocol import Reading

_KNOWN: dict[str, Reading] = {}
_R = TypeVar("_R", bound=Reading)


def register(reading: _R) -> _R:
    """Make a reading known by its name, and return it.

    Raises:
        ValueError: The name is taken.
    """
    if reading.name in _KNOWN:
        raise InputError(f"a reading called {reading.name!r} is registered already: choose another name")
    _KNOWN[reading.name] = reading
    return reading


def unregister(name: str) -> None:
    """Forget a reading of one's own, as a test does when it ends.

    Raises:
        ValueError: None has this name.
    """
    reading(name)
    del _KNOWN[name]


def reading(name: str) -> Reading:
    """Return the reading of a name.

    Raises:
        ValueError: None has it; lists those that are known.
    """
    load_installed()
    if name not in _KNOWN:
        raise InputError(f"no reading is called {name!r}; known are {', '.join(names())}")
    return _KNOWN[name]


def names() -> tuple[str, ...]:
    """Return the names of all readings, sorted."""
    load_installed()
    return tuple(sorted(_KNOWN))
