"""Shards of a market by category, in Ray workers: orders go out, what a tick brought comes back, nothing else crosses.

A category's tick is a function of its orders, so a worker that dies is started again and its tick is cleared again.
Whoever clears, and however many, gives the same numbers bit for bit, with as many threads of torch.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from auctionsim.checks import checked_count
from auctionsim.errors import FailedRunError
from auctionsim.market.category import CategoryMarket, Tally
from auctionsim.market.market import Market
from auctionsim.market.simulation import Calls, Clear
from auctionsim.measurement.crew import ray_session
from auctionsim.plugins import PluginFile, load_files, loaded

DEATHS = 3
"""Of one worker, before the run is given up."""


class CategoryShard:
    """A worker's categories, each cleared when it is asked for.

    Args:
        plugins: Files that registered what is the user's.
        market: The whole.
        categories: Which it has.
        threads: Of torch.
    """

    def __init__(
        self, plugins: tuple[PluginFile, ...], market: Market, categories: Sequence[str], threads: int
    ) -> None:
        load_files(plugins)  # where Ray had been started before they were loaded
        torch.set_num_threads(threads)
        self.categories = {name: CategoryMarket(market, name) for name in categories}

    def tick(self, calls: Calls) -> dict[str, Tally]:
        """Clear one tick in some of its categories."""
        return {name: self.categories[name].tick(call) for name, call in calls.items()}


@contextlib.contextmanager
def ray_categories(market: Market, workers: int, address: str | None = None) -> Iterator[Clear]:
    """Give what clears a market's ticks in Ray workers.

    Args:
        market: Which.
        workers: How many at most; no more than there are categories, or places in the cluster.
        address: A running Ray cluster's; None starts Ray here, and stops it afterwards.
    Raises:
        RuntimeError: A worker died again and again.
    """
    threads = torch.get_num_threads()
    with ray_session(checked_count(workers, "workers"), threads, address):
        import ray

        there = int(ray.cluster_resources().get("CPU", 0) // threads)  # whoever finds no place would be waited for
        shards = _shards(market, min(workers, there))
        remote = ray.remote(num_cpus=threads, max_restarts=DEATHS, max_task_retries=DEATHS)(CategoryShard)
        whole = ray.put(market)
        actors = [(own, remote.remote(loaded(), whole, own, threads)) for own in shards]

        def clear(calls: Calls) -> Mapping[str, Tally]:
            waiting = [actor.tick.remote({name: calls[name] for name in own if name in calls}) for own, actor in actors]
            try:
                parts: list[Mapping[str, Tally]] = ray.get(waiting)
            except ray.exceptions.RayTaskError as error:
                raise error.cause or error from None
            except ray.exceptions.RayError as error:
                first = str(error).splitlines()[0]
                raise FailedRunError(
                    f"a worker died more than {DEATHS} times ({first}); finished days are kept"
                ) from None
            tallies: dict[str, Any] = {name: tally for part in parts for name, tally in part.items()}
            return {name: tallies[name] for name in calls}

        try:
            yield clear
        finally:
            with contextlib.suppress(ray.exceptions.RayError):
                for _, actor in actors:
                    ray.kill(actor)


def _shards(market: Market, workers: int) -> list[list[str]]:
    """Return each worker's categories: the largest first, to whoever has least to do."""
    work = {name: len(market.types(name)) * max(len(market.members(name)), 1) for name in market.categories}
    shards: list[list[str]] = [[] for _ in range(min(workers, len(work)))]
    for name in sorted(work, key=lambda name: -work[name]):
        min(shards, key=lambda own: sum(work[other] for other in own)).append(name)
    return shards
