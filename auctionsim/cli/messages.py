"""What the library logs, on the error stream: warnings always, the rest with `--verbose`."""

import contextlib
import logging
from collections.abc import Iterator

from rich.console import Console

LOGGER = "auctionsim"


class ConsoleHandler(logging.Handler):
    """A handler that prints each record as one line of a console."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        kind = "warning" if record.levelno >= logging.WARNING else "note"
        self._console.print(f"{kind}: {' '.join(record.getMessage().split())}", highlight=False)


@contextlib.contextmanager
def shown(console: Console, *, verbose: bool) -> Iterator[None]:
    """Print what is logged inside: from INFO on where it is `verbose`, else warnings."""
    logger, handler = logging.getLogger(LOGGER), ConsoleHandler(console)
    level = logger.level
    handler.setLevel(logging.INFO if verbose else logging.WARNING)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if verbose else level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
