"""Bradley–Terry: closed forms, a position term and ties recovered from draws, and comparisons that have no fit."""

import numpy as np
import pytest

from auctionsim.errors import InputError
from auctionsim.panels import FIRST, SECOND, TIE, bradley_terry, fit_comparisons

TRUE = np.array([0.5, 0.1, -0.2, -0.4])


def drawn(count: int, position: float, tie: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    first = draw.integers(4, size=count)
    second = (first + draw.integers(1, 4, size=count)) % 4
    one, other = np.exp(TRUE[first] + position), np.exp(TRUE[second])
    both = tie * np.sqrt(one * other)
    u = draw.random(count) * (one + other + both)
    return first, second, np.where(u < one, FIRST, np.where(u < one + other, SECOND, TIE))


@pytest.mark.parametrize(("wins", "losses"), [(3, 1), (1, 1), (10, 4), (0.5, 7)])
def test_two_options_are_the_log_of_their_wins(wins: float, losses: float) -> None:
    theta = bradley_terry(np.array([[0.0, wins], [losses, 0.0]]))
    assert theta[0] - theta[1] == pytest.approx(np.log(wins / losses), abs=1e-8)
    assert theta.sum() == pytest.approx(0)


def test_plain_strengths_are_those_of_the_own_fit_and_know_no_order() -> None:
    first, second, results = drawn(600, 0.0, 0.0, 0)
    wins = np.zeros((4, 4))
    np.add.at(wins, (np.where(results == FIRST, first, second), np.where(results == FIRST, second, first)), 1)
    plain, own = bradley_terry(wins), fit_comparisons(first, second, results, position=False)
    assert plain == pytest.approx(own.strengths, abs=1e-6)
    assert (own.position, own.tie) == (0.0, 0.0)
    order = np.array([2, 0, 3, 1])
    assert bradley_terry(wins[order][:, order]) == pytest.approx(plain[order], abs=1e-6)
    assert bradley_terry(wins * 3) == pytest.approx(plain, abs=1e-6)


@pytest.mark.parametrize(("position", "tie", "seed"), [(0.8, 0.0, 0), (0.8, 0.5, 1), (-0.4, 0.2, 2), (0.0, 1.0, 3)])
def test_position_and_ties_are_recovered(position: float, tie: float, seed: int) -> None:
    found = fit_comparisons(*drawn(20_000, position, tie, seed))
    assert found.position == pytest.approx(position, abs=0.05)
    assert found.position_error < 0.05 / 2
    assert found.tie == pytest.approx(tie, abs=0.05)
    assert found.strengths == pytest.approx(TRUE - TRUE.mean(), abs=0.06)


def test_what_standing_first_is_worth_is_taken_for_strength_where_it_is_not_asked() -> None:
    """The strong option stands first in most comparisons."""
    draw = np.random.default_rng(0)
    first = (draw.random(4000) < 0.2).astype(int)
    wins = draw.random(4000) < 1 / (1 + np.exp(-0.8))
    results = np.where(wins, FIRST, SECOND)
    assert np.ptp(fit_comparisons(first, 1 - first, results).strengths) < 0.15
    assert np.ptp(fit_comparisons(first, 1 - first, results, position=False).strengths) > 0.4


def test_ties_and_position_by_closed_form() -> None:
    """Two options, each as often first: β is the log odds of the first place, ν the ties over the root of wins."""
    first = np.array([0, 1] * 8)
    results = np.array([FIRST] * 8 + [SECOND] * 4 + [TIE] * 4)
    found = fit_comparisons(first, 1 - first, results)
    assert found.strengths == pytest.approx([0, 0], abs=1e-6)
    assert found.position == pytest.approx(np.log(2), abs=1e-6)
    assert found.tie == pytest.approx(4 / np.sqrt(8 * 4), abs=1e-6)
    assert found.log_likelihood == pytest.approx(8 * np.log(0.5) + 8 * np.log(0.25), abs=1e-9)
    swapped = fit_comparisons(1 - first, first, np.array([SECOND] * 8 + [FIRST] * 4 + [TIE] * 4))
    assert swapped.position == pytest.approx(-found.position, abs=1e-6)


def test_comparisons_without_a_fit_are_refused() -> None:
    for wins in (np.array([[0.0, 3], [0, 0]]), np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]])):
        with pytest.raises(InputError, match="only beaten the rest"):
            bradley_terry(wins)
    for wins in (np.zeros((1, 1)), np.array([[0.0, -1], [1, 0]])):
        with pytest.raises(InputError, match="counts"):
            bradley_terry(wins)
    with pytest.raises(InputError, match="diagonal"):
        bradley_terry(np.array([[1.0, 1], [1, 0]]))
    pair = np.array([0, 1]), np.array([1, 0])
    with pytest.raises(InputError, match="both places must win"):
        fit_comparisons(*pair, np.array([FIRST, FIRST]))
    with pytest.raises(InputError, match="got \\[0, 3\\]"):
        fit_comparisons(*pair, np.array([0, 3]))
    with pytest.raises(InputError, match="two different options"):
        fit_comparisons(np.array([0]), np.array([0]), np.array([0]))
    with pytest.raises(InputError, match="a result each"):
        fit_comparisons(*(np.zeros(0, dtype=np.int64),) * 3)
