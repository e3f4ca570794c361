"""Pooled scores by hand and under permutations; grades among peers: fixed points that follow from the formula."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auctionsim.errors import FailedRunError, InputError
from auctionsim.panels import max_score, mean_score, peer_rank, trimmed_score

NAN = float("nan")


def test_pools_by_hand_with_gaps() -> None:
    scores = np.array([[1.0, 2.0, 6.0, NAN], [NAN] * 4, [0.0, 0.0, 0.0, 8.0]])
    assert mean_score(scores).tolist()[::2] == [3.0, 2.0]
    assert max_score(scores).tolist()[::2] == [6.0, 8.0]
    assert np.isnan(mean_score(scores)[1])
    assert np.isnan(max_score(scores)[1])
    assert trimmed_score(scores, 0.25).tolist()[::2] == [3.0, 0.0]  # of three scores ⌊.75⌋ = 0 are cut
    assert trimmed_score(scores, 0.34)[0] == 2.0


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 6), st.sampled_from([0.0, 0.1, 0.25, 0.4, 0.49]))
def test_pools_stand_alone_and_know_no_order(seed: int, items: int, judges: int, share: float) -> None:
    draw = np.random.default_rng(seed)
    scores = np.where(draw.random((items, judges)) < 0.2, NAN, draw.integers(-8, 9, (items, judges)) / 4)
    for pool in (mean_score, max_score, lambda some: trimmed_score(some, share)):
        whole = pool(scores)
        np.testing.assert_allclose(pool(scores[:, draw.permutation(judges)]), whole, atol=1e-12)
        for k in range(items):
            np.testing.assert_array_equal(pool(scores[k : k + 1]), whole[k : k + 1])
        there = np.isfinite(whole)
        assert (whole[there] <= np.nanmax(scores[there], axis=1) + 1e-12).all() if there.any() else True
        assert (np.isnan(whole) == np.isnan(scores).all(1)).all()


def test_one_outlier_moves_the_trimmed_mean_no_further_than_the_others() -> None:
    base = np.array([[0.2, 0.3, 0.4, 0.5, 0.6]])
    for wild in (-1e6, 1e6):
        moved = base.copy()
        moved[0, 2] = wild
        assert 0.2 <= trimmed_score(moved, 0.2)[0] <= 0.6
        assert abs(mean_score(moved)[0]) > 1e5


def test_scores_and_shares_that_are_none_are_refused() -> None:
    for scores in (np.array([[np.inf]]), np.zeros((2, 0))):
        with pytest.raises(InputError, match="finite"):
            mean_score(scores)
    with pytest.raises(InputError, match=r"below \.5"):
        trimmed_score(np.ones((1, 3)), 0.5)


def test_whom_all_grade_alike_has_that_grade() -> None:
    given_grades = np.array([[0.0, 0.9, 0.9], [0.5, 1.0, 0.5], [0.1, 0.1, 0.7]])  # the diagonal is not read
    assert peer_rank(given_grades).grades == pytest.approx([0.9, 0.5, 0.1], abs=1e-8)


def test_the_fixed_point_is_one_whatever_the_step_and_by_hand() -> None:
    grades = np.array([[0.0, 0.8, 0.2], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    found = peer_rank(grades)
    assert found.grades == pytest.approx(peer_rank(grades, step=1.0).grades, abs=1e-8)
    assert found.grades == pytest.approx([0.8, 1.0, 0.0], abs=1e-6)  # the third weighs nothing in the end
    x = peer_rank(np.array([[0, 0.8, 0.2], [1.0, 0, 0.5], [0.5, 0.25, 0]])).grades
    assert x[0] == pytest.approx((x[1] * 0.8 + x[2] * 0.2) / (x[1] + x[2]), abs=1e-8)
    assert x[1] == pytest.approx((x[0] * 1.0 + x[2] * 0.5) / (x[0] + x[2]), abs=1e-8)


def test_a_liar_counts_less_than_in_the_mean_and_falls_where_grading_well_is_rewarded() -> None:
    true = np.array([0.9, 0.8, 0.7, 0.2])
    grades = np.tile(true[:, None], (1, 4))
    grades[:, 3] = 1 - true  # the poorest grades upside down
    far = abs(float(peer_rank(grades).grades[0]) - 0.9)
    assert far < abs(float(grades[0, 1:].mean()) - 0.9) / 2
    plain, rewarded = (peer_rank(grades, reward=beta).grades for beta in (0.0, 0.3))
    assert plain[2] - plain[3] < rewarded[2] - rewarded[3]


def test_order_of_peers_changes_nothing() -> None:
    draw = np.random.default_rng(0)
    grades, order = draw.random((5, 5)), draw.permutation(5)
    moved = grades[order][:, order]
    for reward in (0.0, 0.2):
        whole = peer_rank(grades, reward=reward).grades
        assert peer_rank(moved, reward=reward).grades == pytest.approx(whole[order], abs=1e-8)


def test_grades_that_are_none_are_refused() -> None:
    for wrong in (np.zeros((1, 1)), np.array([[0, 1.5], [0.5, 0]])):
        with pytest.raises(InputError):
            peer_rank(wrong)
    with pytest.raises(InputError, match="nobody grades judge 1"):
        peer_rank(np.array([[0.0, 0.5], [NAN, 0.0]]))
    with pytest.raises(InputError, match="together at most 1"):
        peer_rank(np.full((2, 2), 0.5), step=0.9, reward=0.2)
    with pytest.raises(FailedRunError, match="still move"):
        peer_rank(np.random.default_rng(0).random((4, 4)), rounds=1)
