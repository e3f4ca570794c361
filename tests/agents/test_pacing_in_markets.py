"""Pacing in a market of many query types with private signals: money lasts the day, at the best multiplier."""

from itertools import islice

import numpy as np
import pytest
from market_fakes import campaigns, item_placement, query_types

from auctionsim.agents.pacing import controller
from auctionsim.market import Actors, Campaigns, Market, QueryTypes, Simulation, SimulationSettings
from auctionsim.market.equilibria import lone_second_price_pacing

KINDS = ("multiplicative", "adaptive", "pid")
RHO = 1 / 24
BEST = lone_second_price_pacing(RHO)


def market(
    categories: tuple[str, ...],
    types: int,
    signals: int,
    ticks_per_day: int,
    kinds: tuple[str, ...],
    arrivals: float = 1.0,
) -> Market:
    """Return a market whose categories each have one paced campaign and a truthful rival, both U[0, 1]."""
    budget = RHO * types * 24 * arrivals
    parts = [
        campaigns(("a", "b"), name, budget=[budget, np.inf], controller=(kind, "none"))
        for name, kind in zip(categories, kinds, strict=True)
    ]
    queries = [query_types(types, category=name, arrivals=np.full(types, arrivals)) for name in categories]
    return Market(
        Campaigns(*(_joined([getattr(part, name) for part in parts]) for name in Campaigns.__dataclass_fields__)),
        QueryTypes(*(_joined([getattr(part, name) for part in queries]) for name in QueryTypes.__dataclass_fields__)),
        {"items": item_placement(("a", "b"))},
        signals=signals,
        ticks_per_day=ticks_per_day,
    )


def _joined(columns: list) -> object:
    return sum(columns, ()) if isinstance(columns[0], tuple) else np.concatenate(columns)


def exact_multiplier(there: Market, category: str) -> float:
    """Return the least multiplier that spends the budget on the drawn valuations, by bisection of the exact spend."""
    own, rival = (there.valuations(category)[..., place].ravel() for place in (0, 1))
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        spend = np.where(middle * own > rival, rival, 0.0).mean()
        low, high = (low, middle) if spend > RHO else (middle, high)
    return high


def last_days(there: Market, days: int, counted: int, *, sampled: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return the multipliers of the paced campaigns while they bid, and how long into the day their money lasted."""
    actors = Actors({name: controller(name) for name in (*KINDS, "throttling", "none")})
    records = list(islice(Simulation(there, actors, SimulationSettings(sampled)).days(), days))[-counted:]
    paced = slice(0, None, 2)
    orders = np.array([[tick.orders.multiplier[paced] for tick in day.ticks] for day in records])
    ended = np.array([[tick.won.ended[paced] for tick in day.ticks] for day in records])
    ticks = np.arange(ended.shape[1])[None, :, None]
    lasted = np.where(np.isnan(ended), np.inf, ticks + ended).min(1)
    shares = np.minimum(lasted / ended.shape[1], 1.0).mean(0)
    return np.average(orders, axis=(0, 1), weights=orders > 0), shares


@pytest.mark.parametrize(("ticks_per_day", "days"), [(24, 10), (2, 80)])
def test_the_money_lasts_the_day_at_the_exact_multiplier(ticks_per_day: int, days: int) -> None:
    """Expected mode: spend is a function of the multiplier, so the answer on these very valuations is exact."""
    there = market(("x", "y", "z"), 32, 32, ticks_per_day, KINDS)
    ends, lasted = last_days(there, days, days // 5)
    exact = [exact_multiplier(there, name) for name in there.categories]
    assert ends == pytest.approx(np.array(exact), rel=0.01)
    assert (lasted > 0.97).all(), lasted


def test_without_pacing_the_money_is_gone_early() -> None:
    there = market(("x",), 32, 32, 24, ("none",))
    ends, lasted = last_days(there, 1, 1)
    assert ends == pytest.approx(np.ones(1))
    assert lasted < 0.3


def test_sampled_queries_are_paced_as_their_mean() -> None:
    there = market(("x", "y", "z"), 32, 32, 24, KINDS, arrivals=100.0)
    ends, lasted = last_days(there, 10, 4, sampled=True)
    exact = [exact_multiplier(there, name) for name in there.categories]
    assert ends == pytest.approx(np.array(exact), rel=0.05)
    assert (lasted > 0.9).all(), lasted


@pytest.mark.deep
@pytest.mark.parametrize("kind", KINDS)
def test_five_markets_end_at_the_closed_form(kind: str) -> None:
    names = ("p", "q", "r", "s", "t")
    there = market(names, 128, 256, 24, (kind,) * 5)
    ends, lasted = last_days(there, 12, 4)
    print(kind, ends.round(4), lasted.round(4))
    assert ends == pytest.approx(np.full(5, BEST.multiplier), rel=0.02)
