"""The class of commands: numbers that no computation takes are refused, then torch gets the threads of the rule.

Contexts are untyped: typer keeps its copy of click's classes private.
"""

import math
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from auctionsim.errors import InputError, InterruptedCommandError
from auctionsim.plugins import load
from auctionsim.threads import use_threads

LARGEST = 2**63 - 1
"""Of a whole number: what torch counts with, and seeds its generators by."""


KEEPING = frozenset(
    {
        "demo",
        "study",
        "neurons compare",
        "neurons crosstalk",
        "surface measure",
        "surface package",
        "surface read",
        "arena carriers",
        "arena measure",
        "arena run",
        "auction compare",
        "auction more-bidders",
        "auction neurons-frontier",
        "auction crosstalk-regret",
        "auction deployed",
        "auction losses",
        "auction tilts",
        "auction reply-counts",
        "auction generalisation",
        "bidders train",
        "market run",
        "market study",
        "logs study",
        "bidders study",
        "bidders corpus",
        "trust panel",
        "tune grid",
        "tune hyperparameters",
    }
)
"""Commands that keep finished parts in a run folder, from which the same command goes on."""


class ComputingCommand(TyperCommand):
    """A command that is prepared before it runs, and not before it shows its help: that needs no torch."""

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002  # of letters, after which click cuts
        """Return the whole first paragraph: a group's list of commands wraps it."""
        return " ".join((self.help or "").split("\n\n")[0].split())

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse as click does; refuse an empty name, as Python takes it for this folder.

        Raises:
            ValueError: A file or folder with an empty name; names the option.
        """
        words_by_option = {} if ctx.resilient_parsing else self.make_parser(ctx).parse_args(args=list(args))[0]
        rest = list(super().parse_args(ctx, args))
        for parameter in self.params:
            name, value = str(parameter.name), ctx.params.get(parameter.name)
            paths = value if isinstance(value, (list, tuple)) else (value,)
            words: Any = words_by_option.get(name)
            if any(isinstance(path, Path) for path in paths) and "" in (words if _is_several(words) else (words,)):
                called = parameter.opts[0] if parameter.opts[0].startswith("-") else name
                raise InputError(f"{called}: the name of a file or folder is wanted, got ''")
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Check the numbers, set the threads, then run.

        Raises:
            InterruptedCommandError: Ctrl-C ended it.
        """
        prepare(ctx)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise InterruptedCommandError(_words(ctx) in KEEPING) from None


def _is_several(words: object) -> bool:
    return isinstance(words, (list, tuple))


def _words(context: Any) -> str:
    """Return a command as it is typed, without the program's name, which may be several words."""
    if context.parent is None:
        return ""
    return f"{_words(context.parent)} {context.info_name}".strip()


def prepare(context: Any) -> None:
    """Set torch's threads by `auctionsim --threads`, else by the rule of `auctionsim.threads`; then run the plugins.

    Raises:
        PluginError: A file of `--plugin` does not run.
        ValueError: An option's number is not finite, or too large for torch.
    """
    chosen = context.find_root().params
    for name, value in {**chosen, **context.params}.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{option} must be finite, got {value}")
        if isinstance(value, int) and abs(value) > LARGEST:
            raise InputError(f"{option} must be at most {LARGEST}, got {value}")
    use_threads(chosen.get("threads"))
    for path in chosen.get("plugin") or ():
        if Path(path) == Path():
            raise InputError("--plugin: the name of a Python file is wanted, got an empty one, or this folder's")
        load(path)


def make_computing(app: typer.Typer) -> None:
    """Let every command of `app` and of its groups be a `ComputingCommand`."""
    for command in app.registered_commands:
        command.cls = ComputingCommand
    for group in app.registered_groups:
        if group.typer_instance is not None:
            make_computing(group.typer_instance)
