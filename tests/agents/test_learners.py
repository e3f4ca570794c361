"""Learned equilibria against closed forms, and the learners' own mechanics."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from auctionsim.agents import (
    EquilibriumLearner,
    ExponentialWeights,
    HedgeSettings,
    LearningStep,
    RiskAverse,
    closed_form_equilibrium,
)
from auctionsim.mechanisms import (
    AllPay,
    DiscriminatoryPrice,
    FirstPrice,
    Mechanism,
    NearestBid,
    PayAsBid,
    SecondPrice,
    ThirdPrice,
)
from auctionsim.priors import Beta, Uniform, product
from auctionsim.regret import InterimSettings, ex_interim_regret, quasi_linear
from auctionsim.substrates import Bundles, Items, QuadraticSubstrate, Substrate, Units

Bid = Callable[[Tensor], Tensor]


def distance(strategy: Bid, equilibrium: Bid, high: float = 1.0) -> float:
    """Return the L2 distance on [0, high] under the uniform prior, as a share of high."""
    v = high * (torch.arange(1000, dtype=torch.float64).unsqueeze(1) + 0.5) / 1000
    return float((strategy(v) - equilibrium(v)).square().mean().sqrt()) / high


def test_a_short_run_finds_half_the_valuation_and_reports() -> None:
    steps: list[LearningStep] = []
    learner = EquilibriumLearner(FirstPrice(), Items(2), Uniform(0, 1), seed=1, batch=2048)
    assert distance(learner.strategies[0], lambda v: v) < 0.03  # it begins at truth
    strategies = learner.train(300, steps.append, report_every=100)
    assert [step.iteration for step in steps] == [100, 200, 300]
    assert all(abs(ratio - 0.5) < 0.03 for ratio in steps[-1].bid_ratio)
    assert all(abs(utility - 1 / 6) < 0.02 for utility in steps[-1].utility)
    assert distance(strategies[1], lambda v: v / 2) < 0.02


def test_the_same_seed_learns_the_same_bids() -> None:
    v = torch.rand(20, 1, generator=torch.Generator().manual_seed(0))
    runs = [
        EquilibriumLearner(SecondPrice(), Items(2), Uniform(0, 1), seed=seed, batch=64).train(5)[0](v)
        for seed in (1, 1, 2)
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_bidders_of_equal_priors_share_a_network() -> None:
    priors = [Uniform(0, 1), Uniform(0, 1), Uniform(0, 2)]
    learner = EquilibriumLearner(FirstPrice(), Items(3), priors, seed=0)
    assert learner.groups == (0, 0, 1)
    assert len(learner.networks) == 2
    apart = EquilibriumLearner(FirstPrice(), Items(3), priors, seed=0, groups=(0, 1, 2))
    assert len(apart.networks) == 3
    with pytest.raises(ValueError, match="groups must give"):
        EquilibriumLearner(FirstPrice(), Items(3), priors, seed=0, groups=(0, 2, 2))


def test_pseudogradient_is_the_slope_of_the_smoothed_utility() -> None:
    """Pay-as-bid on a separable quadratic substrate is smooth: u = (v − b) b, so du/db = v − 2b exactly."""
    substrate = QuadraticSubstrate(2)
    learner = EquilibriumLearner(PayAsBid(substrate, user_weight=1.0), substrate, Uniform(0, 1), seed=0)
    v = torch.rand(64, 2, 1, generator=torch.Generator().manual_seed(1))
    bids = v * 0.25 + 0.25
    slopes, utility = learner._pseudogradient(v, bids, 0.05)
    torch.testing.assert_close(slopes, v - 2 * bids, atol=1e-5, rtol=0)
    torch.testing.assert_close(utility, ((v - bids) * bids).squeeze(2) - 0.05**2, atol=1e-5, rtol=0)


def test_exponential_weights_come_close_on_one_item() -> None:
    for mechanism, share in ((FirstPrice(), 0.5), (SecondPrice(), 1.0)):
        learner = ExponentialWeights(mechanism, Items(2), Uniform(0, 1), seed=0)
        steps: list[LearningStep] = []
        strategies = learner.train(500, steps.append)
        assert [step.iteration for step in steps] == [100, 200, 300, 400, 500]
        assert distance(strategies[0], lambda v, share=share: share * v) < 0.025
        torch.testing.assert_close(learner.weights.sum(2), torch.ones(2, 40))
    with pytest.raises(ValueError, match="one feature"):
        ExponentialWeights(FirstPrice(), Items(2, 2), Uniform(0, 1), seed=0)


def test_exponential_weights_keep_the_regret_bound_of_hedge() -> None:
    """Against flat random rivals, the utility lost to the best fixed bid stays under range · √(ln K / 2T)."""
    rounds, grid = 200, 21
    learner = ExponentialWeights(
        FirstPrice(), Items(2), Uniform(0, 1), seed=2, settings=HedgeSettings(step=1.0, bids=grid, bins=8)
    )
    lost = torch.zeros(2, 8)
    learner._rate = learner.step * math.sqrt(8 * math.log(grid) / rounds) / (2 * learner.high)
    for _ in range(rounds):
        weights = learner.weights
        _, chosen = learner._draw()
        exposure, payment = learner._consequences(chosen)
        gains = learner.middles.unsqueeze(2) * exposure.unsqueeze(1) - payment.unsqueeze(1)
        lost -= (weights * gains).sum(2)
        learner.earned += gains
    lost += learner.earned.amax(2)
    assert float(lost.max()) / rounds <= 2 * math.sqrt(math.log(grid) / (2 * rounds))


LLG = [Uniform(0, 1), Uniform(0, 1), Uniform(0, 2)]
SUITE: dict[str, tuple[Mechanism, Substrate, Any, Callable[[Tensor, Tensor], Tensor]]] = {
    "first price, CRRA 1/2": (FirstPrice(), Items(2), Uniform(0, 1), RiskAverse(0.5)),
    "third price, 3": (ThirdPrice(), Items(3), Uniform(0, 1), quasi_linear),
    "all-pay, 2 x Beta(2, 5)": (AllPay(), Items(2), Beta(2, 5), quasi_linear),
    "first price, U[0, 1] against U[0, 2]": (FirstPrice(), Items(2), [Uniform(0, 1), Uniform(0, 2)], quasi_linear),
    "LLG, nearest bid": (NearestBid(), Bundles.llg(), LLG, quasi_linear),
    "2 units, discriminatory": (DiscriminatoryPrice(Units(2, 2)), Units(2, 2), Uniform(0, 1), quasi_linear),
}


DEEP = ("all-pay, 2 x Beta(2, 5)", "2 units, discriminatory", "third price, 3")
"""Of the suite, what takes longest."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.deep if name in DEEP else ()) for name in SUITE])
def test_equilibria_are_learned_with_the_default_settings(name: str) -> None:
    """The whole table, more seeds and other auctions: `benchmarks/equilibria.py`."""
    mechanism, substrate, priors, utility = SUITE[name]
    strategies = EquilibriumLearner(mechanism, substrate, priors, seed=0, utility=utility).train()
    known = closed_form_equilibrium(mechanism, substrate, priors, utility)
    assert (known is None) == (len(substrate.features) > 1)
    given = product(priors, substrate.num_bidders, len(substrate.features))
    v = given.sample(4096, torch.Generator().manual_seed(3), torch.float64)
    for bidder, equilibrium in enumerate(known or ()):
        # .01 of the type space; the global bidder's reaches to 2, and seeds differ: .0063 to .0122 for nearest bid
        distance = float((strategies[bidder](v[:, bidder]) - equilibrium(v[:, bidder])).square().mean().sqrt())
        assert distance < 0.01 * float(v[:, bidder].max())
    regret = ex_interim_regret(
        mechanism,
        substrate,
        priors,
        strategies=strategies,
        draws=1 << 14,
        settings=InterimSettings(types=16, budget=128, utility=utility),
    )
    assert regret.mean < 0.01
    assert regret.interval is not None
    assert regret.interval.high < 0.01
