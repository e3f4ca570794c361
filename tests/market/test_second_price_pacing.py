"""Second-price pacing equilibria: several on one market, by hand and by program, and how each condition breaks."""

import numpy as np
import pytest

from auctionsim.errors import FailedRunError
from auctionsim.market.equilibria import ItemMarket, pacing_conditions, second_price_pacing


def market(values: object, budgets: object) -> ItemMarket:
    return ItemMarket(np.array(values, float), np.array(budgets, float))


CROSSED = market([[10, 6], [6, 10]], [6, 4])
"""Each bidder sets the price of the other's item: whoever paces lets the other off, who then need not pace."""


def broken(there: ItemMarket, multipliers: object, shares: object, prices: object) -> set[str]:
    arrays = (np.array(numbers, float) for numbers in (multipliers, shares, prices))
    return {one.condition for one in pacing_conditions(there, *arrays, "second").breaches()}


@pytest.mark.parametrize(
    ("multipliers", "shares", "prices"),
    [
        ([2 / 3, 1], [[1, 0], [0, 1]], [6, 4]),  # the first paces, the second has just enough
        ([1, 0.6], [[1, 1 / 3], [0, 2 / 3]], [3.6, 6]),  # the second paces and ties on its own item
    ],
)
def test_two_equilibria_of_one_market(multipliers: object, shares: object, prices: object) -> None:
    """By hand. The one's multipliers are above the other's for one bidder and below for the other; revenues differ."""
    assert broken(CROSSED, multipliers, shares, prices) == set()


def test_what_is_no_equilibrium_names_its_broken_conditions() -> None:
    eye = [[1, 0], [0, 1]]
    assert broken(CROSSED, [1, 1], eye, [6, 6]) == {"spend"}
    assert broken(CROSSED, [0.5, 1], eye, [5, 3]) == {"winner", "pacing"}
    assert broken(CROSSED, [2 / 3, 0.9], eye, [5.4, 4]) == {"pacing"}
    assert broken(CROSSED, [2 / 3, 1], eye, [6, 4.5]) == {"price", "spend"}
    assert broken(CROSSED, [2 / 3, 1], [[0, 1], [1, 0]], [6, 4]) == {"winner", "pacing", "spend"}
    assert broken(CROSSED, [2 / 3, 1], [[1, 0], [0, 0.5]], [6, 4]) == {"sold"}
    amount = pacing_conditions(CROSSED, np.ones(2), np.eye(2), np.array([6.0, 6.0]), "second").breaches()
    assert amount == (("spend", (1,), 2.0),)


def test_the_program_returns_both_ends() -> None:
    most, least = second_price_pacing(CROSSED, "most_revenue"), second_price_pacing(CROSSED, "least_revenue")
    np.testing.assert_allclose(most.multipliers, [2 / 3, 1], atol=1e-9)
    assert most.prices.sum() == pytest.approx(10, abs=1e-9)
    assert least.prices.sum() == pytest.approx(9.6, abs=1e-9)
    for one in (most, least, second_price_pacing(CROSSED)):
        assert broken(CROSSED, one.multipliers, one.shares, one.prices) == set()
        np.testing.assert_allclose(one.spends, one.shares @ one.prices)


@pytest.mark.parametrize("seed", range(6))
def test_random_small_markets(seed: int) -> None:
    generator = np.random.default_rng(seed)
    there = ItemMarket(generator.random((2 + seed % 2, 3)), generator.random(2 + seed % 2))
    most, least = second_price_pacing(there, "most_revenue"), second_price_pacing(there, "least_revenue")
    for one in (most, least):
        assert broken(there, one.multipliers, one.shares, one.prices) == set()
        assert least.prices.sum() * (1 - 1e-4) <= one.prices.sum() <= most.prices.sum() * (1 + 1e-4)


@pytest.mark.parametrize(
    ("values", "budgets", "multipliers", "prices"),
    [
        ([[3, 1], [2, 2]], [np.inf, np.inf], [1, 1], [2, 1]),
        ([[3.0]], [1], [1], [0]),  # alone: nothing is paid
        ([[3.0], [3.0]], [np.inf, np.inf], [1, 1], [3]),
        ([[4.0], [4.0]], [1, 1], [0.5, 0.5], [2]),
        ([[2, 0], [1, 0]], [5, 5], [1, 1], [1, 0]),
    ],
)
def test_markets_with_one_equilibrium(values: object, budgets: object, multipliers: object, prices: object) -> None:
    there = market(values, budgets)
    for unit in (1.0, 1e9):
        one = second_price_pacing(ItemMarket(there.values * unit, there.budgets * unit))
        np.testing.assert_allclose(one.multipliers, np.array(multipliers, float), atol=1e-9)
        np.testing.assert_allclose(one.prices / unit, np.array(prices, float), atol=1e-9)


def test_a_search_without_time_says_so() -> None:
    generator = np.random.default_rng(0)
    there = ItemMarket(generator.random((6, 12)), generator.random(6))
    with pytest.raises(FailedRunError, match="HiGHS finds no pacing equilibrium within 0"):
        second_price_pacing(there, most_seconds=0.01)
