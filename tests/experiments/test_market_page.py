"""The page of a market run: sums by hand, users' parameters by closed form, and a meaning for every column."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from auctionsim.experiments.figures.market import draw_market
from auctionsim.experiments.tables.market_days import day_row
from auctionsim.experiments.tables.market_findings import MarketFindings, shown_table
from auctionsim.experiments.tables.market_page import meaning, page_section, page_tables
from auctionsim.experiments.tables.market_sensitivity import changeable, sensitivity_rows, with_users
from auctionsim.experiments.tables.market_sums import (
    campaign_rows,
    market_sums,
    missed_targets,
    movement_rows,
    switch_rows,
    time_rows,
)
from auctionsim.market import Actors, ClickModel, DayRecord, Market, Placement, SimulationSettings
from auctionsim.market.ledger import DayLedger, LedgerShape, day_ledger
from auctionsim.market.platforms import ScheduledRules
from auctionsim.market.simulation import LocalCategories, Simulation
from auctionsim.market.users import RetainedUsers, UserType
from auctionsim.mechanisms import VCG
from auctionsim.substrates import QuadraticSubstrate
from tests.market_fakes import FixedMultiplier, campaigns, query_types

DAYS = 3
CONTROLLERS = {"fixed": FixedMultiplier(), "double": FixedMultiplier(2.0, name="double")}
USERS = RetainedUsers(
    (UserType("calm", 0.0, 0.1, share=0.5), UserType("touchy", 1.0, 0.0, share=0.5, churn=0.05)),
    loss="cost",
    clicks=ClickModel(0.5, 1.0),
)


def small_market(budget: float = np.inf) -> Market:
    view = QuadraticSubstrate(2)
    rules = {f"weight {weight:g}": VCG(view, user_weight=weight) for weight in (0.5, 2.0)}
    bidders = campaigns(
        ("a", "b", "a", "b"),
        budget=[budget, np.inf, budget, 0.5],
        target=[0.0, 1.2, 100.0, 0.0],
        arrival=[0.0, 0.0, 1.25, 0.0],
        exit=[np.inf, np.inf, np.inf, 2.5],
        controller=("fixed", "double", "double", "fixed"),
    )
    placement = Placement("here", ("a", "b"), view, rules)
    return Market(bidders, query_types(4, "here"), {"here": placement}, ticks_per_day=4)


def users_of(market: Market) -> RetainedUsers:
    return RetainedUsers(USERS.types, market.losses[0], USERS.clicks)


def ledgers(market: Market, days: list[DayRecord]) -> list[DayLedger]:
    shape = LedgerShape(4, market.campaigns.name, market.categories, market.losses)
    return [day_ledger(day, shape) for day in days]


def simulated(market: Market, users: RetainedUsers | None) -> list[DayRecord]:
    platform = ScheduledRules({0: "weight 0.5", 2: "weight 2"})
    return list(islice(Simulation(market, Actors(CONTROLLERS, users, platform)).days(), DAYS))


def findings(users: bool = True) -> MarketFindings:
    market = small_market(budget=2.0)
    own = users_of(market) if users else None
    records = simulated(market, own)
    rows = [day_row(one) for one in ledgers(market, records)]
    if own is not None:
        for row, record in zip(rows, records, strict=True):
            row |= {f"users_{name}": value for name, value in own.numbers(record.state.users).items()}
    run = with_users(market, Actors(CONTROLLERS), SimulationSettings(), LocalCategories(market))
    return MarketFindings(
        market,
        market_sums(ledgers(market, records), market, None if own is None else own.clicks),
        rows,
        [{"controller": name, "campaigns": 2} for name in CONTROLLERS],
        own,
        [] if own is None else sensitivity_rows(run, own, 2),
        "expected",
        "money is conserved",
    )


@pytest.fixture(scope="module")
def found() -> MarketFindings:
    return findings()


def test_sums_of_campaigns_by_hand() -> None:
    market = small_market(budget=2.0)
    own = users_of(market)
    records = simulated(market, own)
    sums = market_sums(ledgers(market, records), market, own.clicks).campaigns
    spend, value, welfare, clicks = (np.zeros(4) for _ in range(4))
    for record in records:
        of_day = np.zeros(4)
        for tick in record.ticks:
            (tally,) = tick.tallies.values()
            spend += tick.won.spend
            of_day += tick.won.value
            clicks += 0.5 * np.exp(-tally.sold / tally.arrivals) * tick.won.exposure
        value += of_day
        welfare += np.minimum(of_day, market.campaigns.budget)
    for of_page, by_hand in ((sums.spend, spend), (sums.value, value), (sums.welfare, welfare), (sums.clicks, clicks)):
        assert of_page == pytest.approx(by_hand, rel=1e-12)
    assert sums.days.tolist() == [3, 3, 2, 3]
    assert sums.budget == pytest.approx([6.0, np.inf, 4.0, 1.5])
    daily = [sum(float(tick.won.spend[3]) for tick in record.ticks) for record in records]
    assert sums.days_spent[3] == sum(one >= 0.99 * 0.5 for one in daily) > 0
    assert float(sums.welfare.sum()) < float(sums.value.sum())


def test_a_target_is_missed_where_value_per_money_is_below_it(found: MarketFindings) -> None:
    rows = campaign_rows(found.sums.campaigns, found.market)
    second = rows[1]["value_per_spend"] < 1.2
    assert missed_targets(found.sums.campaigns, found.market).tolist() == [False, second, True, False]
    assert [row["target"] for row in rows] == [None, 1.2, 100.0, None]
    assert rows[0]["target_missed"] is None
    assert rows[1]["budget_use"] is None
    assert rows[3]["budget_use"] == pytest.approx(rows[3]["spend"] / (DAYS * 0.5))


def test_prices_over_the_day_add_up(found: MarketFindings) -> None:
    rows = time_rows(found.sums, found.market)
    assert [row["hour"] for row in rows] == [0.0, 6.0, 12.0, 18.0]
    revenue = sum(row["revenue_per_query"] * row["queries_per_day"] * DAYS for row in rows)
    assert revenue == pytest.approx(float(found.sums.campaigns.spend.sum()), rel=1e-9)
    assert sum(row["queries_per_day"] for row in rows) * DAYS == pytest.approx(
        sum(one["queries"] for one in found.days)
    )
    assert rows[-1]["campaigns_with_money"] < rows[0]["campaigns_with_money"] or rows[0]["campaigns_with_money"] < 1


def test_rules_and_campaigns_that_come_and_go(found: MarketFindings) -> None:
    assert switch_rows(found.sums) == [{"day": 2, "before": "weight 0.5", "after": "weight 2"}]
    assert {name: own.days for name, own in found.sums.rules.items()} == {"weight 0.5": 2, "weight 2": 1}
    assert [(row["day"], row["event"], row["campaign"]) for row in movement_rows(found.market, DAYS)] == [
        (1.25, "enters", "things campaign 2"),
        (2.5, "leaves", "things campaign 3"),
    ]
    assert [row["event"] for row in movement_rows(found.market, 2)] == ["enters"]


def test_twice_the_sensitivity_is_twice_the_hazard() -> None:
    """Nobody has a budget and nothing is learned: revenue is proportional to traffic, which declines geometrically."""
    view = QuadraticSubstrate(2)
    placement = Placement("here", ("a", "b"), view, {"vcg": VCG(view, user_weight=0.5)})
    market = Market(campaigns(("a", "b")), query_types(4, "here"), {"here": placement}, ticks_per_day=2)
    users = RetainedUsers((UserType("all", 0.3, 0.0),), market.losses[0])
    run = with_users(market, Actors(CONTROLLERS), SimulationSettings())
    rows = sensitivity_rows(run, users, 3, factors=(2.0,))
    assert (
        [row["parameter"] for row in rows] == ["none", "sessions", "loss_sensitivity"] == ["none", *changeable(users)]
    )
    first = next(run(users)).news
    stay = np.exp(-0.3 * first.losses[market.losses[0]] / first.arrivals)
    assert stay < 0.99
    assert rows[0]["users_left"] == pytest.approx(stay**3)
    for row in rows[1:]:
        assert row["users_left"] == pytest.approx(stay**6)
        assert row["revenue"] == pytest.approx(first.revenue * (1 + stay**2 + stay**4))
        assert row["revenue_change"] == pytest.approx((1 + stay**2 + stay**4) / (1 + stay + stay**2) - 1)


def test_every_run_with_other_users_begins_anew() -> None:
    seen: list[RetainedUsers] = []
    market = small_market()
    inner = with_users(market, Actors(CONTROLLERS), SimulationSettings())

    def run(users: RetainedUsers) -> Iterator[DayRecord]:
        seen.append(users)
        return inner(users)

    own = users_of(market)
    rows = sensitivity_rows(run, own, 1, factors=(0.5, 2.0))
    assert seen == [own] + [own.varied(name, factor) for name in changeable(own) for factor in (0.5, 2.0)]
    assert len({row["revenue"] for row in rows}) == 1  # nobody leaves before the first day


def test_the_page_tells_all_of_it(found: MarketFindings, tmp_path: Path) -> None:
    captions = draw_market(found, tmp_path)
    assert all((tmp_path / name).stat().st_size > 10_000 for name in captions)
    assert len(captions) == 4
    text = page_section(found, captions).text
    for heading in (
        "In short",
        "Day by day",
        "Prices over the day",
        "Budgets and targets",
        "Who entered and who left",
        "Users",
        "Rules of the platform",
        "Columns of the tables below",
    ):
        assert f"### {heading}\n" in text
    assert "weight 0.5 on 2 days and weight 2 on 1 day, changed once" in text
    assert "Nothing is scaled from the ledger" in text
    assert "1 campaigns entered and 1 left while the market ran" in text


def test_a_page_without_users_says_so() -> None:
    own = findings(users=False)
    text = page_section(own, {}).text
    assert "as many every day, since no model of users was given" in text
    assert "### Users" not in text
    assert "user_parameters" not in page_tables(own)


def test_every_column_has_a_meaning(found: MarketFindings) -> None:
    text = page_section(found, {}).text
    for name in {name for rows in page_tables(found).values() for name in rows[0]}:
        assert meaning(name), name
        assert f"- {name.replace('_', ' ')}: " in text


def test_long_tables_show_both_ends() -> None:
    rows = [{"Day": str(day)} for day in range(100)]
    lines = shown_table(rows).splitlines()
    assert len(lines) == 2 + 31
    assert (lines[2], lines[17], lines[-1]) == ("| 0 |", "| … |", "| 99 |")
