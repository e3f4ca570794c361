"""Readings by name: one file that calls `register` makes a reading known to everything that measures or reads."""

import sys
from typing import TypeVar

from auctionsim.errors import InputError, InputTypeError
from auctionsim.plugins import load_installed, running
from auctionsim.readings.protocol import Reading
from auctionsim.readings.slots import slots_by_kind
from auctionsim.stems import KINDS

_KNOWN: dict[str, Reading] = {}
_MADE_BY: dict[str, str] = {}
_R = TypeVar("_R", bound=Reading)


def register(reading: _R) -> _R:
    """Make a reading known by its name, and return it.

    Raises:
        ValueError: The name is taken, by a reading or by what is kept beside slot probability.
        TypeError: It is no reading.
    """
    if not isinstance(reading, Reading):
        raise InputTypeError(f"register takes a reading, such as a TextReading, got {type(reading).__name__}")
    if reading.name in map(slots_by_kind, KINDS):
        raise InputError(f"{reading.name!r} is slot probability after stems of one kind: choose another name")
    if reading.name in _KNOWN:
        raise InputError(f"a reading called {reading.name!r} is registered already: choose another name")
    _KNOWN[reading.name] = reading
    _MADE_BY[reading.name] = running() if _all_that_ships_is_here() else ""
    return reading


def _all_that_ships_is_here() -> bool:
    """Tell whether this package has been imported to its end: a plugin that is the first to import it makes none."""
    return hasattr(sys.modules["auctionsim.readings"], "__all__")


def unregister(name: str) -> None:
    """Forget a reading of one's own, as a test does when it ends.

    Raises:
        ValueError: None has this name.
    """
    reading(name)
    del _KNOWN[name], _MADE_BY[name]


def made_by(name: str) -> str:
    """Return which plugin registered a reading, see `auctionsim.plugins.running`; "" where none did, or none is known.

    Values that are kept name it, so that those of a file that has been changed since are not taken for its own.
    """
    return _MADE_BY.get(name, "")


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
