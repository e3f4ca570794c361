"""The door of the playground: whom it answers, how much it reads, and what browsers may do with its answers."""

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, NamedTuple

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
"""An application as servers call it (ASGI)."""

MOST_QUERY, MOST_BODY = 4096, 1024
"""Bytes of an address behind its question mark, and of a request's body."""
OWN_HEADER = b"x-auctionsim"
"""The page puts it on what it asks for; another site's page cannot without being refused first by its browser."""
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    ),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cache-control", b"no-store"),
)
"""On every answer: scripts and styles are this server's own files, and no other page may show or read it."""


class Refusal(NamedTuple):
    """Why a request is not answered.

    Attributes:
        status: Of HTTP.
        sentence: For whoever asked.
    """

    status: int
    sentence: str


class Guard:
    """An application behind the door.

    Args:
        app: What answers.
        port: On which it is served: the only one that addresses may name.
    """

    def __init__(self, app: App, port: int) -> None:
        names = ("127.0.0.1", "localhost")
        self.app = app
        self.hosts = frozenset(f"{name}:{port}" for name in names) | (frozenset(names) if port == 80 else frozenset())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it in one sentence."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        refused = self.refusal(scope)
        if refused is None:
            await self.app(scope, receive, guarded)
            return
        body = json.dumps({"error": refused.sentence}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await guarded({"type": "http.response.start", "status": refused.status, "headers": headers})
        await guarded({"type": "http.response.body", "body": body})

    def refusal(self, scope: Scope) -> Refusal | None:  # noqa: PLR0911  # one rule each
        """Return why a request is refused, None where it is not."""
        several = [name for name, _ in scope["headers"]]
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if several.count(b"host") != 1 or host not in self.hosts:
            return Refusal(421, f"this server answers to {' and '.join(sorted(self.hosts))} only")
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1") != f"http://{host}":
            return Refusal(403, "pages of other origins are not answered")
        asked_by = headers.get(b"sec-fetch-site", b"none")
        is_link = scope["path"] == "/" and headers.get(b"sec-fetch-mode") == b"navigate"
        if asked_by not in (b"same-origin", b"none") and not is_link:
            return Refusal(403, "pages of other sites are not answered")
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return Refusal(405, "only GET, HEAD and POST are answered")
        if scope["method"] == "POST" and (origin is None or headers.get(OWN_HEADER) != b"play"):
            return Refusal(403, "a reply is written for this server's own page only")
        if len(scope["query_string"]) > MOST_QUERY:
            return Refusal(414, f"an address may have {MOST_QUERY} bytes behind its question mark")
        length = headers.get(b"content-length", b"0")
        if b"transfer-encoding" in headers or not length.isdigit() or int(length) > MOST_BODY:
            return Refusal(413, f"a request may have a body of {MOST_BODY} bytes")
        return None
