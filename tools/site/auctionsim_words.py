"""Whether the words behind `auctionsim` are a command of its, with options that it has; nothing runs."""

from typing import Any

import typer

from auctionsim.cli import app

UsageError: Any = typer.BadParameter.__base__  # typer keeps its copy of click's classes private
ANYWHERE = {"--debug": 0, "--verbose": 0, "--help": 0, "--plugin": 1, "--threads": 1}
"""Options that may stand anywhere, and how many values each takes."""


def wrong_words(words: list[str]) -> str:
    """Return what the command line would refuse in these words; "" where it would take them.

    Commands, options, how many values each option takes and the number of arguments are looked at. Whether a file is
    there, or a value is in its range, is not.
    """
    try:
        _read(typer.main.get_command(app), _without_everywhere(words))
    except UsageError as error:
        return str(error.format_message())
    return ""


def _without_everywhere(words: list[str]) -> list[str]:
    rest, taken = [], iter(words)
    for word in taken:
        name, is_, _ = word.partition("=")
        if name not in ANYWHERE:
            rest.append(word)
        elif ANYWHERE[name] and not is_ and next(taken, None) is None:
            raise UsageError(f"{name} needs a value")
    return rest


def _read(command: Any, words: list[str]) -> None:
    context = command.context_class(command, info_name=command.name)
    context.allow_interspersed_args = not getattr(command, "commands", None)
    _, rest, _ = command.make_parser(context).parse_args(list(words))
    children = getattr(command, "commands", None)
    if children and rest:
        if rest[0] not in children:
            raise UsageError(f"no command {rest[0]!r}")
        _read(children[rest[0]], rest[1:])
    elif rest:
        raise UsageError(f"unexpected words: {' '.join(rest)}")
