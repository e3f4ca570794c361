"""Commands that compute on as many threads as the rule says, set once their options have been read.

Contexts are untyped: typer keeps its copy of click's classes private.
"""

from typing import Any

import typer
from typer.core import TyperCommand

from auctionsim.threads import use_threads


class ComputingCommand(TyperCommand):
    """A command that sets torch's threads before it runs, and not before it shows its help: that needs no torch."""

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002  # of letters, after which click cuts
        """Return the whole first paragraph: a group's list of commands wraps it."""
        return " ".join((self.help or "").split("\n\n")[0].split())

    def invoke(self, ctx: Any) -> Any:
        """Set the threads that `auctionsim --threads` or the rule names, then run."""
        set_threads(ctx)
        return super().invoke(ctx)


def set_threads(context: Any) -> None:
    """Set torch's threads by the command's `--threads`, else by the rule of `auctionsim.threads`."""
    use_threads(context.find_root().params.get("threads"))


def compute_threaded(app: typer.Typer) -> None:
    """Let every command of `app` and of its groups be a `ComputingCommand`."""
    for command in app.registered_commands:
        command.cls = ComputingCommand
    for group in app.registered_groups:
        if group.typer_instance is not None:
            compute_threaded(group.typer_instance)
