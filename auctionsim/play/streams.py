"""The queue of replies: one is written at a time, few wait, and who goes away is not written for any longer."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Send

from auctionsim.errors import AuctionsimError
from auctionsim.play.catalogue import PlayedSurface
from auctionsim.play.replies import ReplyAsk, Writer

_log = logging.getLogger(__name__)

MOST_WAITING = 3
"""Replies that are asked for at once, the one that is written among them."""


class ReplyQueue:
    """Replies to come, one after the other, all written by one thread.

    Args:
        writer: Has the model.
    """

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.asked = 0
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "play-model")

    @property
    def is_full(self) -> bool:
        """Whether one more is too many."""
        return self.asked >= MOST_WAITING

    def stream(self, played: PlayedSurface, ask: ReplyAsk) -> "ReplyStream":
        """Return a response of one line of JSON per event."""
        return ReplyStream(self, self.writer.events(played, ask))

    def close(self) -> None:
        """Stop after the token that is being drawn."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def lines(self, events: Generator[dict[str, Any], None, None]) -> AsyncIterator[bytes]:
        """Yield a reply's events as lines, when its turn has come."""
        loop = asyncio.get_running_loop()
        if self._turn.locked():
            yield _line({"stage": "waiting for another reply"})
        async with self._turn:
            try:
                while (event := await loop.run_in_executor(self._thread, next, events, None)) is not None:
                    yield _line(event)
            except AuctionsimError as error:
                yield _line({"error": str(error)})
            except Exception:  # noqa: BLE001  # the answer has begun: it ends in a sentence
                _log.exception("a reply broke off")
                yield _line({"error": "the reply broke off: a defect, which the terminal shows"})
            finally:
                self._thread.submit(events.close)  # in the same thread, before the next reply's first token


class ReplyStream(StreamingResponse):
    """A response that takes its place in the queue while it is sent, and leaves it however that ends."""

    def __init__(self, queue: ReplyQueue, events: Generator[dict[str, Any], None, None]) -> None:
        self.queue = queue
        self.lines = queue.lines(events)
        super().__init__(self.lines, media_type="application/x-ndjson")

    async def stream_response(self, send: Send) -> None:
        """Send the lines; when the other side is gone, stop between two tokens."""
        self.queue.asked += 1
        try:
            async with aclosing(self.lines):  # type: ignore[type-var]
                await super().stream_response(send)
        finally:
            self.queue.asked -= 1


def _line(event: dict[str, Any]) -> bytes:
    return json.dumps(event, allow_nan=False).encode() + b"\n"
