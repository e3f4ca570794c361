"""The command `auctionsim`: parses, calls one function, prints; a mistake ends in one line and a non-zero exit."""

import sys

import typer
from rich.markup import escape

from auctionsim.cli import auctions, bidders, neurons, studies, surfaces, tuning
from auctionsim.cli.options import errors

app = typer.Typer(
    help="A laboratory for auctions of influence over a language model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    studies.demo,
    studies.study,
    studies.say,
    auctions.regret,
    studies.report,
    studies.bench,
    studies.doctor,
):
    app.command()(command)
app.add_typer(neurons.app, name="neurons")
app.add_typer(surfaces.app, name="surface")
app.add_typer(auctions.app, name="auction")
app.add_typer(bidders.app, name="bidders")
app.add_typer(tuning.app, name="tune")

INTERRUPTED = 130  # what a shell says of a command that Ctrl-C ended


def main() -> None:
    """Run the command; turn a caller's mistake into one clear line."""
    try:
        code = app(standalone_mode=False)  # an int where typer itself ended the command, 130 after Ctrl-C
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except typer.Exit as end:
        sys.exit(end.exit_code)
    except Exception as error:
        message = _one_line(error)
        if message is None:
            raise
        errors.print(f"error: {escape(message)}")
        sys.exit(2)
    if code == INTERRUPTED:
        errors.print("interrupted: the same command goes on where it stopped")
    sys.exit(code or 0)


def _one_line(error: Exception) -> str | None:
    """Return the sentence for a mistake of the caller's, None for a defect of ours."""
    if hasattr(error, "format_message"):  # typer's own: a wrong option or command
        return " ".join(str(error.format_message()).split())
    if isinstance(error, (ValueError, OSError)) or type(error).__name__ == "ModelUnavailableError":
        return " ".join(str(error).split())
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("auctionsim"):
        return f"{error.name} is not installed: pip install 'auctionsim[all]'"
    return None
