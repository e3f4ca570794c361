"""Votes: what is refused, each in one sentence; majority and weighted vote by hand and under permutations."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auctionsim.errors import InputError
from auctionsim.panels import NO_VOTE, Votes, log_odds_weights, majority_vote, weighted_vote


def votes_of(rows: list[list[int]], num_classes: int = 2) -> Votes:
    return Votes(np.array(rows), num_classes)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([[1], [0]], "at least two judges, got 1"),
        ([[1, -1], [0, -1]], "at least two judges, got 1"),
        ([[1, -1], [-1, 0]], "must overlap"),
        ([[1, 1], [0, 0]], "count as one judge"),
        ([[1, 1, -1], [0, -1, 0], [-1, 1, 1]], "count as one judge"),
        ([[1, 2], [0, 0]], "labels must be 0 to 1, or -1 for no vote, got 2"),
        ([[1, -2], [0, 0]], "got -2"),
    ],
)
def test_what_is_no_panel_is_refused_in_one_sentence(rows: list[list[int]], sentence: str) -> None:
    with pytest.raises(InputError) as refused:
        votes_of(rows)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_names_fit_and_a_class_beyond_the_second_needs_saying() -> None:
    with pytest.raises(InputError, match="name of its own"):
        Votes(np.array([[0, 1]]), judges=("a", "a"))
    with pytest.raises(InputError, match="at least 2 classes"):
        votes_of([[0, 1]], 1)
    assert votes_of([[0, 2]], 3).judges == ("judge 1", "judge 2")
    with pytest.raises(InputError, match="takes votes of two classes, got 3"):
        _ = votes_of([[0, 2]], 3).signs


def test_majority_by_hand_with_ties_and_gaps() -> None:
    found = majority_vote(votes_of([[1, 1, 0], [0, 1, -1], [-1, -1, -1], [2, 2, 1]], 3))
    assert found.labels.tolist() == [1, NO_VOTE, NO_VOTE, 2]
    assert found.tied.tolist() == [False, True, True, False]
    assert found.shares[0].tolist() == [1 / 3, 2 / 3, 0]
    assert found.shares[2].tolist() == [0, 0, 0]


def test_a_tie_is_drawn_evenly_among_the_tied_alone() -> None:
    many = votes_of([[0, 2]] * 3000, 3)
    drawn = majority_vote(many, np.random.default_rng(0)).labels
    assert set(drawn.tolist()) == {0, 2}
    assert abs(float((drawn == 2).mean()) - 0.5) < 0.04


def test_a_weighted_vote_by_hand() -> None:
    votes = votes_of([[1, 0, 0], [1, 0, -1], [-1, 1, 0]])
    assert weighted_vote(votes, [3.0, 1.0, 1.0]).labels.tolist() == [1, 1, NO_VOTE]
    assert weighted_vote(votes, [3.0, 1.0, 1.0], [0.9, 0.1]).labels.tolist() == [0, 0, 0]
    assert weighted_vote(votes, [1.0, 1.0, 1.0]).labels.tolist() == [0, NO_VOTE, NO_VOTE]
    for wrong in ([1.0, 2.0], [1.0, 2.0, float("nan")]):
        with pytest.raises(InputError, match="one per judge"):
            weighted_vote(votes, wrong)
    with pytest.raises(InputError, match="add up to 1"):
        weighted_vote(votes, [1.0] * 3, [0.5, 0.6])


def test_weights_of_more_classes_count_a_guess_as_nothing() -> None:
    assert log_odds_weights([1 / 3, 0.5], 3) == pytest.approx([0, np.log(2)])
    for wrong in (0.0, 1.0, float("nan")):
        with pytest.raises(InputError, match="above 0 and below 1"):
            log_odds_weights([wrong])


@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.integers(2, 4), st.integers(2, 4))
def test_order_changes_nothing_and_rows_stand_alone(seed: int, items: int, judges: int, classes: int) -> None:
    """Weights are quarters, so that ties are common; the first two rows keep every part of it a panel."""
    draw = np.random.default_rng(seed)
    rows = np.concatenate([[[0] + [1] * (judges - 1)], draw.integers(-1, classes, (items, judges))])
    weights = draw.integers(0, 5, judges) / 4
    votes = Votes(rows, classes)
    order, columns = draw.permutation(len(rows)), draw.permutation(judges)
    moved = Votes(rows[order][:, columns], classes)
    assert (majority_vote(moved).labels == majority_vote(votes).labels[order]).all()
    assert (weighted_vote(moved, weights[columns]).labels == weighted_vote(votes, weights).labels[order]).all()
    for k in range(1, len(rows)):
        alone = Votes(rows[[0, k]], classes)
        assert majority_vote(alone).labels[1] == majority_vote(votes).labels[k]
        assert weighted_vote(alone, weights).labels[1] == weighted_vote(votes, weights).labels[k]


def test_classes_may_change_names() -> None:
    rows = np.array(list(itertools.product([-1, 0, 1], repeat=3)))
    flipped = np.where(rows == -1, -1, 1 - rows)
    one, other = (majority_vote(Votes(some)).labels for some in (rows, flipped))
    assert (np.where(one == -1, -1, 1 - one) == other).all()
