"""A proxy's tilt valued truly: the split is exact, its last term keeps its bound, strong tilts over-optimise."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from auctionsim.mechanisms import (
    Alpha,
    ChiSquared,
    Divergence,
    ForwardKL,
    JensenShannon,
    ReverseKL,
    TotalVariation,
    misspecified,
    win_rate,
)

F64 = torch.float64
DIVERGENCES = [ReverseKL(), ForwardKL(), ChiSquared(), JensenShannon(), TotalVariation(), Alpha(0.5)]
P = torch.tensor([0.7, 0.2, 0.1], dtype=F64)
TRUE, PROXY = torch.tensor([[0.0, 1.0, 0.0]], dtype=F64), torch.tensor([[0.0, 1.0, 1.2]], dtype=F64)


@settings(max_examples=40)
@given(
    st.integers(0, 10**6), st.integers(1, 6), st.sampled_from(DIVERGENCES), st.sampled_from([0.05, 0.2, 0.5, 1.0, 5.0])
)
def test_the_split_is_exact_and_its_last_term_keeps_its_bound(
    seed: int, replies: int, divergence: Divergence, beta: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    p = torch.rand(replies, generator=generator, dtype=F64) + 0.01
    rewards = torch.rand(3, replies, generator=generator, dtype=F64)
    proxies = rewards + torch.randn(3, replies, generator=generator, dtype=F64)
    found = misspecified(rewards, proxies, beta, p / p.sum(), divergence)
    assert float((found.loss - found.reward_gap - found.proxy_gap).abs().max()) < 1e-9
    assert float((found.proxy_gap - found.proxy_gap_bound).max()) < 1e-9
    right = misspecified(rewards, rewards, beta, p / p.sum(), divergence)
    assert float(right.loss.abs().max()) == 0
    assert torch.equal(right.value, right.proxy_value)


def test_a_strong_tilt_over_optimises() -> None:
    """π_ref = (.7, .2, .1), r = (0, 1, 0), proxy (0, 1, 1.2): the reverse KL's value rises to β ≈ .35, then falls."""
    values = {beta: float(misspecified(TRUE, PROXY, beta, P, ReverseKL()).value) for beta in (0.05, 0.2, 0.35, 0.5, 5)}
    assert values[0.5] == pytest.approx(0.4505, abs=5e-5)
    assert values[0.05] < values[0.2] < values[0.35]
    assert values[0.35] > values[0.5] > values[5]


def test_the_forward_kl_is_not_always_milder() -> None:
    """On the same table at β = .2 the forward KL loses more than the reverse KL, by value and by what is lost."""
    forward, reverse = (misspecified(TRUE, PROXY, 0.2, P, one) for one in (ForwardKL(), ReverseKL()))
    assert float(forward.value) == pytest.approx(0.1753, abs=5e-5)
    assert float(reverse.value) == pytest.approx(0.4197, abs=5e-5)
    assert float(forward.loss) > float(reverse.loss) > 0


def test_the_rough_estimate_is_no_bound() -> None:
    """E*[exp(ε/β) ε] looks at what π* draws; errors that only π̂ draws are not in it."""
    true, proxy = torch.tensor([[1.0, 0.0]], dtype=F64), torch.tensor([[1.0, 3.0]], dtype=F64)
    found = misspecified(true, proxy, 10.0, torch.tensor([0.999, 0.001], dtype=F64), ReverseKL())
    assert float(found.rough_estimate) > float(found.loss)
    over = misspecified(true - 0.5, true, 0.1, torch.tensor([0.5, 0.5], dtype=F64), ReverseKL())
    assert float(over.loss) == pytest.approx(0, abs=1e-12)  # a constant error costs nothing
    assert float(over.rough_estimate) > 10


def test_win_rates() -> None:
    half = torch.tensor([0.5, 0.5], dtype=F64)
    rewards = torch.tensor([[1.0, 0.0], [3.0, 3.0]], dtype=F64)
    assert win_rate(half.expand(2, 2), half, rewards).tolist() == [0.5, 0.5]
    assert win_rate(torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=F64), half, rewards).tolist() == [0.75, 0.5]


def test_misspecification_refusals() -> None:
    with pytest.raises(ValueError, match="beta must be positive"):
        misspecified(TRUE, PROXY, 0.0, P, ReverseKL())
    with pytest.raises(ValueError, match="must both be"):
        misspecified(TRUE, PROXY[:, :2], 1.0, P, ReverseKL())
