"""The table of pacing controllers: kinds by the name that campaigns and configurations refer to."""

import inspect

from auctionsim.errors import InputError, InputTypeError
from auctionsim.market import Controller
from auctionsim.plugins import load_installed

_TABLE: dict[str, type[Controller]] = {}


def register(kind: type[Controller]) -> type[Controller]:
    """Put a kind of controller into the table.

    Args:
        kind: A class whose attribute `name` is the kind's name and whose arguments all have defaults.
    Returns:
        The same class, so that this is a decorator, too.
    Raises:
        TypeError: No concrete controller, or one with an argument that must be given.
        ValueError: A name that is taken, or is not lower-case words with hyphens between.
    """
    if not (inspect.isclass(kind) and issubclass(kind, Controller)) or inspect.isabstract(kind):
        raise _no_kind(kind, "a class of controllers with `orders` is registered")
    needed = [
        one.name
        for one in inspect.signature(kind).parameters.values()
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    if needed:
        raise _no_kind(kind, f"all arguments of a controller have defaults, {needed[0]} has none")
    name = kind.name
    if not isinstance(name, str) or not name or any(not (c.islower() or c.isdigit() or c == "-") for c in name):
        raise InputError(f"a controller's name must be lower-case words with hyphens between, got {name!r}")
    if name in _TABLE:
        raise InputError(f"there is a controller {name!r} already")
    _TABLE[name] = kind
    return kind


def withdraw(name: str) -> None:
    """Take a kind out of the table, as before its file is loaded anew.

    Raises:
        ValueError: No kind of that name.
    """
    controller_kind(name)
    del _TABLE[name]


def controllers() -> dict[str, type[Controller]]:
    """Return all kinds by name, in the order in which they were registered."""
    load_installed()
    return dict(_TABLE)


def controller(name: str) -> Controller:
    """Return a controller of a kind, with its defaults.

    Raises:
        ValueError: No kind of that name; lists those there are.
    Example:
        >>> controller("multiplicative").name
        'multiplicative'
    """
    return controller_kind(name)()


def controller_kind(name: str) -> type[Controller]:
    """Return a kind by name.

    Raises:
        ValueError: None of that name; lists those there are.
    """
    load_installed()
    if name not in _TABLE:
        raise InputError(f"controller must be one of {', '.join(_TABLE)}, got {name!r}")
    return _TABLE[name]


def _no_kind(kind: object, rule: str) -> InputTypeError:
    return InputTypeError(f"{rule}, got {kind.__name__ if inspect.isclass(kind) else repr(kind)}")
