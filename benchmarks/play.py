"""How fast the playground answers a moved slider, and how soon the first words of a reply come.

Each slider's request goes through the whole application in this process, its door and JSON included, and is held
against the bare call of the mechanism on the same bids. Every request has other valuations. Two thirds move a
valuation, one third the user weight as well, for which the rule is designed anew. With `--model` replies are written
too: the seconds until the model is loaded, and from asking to the first words.

    python benchmarks/play.py [--requests 300] [--model]
"""

import argparse
import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from auctionsim.language_models import load_model
from auctionsim.mechanisms import design
from auctionsim.play import Writer, play_app, whole_catalogue
from auctionsim.play.guards import App
from auctionsim.priors import Uniform
from auctionsim.substrates import ResponseSurface

SURFACE, PORT, BOUND = "running-shoes-2@3", 8765, 300.0
RULES = ("vcg", "menu", "affine", "optimum", "pay-as-bid")
HOST = f"127.0.0.1:{PORT}".encode()
OWN = [(b"host", HOST), (b"origin", b"http://" + HOST), (b"x-auctionsim", b"play")]


async def ask(app: App, path: str, query: str, heard: Callable[[bytes], None], method: str = "GET") -> int:
    """Send one request through the application, and return its status."""
    status = 0
    scope: dict[str, Any] = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1"}
    scope |= {
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
    }
    scope |= {"headers": OWN, "scheme": "http", "server": ("127.0.0.1", PORT), "client": ("127.0.0.1", 1)}
    ended = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not ended.is_set() and method == "GET":
            return {"type": "http.request", "body": b"", "more_body": False}
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)
        if message.get("body"):
            heard(message["body"])
        if message["type"] == "http.response.body" and not message.get("more_body"):
            ended.set()

    await app(scope, receive, send)
    return status


def percentiles(seconds: list[float]) -> str:
    """Return p50, p95 and the slowest, in milliseconds."""
    middle, late, slowest = (1000 * float(np.quantile(seconds, share)) for share in (0.5, 0.95, 1.0))
    return f"p50 {middle:7.1f} ms   p95 {late:7.1f} ms   slowest {slowest:7.1f} ms"


async def timed(call: Callable[[], Awaitable[int]]) -> tuple[float, float]:
    """Return how long a request takes, and its seconds of the processor; it must be answered."""
    began, computed = time.perf_counter(), time.process_time()
    assert await call() == 200
    return time.perf_counter() - began, time.process_time() - computed


async def sliders(app: App, count: int) -> None:
    """Print the times of moved sliders by rule, and of the bare calls."""
    surface = ResponseSurface.packaged(SURFACE).sell("slot_probability", loss="kl")
    rng, silent = random.Random(0), lambda _: None
    bare = design("vcg", surface, Uniform(0, 1), 1.0)
    calls = []
    for _ in range(count):
        bids = torch.tensor([[[rng.random()], [rng.random()]]], dtype=torch.float64)
        began = time.perf_counter()
        bare(bids, torch.tensor([0]))
        calls.append(time.perf_counter() - began)
    print(f"{'bare call of VCG':<34}{percentiles(calls)}")
    worst = busiest = 0.0
    for rule in RULES:
        for path in ("/api/auction", "/api/misreports"):
            both = []
            for k in range(count):
                query = f"surface={SURFACE}&rule={rule}&values={rng.random():.3f},{rng.random():.3f}"
                query += f"&user_weight={rng.random():.3f}" * (k % 3 == 0)
                query += f"&budgets={rng.random() / 4:.3f},none" * (k % 4 == 0)
                query += "&bidder=0" * (path == "/api/misreports")
                both.append(await timed(partial(ask, app, path, query, silent)))
            seconds, computed = map(list, zip(*both, strict=True))
            worst = max(worst, 1000 * float(np.quantile(seconds, 0.95)))
            busiest = max(busiest, 1000 * float(np.quantile(computed, 0.95)))
            print(f"{rule + ' ' + path:<34}{percentiles(seconds)}")
    print(f"the slowest p95 is {worst:.1f} ms, {busiest:.1f} ms of the processor; the bound is {BOUND:.0f} ms")


async def replies(app: App, count: int = 5) -> None:
    """Print how long the model takes to load, and how soon first words come after that."""
    firsts, wholes = [], []
    for k in range(count + 1):
        began, first = time.perf_counter(), 0.0

        def heard(line: bytes, began: float = began) -> None:
            nonlocal first
            if not first and json.loads(line).get("text"):
                first = time.perf_counter() - began

        await ask(app, "/api/reply", f"surface={SURFACE}&seed={k}", heard, "POST")
        if k == 0:
            print(f"{'first words, the load included':<34}{first:7.2f} s")
        else:
            firsts.append(first)
            wholes.append(time.perf_counter() - began)
    print(f"{'first words, the model loaded':<34}{percentiles(firsts)}")
    print(f"{'both replies to their end':<34}{percentiles(wholes)}")


async def run(count: int, *, with_model: bool) -> None:
    """Time both in one event loop, as the server has it."""
    began = time.perf_counter()
    app = play_app(whole_catalogue(SURFACE), Writer(load_model) if with_model else None, PORT)
    print(f"{'reading all surfaces':<34}{time.perf_counter() - began:7.2f} s")
    await sliders(app, count)
    if with_model:
        await replies(app)


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100, help="Of each kind.")
    parser.add_argument("--model", action="store_true", help="Write replies too.")
    words = parser.parse_args()
    asyncio.run(run(words.requests, with_model=words.model))


if __name__ == "__main__":
    main()
