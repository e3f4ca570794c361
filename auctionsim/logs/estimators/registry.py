"""Estimators by name: one file that calls `register_estimator` makes an estimator known to commands and study."""

from auctionsim.errors import InputError
from auctionsim.logs.protocol import Estimator

_ESTIMATORS: dict[str, Estimator] = {}


def register_estimator(one: Estimator) -> Estimator:
    """Make an estimator known by its name, and return it.

    Raises:
        ValueError: The name is taken.
    """
    if one.name in _ESTIMATORS:
        raise InputError(f"an estimator called {one.name!r} is registered already: choose another name")
    _ESTIMATORS[one.name] = one
    return one


def estimator(name: str) -> Estimator:
    """Return an estimator.

    Raises:
        ValueError: There is none of that name; lists those there are.
    """
    if name not in _ESTIMATORS:
        raise InputError(f"an estimator must be one of {', '.join(_ESTIMATORS)}, got {name!r}")
    return _ESTIMATORS[name]


def estimator_names() -> tuple[str, ...]:
    """Return the names of all estimators, in the order of their registration."""
    return tuple(_ESTIMATORS)
