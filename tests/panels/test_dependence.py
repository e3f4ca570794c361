"""What dependence costs: correlations of errors by hand, two models of dependence against draws and their limits."""

import numpy as np
import pytest
from drawn_votes import FIVE, drawn_votes
from scipy.stats import beta

from auctionsim.errors import InputError
from auctionsim.panels import (
    Votes,
    beta_binomial_accuracy,
    effective_judges,
    error_dependence,
    independent_equivalent,
    majority_accuracy,
    shared_error_accuracy,
)


def test_correlations_by_hand_and_of_gaps() -> None:
    truth = np.array([0, 0, 0, 0, 1])
    votes = Votes(np.array([[1, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1], [1, -1, 1]]))
    found = error_dependence(votes, truth)
    assert found.correlations[0, 1] == pytest.approx(1)
    assert found.correlations[0, 2] == pytest.approx(np.corrcoef([1, 1, 0, 0, 0], [0, 0, 0, 1, 0])[0, 1])
    assert found.effective == pytest.approx(3 / (1 + 2 * found.mean))
    never = error_dependence(Votes(np.array([[1, 1], [0, 1]])), np.array([1, 0]))
    assert np.isnan(never.mean)  # the first is never wrong
    assert np.isnan(never.effective)
    for wrong in (np.array([1, 0, 0]), np.array([1, 2])):
        with pytest.raises(InputError, match="one class of 2"):
            error_dependence(Votes(np.array([[1, 1], [0, 1]])), wrong)


def test_independent_judges_have_no_correlation_and_all_of_their_number() -> None:
    votes, truth = drawn_votes(FIVE, 20_000, 0)
    found = error_dependence(votes, truth)
    assert abs(found.mean) < 0.02
    assert found.effective == pytest.approx(5, abs=0.4)


def test_effective_judges_at_its_ends() -> None:
    assert effective_judges(9, 0.0) == 9
    assert effective_judges(9, 1.0) == pytest.approx(1)
    assert effective_judges(2, -1.0) == float("inf")
    for wrong in ((0, 0.5), (9, 1.5), (9, -0.5), (3, float("nan"))):
        with pytest.raises(InputError):
            effective_judges(*wrong)


@pytest.mark.parametrize(("judges", "chance", "rho"), [(5, 0.7, 0.2), (9, 0.6, 0.4), (4, 0.8, 0.1)])
def test_the_beta_binomial_majority_is_that_of_draws(judges: int, chance: float, rho: float) -> None:
    draw = np.random.default_rng(0)
    spread = (1 - rho) / rho
    ease = draw.beta(chance * spread, (1 - chance) * spread, 100_000)
    right = draw.random((100_000, judges)) < ease[:, None]
    count = right.sum(1)
    drawn = float((2 * count > judges).mean() + (2 * count == judges).mean() / 2)
    assert beta_binomial_accuracy(judges, chance, rho) == pytest.approx(drawn, abs=0.006)
    pairs = np.corrcoef(right.T)[np.triu_indices(judges, 1)]
    assert float(pairs.mean()) == pytest.approx(rho, abs=0.01)


def test_dependence_at_its_ends_and_in_the_limit() -> None:
    assert beta_binomial_accuracy(7, 0.7, 0.0) == pytest.approx(majority_accuracy([0.7] * 7))
    assert beta_binomial_accuracy(7, 0.7, 1e-7) == pytest.approx(majority_accuracy([0.7] * 7), abs=1e-5)
    assert beta_binomial_accuracy(7, 0.7, 1.0) == 0.7
    costs = [beta_binomial_accuracy(15, 0.7, rho) for rho in (0.0, 0.1, 0.3, 0.6, 1.0)]
    assert costs == sorted(costs, reverse=True)
    limit = float(beta.sf(0.5, 0.7 * 4, 0.3 * 4))
    assert beta_binomial_accuracy(2001, 0.7, 0.2) == pytest.approx(limit, abs=2e-3)
    assert limit < 0.9
    for wrong in ((0, 0.7, 0.1), (3, 0.7, -0.1), (3, 1.0, 0.1)):
        with pytest.raises(InputError):
            beta_binomial_accuracy(*wrong)


def test_a_shared_answer() -> None:
    assert shared_error_accuracy([0.7] * 3, 0.25, 0.7) == pytest.approx(0.25 * 0.7 + 0.75 * 0.784)
    assert shared_error_accuracy([0.7] * 3, 1.0, 0.4) == 0.4
    assert shared_error_accuracy([0.7] * 3, 0.0, 0.4) == pytest.approx(0.784)
    draw = np.random.default_rng(1)
    one = draw.random((60_000, 3)) < 0.7
    right = np.where((draw.random(60_000) < 0.25)[:, None], one[:, :1], one)
    assert float(np.corrcoef(right.T)[0, 1]) == pytest.approx(0.25, abs=0.02)
    with pytest.raises(InputError, match="from 0 to 1"):
        shared_error_accuracy([0.7], 1.5, 0.5)


def test_how_many_independent_judges_a_panel_is_worth() -> None:
    assert independent_equivalent(9, 0.7, 0.0) == 9
    assert independent_equivalent(9, 0.7, 1.0) == 1
    some = independent_equivalent(101, 0.7, 0.2)
    reached = beta_binomial_accuracy(101, 0.7, 0.2)
    assert majority_accuracy([0.7] * some) <= reached < majority_accuracy([0.7] * (some + 2))
    with pytest.raises(InputError, match="more often than not"):
        independent_equivalent(9, 0.5, 0.2)
