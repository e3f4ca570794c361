"""Closed forms of pacing among alike bidders: their spend against draws, their optimality against a grid."""

import math

import numpy as np
import pytest

from auctionsim.errors import InputError
from auctionsim.market.equilibria import first_price_multiplier, lone_second_price_pacing, second_price_multiplier

DRAWS = 200_000


def test_the_issues_values() -> None:
    assert second_price_multiplier(2, 1 / 12) == pytest.approx(0.5, abs=1e-15)
    assert first_price_multiplier(2, 1 / 6) == pytest.approx(0.5, abs=1e-15)
    lone = lone_second_price_pacing(1 / 24)
    assert (lone.multiplier, lone.dual, lone.utility) == pytest.approx((0.5, 1.0, 1 / 8), abs=1e-15)


@pytest.mark.parametrize("num_bidders", [2, 3, 7])
@pytest.mark.parametrize("alpha", [0.3, 0.8])
def test_alike_bidders_spend_their_budget(num_bidders: int, alpha: float) -> None:
    """Spend by draws at the multiplier is the budget that the multiplier is returned for, within 4 standard errors."""
    bids = np.sort(alpha * np.random.default_rng(0).random((DRAWS, num_bidders)), 1)
    for column, multiplier in ((-2, second_price_multiplier), (-1, first_price_multiplier)):
        spend = bids[:, column] / num_bidders
        rho, error = spend.mean(), spend.std() / math.sqrt(DRAWS)
        assert multiplier(num_bidders, rho - 4 * error) < alpha < multiplier(num_bidders, rho + 4 * error)


def test_one_paced_bidder_has_the_best_multiplier() -> None:
    """Of all multipliers that keep the budget on a fine grid of (valuation, rival bid), none has more utility."""
    middle = (np.arange(1000) + 0.5) / 1000
    worth, spend = [], []
    for alpha in np.arange(0, 1.0001, 0.05):
        wins = alpha * middle[:, None] >= middle
        worth.append((middle[:, None] * wins).mean())
        spend.append((middle * wins).mean())
    utility = np.subtract(worth, spend)
    for rho in (1 / 24, 0.1, 1.0):
        best = lone_second_price_pacing(rho)
        assert utility[np.array(spend) <= rho + 1e-6].max() <= best.utility + 1e-4
        at = round(best.multiplier / 0.05)
        assert best.spend == pytest.approx(np.interp(best.multiplier, np.arange(0, 1.0001, 0.05), spend), abs=1e-3)
        assert abs(at * 0.05 - best.multiplier) > 1e-9 or utility[at] == pytest.approx(best.utility, abs=1e-3)


def test_budgets_that_do_not_bind_and_none() -> None:
    assert second_price_multiplier(3, math.inf) == first_price_multiplier(1, math.inf) == 1.0
    assert second_price_multiplier(2, 1.0) == first_price_multiplier(2, 1.0) == 1.0
    free = lone_second_price_pacing(math.inf)
    assert (free.multiplier, free.dual) == (1.0, 0.0)
    assert free.utility == pytest.approx(1 / 6)
    assert lone_second_price_pacing(0.0) == (0.0, math.inf, 0.0, 0.0)


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="num_bidders must be an integer >= 2, got 1"):
        second_price_multiplier(1, 0.1)
    for refused in (-0.1, math.nan):
        with pytest.raises(InputError, match="budget must be a number in"):
            first_price_multiplier(2, refused)
