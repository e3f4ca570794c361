"""The majority certificate: its exact false stops are few at every horizon, and it ends where a majority is clear."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auctionsim.errors import InputError
from auctionsim.panels import NO_VOTE, certify_majority, false_stop_probability


def simulated(share: float, horizon: int, runs: int, seed: int, level: float = 0.05) -> np.ndarray:
    """The share of sequences with a false certificate by each vote."""
    votes = (np.random.default_rng(seed).random((runs, horizon)) < share).astype(np.int64)
    found = certify_majority(votes, level)
    false = (found.winner != NO_VOTE) if share == 0.5 else (found.winner == 1)
    return np.array([float((false & (found.asked <= count)).mean()) for count in range(1, horizon + 1)])


@pytest.mark.parametrize("level", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("share", [0.5, 0.49, 0.4])
def test_false_stops_are_few_at_every_horizon(share: float, level: float) -> None:
    exact = false_stop_probability(share, 500, level)
    assert (np.diff(exact) >= 0).all()
    assert exact[-1] <= level
    assert exact[-1] > (0 if share < 0.5 else level / 10)  # a certificate that is never given is no certificate


def test_the_exact_law_is_that_of_drawn_votes() -> None:
    exact, drawn = false_stop_probability(0.5, 60, 0.2), simulated(0.5, 60, 4000, seed=0, level=0.2)
    assert np.abs(exact - drawn).max() < 0.015
    assert exact[-1] > 0.02


@pytest.mark.deep
def test_false_stops_of_drawn_votes(record_property: object) -> None:
    """20,000 sequences of 500 votes, looked at after every vote."""
    for share in (0.5, 0.49, 0.45):
        drawn = simulated(share, 500, 20_000, seed=1)
        exact = false_stop_probability(share, 500)
        record_property("counted", f"false stops at μ = {share}: drawn {drawn[-1]:.4f}, exact {exact[-1]:.4f}")  # type: ignore[operator]
        assert drawn.max() <= 0.05
        assert np.abs(drawn - exact).max() < 0.005


def test_a_fixed_test_that_is_looked_at_after_every_vote_stops_falsely_far_more_often() -> None:
    votes = np.random.default_rng(0).random((2000, 300)) < 0.5
    counts = np.arange(1, 301)
    far = np.abs(votes.cumsum(1) - counts / 2) > 1.96 * np.sqrt(counts) / 2
    assert float(far[:, 9:].any(1).mean()) > 0.3


def test_a_clear_majority_is_found_and_a_unanimous_one_at_once() -> None:
    votes = (np.random.default_rng(0).random((500, 400)) < 0.7).astype(np.int64)
    found = certify_majority(votes)
    assert float((found.winner == 1).mean()) > 0.99
    assert not (found.winner == 0).any()
    assert float(np.median(found.asked)) < 100
    alike = certify_majority(np.ones((1, 12), dtype=np.int64))
    assert 2 ** int(alike.asked[0]) / 11 > 40 > 2 ** int(alike.asked[0] - 1) / 11
    assert certify_majority(np.zeros((1, 12), dtype=np.int64)).winner.tolist() == [0]


@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=30), st.integers(0, 99))
def test_gaps_rows_and_the_names_of_the_answers_change_nothing(votes: list[int], seed: int) -> None:
    one = np.array([votes])
    both = np.concatenate([np.random.default_rng(seed).integers(0, 2, one.shape), one])
    found, beside = certify_majority(one, 0.3), certify_majority(both, 0.3)
    assert (found.winner[0], found.asked[0]) == (beside.winner[1], beside.asked[1])
    other = certify_majority(np.where(one == NO_VOTE, NO_VOTE, 1 - one), 0.3)
    assert other.asked[0] == found.asked[0]
    assert {int(other.winner[0]), int(found.winner[0])} in ({NO_VOTE}, {0, 1})
    given_votes = one[one != NO_VOTE][None]
    if given_votes.size:
        assert certify_majority(given_votes, 0.3).winner[0] == found.winner[0]


def test_what_is_no_vote_and_no_level_is_refused() -> None:
    for wrong in (np.array([[2]]), np.zeros((1, 0), dtype=np.int64)):
        with pytest.raises(InputError, match="votes must be"):
            certify_majority(wrong)
    for level in (0.0, 1.0, float("nan")):
        with pytest.raises(InputError, match="the level"):
            certify_majority(np.ones((1, 3), dtype=np.int64), level)
    for wrong_law in ((0.6, 10), (0.5, 0)):
        with pytest.raises(InputError, match="horizon"):
            false_stop_probability(*wrong_law)
