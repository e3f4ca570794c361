"""Serving the playground on this machine: the door, the port, and how it ends."""

import errno
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from auctionsim.errors import InputError, MissingPackageError
from auctionsim.language_models import load_model
from auctionsim.play.answers import Clerk
from auctionsim.play.catalogue import Catalogue, whole_catalogue
from auctionsim.play.guards import App, Guard
from auctionsim.play.replies import Writer

ADDRESS, PORT = "127.0.0.1", 8765
_CONNECTIONS, _LONGEST_HEAD, _SECONDS_TO_END = 64, 16384, 2


class ModelChoice(NamedTuple):
    """Which model writes replies, and where.

    Attributes:
        name: "smollm2", a hub id or a folder.
        device: Of torch, or "auto".
        dtype: Its numbers, or "auto".
    """

    name: str = "smollm2"
    device: str = "auto"
    dtype: str = "auto"


def play_app(catalogue: Catalogue, writer: Writer | None, port: int) -> App:
    """Return the playground as an application (ASGI) that answers on one port of this machine only.

    Args:
        catalogue: What can be played on.
        writer: Writes replies; None for none.
        port: Where it will be served.
    Raises:
        MissingPackageError: The extra `play` is not installed.
    """
    try:
        from auctionsim.play.server import application
    except ModuleNotFoundError as missing:
        raise _missing(missing) from None
    return Guard(application(Clerk(catalogue), writer), port)


def serve(surface: str, model: ModelChoice | None, port: int, ready: Callable[[str], None]) -> None:
    """Serve the playground until Ctrl-C.

    Args:
        surface: What is played on first.
        model: Writes replies; None for none.
        port: Of this machine; 0 takes a free one.
        ready: Called with the page's address as soon as it is answered.
    Raises:
        MissingPackageError: The extra `play` is not installed.
        ValueError: A surface that cannot be played on, or a port that is taken.
    """
    try:
        import uvicorn
    except ModuleNotFoundError as missing:
        raise _missing(missing) from None
    with bound(port) as listening:
        number = int(listening.getsockname()[1])
        writer = None if model is None else Writer(partial(load_model, *model))
        app: Any = play_app(whole_catalogue(surface), writer, number)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            ws="none",
            http="h11",
            server_header=False,
            limit_concurrency=_CONNECTIONS,
            h11_max_incomplete_event_size=_LONGEST_HEAD,
            timeout_graceful_shutdown=_SECONDS_TO_END,
        )
        ready(f"http://{ADDRESS}:{number}/")
        try:
            uvicorn.Server(config).run(sockets=[listening])
        except KeyboardInterrupt:
            return  # uvicorn has closed what was open, and raises the signal again


def bound(port: int) -> socket.socket:
    """Return a socket that listens on a port of this machine.

    Raises:
        ValueError: The port is taken, or not for this user.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((ADDRESS, port))
        listening.listen(_CONNECTIONS)
    except OSError as error:
        listening.close()
        why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise InputError(f"port {port} of {ADDRESS} {why}: choose another by --port; 0 takes a free one") from None
    return listening


def _missing(error: ModuleNotFoundError) -> ModuleNotFoundError | MissingPackageError:
    name = (error.name or "").partition(".")[0]
    if name not in ("starlette", "uvicorn", "anyio", "h11"):
        return error
    return MissingPackageError("the playground needs starlette and uvicorn: pip install 'auctionsim[play]'")
