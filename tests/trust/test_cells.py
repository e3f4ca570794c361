"""Rank agreement over cells: scipy's values, exact small cases, false-positive rates under a shared trend."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from auctionsim.trust import partial_rank_correlation, rank_agreement, rank_false_positives


@given(seed=st.integers(0, 10**6), cells=st.integers(5, 30), tied=st.booleans())
def test_values_are_scipys(seed: int, cells: int, tied: bool) -> None:
    draws = np.random.default_rng(seed)
    first, second = draws.normal(size=(2, cells))
    if tied:
        first, second = np.round(first * 2), np.round(second * 2)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return
    spearman = rank_agreement(first, second, exchanges=19)
    assert spearman.value == pytest.approx(spearmanr(first, second).statistic)
    kendall = rank_agreement(first, second, "kendall", exchanges=19)
    assert kendall.value == pytest.approx(kendalltau(first, second).statistic)
    assert 1 / 20 <= spearman.p_value <= 1
    assert rank_agreement(np.exp(first), -second, exchanges=19).value == pytest.approx(-spearman.value)


@pytest.mark.parametrize("method", ["spearman", "kendall"])
def test_a_p_value_is_the_share_of_all_orders(method: str) -> None:
    first, second = np.array([1.0, 2, 3, 4, 5, 6]), np.array([2.0, 1, 3, 4, 6, 5])
    statistic = spearmanr if method == "spearman" else kendalltau
    every = [statistic(first, second[list(order)]).statistic for order in itertools.permutations(range(6))]
    exact = np.mean(np.abs(every) >= abs(every[0]) - 1e-9)
    assert rank_agreement(first, second, method, exchanges=9999).p_value == pytest.approx(exact, abs=0.006)


def test_strata_exchange_within_themselves_alone() -> None:
    """Two cells per stratum: 2³ orders, and both readings agree within each, so one order in eight is as far from 0."""
    first = np.array([0.0, 1, 10, 11, 20, 21])
    orders = [
        spearmanr(first, first[[a, 1 - a, 2 + b, 3 - b, 4 + c, 5 - c]]).statistic
        for a, b, c in itertools.product((0, 1), repeat=3)
    ]
    exact = np.mean(np.array(orders) >= 1 - 1e-9)
    found = rank_agreement(first, first, strata=[0, 0, 1, 1, 2, 2], exchanges=9999)
    assert found.p_value == pytest.approx(exact, abs=0.015)
    assert exact == 1 / 8
    assert rank_agreement(first, first, exchanges=999).p_value < 0.02


def test_the_partial_value_is_that_of_the_partial_rank_correlation() -> None:
    draws = np.random.default_rng(0)
    control = draws.normal(size=40)
    first, second = control + draws.normal(size=(2, 40))
    partial = partial_rank_correlation(first, second, control, draws, resamples=2)
    assert rank_agreement(first, second, control=control).value == pytest.approx(partial.value)


def test_a_shared_trend_fools_the_naive_test_alone() -> None:
    found = rank_false_positives(4.0, worlds=100)
    assert found.naive > 0.5
    assert found.within_strata < 0.15
    assert found.partial < 0.15
    assert rank_false_positives(0.0, worlds=100).naive < 0.15


@pytest.mark.deep
def test_false_positive_rates_by_trend() -> None:
    for trend in (0.0, 1.0, 2.0, 4.0, 8.0):
        found = rank_false_positives(trend, worlds=1000)
        print(f"trend {trend}: naive {found.naive:.3f}, strata {found.within_strata:.3f}, partial {found.partial:.3f}")
        assert found.within_strata < 0.075
        assert found.partial < 0.08
        if trend >= 2:
            assert found.naive > 0.15


def test_agreement_beyond_the_trend_is_found_within_strata() -> None:
    draws = np.random.default_rng(1)
    dose = np.repeat(np.linspace(0, 1, 5), 5)
    own = draws.normal(size=25)
    first, second = 4 * dose + own + 0.3 * draws.normal(size=(2, 25))
    assert rank_agreement(first, second, strata=dose.tolist()).p_value < 0.01
    assert rank_agreement(first, second, "kendall", control=dose).p_value < 0.01


def test_bad_input_is_refused() -> None:
    cells = np.arange(6.0)
    with pytest.raises(ValueError, match="method must be one of spearman, kendall"):
        rank_agreement(cells, cells, "pearson")
    with pytest.raises(ValueError, match="not both"):
        rank_agreement(cells, cells, strata=[0] * 6, control=cells)
    with pytest.raises(ValueError, match="second reading must have one value per cell, of at least 5 cells, got 5"):
        rank_agreement(cells, cells[1:])
    with pytest.raises(ValueError, match="at least 5 cells, got 4"):
        rank_agreement(cells[:4], cells[:4])
    with pytest.raises(ValueError, match="second reading must be finite and vary"):
        rank_agreement(cells, np.ones(6))
    with pytest.raises(ValueError, match="first reading must be finite"):
        rank_agreement(cells * np.nan, cells)
    with pytest.raises(ValueError, match="strata of one cell"):
        rank_agreement(cells, cells, strata=list(range(6)))
    with pytest.raises(ValueError, match="needs its cluster, got 2"):
        rank_agreement(cells, cells, strata=[0, 0])
    with pytest.raises(ValueError, match="follow the control exactly"):
        rank_agreement(cells, cells[::-1], control=cells)
