"""Exact accuracies of majorities and weighted votes, and the exact condition under which majority is best."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from drawn_votes import FIVE, drawn_votes
from hypothesis import given
from hypothesis import strategies as st

from auctionsim.errors import InputError
from auctionsim.panels import (
    fewest_judges,
    log_odds_weights,
    majority_accuracy,
    majority_is_optimal,
    majority_vote,
    number_right,
    weighted_accuracy,
    weighted_vote,
)

CHANCES = st.lists(st.integers(1, 19).map(lambda k: k / 20), min_size=1, max_size=6)


def slow_majority(accuracies: Sequence[float]) -> float:
    """The sum over all profiles of who is right, a tie counted half."""
    total = 0.0
    for right in itertools.product([True, False], repeat=len(accuracies)):
        chance = float(np.prod([p if ok else 1 - p for p, ok in zip(accuracies, right, strict=True)]))
        total += chance * (1.0 if 2 * sum(right) > len(right) else 0.5 if 2 * sum(right) == len(right) else 0.0)
    return total


def slow_best(accuracies: Sequence[float], prior: float) -> float:
    """How often the rule is right that names the likelier class in every profile."""
    total = 0.0
    for said in itertools.product([True, False], repeat=len(accuracies)):
        yes = prior * np.prod([p if s else 1 - p for p, s in zip(accuracies, said, strict=True)])
        no = (1 - prior) * np.prod([1 - p if s else p for p, s in zip(accuracies, said, strict=True)])
        total += max(yes, no)
    return float(total)


def test_a_good_judge_is_outvoted_by_two_poor_ones() -> None:
    assert majority_accuracy([0.9, 0.6, 0.6]) == pytest.approx(0.792, abs=1e-12)
    assert majority_accuracy([9 / 13, 0.6, 0.6]) == pytest.approx(9 / 13, abs=1e-12)
    assert majority_accuracy([0.69, 0.6, 0.6]) > 0.69
    assert majority_accuracy([0.7, 0.6, 0.6]) < 0.7
    q = 0.55  # with two at q, the first is as good as the majority at p = q² / (q² + (1 − q)²)
    even = q * q / (q * q + (1 - q) ** 2)
    assert majority_accuracy([even, q, q]) == pytest.approx(even, abs=1e-12)


def test_five_judges() -> None:
    assert majority_accuracy(FIVE) == pytest.approx(0.86072, abs=1e-9)
    assert weighted_accuracy(FIVE, log_odds_weights(FIVE)) == pytest.approx(0.912, abs=1e-9)
    assert weighted_accuracy(FIVE, [1] * 5) == pytest.approx(0.86072, abs=1e-9)
    assert weighted_accuracy(FIVE, [1, 0, 0, 0, 0]) == pytest.approx(0.9, abs=1e-12)


def test_the_exact_numbers_are_those_of_drawn_votes() -> None:
    votes, truth = drawn_votes(FIVE, 40_000, seed=1)
    assert float((majority_vote(votes).labels == truth).mean()) == pytest.approx(0.86072, abs=0.007)
    weighted = weighted_vote(votes, log_odds_weights(FIVE)).labels
    assert float((weighted == truth).mean()) == pytest.approx(0.912, abs=0.006)


@given(CHANCES, st.integers(1, 19).map(lambda k: k / 20))
def test_accuracies_are_those_of_slow_sums(accuracies: list[float], prior: float) -> None:
    plain = slow_majority(accuracies)
    assert majority_accuracy(accuracies) == pytest.approx(plain, abs=1e-12)
    assert majority_accuracy(accuracies[::-1]) == pytest.approx(plain, abs=1e-12)
    assert weighted_accuracy(accuracies, [2.5] * len(accuracies)) == pytest.approx(plain, abs=1e-12)
    best = weighted_accuracy(accuracies, log_odds_weights(accuracies), prior)
    assert best == pytest.approx(slow_best(accuracies, prior), abs=1e-9)
    assert number_right(accuracies).sum() == pytest.approx(1)


@given(CHANCES, st.integers(1, 19).map(lambda k: k / 20))
def test_majority_is_optimal_exactly_where_no_rule_is_right_more_often(accuracies: list[float], prior: float) -> None:
    gap = slow_best(accuracies, prior) - slow_majority(accuracies)
    assert majority_is_optimal(accuracies, prior) == (gap < 1e-9)


@pytest.mark.parametrize("count", [1, 3, 5, 11])
@pytest.mark.parametrize("chance", [0.55, 0.7, 0.95])
def test_equal_judges_and_a_prior(count: int, chance: float) -> None:
    judges = [chance] * count
    for prior in (1 - chance, 0.5, chance):
        assert majority_is_optimal(judges, prior)
    for prior in (1 - chance - 1e-6, chance + 1e-6):
        assert not majority_is_optimal(judges, prior)


def test_an_even_number_is_best_at_an_even_prior_alone_and_worse_than_chance_never() -> None:
    assert majority_is_optimal([0.7] * 4, 0.5)
    assert not majority_is_optimal([0.7] * 4, 0.500001)
    assert not majority_is_optimal([0.4] * 3)
    assert majority_is_optimal([0.5] * 3)
    assert not majority_is_optimal([0.9, 0.6, 0.6])
    assert majority_is_optimal([0.69, 0.6, 0.6])


def test_what_is_no_accuracy_is_refused() -> None:
    for wrong in ([], [1.1], [-0.1], [float("nan")]):
        with pytest.raises(InputError):
            majority_accuracy(wrong)
    with pytest.raises(InputError, match="the prior"):
        majority_is_optimal([0.7], 1.0)
    with pytest.raises(InputError, match="at most 22"):
        weighted_accuracy([0.6] * 23, [1.0] * 23)
    assert majority_accuracy([1.0, 0.0]) == 0.5


def test_the_fewest_judges() -> None:
    count = fewest_judges(0.6, 0.9)
    assert majority_accuracy([0.6] * count) >= 0.9 > majority_accuracy([0.6] * (count - 2))
    for wrong in ((0.5, 0.9), (0.6, 1.0)):
        with pytest.raises(InputError):
            fewest_judges(*wrong)
    with pytest.raises(InputError, match="more than 21 "):
        fewest_judges(0.501, 0.99, most=21)
