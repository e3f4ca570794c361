"""The playground as an application: the page's files, answers as JSON, and replies as streams of lines."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any

import torch
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from auctionsim.errors import AuctionsimError, InputError
from auctionsim.play.answers import Clerk, question
from auctionsim.play.catalogue import PlayedSurface
from auctionsim.play.replies import ReplyAsk, Writer, silence
from auctionsim.play.states import PlayState, state_of
from auctionsim.play.streams import ReplyQueue

_log = logging.getLogger(__name__)

FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/play.js": ("play.js", "text/javascript; charset=utf-8"),
    "/state.js": ("state.js", "text/javascript; charset=utf-8"),
    "/controls.js": ("controls.js", "text/javascript; charset=utf-8"),
    "/results.js": ("results.js", "text/javascript; charset=utf-8"),
    "/plots.js": ("plots.js", "text/javascript; charset=utf-8"),
    "/replies.js": ("replies.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
"""The page's files: nothing else of the disk is served."""
NO_MODEL = "Replies are not written here: the playground was started with --no-model."

Pairs = list[tuple[str, str]]


class Desk:
    """What answers requests: the clerk for auctions, the queue for replies.

    Args:
        clerk: Clears auctions.
        writer: Writes replies; None where there is no model.
    """

    def __init__(self, clerk: Clerk, writer: Writer | None) -> None:
        self.clerk = clerk
        self.queue = None if writer is None else ReplyQueue(writer)

    def start(self, pairs: Pairs) -> dict[str, Any]:
        """Answer which surfaces there are, and the glossary."""
        _refuse_all(pairs)
        catalogue = self.clerk.catalogue
        surfaces = [{"name": name, "label": catalogue.surface(name).label} for name in catalogue.names]
        return {"surfaces": surfaces, "first": catalogue.first, "glossary": self.clerk.glossary()}

    def surface(self, pairs: Pairs) -> dict[str, Any]:
        """Answer what a surface can be played with, and why no reply is written on it where none is."""
        state, played = state_of(pairs, self.clerk.catalogue)
        reason = NO_MODEL if self.queue is None else silence(played)
        return {**self.clerk.described(played, state.feature), "state": state._asdict(), "silence": reason}

    def auction(self, pairs: Pairs) -> dict[str, Any]:
        """Answer one auction, told."""
        return self.clerk.auction(*state_of(pairs, self.clerk.catalogue))

    def misreports(self, pairs: Pairs) -> dict[str, Any]:
        """Answer what one brand's misreports gain."""
        own = [text for key, text in pairs if key == "bidder"]
        if len(own) != 1 or not (own[0].isascii() and own[0].isdigit() and len(own[0]) < 4):
            raise InputError(f"bidder must be one whole number, got {', '.join(own)[:40]!r}")
        rest = [pair for pair in pairs if pair[0] != "bidder"]
        return self.clerk.misreports(*state_of(rest, self.clerk.catalogue), int(own[0]))

    def asked_reply(self, pairs: Pairs) -> tuple[PlayedSurface, ReplyAsk]:
        """Return the pair of replies that a state asks for.

        Raises:
            ValueError: None is written on its surface.
        """
        state, played = state_of(pairs, self.clerk.catalogue)
        reason = NO_MODEL if self.queue is None else silence(played)
        if reason:
            raise InputError(reason)
        return played, self._ask(state, played)

    def _ask(self, state: PlayState, played: PlayedSurface) -> ReplyAsk:
        account, _, _ = self.clerk.cleared(state, played)
        shape = (len(played.brands), len(played.measurement.levers))
        allocation = torch.tensor(account.allocation, dtype=torch.float64).view(shape)
        return ReplyAsk(question(state, played), allocation, (state.context, state.prompt), state.seed)


def application(clerk: Clerk, writer: Writer | None) -> Starlette:
    """Return the application without its door (`guards.Guard`)."""
    desk, counter = Desk(clerk, writer), ThreadPoolExecutor(1, "play-clerk")

    def answer(reply: Callable[[Pairs], dict[str, Any]]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            return JSONResponse(await _in_turn(counter, reply, request.query_params.multi_items()))

        return endpoint

    async def written(request: Request) -> Response:
        if desk.queue is not None and desk.queue.is_full:
            return _error(503, "other replies are being written: try again when they are done")
        played, ask = await _in_turn(counter, desk.asked_reply, request.query_params.multi_items())
        assert desk.queue is not None  # else `asked_reply` has refused
        return desk.queue.stream(played, ask)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        counter.shutdown(wait=False, cancel_futures=True)
        if desk.queue is not None:
            desk.queue.close()

    gets = {"start": desk.start, "surface": desk.surface, "auction": desk.auction, "misreports": desk.misreports}
    routes = [Route(f"/api/{name}", answer(reply)) for name, reply in gets.items()]
    routes += [Route("/api/reply", written, methods=["POST"]), *map(_file_route, FILES)]
    handlers: dict[Any, Any] = {AuctionsimError: _refused, HTTPException: _no_such, Exception: _defect}
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)


async def _in_turn(thread: ThreadPoolExecutor, function: Callable[[Pairs], Any], pairs: Pairs) -> Any:
    """Run a computation in the one thread that is there for it: the page never waits for two at once."""
    return await asyncio.get_running_loop().run_in_executor(thread, function, pairs)


def _file_route(path: str) -> Route:
    name, kind = FILES[path]
    content = (resources.files("auctionsim.play") / name).read_bytes()

    async def endpoint(_: Request) -> Response:
        return Response(content, media_type=kind)

    return Route(path, endpoint)


def _refuse_all(pairs: Pairs) -> None:
    if pairs:
        raise InputError(f"there is nothing to set here, got {pairs[0][0][:40]!r}")


def _error(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, status)


async def _refused(_: Request, error: Exception) -> Response:
    return _error(400, " ".join(str(error).split()))


async def _no_such(request: Request, error: HTTPException) -> Response:
    if error.status_code == 405:
        return _error(405, f"{request.method} is not answered there")
    return _error(error.status_code, f"there is nothing at {request.url.path[:60]!r}")


async def _defect(_: Request, error: Exception) -> Response:
    _log.error("a request failed", exc_info=error)
    return _error(500, "a defect of auctionsim, which the terminal shows")
