"""Days of a market: budgets renewed, campaigns that come and go, traffic, rules, and a stopped run that goes on."""

from collections.abc import Sequence
from itertools import islice

import numpy as np
import pytest
from market_fakes import FixedMultiplier, campaigns, item_market, query_types

from auctionsim.market import (
    Actors,
    Campaigns,
    CampaignTerms,
    Controller,
    DayNews,
    DayRecord,
    Market,
    Orders,
    Platform,
    QueryTypes,
    Simulation,
    SimulationSettings,
    State,
    TickNews,
    TickStart,
    Users,
)
from auctionsim.mechanisms import FirstPrice, SecondPrice

FIXED = Actors({"fixed": FixedMultiplier()})


class Greedy(Controller):
    """A tenth more in every tick."""

    name = "greedy"

    def begin(self, terms: CampaignTerms) -> State:
        return {"multiplier": np.full(len(terms.budget), 0.1)}

    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        return Orders(state["multiplier"], np.ones(len(terms.budget)))

    def learn(self, state: State, terms: CampaignTerms, news: TickNews) -> State:
        return {"multiplier": state["multiplier"] * 1.1}


class Leaving(Users):
    """Half of the users leave every day."""

    def begin(self, losses: Sequence[str]) -> State:
        return {"left": np.ones(1)}

    def traffic(self, state: State, day: int) -> float:
        return float(state["left"][0])

    def learn(self, state: State, news: DayNews) -> State:
        return {"left": state["left"] / 2}


class Alternating(Platform):
    """The rules in turn; counts the days."""

    def begin(self, rules: Sequence[str], losses: Sequence[str]) -> State:
        return {"days": np.zeros(1)}

    def rule(self, state: State, rules: Sequence[str], day: int, generator: np.random.Generator) -> str:
        return rules[day % len(rules)]

    def learn(self, state: State, rules: Sequence[str], news: DayNews) -> State:
        return {"days": state["days"] + 1}


def first_days(market: Market, count: int, actors: Actors = FIXED, *, sampled: bool = False) -> list[DayRecord]:
    return list(islice(Simulation(market, actors, SimulationSettings(sampled)).days(), count))


def spend_of(days: Sequence[DayRecord]) -> list[list[float]]:
    return [tick.won.spend.tolist() for day in days for tick in day.ticks]


@pytest.mark.parametrize("sampled", [False, True])
def test_money_is_conserved_and_budgets_hold_for_a_day(sampled: bool) -> None:
    rng = np.random.default_rng(5)
    bidders = campaigns(("a", "b") * 5, budget=rng.uniform(0.5, 30, 10))
    market = item_market(types=50, signals=2, bidders=bidders)
    days = first_days(market, 3, sampled=sampled)
    for day in days:
        spend = np.sum([tick.won.spend for tick in day.ticks], 0)
        paid = sum(tally.paid for tick in day.ticks for tally in tick.tallies.values())
        assert (spend <= bidders.budget * (1 + 1e-12)).all()
        assert abs(spend.sum() - paid) < 1e-9
        assert day.news.revenue == pytest.approx(paid, abs=1e-9)
        assert all((tick.budget_left >= 0).all() for tick in day.ticks)
    ran_out = [int((day.ticks[-1].budget_left < 0.5).sum()) for day in days]
    assert min(ran_out) > 0  # some budgets end, and every day anew
    assert spend_of(days[:1]) != spend_of(days[1:2]) or not sampled


def test_a_stopped_run_goes_on_from_its_state() -> None:
    bidders = campaigns(("a", "b") * 2, controller=("greedy", "fixed") * 2, budget=[9.0] * 4)
    market = item_market(types=20, bidders=bidders)
    actors = Actors({"greedy": Greedy(), "fixed": FixedMultiplier()}, Leaving(), Alternating())
    whole = first_days(market, 4, actors, sampled=True)
    begun = first_days(market, 2, actors, sampled=True)
    rest = list(islice(Simulation(market, actors, SimulationSettings(True)).days(begun[-1].state), 2))
    assert spend_of(whole) == spend_of([*begun, *rest])
    assert rest[-1].state.platform["days"] == 4


def test_each_controller_bids_for_its_campaigns() -> None:
    bidders = campaigns(("a", "b"), controller=("greedy", "fixed"))
    day = first_days(item_market(bidders=bidders), 1, Actors({"greedy": Greedy(), "fixed": FixedMultiplier()}))[0]
    assert [tick.orders.multiplier[1] for tick in day.ticks] == [1.0] * 24
    assert [tick.orders.multiplier[0] for tick in day.ticks] == pytest.approx(0.1 * 1.1 ** np.arange(24))


def test_campaigns_come_and_go_in_the_middle_of_a_day() -> None:
    bidders = campaigns(("a", "b"), arrival=[0.0, 0.25], exit=[1.5, np.inf])
    days = first_days(item_market(bidders=bidders), 2)
    entered = np.array([tick.won.auctions for day in days for tick in day.ticks])
    assert np.flatnonzero(entered[:, 0]).tolist() == list(range(36))
    assert np.flatnonzero(entered[:, 1]).tolist() == list(range(6, 48))


def test_users_who_leave_bring_fewer_queries() -> None:
    days = first_days(item_market(), 3, Actors({"fixed": FixedMultiplier()}, Leaving()))
    assert [day.news.arrivals for day in days] == pytest.approx([192.0, 96.0, 48.0])
    assert days[1].news.revenue == pytest.approx(days[0].news.revenue / 2)


def test_the_platform_changes_the_rule_day_by_day() -> None:
    market = item_market(rules={"second": SecondPrice(), "first": FirstPrice()})
    days = first_days(market, 4, Actors({"fixed": FixedMultiplier()}, platform=Alternating()))
    assert [day.news.rule for day in days] == ["second", "first"] * 2
    assert days[0].news.revenue == days[2].news.revenue < days[1].news.revenue


def test_hours_weigh_the_day() -> None:
    hours = np.zeros((1, 24))
    hours[0, 20:] = 6
    market = item_market(queries=query_types(1, arrivals=[2.0], hours=hours), ticks_per_day=12)
    arrivals = [tick.tallies["things"].arrivals for tick in first_days(market, 1)[0].ticks]
    assert arrivals == pytest.approx([0.0] * 10 + [24.0, 24.0])


def test_categories_do_not_touch() -> None:
    """Two categories in one market are the two markets, to the last bit."""
    one, other = (
        item_market(seed=4),
        item_market(seed=4, bidders=campaigns(("a", "b"), "words"), queries=query_types(8, category="words")),
    )
    bidders = Campaigns(**{f: _joined(vars(one.campaigns)[f], vars(other.campaigns)[f]) for f in vars(one.campaigns)})
    kept = ("name", "category", "placement", "context", "relevance", "arrivals", "hours")
    queries = QueryTypes(**{f: _joined(vars(one.query_types)[f], vars(other.query_types)[f]) for f in kept})
    both = first_days(Market(bidders, queries, one.placements, seed=4), 2, sampled=True)
    apart = zip(*(spend_of(first_days(market, 2, sampled=True)) for market in (one, other)), strict=True)
    assert spend_of(both) == [left + right for left, right in apart]


def _joined(one: object, other: object) -> object:
    return np.concatenate([one, other]) if isinstance(one, np.ndarray) else (*one, *other)  # type: ignore[misc]


def test_other_seeds_draw_other_numbers() -> None:
    drawn = [first_days(item_market(seed=seed), 1, sampled=True)[0].news.revenue for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_bad_orders_and_actors_are_refused() -> None:
    for broken, words in (
        (FixedMultiplier(-1.0), "multiplier of the controller 'fixed' must be finite and >= 0"),
        (FixedMultiplier(1.0, participation=1.5), "must be within \\[0, 1\\]"),
    ):
        with pytest.raises(ValueError, match=words):
            first_days(item_market(), 1, Actors({"fixed": broken}))
    with pytest.raises(ValueError, match="campaigns name the controller 'fixed'; there are none"):
        Simulation(item_market(), Actors({}))


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("budget", [0.0, 1.0], "the budget of 'things campaign 0' must be a number > 0, got 0"),
        ("relevance", [1.0, 1.5], "the relevance of 'things campaign 1' must be a number > 0 and <= 1, got 1.5"),
        ("target", [1.0, float("nan")], "the target of 'things campaign 1' must be a number >= 0, got nan"),
        ("exit", [0.0, 1.0], "must arrive before it leaves, got days 0 and 0"),
        ("value", ("uniform:0,1", "lots"), "the value of campaign 'things campaign 1' is no prior"),
        ("value", ("uniform:0,1", "uniform:0,1;uniform:0,1"), "one campaign has one prior, got 2"),
        ("name", ("x", "x"), "a campaign's name must be given, each once, got 'x'"),
        ("brand", ("a",), "campaigns have 2 rows of name and 1 of brand"),
    ],
)
def test_bad_campaigns_are_refused(column: str, value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        campaigns(("a", "b"), **{column: value})


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("arrivals", [-1.0], "the arrivals of 'things query 0' must be a number >= 0 and <= 1e\\+12, got -1"),
        ("arrivals", [1e300], "the arrivals of 'things query 0' must be a number >= 0 and <= 1e\\+12, got 1e\\+300"),
        ("hours", np.zeros((1, 24)), "24 weights >= 0 with mean 1"),
        ("hours", np.ones((1, 12)), "hours must have 24 weights per query type"),
    ],
)
def test_bad_query_types_are_refused(column: str, value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        query_types(1, **{column: value})


def test_known_valuations_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(8, 1, 2\), got \(2, 2\)"):
        item_market(known={"things": np.ones((2, 2))})
    with pytest.raises(ValueError, match="must be finite and >= 0"):
        item_market(known={"things": -np.ones((8, 1, 2))})


class NewsKeeper(FixedMultiplier):
    """Keeps the news of the last tick in its state."""

    def begin(self, terms: CampaignTerms) -> State:
        return {}

    def learn(self, state: State, terms: CampaignTerms, news: TickNews) -> State:
        return {name: np.array(column) for name, column in news._asdict().items()}


def test_news_say_who_could_bid_and_what_was_ordered() -> None:
    """The first campaign's money ends in the first tick, the second is not there in the second one."""
    bidders = campaigns(
        ("a", "b", "b"), budget=[1e-6, np.inf, np.inf], arrival=[0, 0, 0.75], exit=[np.inf, 0.5, np.inf]
    )
    market = item_market(bidders=bidders, types=64, ticks_per_day=2)
    (day,) = first_days(market, 1, Actors({"fixed": NewsKeeper(0.5, participation=0.25)}))
    news = day.state.controllers["fixed"]
    assert day.ticks[0].budget_left[0] == 0
    assert news["taking"].tolist() == [False, False, False]
    assert news["present"].tolist() == [True, False, False]
    assert news["multiplier"].tolist() == [0.5] * 3
    assert news["participation"].tolist() == [0.25] * 3
    (day,) = first_days(item_market(ticks_per_day=2), 1, Actors({"fixed": NewsKeeper()}))
    assert day.state.controllers["fixed"]["taking"].all()
