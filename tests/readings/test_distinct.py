"""Distinct words: closed forms, the published correction, and its bound."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auctionsim.readings import Reply, Unscored, reading
from auctionsim.readings.distinct import HIGHEST, adjusted_distinct, distinct, expectation_adjusted, expected_distinct
from auctionsim.readings.values import read_set


def test_closed_forms() -> None:
    assert distinct(["Nike, nike Adidas"]) == 2 / 3
    assert distinct(["a b a b"], order=2) == 2 / 3
    assert distinct(["a b", "b a"], order=2) == 1  # "b b" lies across two replies
    assert distinct(["a", "🙂"], order=2) == Unscored("too few words")
    assert adjusted_distinct(["…", ""]) == Unscored("no words")
    assert adjusted_distinct(["a b", "a c"], vocabulary=2) == pytest.approx(2 / (2 * (1 - 0.5**4)))


def test_expectation_adjusted_distinct() -> None:
    """Liu et al. (2022), with V = 100, C = 50, D = 40."""
    assert expectation_adjusted(40, 50, 100) == pytest.approx(1.012674, abs=5e-7)
    assert expectation_adjusted(1, 9, 1) == 1
    assert expectation_adjusted(50, 50, 10**9) == pytest.approx(1, abs=1e-7)


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 400))
def test_it_is_one_at_the_expectation_and_bounded(drawn: int, tokens: int, vocabulary: int) -> None:
    count = min(drawn, tokens, vocabulary)
    value = expectation_adjusted(count, tokens, vocabulary)
    expected = vocabulary * (1 - (1 - 1 / vocabulary) ** tokens)
    assert value == pytest.approx(count / expected)
    assert 0 < value < HIGHEST


@settings(max_examples=20)
@given(st.integers(1, 6), st.integers(1, 5))
def test_the_expectation_is_that_of_even_draws(tokens: int, vocabulary: int) -> None:
    """Mean over all equally likely texts."""
    total = 0.0
    for code in range(vocabulary**tokens):
        text = [code // vocabulary**k % vocabulary for k in range(tokens)]
        total += expectation_adjusted(len(set(text)), tokens, vocabulary)
    assert total / vocabulary**tokens == pytest.approx(1)


@pytest.mark.parametrize("numbers", [(0, 1, 1), (3, 2, 9), (3, 9, 2)])
def test_counts_that_cannot_be_are_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=f"1 ≤ distinct ≤ tokens and distinct ≤ vocabulary, got {numbers[0]}, "):
        expectation_adjusted(*numbers)


def test_length_moves_a_share_and_not_the_adjusted_one() -> None:
    """Even draws from 50 words: the share falls from .9 to .25, the adjusted one stays near 1."""
    import numpy as np

    generator = np.random.default_rng(0)
    texts = [" ".join(f"w{k}" for k in generator.integers(50, size=size)) for size in (10, 200)]
    shares = [distinct([text]) for text in texts]
    adjusted = [adjusted_distinct([text], vocabulary=50) for text in texts]
    assert shares[0] > 3 * shares[1]  # type: ignore[operator]
    assert adjusted == pytest.approx([1, 1], abs=0.15)


def test_sets_pool_their_replies() -> None:
    replies = [Reply("", text, [1], ()) for text in ("Nike fits.", "Nike fits.", "Adidas fits.")]
    assert read_set(reading("set_distinct_1"), replies, ()) == 3 / 6  # type: ignore[arg-type]
    assert read_set(reading("set_distinct_2"), replies, ()) == 2 / 3  # type: ignore[arg-type]
    assert read_set(reading("set_adjusted_distinct"), replies, ()) == pytest.approx(0.5, abs=1e-3)  # type: ignore[arg-type]


def test_expected_distinct_is_the_mean_over_all_draws() -> None:
    law = [0.5, 0.3, 0.2, 0.0]
    for draws in (1, 2, 3):
        every = itertools.product(range(4), repeat=draws)
        mean = sum(len(set(drawn)) * math.prod(law[y] for y in drawn) for drawn in every)
        assert expected_distinct(law, draws) == pytest.approx(mean)
    assert expected_distinct([1.0], 9) == 1
    with pytest.raises(ValueError, match="probabilities that sum to 1"):
        expected_distinct([0.5], 2)
