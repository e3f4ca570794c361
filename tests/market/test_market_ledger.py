"""A day's file: what is written is read again bit for bit; what is damaged or made for something else is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from market_fakes import FixedMultiplier, campaigns, item_market

from auctionsim.market import Actors, CampaignTerms, Market, Orders, Simulation, State, TickNews, TickStart
from auctionsim.market.conservation import conservation
from auctionsim.market.ledger import (
    CAMPAIGN_COLUMNS,
    FORMAT,
    DayLedger,
    LedgerShape,
    check_size,
    day_ledger,
    read_axes,
    read_day,
    write_day,
)
from auctionsim.storage import Stored, read_stored, write_stored


class Remembering(FixedMultiplier):
    """A fixed multiplier that counts its ticks, in whole numbers, and remembers who was there."""

    def begin(self, terms: CampaignTerms) -> State:
        return {"ticks": np.zeros(len(terms.budget), dtype=np.int64), "there": np.zeros(len(terms.budget), dtype=bool)}

    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        return super().orders(state, terms, start)._replace(multiplier=1 / (1 + state["ticks"]))

    def learn(self, state: State, terms: CampaignTerms, news: TickNews) -> State:
        return {"ticks": state["ticks"] + 1, "there": news.present}


def market() -> Market:
    """Five campaigns, some with budgets that end, one that leaves."""
    bidders = campaigns(
        ("a", "b", "a", "b", "a"), budget=[1.0, 2.0, np.inf, 0.5, 3.0], exit=[np.inf, np.inf, 0.5, np.inf, np.inf]
    )
    return item_market(types=3, bidders=bidders, ticks_per_day=4)


SHAPE = LedgerShape(4, market().campaigns.name, ("things",), ("loss",))


def days(count: int) -> list[DayLedger]:
    simulation = Simulation(market(), Actors({"fixed": Remembering()}))
    records = simulation.days()
    return [day_ledger(next(records), SHAPE, "abc") for _ in range(count)]


def test_a_day_is_read_again_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "day"
    for ledger in days(2):
        write_day(path, ledger, SHAPE, "plan")
        again = read_day(path, SHAPE, "plan")
        assert again.news == ledger.news
        assert (again.state.day, again.commit) == (ledger.news.day + 1, "abc")
        for name in CAMPAIGN_COLUMNS:
            assert again.campaigns[name].tobytes() == ledger.campaigns[name].tobytes(), name
        assert all(np.array_equal(again.categories[n], ledger.categories[n]) for n in ledger.categories)
        kept = again.state.controllers["fixed"]
        assert (kept["ticks"].dtype, kept["there"].dtype) == (np.int64, np.bool_)
        assert kept["ticks"].tolist() == [4 * (ledger.news.day + 1)] * 5
    assert read_axes(path) == SHAPE


def test_another_days_axes_or_plan_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "day"
    write_day(path, days(1)[0], SHAPE, "plan")
    assert read_day(path, SHAPE, None).news.day == 0
    with pytest.raises(ValueError, match=r"day is damaged \(it is of another run\): remove it"):
        read_day(path, SHAPE, "another")
    with pytest.raises(ValueError, match="are not the market's"):
        read_day(path, SHAPE._replace(ticks=5), "plan")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"day: "):
        read_day(path, SHAPE, "plan")


def _without(name: str) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda record, arrays: arrays.pop(name)


def _filled(name: str, value: float) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda record, arrays: arrays.update({name: torch.full_like(arrays[name], value)})


def _field(name: str, value: object) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda record, arrays: record.update({name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without("campaigns.spend"), "campaigns.spend must be"),
        (_without("state.controllers.0.1"), "it lacks the array"),
        (_filled("campaigns.spend", float("nan")), "campaigns.spend holds a number"),
        (_filled("campaigns.budget_left", float("-inf")), "campaigns.budget_left holds"),
        (_filled("campaigns.ended", float("inf")), "campaigns.ended holds"),
        (_field("next_day", 5), "the day after it must be 1, got 5"),
        (_field("state", [["controllers", "fixed", "ticks"]]), "its state must list"),
        (_field("state", [["controllers", "fixed", ["ticks", "there"]]]), "users and platform"),
        (_field("state", "x"), "state must be a list"),
        (_field("news", {}), "lacks"),
        (lambda record, arrays: arrays.update({"campaigns.present": torch.ones(4, 5)}), "campaigns.present must be"),
        (lambda record, arrays: record["axes"].update(ticks=0), "ticks must be"),
    ],
)
def test_a_forged_day_is_refused(change: Callable[[Any, Any], None], message: str, tmp_path: Path) -> None:
    path = tmp_path / "day"
    write_day(path, days(1)[0], SHAPE, "plan")
    stored = read_stored(path, FORMAT, 1)
    record, arrays = dict(stored.record), dict(stored.arrays)
    change(record, arrays)
    write_stored(path, Stored(record, arrays), FORMAT, 1)
    with pytest.raises(ValueError, match=rf"day is damaged \(.*{message}"):
        read_day(path, SHAPE, "plan")


def test_what_controllers_remember_must_be_numbers(tmp_path: Path) -> None:
    (ledger,) = days(1)
    words = {"fixed": {"words": np.array(["a"])}}
    state = type(ledger.state)(1, words)
    with pytest.raises(ValueError, match="must be numbers"):
        write_day(tmp_path / "day", DayLedger(ledger.news, ledger.campaigns, ledger.categories, state), SHAPE, "plan")


def test_a_market_too_large_for_a_file_is_refused() -> None:
    check_size(SHAPE)
    with pytest.raises(ValueError, match="a day of 1000000 ticks and 5 campaigns is too large"):
        check_size(SHAPE._replace(ticks=1_000_000))


def test_money_is_conserved_with_budgets_that_end_and_campaigns_that_leave() -> None:
    three = days(3)
    found = conservation(three, market().campaigns, ("things",))
    assert found.holds
    assert (found.days, found.ticks) == (3, 12)
    assert found.revenue == pytest.approx(sum(ledger.campaigns["spend"].sum() for ledger in three))
    assert three[0].categories["splits"].sum() > 0
    assert "money is conserved" in found.sentence


@pytest.mark.parametrize(
    ("column", "place", "gap"),
    [
        ("campaigns.spend", (0, 2), "payments_gap"),
        ("categories.paid", (1, 0), "payments_gap"),
        ("campaigns.budget_left", (1, 4), "left_gap"),
    ],
)
def test_money_that_is_lost_is_found(column: str, place: tuple[int, int], gap: str) -> None:
    (ledger,) = days(1)
    table, name = column.split(".")
    getattr(ledger, table)[name][place] += 1e-7
    found = conservation([ledger], market().campaigns, ("things",))
    assert not found.holds
    assert 1e-9 < getattr(found, gap) <= 1.001e-7  # in units of the amount, where that is more than 1
    assert f"NOT conserved over 4 ticks: {gap.replace('_', ' ')}" in found.sentence


def test_spending_more_than_there_is_or_while_absent_is_found() -> None:
    (ledger,) = days(1)
    poor = campaigns(("a", "b", "a", "b", "a"), budget=[1e-3, 1e-3, np.inf, 1e-3, 1e-3])
    assert conservation([ledger], poor, ("things",)).overspent > 0
    ledger.campaigns["spend"][3, 2] = 1.0
    assert conservation([ledger], market().campaigns, ("things",)).absent == 1.0
    with pytest.raises(ValueError, match="day 1 is expected, got day 0"):
        conservation([ledger, ledger], market().campaigns, ("things",))
