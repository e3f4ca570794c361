"""The check of an argument that must be a text; without torch, since brands are parsed for a command's help."""

from auctionsim.errors import InputTypeError


def checked_text(value: str, what: str) -> str:
    """Return `value` if it is a text.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(value, str):
        raise InputTypeError(f"{what} must be a text, got {type(value).__name__} {value!r:.60}")
    return value
