"""How fast a market clears: whole ticks against a loop that clears one query after the other in plain Python.

Both sides have the same campaigns, query types, valuations and rules; their revenue on the same types is printed.
The loop is written for one query: who stands for each brand, then second price, or VCG over the nodes of the packaged
surface, read once into lists. *Expected* mode clears each query type once for all of its arrivals, so its rate has two
numbers: query types per second, and auctions, which are query types times their arrivals. *Sampled* mode draws every
arrival, and its rate is queries per second.

    python benchmarks/market.py
"""

import time
from collections.abc import Callable

import numpy as np
import torch

from auctionsim.market import Campaigns, CategoryMarket, Market, Placement, QueryTypes, TickCall
from auctionsim.mechanisms import VCG, SecondPrice
from auctionsim.substrates import Items, ResponseSurface

SURFACE, FEATURE, LOSS, USER_WEIGHT = "running-shoes-2@3", "mention_probability", "reply_kl", 0.1
TYPES, CAMPAIGNS, ARRIVALS, REPETITIONS = 4096, 64, 100.0, 5
LOOPED = 400  # query types that the loop clears, each with all of its arrivals


def market_of(placement: Placement, types: int = TYPES) -> Market:
    """Return a market of one category on a placement: the same campaigns and queries for all."""
    rng = np.random.default_rng(0)
    nothing = np.zeros(CAMPAIGNS)
    campaigns = Campaigns(
        name=tuple(f"campaign {k}" for k in range(CAMPAIGNS)),
        category=("all",) * CAMPAIGNS,
        brand=tuple(placement.brands[k % 2] for k in range(CAMPAIGNS)),
        budget=nothing + np.inf,
        target=nothing,
        value=("uniform:0,1",) * CAMPAIGNS,
        relevance=rng.uniform(0.2, 1.0, CAMPAIGNS),
        arrival=nothing,
        exit=nothing + np.inf,
        controller=("none",) * CAMPAIGNS,
    )
    queries = QueryTypes(
        name=tuple(f"query {k}" for k in range(types)),
        category=("all",) * types,
        placement=(placement.name,) * types,
        context=("",) * types,
        relevance=rng.uniform(0.2, 1.0, TYPES)[:types],
        arrivals=np.full(types, ARRIVALS),
        hours=np.ones((types, 24)),
    )
    return Market(campaigns, queries, {placement.name: placement})


def best_of(run: Callable[[], float]) -> tuple[float, float]:
    """Return the fewest seconds of some runs after one to warm up, and the revenue of the last."""
    revenue = run()
    seconds = []
    for _ in range(REPETITIONS):
        began = time.perf_counter()
        revenue = run()
        seconds.append(time.perf_counter() - began)
    return min(seconds), revenue


def ticks(category: CategoryMarket, *, sampled: bool) -> Callable[[], float]:
    """Return a function that clears one tick of truthful bids and returns its revenue."""
    ones = np.ones(CAMPAIGNS)
    call = TickCall(0, 0, ones, ones, ones > 0, ones * np.inf, sampled=sampled)
    return lambda: category.tick(call).paid


def loop(market: Market, price: Callable[[list[float]], list[float]]) -> Callable[[], float]:
    """Return a function that clears some query types' arrivals one by one and returns the revenue."""
    worth = market.valuations("all")[:, 0] * market.query_types.relevance[:, None] * market.campaigns.relevance
    rows = worth[:LOOPED].tolist()
    brands = [[k for k in range(CAMPAIGNS) if k % 2 == brand] for brand in range(2)]

    def run() -> float:
        revenue = 0.0
        for row in rows:
            for _ in range(int(ARRIVALS)):
                revenue += sum(price([max(row[k] for k in own) for own in brands]))
        return revenue

    return run


def second_price(bids: list[float]) -> list[float]:
    """Return payments for one item."""
    return [min(bids), 0.0] if bids[0] >= bids[1] else [0.0, min(bids)]


def surface_vcg(view: ResponseSurface) -> Callable[[list[float]], list[float]]:
    """Return VCG for one query over a surface's nodes, as lists."""
    listed = view.finite_range()
    exposures = listed.exposures[0, :, :, 0].double().tolist()
    losses = listed.user_losses[0].double().tolist()
    nodes = list(zip(exposures, losses, strict=True))

    def best(one: float, other: float) -> tuple[float, list[float], float]:
        return max((one * e[0] + other * e[1] - USER_WEIGHT * loss, e, loss) for e, loss in nodes)

    def price(bids: list[float]) -> list[float]:
        _, given, loss = best(*bids)
        without = best(0.0, bids[1])[0], best(bids[0], 0.0)[0]
        cost = USER_WEIGHT * loss
        return [without[0] - (bids[1] * given[1] - cost), without[1] - (bids[0] * given[0] - cost)]

    return price


def main() -> None:
    """Print all ratios."""
    torch.set_num_threads(1)
    view = ResponseSurface.packaged(SURFACE).sell(FEATURE, loss=LOSS)
    cases = (
        ("second price", Placement("items", ("a", "b"), Items(2), {"rule": SecondPrice()}), second_price),
        (
            f"VCG on {SURFACE}",
            Placement("surface", ("a", "b"), view, {"rule": VCG(view, USER_WEIGHT)}),
            surface_vcg(view),
        ),
    )
    print(f"{TYPES} query types of {ARRIVALS:g} arrivals per tick, {CAMPAIGNS} campaigns of two brands, one thread")
    for name, placement, price in cases:
        market = market_of(placement)
        category = CategoryMarket(market, "all")
        slow, earned = best_of(loop(market, price))
        mean, _ = best_of(ticks(category, sampled=False))
        drawn, _ = best_of(ticks(category, sampled=True))
        _, same = best_of(ticks(CategoryMarket(market_of(placement, LOOPED), "all"), sampled=False))
        queries, types = LOOPED * ARRIVALS / slow, LOOPED / slow
        print(f"{name}")
        print(f"  loop      {queries:14,.0f} queries/s = {types:10,.0f} query types/s   {earned / LOOPED:.4f} per type")
        print(
            f"  expected  {TYPES * ARRIVALS / mean:14,.0f} auctions/s = {TYPES / mean:9,.0f} query types/s   "
            f"{same / LOOPED:.4f} per type   {TYPES / mean / types:,.0f} × the loop"
        )
        rate = TYPES * ARRIVALS / drawn
        print(f"  sampled   {rate:14,.0f} queries/s   {rate / queries:,.0f} × the loop")


if __name__ == "__main__":
    main()
