"""Gradient pacing by everybody at once: liquid welfare is at least half of the best in hindsight, converged or not.

The theorem is about expectations over i.i.d. value profiles; a run of T auctions has a slack of 1/√T. Markets are rows
of one controller, which bids for all of them side by side: a tick is one auction, money is counted in units of 1, the
step is 1/√T from truth, and no bid is above what is left.
"""

import numpy as np
import pytest
from pacing_fakes import Draws, repeated_auctions

from auctionsim.agents.pacing.adaptive import Adaptive
from auctionsim.market import CampaignTerms
from auctionsim.market.equilibria import ItemMarket, hindsight_optimum, liquid_welfare

AUCTIONS, BIDDERS = 1000, 5


def profiles(markets: int, seed: int) -> np.ndarray:
    """Return i.i.d. profiles (auction, market, bidder) in [0, 1], a law of its own for every market.

    A query has a quality that all bidders share in part, each has a scale, wants a share of the queries, and some
    markets have fewer bidders: the values of the others are 0.
    """
    generator = np.random.default_rng(seed)
    common = generator.random((AUCTIONS, markets, 1))
    private = generator.random((AUCTIONS, markets, BIDDERS))
    likeness, scale, wanted = (generator.random((markets, BIDDERS)) for _ in range(3))
    values = (likeness * common + (1 - likeness) * private) * scale
    values = values * (generator.random(values.shape) < 0.1 + 0.9 * wanted)
    there = np.arange(BIDDERS) < generator.integers(2, BIDDERS + 1, size=(markets, 1))
    return np.where(there, values, 0.0)


def welfare_ratios(markets: int, seed: int, *, first: bool) -> np.ndarray:
    """Return liquid welfare as a share of the best in hindsight, market by market."""
    values = profiles(markets, seed)
    budgets = values.mean(0) * np.random.default_rng(seed + 1).uniform(0.02, 1.0, values.shape[1:]) * AUCTIONS + 0.01
    terms = CampaignTerms(budgets.ravel(), np.zeros(budgets.size), AUCTIONS)
    pacing = Adaptive(step=AUCTIONS**-0.5, unit=1.0)
    nobody = np.zeros((1, markets))
    course = repeated_auctions(
        pacing, terms, lambda tick: Draws(values[tick : tick + 1], nobody), budgets.shape, first=first
    )
    assert (course.spend.sum(0) <= budgets * (1 + 1e-12)).all()
    ratios = []
    for market in range(markets):
        items = ItemMarket(values[:, market].T.copy(), budgets[market])
        shares = (course.value[:, market] > 0).T.astype(float)
        assert liquid_welfare(items, shares) == pytest.approx(
            np.minimum(budgets[market], course.value[:, market].sum(0)).sum(), abs=1e-6
        )
        ratios.append(liquid_welfare(items, shares) / hindsight_optimum(items).upper)
    return np.array(ratios)


@pytest.mark.parametrize("first", [False, True])
def test_liquid_welfare_is_half_of_the_best(first: bool) -> None:
    assert welfare_ratios(8, 0, first=first).min() >= 0.5 - AUCTIONS**-0.5


@pytest.mark.deep
@pytest.mark.parametrize("first", [False, True])
def test_on_a_hundred_markets(first: bool) -> None:
    ratios = welfare_ratios(100, 1, first=first)
    print(f"first price {first}: least {ratios.min():.4f}, mean {ratios.mean():.4f}, most {ratios.max():.4f}")
    assert ratios.min() >= 0.5 - AUCTIONS**-0.5
