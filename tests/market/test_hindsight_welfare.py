"""The hindsight program of liquid welfare: known markets, its two proofs, and every way to share out a small one."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from auctionsim.errors import InputError
from auctionsim.market.equilibria import ItemMarket, hindsight_optimum, liquid_welfare


def market(values: object, budgets: object) -> ItemMarket:
    return ItemMarket(np.array(values, float), np.array(budgets, float))


def random_market(seed: int, bidders: int, items: int) -> ItemMarket:
    generator = np.random.default_rng(seed)
    values = generator.random((bidders, items)) * (generator.random((bidders, items)) < 0.7)
    budgets = generator.random(bidders) * items / bidders
    budgets[generator.random(bidders) < 0.2] = np.inf
    return ItemMarket(values, budgets)


@pytest.mark.parametrize(
    ("values", "budgets", "welfare"),
    [
        ([[2, 1], [1, 2]], [1, 1], 2.0),
        ([[2, 1], [1, 2]], [np.inf, np.inf], 4.0),
        ([[4.0]], [1], 1.0),
        ([[3, 3], [1, 1]], [3, np.inf], 4.0),  # one item to each
        ([[2.0], [1.0]], [1, np.inf], 1.5),  # half of it to each
        ([[2.0], [1.0]], [0, 0], 0.0),
        ([[0, 0]], [1], 0.0),
    ],
)
def test_known_optima(values: object, budgets: object, welfare: float) -> None:
    best = hindsight_optimum(market(values, budgets))
    assert best.welfare == pytest.approx(welfare, abs=1e-12)
    assert best.upper == pytest.approx(welfare, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_shares_attain_what_duality_allows(seed: int) -> None:
    """Feasible shares from below and a dual bound from above, both by arithmetic on the record, meet."""
    there = random_market(seed, 1 + seed % 5, 1 + 3 * seed)
    best = hindsight_optimum(there)
    assert (best.shares >= 0).all()
    assert (best.shares.sum(0) <= 1 + 1e-12).all()
    assert best.welfare == liquid_welfare(there, best.shares)
    assert best.welfare <= best.upper <= best.welfare + 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_no_whole_assignment_brings_more(seed: int) -> None:
    there = random_market(seed, 3, 4)
    best = hindsight_optimum(there).welfare
    for winners in itertools.product(range(3), repeat=4):
        assert liquid_welfare(there, np.eye(3)[list(winners)].T) <= best + 1e-12


def test_without_budgets_the_highest_value_wins() -> None:
    values = np.random.default_rng(0).random((4, 9))
    assert hindsight_optimum(market(values, [np.inf] * 4)).welfare == pytest.approx(values.max(0).sum())


def test_equal_values_and_budgets_of_one_item_are_an_assignment() -> None:
    """With budgets at the largest value of a bidder and one item a bidder, it is at least the best matching."""
    values = np.random.default_rng(1).random((4, 4))
    rows, columns = linear_sum_assignment(values, maximize=True)
    assert hindsight_optimum(market(values, values.max(1))).welfare >= values[rows, columns].sum() - 1e-12


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_the_unit_of_money_does_not_matter(unit: float) -> None:
    there = random_market(3, 4, 10)
    other = hindsight_optimum(ItemMarket(there.values * unit, there.budgets * unit))
    assert other.welfare / unit == pytest.approx(hindsight_optimum(there).welfare, rel=1e-9)
    assert other.upper / unit == pytest.approx(other.welfare / unit, rel=1e-9)


@pytest.mark.parametrize(
    ("values", "budgets", "message"),
    [
        (np.ones((2, 0)), np.ones(2), "one of each at least"),
        (
            np.array([[1, np.nan]]),
            np.ones(1),
            r"values must be finite and >= 0, got nan at \(bidder, item\) = \(0, 1\)",
        ),
        (np.array([[1, np.inf]]), np.ones(1), "values must be finite"),
        (np.array([[-1.0]]), np.ones(1), "values must be finite and >= 0, got -1.0"),
        (np.ones((2, 1)), np.array([1, -1.0]), r"budgets must be >= 0 \(inf: none\), got -1.0 of bidder 1"),
        (np.ones((1, 1)), np.array([np.nan]), "budgets must be >= 0"),
    ],
)
def test_bad_markets_are_refused(values: np.ndarray, budgets: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ItemMarket(values, budgets)


def test_shares_of_another_market_are_refused() -> None:
    with pytest.raises(InputError, match=r"shares must have shape \(2, 2\), got \(1, 2\)"):
        liquid_welfare(market(np.ones((2, 2)), [1, 1]), np.ones((1, 2)))
