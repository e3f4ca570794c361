"""The first-price pacing equilibrium: known markets, its conditions by plain loops, theorems, and degenerate input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from auctionsim.errors import FailedRunError, InputError
from auctionsim.market.equilibria import (
    FirstPricePacing,
    ItemMarket,
    eisenberg_gale_gap,
    first_price_multiplier,
    first_price_pacing,
    pacing_conditions,
)


def market(values: object, budgets: object) -> ItemMarket:
    return ItemMarket(np.array(values, float), np.array(budgets, float))


def random_market(generator: np.random.Generator, bidders: int = 5, items: int = 20, budget: float = 1.0) -> ItemMarket:
    return ItemMarket(generator.random((bidders, items)), budget * generator.random(bidders) * items / bidders)


def loop_breach(there: ItemMarket, multipliers: np.ndarray, shares: np.ndarray, prices: np.ndarray) -> float:
    """The largest breach of the optimality conditions, place by place, written apart from the library."""
    worst = 0.0
    for j, price in enumerate(prices):
        bids = [alpha * row[j] for alpha, row in zip(multipliers, there.values, strict=True)]
        worst = max(worst, abs(price - max(bids)), abs(sum(shares[:, j]) - 1) * (price > 0), sum(shares[:, j]) - 1)
        worst = max(
            worst, *(-x for x in shares[:, j]), *(x * (price - b) for x, b in zip(shares[:, j], bids, strict=True))
        )
    for i, budget in enumerate(there.budgets):
        spend = sum(x * price for x, price in zip(shares[i], prices, strict=True))
        worst = max(worst, spend - budget, multipliers[i] - 1, min(1 - multipliers[i], budget - spend))
    return float(worst)


def breach(there: ItemMarket, found: FirstPricePacing) -> float:
    return loop_breach(there, found.multipliers, found.shares, found.prices)


@pytest.mark.parametrize(
    ("values", "budgets", "multipliers", "prices"),
    [
        ([[2, 1], [1, 2]], [1, 1], [1 / 2, 1 / 2], [1, 1]),
        ([[1, 2, 3], [3, 2, 1]], [1, 2], [1 / 3, 2 / 5], [6 / 5, 4 / 5, 1]),
        ([[2, 1], [1, 2]], [np.inf, np.inf], [1, 1], [2, 2]),
        ([[2.0], [1.0]], [np.inf, np.inf], [1, 1], [2]),
        ([[4.0]], [1], [1 / 4], [1]),
        ([[4.0]], [4], [1], [4]),  # the budget is just spent
        ([[4.0], [4.0]], [1, 2], [3 / 4, 3 / 4], [3]),  # ties share
        ([[4.0], [4.0], [1.0]], [0, 2, np.inf], [1 / 2, 1 / 2, 1], [2]),
        ([[0, 3, 0], [0, 0, 0]], [1, 5], [1 / 3, 1], [0, 1, 0]),  # nobody wants two items, one bidder wants none
        ([[1, 0], [0, 2]], [0, 1], [0, 1 / 2], [0, 1]),  # an item that only a bidder without money wants
        ([[0.0]], [0], [1], [0]),
    ],
)
def test_known_equilibria(values: object, budgets: object, multipliers: object, prices: object) -> None:
    there = market(values, budgets)
    found = first_price_pacing(there)
    np.testing.assert_allclose(found.multipliers, np.array(multipliers, float), atol=1e-12)
    np.testing.assert_allclose(found.prices, np.array(prices, float), atol=1e-12)
    assert breach(there, found) <= 1e-12
    np.testing.assert_array_equal(found.spends, found.shares @ found.prices)


def test_shares_of_the_known_markets() -> None:
    found = first_price_pacing(market([[1, 2, 3], [3, 2, 1]], [1, 2]))
    np.testing.assert_allclose(found.shares, [[0, 0, 1], [1, 1, 0]], atol=1e-12)
    np.testing.assert_allclose(found.spends, [1, 2], atol=1e-12)


def test_a_hundred_random_markets_by_their_conditions() -> None:
    """Within 1e-9 by loops over the conditions, and multipliers within 1e-6 by the proof of the gap."""
    generator = np.random.default_rng(0)
    bound = 0
    for count in range(100):
        there = random_market(generator, budget=1 + count % 3)
        found = first_price_pacing(there)
        assert breach(there, found) <= 1e-9
        assert found.conditions.largest <= 1e-9
        assert found.multiplier_error.max() <= 1e-6
        bound += (found.multipliers < 1).sum()
    assert 100 < bound < 450  # budgets bind in some places, not in all


@pytest.mark.parametrize("seed", range(3))
def test_near_ties_of_a_large_market_are_told_apart(seed: int) -> None:
    """Two bidders and 4000 items: some ratios of values are nearly that of multipliers."""
    there = random_market(np.random.default_rng(seed), 2, 4000, 0.7)
    assert breach(there, first_price_pacing(there)) <= 1e-9


def test_budgets_that_are_just_spent_by_the_multiplier_1() -> None:
    there = market(
        [[0, 3, 2, 0, 1], [3, 3, 2, 3, 2], [1, 2, 2, 3, 3], [0, 1, 3, 1, 0], [1, 3, 3, 1, 2]], [3, 2, 2, 3, 2]
    )
    found = first_price_pacing(there)
    np.testing.assert_allclose(found.multipliers, [1, 2 / 3, 2 / 3, 1, 1], atol=1e-12)
    assert breach(there, found) <= 1e-12


@given(st.data())
def test_degenerate_markets(data: st.DataObject) -> None:
    """Whole numbers, so that ties, zeros and budgets that are just spent are common."""
    n, m = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    whole = st.integers(0, 3).map(float)
    values = data.draw(arrays(float, (n, m), elements=whole))
    budgets = data.draw(arrays(float, (n,), elements=st.one_of(whole, st.just(np.inf))))
    there = ItemMarket(values, budgets)
    found = first_price_pacing(there)
    assert breach(there, found) <= 1e-9
    assert (found.multipliers[~values.any(1)] == 1).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_proof_bounds_the_error_of_any_multipliers(seed: int) -> None:
    """Multipliers are moved off the equilibrium: the gap at the same shares bounds how far, in logarithms."""
    generator = np.random.default_rng(seed)
    there = random_market(generator, 4, 8)
    found = first_price_pacing(there)
    for size in (1e-6, 1e-3, 0.1):
        moved = np.minimum(found.multipliers * np.exp(size * generator.standard_normal(4)), 1.0)
        gap = eisenberg_gale_gap(there, moved, found.shares)
        ratio = moved / found.multipliers
        assert gap >= (there.budgets * (ratio - 1 - np.log(ratio))).max() - 1e-12
        assert gap > 0
        error = np.where(gap <= there.budgets / 3, np.sqrt(3 * gap / there.budgets), np.inf)
        assert (np.abs(np.log(ratio)) <= error + 1e-7).all()


def test_the_gap_is_infinite_where_nothing_follows() -> None:
    there = market([[2.0], [1.0]], [1, np.inf])
    good = np.array([[1.0], [0.0]])
    assert eisenberg_gale_gap(there, np.array([0.5, 1.0]), good) == pytest.approx(0, abs=1e-15)
    assert eisenberg_gale_gap(there, np.array([1.5, 1.0]), good) == np.inf
    assert eisenberg_gale_gap(there, np.array([0.5, 0.9]), good) == np.inf
    assert eisenberg_gale_gap(there, np.array([0.0, 1.0]), good) == np.inf
    assert eisenberg_gale_gap(there, np.array([0.5, 1.0]), -good) == np.inf


@pytest.mark.parametrize("seed", range(10))
def test_bidders_buy_what_they_like_best_at_the_prices(seed: int) -> None:
    """The equilibrium is competitive: nobody has a better bundle within the budget (by greed for value per price)."""
    there = random_market(np.random.default_rng(seed), 4, 7)
    found = first_price_pacing(there)
    for own, budget, shares in zip(there.values, there.budgets, found.shares, strict=True):
        left, best = budget, 0.0
        for j in np.argsort(found.prices / own):
            part = min(1.0, left / found.prices[j]) if own[j] > found.prices[j] else 0.0
            left, best = left - part * found.prices[j], best + part * (own[j] - found.prices[j])
        assert ((own - found.prices) * shares).sum() >= best - 1e-9


@pytest.mark.parametrize("seed", range(10))
def test_one_more_bidder_lowers_no_price(seed: int) -> None:
    there = random_market(np.random.default_rng(seed), 5, 6)
    fewer = ItemMarket(there.values[:-1], there.budgets[:-1])
    assert (first_price_pacing(there).prices >= first_price_pacing(fewer).prices - 1e-9).all()


@pytest.mark.parametrize("num_bidders", [2, 4])
def test_a_large_market_of_alike_bidders_nears_the_closed_form(num_bidders: int) -> None:
    """Items drawn U[0, 1]; the mean of highest values has standard error below .3/√T, and α is budgets over it."""
    items, alpha = 4000, 0.5
    values = np.random.default_rng(0).random((num_bidders, items))
    there = ItemMarket(values, np.full(num_bidders, items * alpha / (num_bidders + 1)))
    assert first_price_multiplier(num_bidders, alpha / (num_bidders + 1)) == pytest.approx(alpha)
    found = first_price_pacing(there)
    np.testing.assert_allclose(found.multipliers, alpha, atol=4 * num_bidders * 0.3 / items**0.5)
    assert found.multipliers.std() > 0


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_the_unit_of_money_does_not_matter(unit: float) -> None:
    there = random_market(np.random.default_rng(1))
    scaled = first_price_pacing(ItemMarket(there.values * unit, there.budgets * unit))
    found = first_price_pacing(there)
    np.testing.assert_allclose(scaled.multipliers, found.multipliers, rtol=1e-9)
    np.testing.assert_allclose(scaled.prices / unit, found.prices, rtol=1e-9)


def test_scales_that_differ_by_much() -> None:
    generator = np.random.default_rng(2)
    there = ItemMarket(np.exp(generator.normal(0, 3, (6, 8))), np.exp(generator.normal(0, 4, 6)))
    assert breach(there, first_price_pacing(there)) <= 1e-9 * there.values.max()


def test_scales_that_doubles_do_not_hold_are_refused() -> None:
    """Either the conditions hold or the solver says that they do not; both happen at these scales."""
    refused = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        there = ItemMarket(np.exp(generator.normal(0, 25, (5, 6))), np.exp(generator.normal(0, 25, 5)))
        try:
            assert breach(there, first_price_pacing(there)) <= 1e-9 * there.values.max()
        except FailedRunError:
            refused += 1
    assert 0 < refused < 20


def test_each_condition_names_what_is_broken() -> None:
    there = market([[2, 1, 0], [1, 2, 0]], [1, 1])
    half, one, eye = np.array([0.5, 0.5]), np.array([1.0, 1.0, 0.0]), np.eye(2, 3)

    def broken(multipliers: np.ndarray, shares: np.ndarray, prices: np.ndarray) -> set[str]:
        conditions = pacing_conditions(there, multipliers, shares, prices, "first")
        assert (conditions.largest > 1e-9) == bool(conditions.breaches())
        return {one.condition for one in conditions.breaches()}

    assert broken(half, eye, one) == set()
    assert broken(half, eye, one * 0.9) == {"price", "pacing"}
    assert broken(half, eye[::-1].copy(), one) == {"winner"}
    assert broken(np.array([0.25, 0.5]), eye, np.array([0.5, 1.0, 0.0])) == {"pacing"}
    assert broken(half * 1.2, eye, one * 1.2) == {"spend"}
    assert broken(half * 3, eye, one * 3) == {"spend", "multiplier"}
    assert broken(half, eye * 0.9, one) == {"sold", "pacing"}
    assert broken(half, eye + np.array([0, 0, 0.6]), one) == {"sold"}  # more than all of the third
    assert broken(half, np.array([[1, -0.5, 0], [0, 1.5, 0]]), one) == {"share", "spend", "pacing"}
    place = pacing_conditions(there, half, eye[::-1].copy(), one, "first").breaches()[0]
    assert place == ("winner", (0, 1), pytest.approx(0.5))


def test_bad_input_is_refused() -> None:
    there = market([[2, 1], [1, 2]], [1, 1])
    half, eye, one = np.array([0.5, 0.5]), np.eye(2), np.ones(2)
    with pytest.raises(InputError, match=r"multipliers must be >= 0, got -0\.5 of bidder 0"):
        pacing_conditions(there, -half, eye, one, "first")
    with pytest.raises(InputError, match=r"shares must be finite, got nan at \(0, 0\)"):
        pacing_conditions(there, half, eye * np.nan, one, "first")
    with pytest.raises(InputError, match="tolerance must be a number"):
        pacing_conditions(there, half, eye, one, "first").breaches(-1.0)
