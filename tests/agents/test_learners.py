"""Learned equilibria against closed forms, and the learners' own mechanics."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from auctionsim.agents import EquilibriumLearner, ExponentialWeights, LearningStep
from auctionsim.mechanisms import AllPay, FirstPrice, Mechanism, PayAsBid, SecondPrice, ThirdPrice
from auctionsim.priors import Uniform
from auctionsim.regret import ex_interim_regret, quasi_linear
from auctionsim.substrates import Items, QuadraticSubstrate

Bid = Callable[[Tensor], Tensor]


def distance(strategy: Bid, equilibrium: Bid, high: float = 1.0) -> float:
    """Return the L2 distance on [0, high] under the uniform prior, as a share of high."""
    v = high * (torch.arange(1000, dtype=torch.float64).unsqueeze(1) + 0.5) / 1000
    return float((strategy(v) - equilibrium(v)).square().mean().sqrt()) / high


def square_root(value: Tensor, payment: Tensor) -> Tensor:
    """CRRA with exponent ½ on gains, the plain loss on losses."""
    gain = value - payment
    return torch.where(gain >= 0, gain.clamp_min(0).sqrt(), gain)


def weak_bidder(width: float, rival: float) -> Bid:
    """Return b(v) = (1 − √(1 − k v²)) / (k v), k = 1/width² − 1/rival²; v ~ U[0, width] against U[0, rival].

    Source: Krishna (2002), "Auction Theory", section 4.3; Griesmer, Levitan and Shubik (1967).
    """
    k = 1 / width**2 - 1 / rival**2
    return lambda v: (1 - (1 - k * v * v).sqrt()) / (k * v)


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
    learner = ExponentialWeights(FirstPrice(), Items(2), Uniform(0, 1), seed=2, step=1.0, bids=grid, bins=8)
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


SUITE: dict[str, tuple[Mechanism, int, Any, Sequence[Bid], dict[str, Any]]] = {
    **{
        f"first price, {n} bidders": (FirstPrice(), n, Uniform(0, 1), [lambda v, n=n: (n - 1) / n * v] * n, {})
        for n in (2, 3, 5)
    },
    "first price, CRRA 1/2": (
        FirstPrice(),
        2,
        Uniform(0, 1),
        [lambda v: v / 1.5] * 2,
        {"utility": square_root},
    ),
    "all-pay, 3 bidders": (AllPay(), 3, Uniform(0, 1), [lambda v: 2 / 3 * v**3] * 3, {}),
    "third price, 3 bidders": (ThirdPrice(), 3, Uniform(0, 1), [lambda v: 2 * v] * 3, {"smoothing": 0.15}),
    "first price, U[0, 1] against U[0, 2]": (
        FirstPrice(),
        2,
        [Uniform(0, 1), Uniform(0, 2)],
        [weak_bidder(1, 2), weak_bidder(2, 1)],
        {"batch": 16384},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SUITE)
def test_equilibrium_suite(name: str) -> None:
    mechanism, n, priors, equilibrium, options = SUITE[name]
    learner = EquilibriumLearner(mechanism, Items(n), priors, seed=0, **options)
    strategies = learner.train(1200)
    for bidder in range(n):
        high = float(learner.high[bidder, 0])
        assert distance(strategies[bidder], equilibrium[bidder], high) < 0.01
    regret = ex_interim_regret(
        mechanism,
        Items(n),
        priors,
        strategies=strategies,
        draws=8192,
        types=8,
        budget=128,
        utility=options.get("utility", quasi_linear),
    )
    assert regret.mean < 0.01
    assert regret.interval is not None
    assert regret.interval.high < 0.015
