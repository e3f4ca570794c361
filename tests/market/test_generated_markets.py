"""The generator of markets: the same ones for the same seed, of the size that is asked for, on what there is."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from market_fakes import item_placement

from auctionsim.market import Market
from auctionsim.market.generator import GeneratorSettings, Outlet, generate, outlets

PLACES = (
    Outlet("shoes", "shoes here", ("a", "b", "c"), ("request", "related")),
    Outlet("coffee", "coffee here", ("x", "y"), ()),
)
SMALL = GeneratorSettings(query_types=11, campaigns=23, controllers=("one", "two"), targeted=0.5)


def test_the_same_seed_makes_the_same_market_and_another_one_another() -> None:
    first, again, other = (generate(s, PLACES) for s in (SMALL, SMALL, replace(SMALL, seed=1)))
    assert repr(first) == repr(again)
    assert not np.array_equal(first.query_types.arrivals, other.query_types.arrivals)
    assert not np.array_equal(first.campaigns.budget, other.campaigns.budget)


def test_sizes_are_those_asked_for_and_every_brand_has_its_share() -> None:
    made = generate(SMALL, PLACES)
    assert (len(made.query_types), len(made.campaigns)) == (11, 23)
    brands = [(c, b) for c, b in zip(made.campaigns.category, made.campaigns.brand, strict=True)]
    counts = [brands.count(pair) for pair in (("shoes", "a"), ("shoes", "b"), ("shoes", "c"), ("coffee", "x"))]
    assert {*counts} <= {4, 5}
    assert {*made.query_types.context} == {"request", "related", ""}
    assert all(
        (context == "") == (category == "coffee")
        for context, category in zip(made.query_types.context, made.query_types.category, strict=True)
    )
    assert abs(made.campaigns.controller.count("one") - made.campaigns.controller.count("two")) <= 1


def test_another_setting_of_one_column_leaves_the_others() -> None:
    before, after = generate(SMALL, PLACES), generate(replace(SMALL, budget_spread=3.0, rhythm=0.0), PLACES)
    assert not np.array_equal(before.campaigns.budget, after.campaigns.budget)
    assert (after.query_types.hours == 1).all()
    for column in ("target", "value", "relevance", "arrival", "exit", "controller"):
        assert np.array_equal(getattr(before.campaigns, column), getattr(after.campaigns, column)), column


def test_shares_are_kept() -> None:
    many = replace(SMALL, campaigns=4000, unlimited=0.25, targeted=0.5, newcomers=0.1, leavers=0.3, days=5.0)
    made = generate(many, PLACES).campaigns
    assert np.isinf(made.budget).mean() == pytest.approx(0.25, abs=0.03)
    assert (made.target > 0).mean() == pytest.approx(0.5, abs=0.03)
    assert (made.arrival > 0).mean() == pytest.approx(0.1, abs=0.02)
    assert np.isfinite(made.exit).mean() == pytest.approx(0.3, abs=0.03)
    assert made.exit[np.isfinite(made.exit)].max() <= 5.0


def test_budgets_are_money_per_query_shared_among_the_campaigns() -> None:
    settings = replace(SMALL, budget=0.1, budget_spread=0.0, unlimited=0.0)
    made = generate(settings, PLACES)
    of_day = made.query_types.arriving(0, 24)[np.array(made.query_types.category) == "coffee"].sum()
    own = np.array(made.campaigns.category) == "coffee"
    np.testing.assert_allclose(made.campaigns.budget[own], 0.1 * of_day / own.sum())


def test_a_generated_market_is_one() -> None:
    placements = {"items": item_placement(("a", "b"))}
    made = generate(replace(SMALL, controllers=("none",)), outlets(placements, {"items": "things"}))
    market = Market(made.campaigns, made.query_types, placements)
    assert market.categories == ("things",)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"campaigns": 0}, "campaigns must be"),
        ({"query_types": -1}, "query_types must be"),
        ({"arrivals": 0.0}, "arrivals must be a finite number > 0, got 0.0"),
        ({"arrivals": float("inf")}, "arrivals must be a finite number > 0, got inf"),
        ({"budget": -1.0}, "budget must be a finite number > 0"),
        ({"unlimited": 1.5}, "unlimited must be a finite number >= 0 and <= 1, got 1.5"),
        ({"least_relevance": 0.0}, "least_relevance must be a finite number > 0 and <= 1"),
        ({"rhythm": float("nan")}, "rhythm must be a finite number"),
        ({"values": ("nosuch:1",)}, "nosuch"),
        ({"values": ()}, "a name each, got none"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_out_of_range_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **changed)


def test_a_market_without_a_placement_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a placement"):
        generate(SMALL, ())
