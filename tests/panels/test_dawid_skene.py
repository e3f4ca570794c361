"""Models of votes without gold labels: near the best rule where judges are independent, and what turns them round."""

import numpy as np
import pytest
from drawn_votes import FIVE, drawn_votes

from auctionsim.errors import InputError
from auctionsim.panels import (
    RELATIVES,
    Votes,
    log_odds_weights,
    majority_vote,
    one_coin,
    relative_labels,
    two_coin,
    weighted_vote,
)
from auctionsim.panels.dawid_skene import VoteModel


def gap(model: VoteModel, votes: Votes, truth: np.ndarray) -> float:
    """How much more often a model is right than the best rule, which knows the accuracies, on the same items."""
    best = weighted_vote(votes, log_odds_weights(FIVE)).labels
    return float((model.labels == truth).mean() - (best == truth).mean())


@pytest.mark.parametrize("seed", range(6))
def test_one_coin_is_near_the_best_rule(seed: int) -> None:
    votes, truth = drawn_votes(FIVE, 2000, seed)
    model = one_coin(votes)
    assert abs(gap(model, votes, truth)) <= 0.01
    assert model.accuracies == pytest.approx(FIVE, abs=0.06)
    plain = float((majority_vote(votes).labels == truth).mean())
    assert float((model.labels == truth).mean()) > plain + 0.02


@pytest.mark.deep
def test_how_often_each_model_misses_the_best_rule_by_more_than_a_hundredth(record_property: object) -> None:
    """Of 200 draws of 2,000 items: one coin in few, two coins in about three times as many."""
    one, two = [], []
    for seed in range(200):
        votes, truth = drawn_votes(FIVE, 2000, seed)
        one.append(abs(gap(one_coin(votes), votes, truth)) > 0.01)
        two.append(abs(gap(two_coin(votes), votes, truth)) > 0.01)
    shares = float(np.mean(one)), float(np.mean(two))
    record_property("counted", f"misses by more than .01: one coin {shares[0]:.3f}, two coins {shares[1]:.3f}")  # type: ignore[operator]
    assert shares[0] < 0.06
    assert shares[0] < shares[1] < 0.16


def test_two_coins_tell_who_is_worse_on_which_class() -> None:
    draw = np.random.default_rng(0)
    truth = draw.integers(2, size=2000)
    right = np.array([[0.95, 0.6], [0.7, 0.9], [0.85, 0.85], [0.8, 0.75]])  # judge, class
    votes = Votes(np.where(draw.random((2000, 4)) < right[:, truth].T, truth[:, None], 1 - truth[:, None]))
    model = two_coin(votes)
    for judge in range(4):
        assert model.confusions[judge].diagonal() == pytest.approx(right[judge], abs=0.06)
    assert model.confusions.sum(2) == pytest.approx(np.ones((4, 2)))
    assert one_coin(votes).accuracies == pytest.approx(right.mean(1), abs=0.06)


def test_gaps_items_without_votes_and_a_class_that_nobody_names() -> None:
    votes, truth = drawn_votes(FIVE, 400, 3)
    rows = np.where(np.random.default_rng(0).random((400, 5)) < 0.3, -1, votes.labels)
    rows[7] = -1
    some = Votes(rows, 3)
    for model in (one_coin(some), two_coin(some)):
        assert model.probabilities.shape == (400, 3)
        assert model.probabilities.sum(1) == pytest.approx(np.ones(400))
        assert model.probabilities[7] == pytest.approx(model.priors, abs=1e-4)
        assert float((model.labels == truth).mean()) > 0.8
        assert model.priors[2] < 0.01


def test_three_classes() -> None:
    draw = np.random.default_rng(2)
    truth = draw.integers(3, size=1500)
    right = draw.random((1500, 4)) < np.array([0.85, 0.75, 0.6, 0.5])
    wrong = (truth[:, None] + draw.integers(1, 3, (1500, 4))) % 3
    votes = Votes(np.where(right, truth[:, None], wrong), 3)
    best = weighted_vote(votes, log_odds_weights([0.85, 0.75, 0.6, 0.5], 3)).labels
    model = one_coin(votes)
    assert abs(float((model.labels == truth).mean() - (best == truth).mean())) <= 0.015
    assert model.accuracies == pytest.approx([0.85, 0.75, 0.6, 0.5], abs=0.05)


def test_order_of_items_and_judges_changes_nothing() -> None:
    votes, _ = drawn_votes(FIVE, 200, 5)
    draw = np.random.default_rng(1)
    items, judges = draw.permutation(200), draw.permutation(5)
    moved = Votes(votes.labels[items][:, judges])
    for fit in (one_coin, two_coin):
        whole, other = fit(votes), fit(moved)
        np.testing.assert_allclose(other.probabilities, whole.probabilities[items], atol=1e-6)
        np.testing.assert_allclose(other.accuracies, whole.accuracies[judges], atol=1e-6)


def test_judges_worse_than_chance_turn_every_label_round() -> None:
    """The likelihood cannot tell: what is wrong most of the time is taken for right."""
    votes, truth = drawn_votes((0.2, 0.25, 0.3), 500, 0)
    assert float((one_coin(votes, even_prior=True).labels == truth).mean()) < 0.3


def test_judges_who_err_together_look_accurate() -> None:
    draw = np.random.default_rng(0)
    truth = draw.integers(2, size=2000)
    shared = np.where(draw.random(2000) < 0.6, truth, 1 - truth)
    copies = np.where(draw.random((2000, 3)) < 0.97, shared[:, None], 1 - shared[:, None])
    honest = np.where(draw.random((2000, 2)) < 0.85, truth[:, None], 1 - truth[:, None])
    model = one_coin(Votes(np.concatenate([copies, honest], 1)))
    assert min(model.accuracies[:3]) > 0.9
    assert float((model.labels == truth).mean()) < 0.7


@pytest.mark.parametrize(
    "method", [pytest.param(name, marks=[pytest.mark.deep] * (name != "mmsr")) for name in RELATIVES]
)
def test_relatives_of_crowd_kit(method: str) -> None:
    votes, truth = drawn_votes(FIVE, 300, 4)
    best = float((weighted_vote(votes, log_odds_weights(FIVE)).labels == truth).mean())
    assert float((relative_labels(votes, method) == truth).mean()) > best - 0.04
    assert (relative_labels(votes, method, seed=1) == relative_labels(votes, method, seed=1)).all()


def test_another_relative_is_refused() -> None:
    votes, _ = drawn_votes(FIVE, 20, 0)
    with pytest.raises(InputError, match="one of glad, mace, mmsr, got 'wawa'"):
        relative_labels(votes, "wawa")
