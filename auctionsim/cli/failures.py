"""The one line in which a failure is printed, and its exit code: the caller's mistake, or a defect."""

import sys
import traceback
from types import TracebackType
from typing import NamedTuple

from auctionsim.errors import AuctionsimError
from auctionsim.plugins import place_in_plugin

MISTAKE, DEFECT, INTERRUPTED, BROKEN_PIPE = 2, 1, 130, 1
"""Exit codes; 130 is what a shell says of a command that Ctrl-C ended, and rich and typer end a broken pipe with 1."""


class Failure(NamedTuple):
    """A sentence about an exception, and the exit code.

    Attributes:
        sentence: One line, never empty.
        exit_code: `MISTAKE` or `DEFECT`.
    """

    sentence: str
    exit_code: int


def failure(error: BaseException) -> Failure:
    """Tell what the caller can mend from a defect.

    The caller can mend what auctionsim refuses (`AuctionsimError`), what the command line's parser refuses, what the
    operating system refuses (`OSError`), a package that is not installed, and a plugin. Whatever else comes up, inside
    torch, numpy, another package or here, is a defect even where its type is ValueError: the caller never spoke to
    torch.
    """
    words = _one_line(error)
    if isinstance(error, (AuctionsimError, OSError)) or hasattr(error, "format_message"):
        return Failure(words, MISTAKE)
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.partition(".")[0] != "auctionsim":
        return Failure(f"{error.name} is not installed: pip install 'auctionsim[all]'", MISTAKE)
    if in_plugin := place_in_plugin(error.__traceback__):
        return Failure(f"{in_plugin}: {type(error).__name__}: {words}", MISTAKE)
    if _is_out_of_memory(error):
        return Failure(f"this machine has not enough memory for it: {words}", DEFECT)
    kind, place = type(error).__name__, _place(error.__traceback__)
    detail = "" if words == kind else f": {words}"
    return Failure(
        f"a defect of auctionsim or of a package below it, not of what you asked: {kind} in {place}{detail} "
        "(the same command with --debug shows the traceback)",
        DEFECT,
    )


def traceback_of(error: BaseException) -> str:
    """Return the whole traceback, for --debug."""
    return "".join(traceback.format_exception(error)).rstrip()


def _one_line(error: BaseException) -> str:
    """Return what an exception says in one line, its class's name where it says nothing."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        name = error.filename if error.filename2 is None else error.filename2  # what was to be replaced
        return " ".join(f"{name}: {error.strerror}".split())  # without the number of the error
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    return " ".join(str(text).split()) or type(error).__name__


def _is_out_of_memory(error: BaseException) -> bool:
    """Tell whether Python, a device or torch's CPU allocator had no memory left.

    The last has no class of its own: a bare RuntimeError, known by its words alone (a test makes torch say them).
    """
    torch = sys.modules.get("torch")  # an error of torch's needs no import of it
    kinds = (MemoryError,) if torch is None else (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, kinds) or (type(error) is RuntimeError and "allocate memory" in str(error))


def _place(trace: TracebackType | None) -> str:
    """Return the module and the line of the innermost frame."""
    if trace is None:
        return "an unknown place"
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_globals.get('__name__', '?')}, line {trace.tb_lineno}"
