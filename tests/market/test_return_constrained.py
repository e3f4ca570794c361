"""Value maximisers with return targets: known equilibria, their welfare, best responses against a fine grid."""

import numpy as np
import pytest

from auctionsim.errors import InputError
from auctionsim.market.equilibria import (
    ItemMarket,
    ReturnConditions,
    best_uniform_multiplier,
    return_conditions,
)

Rows = list[list[float]]


def free(values: Rows | np.ndarray) -> ItemMarket:
    """A market without budgets."""
    return ItemMarket(np.array(values, float), np.full(len(values), np.inf))


def profile(there: ItemMarket, multipliers: list[float] | np.ndarray, rule: str) -> ReturnConditions:
    """The conditions at multipliers, target 1, where each item goes to the first of the highest bids above 0."""
    m = np.array(multipliers, float)
    bids = m[:, None] * there.values
    shares = np.eye(len(m))[bids.argmax(0)].T * (bids.max(0) > 0)
    return return_conditions(there, np.ones(len(m)), m, shares.copy(), rule)


def broken(conditions: ReturnConditions) -> set[str]:
    assert (conditions.largest > 1e-9) == bool(conditions.breaches())
    return {one.condition for one in conditions.breaches()}


@pytest.mark.parametrize("epsilon", [0.1, 0.5, 0.01])
def test_second_price_may_lose_nearly_half(epsilon: float) -> None:
    """The second bidder takes both items: it can pay 1 for the one that is worth ε to it, the first bidder cannot."""
    there = free([[1, 0], [epsilon, 1]])
    bad = profile(there, [1, 1.05 / epsilon], "second")
    assert broken(bad) == set()
    assert bad.welfare_share == pytest.approx((1 + epsilon) / 2)
    assert not bad.underbid.any()
    good = profile(there, [1, 1], "second")
    assert good.welfare_share == 1
    assert broken(good) == {"gain"}  # the second bidder could have both


def test_underbidding_loses_more() -> None:
    bad = profile(free([[1.0], [0.1]]), [0.05, 20], "second")
    assert broken(bad) == set()
    assert bad.welfare_share == pytest.approx(0.1)
    np.testing.assert_allclose(bad.underbid, [0.95, 0])


def test_first_price_allows_no_such_thing() -> None:
    for there, multipliers in ((free([[1, 0], [0.1, 1]]), [1, 10.5]), (free([[1.0], [0.1]]), [0.05, 20])):
        assert "target" in broken(profile(there, multipliers, "first"))
        assert "gain" in broken(profile(there, [0.05, 1], "first"))
        best = profile(there, [1, 1], "first")
        assert broken(best) == set()
        assert best.welfare_share == 1


def responses(there: ItemMarket, rule: str, generator: np.random.Generator, least: float) -> ReturnConditions:
    """Best responses in turn from random multipliers ≥ least, for some rounds."""
    n = there.num_bidders
    m = least + generator.exponential(2, n)
    for turn in range(5 * n):
        response = best_uniform_multiplier(there, np.ones(n), m, turn % n, rule)
        m[turn % n] = max(response.multiplier, least)
    return profile(there, m, rule)


def test_no_equilibrium_without_underbidding_is_below_half() -> None:
    """Second price, by random search; the least share that is met says that the search is worth something."""
    generator, shares = np.random.default_rng(0), []
    for count in range(80):
        values = generator.random((2 + count % 2, 2 + count % 3)) ** 4  # unequal values
        end = responses(free(values), "second", generator, 1.0)
        if not end.breaches():
            assert not end.underbid.any()
            shares.append(end.welfare_share)
    assert len(shares) > 30, len(shares)
    assert 0.5 <= min(shares) < 0.8


def test_even_any_outcome_that_keeps_targets_has_half_without_underbidding() -> None:
    generator, shares = np.random.default_rng(1), []
    for _ in range(300):
        values = np.maximum(generator.random((2, 2)) ** 2, np.eye(2))
        end = profile(free(values), 1 + generator.exponential(4, 2) * generator.choice([0, 1], 2), "second")
        if not end.target.any():
            shares.append(end.welfare_share)
    assert len(shares) > 30, len(shares)
    assert 0.5 <= min(shares) < 0.8


def test_with_underbidding_a_search_goes_below_half() -> None:
    generator = np.random.default_rng(2)
    low = 0
    for _ in range(150):
        end = profile(free(generator.random((2, 1)) ** 4), np.exp(generator.normal(0, 3, 2)), "second")
        low += not end.breaches() and end.welfare_share < 0.5
    assert low > 0


def test_first_price_equilibria_have_all_of_the_optimum() -> None:
    """Multipliers at or a little below 1 that win the same are equilibria, too; all have the optimum's welfare."""
    generator, equilibria = np.random.default_rng(3), 0
    for _ in range(200):
        end = profile(free(generator.random((2, 2))), 1 - generator.random(2) * generator.choice([0, 0.2, 1]), "first")
        if not end.breaches():
            equilibria += 1
            assert end.welfare_share == pytest.approx(1)
    assert 50 < equilibria < 200


@pytest.mark.parametrize("rule", ["first", "second"])
@pytest.mark.parametrize("seed", range(6))
def test_the_best_multiplier_against_a_fine_grid(rule: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    values, m = generator.integers(0, 5, (3, 4)) / 4, generator.integers(0, 9, 3) / 4
    tau, budgets = generator.integers(1, 5, 3) / 2, generator.choice([0.5, 1.0, np.inf], 3)
    there = ItemMarket(values, budgets)
    best = best_uniform_multiplier(there, tau, m, 0, rule)
    others = (m[1:, None] * values[1:]).max(0)

    def outcome(multiplier: float) -> tuple[float, float]:
        wins = multiplier * values[0] > others
        return values[0] @ wins, (multiplier * values[0] if rule == "first" else others) @ wins

    kept = [0.0]
    for multiplier in np.arange(1, 4000) / 397:
        value, spend = outcome(multiplier)
        if tau[0] * spend <= value and spend <= budgets[0]:
            kept.append(value)
    assert best.value == pytest.approx(max(kept))
    if best.multiplier:
        assert outcome(best.multiplier) == pytest.approx((best.value, best.spend))
    assert tau[0] * best.spend <= best.value + 1e-12
    assert best.spend <= budgets[0] + 1e-12


def test_targets_scale_bids_and_welfare() -> None:
    """A target τ with values v is the target 1 with values v/τ, at multipliers τ times as large."""
    generator = np.random.default_rng(4)
    values, tau, m = generator.random((3, 4)), 1 + generator.random(3), generator.random(3) * 3
    bids = m[:, None] * values
    shares = np.eye(3)[bids.argmax(0)].T.copy()
    one = return_conditions(free(values), tau, m, shares, "second")
    other = return_conditions(free(values / tau[:, None]), np.ones(3), m * tau, shares, "second")
    assert one.welfare == pytest.approx(other.welfare)
    assert one.optimum == pytest.approx(other.optimum)
    np.testing.assert_allclose(one.gain, other.gain * tau, atol=1e-12)
    np.testing.assert_allclose(one.target, other.target * tau, atol=1e-12)
    np.testing.assert_allclose(one.prices, other.prices)


def test_each_condition_names_what_is_broken() -> None:
    there, one = free([[1, 0, 0], [0.5, 1, 0]]), np.ones(2)

    def at(multipliers: list[float], shares: Rows, market: ItemMarket = there) -> set[str]:
        return broken(return_conditions(market, one, np.array(multipliers, float), np.array(shares, float), "second"))

    assert at([1, 1], [[1, 0, 0], [0, 1, 0]]) == {"gain"}  # the second bidder can pay for both
    assert at([1, 4], [[0, 0, 0], [1, 1, 0]]) == set()
    assert at([2, 4], [[0, 0, 0], [1, 1, 0]]) == {"target"}
    assert at([1, 4], [[1, 0, 0], [0, 1, 0]]) == {"winner", "gain"}
    assert at([1, 4], [[0, 0, 0], [1, 0.5, 0]]) == {"sold", "gain"}
    assert at([1, 4], [[0, 0, 0.7], [1, 1, 0.7]]) == {"sold"}
    assert at([1, 4], [[-0.5, 0, 0], [1.5, 1, 0]]) == {"share", "gain"}
    poor = ItemMarket(there.values, np.array([1.0, 0.5]))
    assert at([1, 4], [[0, 0, 0], [1, 1, 0]], poor) == {"spend"}


def test_bad_input_is_refused() -> None:
    there, one = free([[1, 0], [0.1, 1]]), np.ones(2)
    with pytest.raises(InputError, match=r"targets must be > 0, got 0\.0 of bidder 1"):
        return_conditions(there, np.array([1.0, 0.0]), one, np.eye(2), "second")
    with pytest.raises(InputError, match=r"targets must be >= 0, got -1\.0 of bidder 0"):
        best_uniform_multiplier(there, -one, one, 0, "first")
    with pytest.raises(InputError, match="bidder must be in 0 … 1, got 2"):
        best_uniform_multiplier(there, one, one, 2, "first")
