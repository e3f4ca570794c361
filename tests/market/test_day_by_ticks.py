"""A day is its dawn, its ticks and its dusk, to the bit; whoever steps through it may stand in for controllers."""

import numpy as np
import pytest

from auctionsim.market import (
    Actors,
    Campaigns,
    Controller,
    DayRecord,
    Market,
    Orders,
    Placement,
    QueryTypes,
    Simulation,
    TickStart,
)
from auctionsim.market.controllers import CampaignTerms, State
from auctionsim.mechanisms import FirstPrice, SecondPrice
from auctionsim.substrates import Items


class Steady(Controller):
    """Bids a share of the valuation that falls with the ticks."""

    name = "steady"

    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        share = np.full(len(terms.budget), 1 / (1 + start.tick))
        return Orders(share, np.ones(len(share)))


def small() -> Simulation:
    place = Placement("p", ("a", "b"), Items(2), {"second": SecondPrice(), "first": FirstPrice()})
    campaigns = Campaigns(
        ("x", "y", "z"), ("c",) * 3, ("a", "b", "b"), np.array([3.0, np.inf, 5.0]), np.zeros(3), ("uniform:0,1",) * 3,
        np.ones(3), np.zeros(3), np.full(3, np.inf), ("steady",) * 3,
    )  # fmt: skip
    queries = QueryTypes(("q",), ("c",), ("p",), ("",), np.ones(1), np.array([10.0]), np.ones((1, 24)))
    return Simulation(
        Market(campaigns, queries, {"p": place}, signals=8, ticks_per_day=4), Actors({"steady": Steady()})
    )


def same(first: DayRecord, second: DayRecord) -> bool:
    pairs = zip(first.ticks, second.ticks, strict=True)
    return first.news == second.news and all(np.array_equal(a.won, b.won, equal_nan=True) for a, b in pairs)


def test_a_day_is_its_ticks() -> None:
    simulation = small()
    state = simulation.begin()
    now = simulation.dawn(state)
    for _ in range(4):
        now = simulation.tick(now, simulation.orders(now))
    assert same(simulation.dusk(now), simulation.day(state))
    assert simulation.dusk(now).state.day == 1


def test_orders_and_rules_may_be_stood_in_for() -> None:
    simulation = small()
    silent = Orders(np.array([1.0, 0.0, 0.0]), np.ones(3))
    now = simulation.tick(simulation.dawn(simulation.begin()), silent)
    assert now.ticks[0].won.spend.tolist() == [0, 0, 0]  # alone, second price
    now = simulation.tick(simulation.dawn(simulation.begin(), "first"), silent)
    assert now.ticks[0].won.spend[0] == pytest.approx(3.0)  # 60 queries of mean ½: the budget ends
    assert now.ended.tolist() == [True, False, False]
    with pytest.raises(ValueError, match="must choose one of second, first, got 'third'"):
        simulation.dawn(simulation.begin(), "third")
    with pytest.raises(ValueError, match=r"multiplier of the controller that is stood in for must be finite and >= 0"):
        simulation.tick(now, Orders(np.full(3, np.nan), np.ones(3)))
