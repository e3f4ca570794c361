"""The command `auctionsim`: parses, calls one function, prints; a mistake ends in one line and a non-zero exit."""

import io
import os
import sys
from typing import Annotated

import typer

from auctionsim import __version__
from auctionsim.cli import (
    arena,
    auctions,
    bidders,
    doctor,
    logs,
    market,
    neurons,
    play,
    studies,
    surfaces,
    trust,
    tuning,
)
from auctionsim.cli.computing import make_computing
from auctionsim.cli.failures import BROKEN_PIPE, INTERRUPTED, MISTAKE, failure, traceback_of
from auctionsim.cli.messages import shown
from auctionsim.cli.options import DEBUG, VERBOSE, Plugins, Threads, arranged, errors
from auctionsim.errors import InterruptedCommandError
from auctionsim.plugins import place_in_plugin

# Help is plain text: markup would swallow what stands in brackets, and cut names in narrow terminals.
app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 120, "help_option_names": ["-h", "--help"]},
)
for command in (
    studies.demo,
    studies.study,
    studies.say,
    play.play,
    auctions.regret,
    studies.report,
    studies.bench,
    doctor.doctor,
):
    app.command()(command)
for name, group in (
    ("neurons", neurons.app),
    ("surface", surfaces.app),
    ("auction", auctions.app),
    ("arena", arena.app),
    ("bidders", bidders.app),
    ("market", market.app),
    ("logs", logs.app),
    ("trust", trust.app),
    ("tune", tuning.app),
):
    app.add_typer(group, name=name)
make_computing(app)


def _print_version(flag: bool) -> bool:
    if flag:
        typer.echo(f"auctionsim {__version__}")
        raise typer.Exit
    return flag


@app.callback()
def auctionsim(
    version: Annotated[  # its callback ends the command
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[  # `main` takes it out, wherever it stands
        bool, typer.Option(DEBUG, help="Show the traceback of an error; may stand anywhere in the command.")
    ] = False,
    verbose: Annotated[  # likewise
        bool, typer.Option(VERBOSE, help="Show what is logged: recoveries, plugins, caches; may stand anywhere too.")
    ] = False,
    plugin: Plugins = None,  # `main` puts it first; loaded by the commands, as threads are set
    threads: Threads = None,
) -> None:
    """A laboratory for auctions of influence over a language model."""


def main() -> None:
    """Run the command; a failure ends in one line, after its traceback where `--debug` asks for it."""
    for stream in (sys.stdout, sys.stderr):  # ASCII alone, and names of files that are no UTF-8, end no command
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    words = arranged(sys.argv[1:])
    try:
        with shown(errors, verbose=words.verbose):
            code = app(words.arguments, standalone_mode=False)  # an int where typer itself ended the command
        if code == INTERRUPTED:  # by Ctrl-C, outside of a command that computes
            raise KeyboardInterrupt
        if sys.stdout is not None:  # closed by the caller
            sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort, InterruptedCommandError) as end:
        goes_on = isinstance(end, InterruptedCommandError) and end.goes_on
        errors.print("interrupted: the same command goes on where it stopped" if goes_on else "interrupted")
        code = INTERRUPTED
    except typer.Exit as end:
        code = end.exit_code
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at exit
        code = BROKEN_PIPE
    except SystemExit as end:
        if not place_in_plugin(end.__traceback__):
            raise
        code = _tell(end, words.debug)  # a plugin's own exit, in the middle of a command
    except Exception as error:  # noqa: BLE001  # nothing is above it
        code = _tell(error, words.debug)
    sys.exit(code or 0)


def _tell(error: BaseException, debug: bool) -> int:
    """Print an error, on the error stream; return the exit code."""
    if type(error).__name__ == "NoArgsIsHelpError":  # typer's: a group without a command shows its help
        typer.echo(str(error), err=True)
        return MISTAKE
    if debug:
        errors.print(traceback_of(error), highlight=False)
    ending = failure(error)
    errors.print(f"error: {ending.sentence}")
    return ending.exit_code
