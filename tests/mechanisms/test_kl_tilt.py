"""Tilted distributions of replies: closed forms, the multiplier, and the truthful payment."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from auctionsim.mechanisms import (
    Alpha,
    ChiSquared,
    Divergence,
    ForwardKL,
    JensenShannon,
    KLTilt,
    ReverseKL,
    TotalVariation,
)
from auctionsim.substrates import Lottery

SMOOTH = [ReverseKL(), ForwardKL(), ChiSquared(), JensenShannon(), Alpha(0.5), Alpha(2.0), Alpha(3.0)]
DIVERGENCES = [*SMOOTH, TotalVariation()]


def random_lottery(seed: int, replies: int, bidders: int, features: int = 1) -> Lottery:
    generator = torch.Generator().manual_seed(seed)
    reference = torch.rand(replies, generator=generator, dtype=torch.float64) + 0.05
    return Lottery(
        torch.rand(replies, bidders, features, generator=generator, dtype=torch.float64),
        torch.rand(replies, generator=generator, dtype=torch.float64),
        reference / reference.sum(),
    )


@pytest.mark.parametrize(
    ("divergence", "expected"), [(ReverseKL(), 0.731059), (ForwardKL(), 0.707107), (ChiSquared(), 0.625)]
)
def test_two_outcomes(divergence: Divergence, expected: float) -> None:
    lottery = Lottery(torch.tensor([[[1.0]], [[0.0]]]), torch.zeros(2))
    outcome = KLTilt(lottery, 1.0, divergence)(torch.ones(1, 1, 1, dtype=torch.float64))
    assert float(outcome.allocation[0, 0]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("divergence", DIVERGENCES, ids=lambda d: d.name)
def test_the_tilt_is_the_maximiser(divergence: Divergence) -> None:
    """No nearby distribution does better, and f' matches f by differences."""
    generator = torch.Generator().manual_seed(4)
    for beta in (0.1, 1.0, 10.0):
        p = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
        r = torch.rand(5, 4, generator=generator, dtype=torch.float64)
        q = divergence.tilt(r, beta, p)
        assert torch.allclose(q.sum(1), torch.ones(5, dtype=torch.float64))
        value = (q * r).sum(1) - beta * divergence.between(q, p)
        for _ in range(50):
            other = torch.rand(5, 4, generator=generator, dtype=torch.float64)
            mixed = 0.99 * q + 0.01 * other / other.sum(1, keepdim=True)
            assert bool(((mixed * r).sum(1) - beta * divergence.between(mixed, p) <= value + 1e-12).all())
    assert float(divergence.f(torch.ones(1, dtype=torch.float64))) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("divergence", SMOOTH, ids=lambda d: d.name)
def test_ratio_inverts_the_slope(divergence: Divergence) -> None:
    t = torch.tensor([0.5, 1.0, 1.7], dtype=torch.float64)
    slope = (divergence.f(t + 1e-6) - divergence.f(t - 1e-6)) / 2e-6
    assert torch.allclose(divergence.ratio(slope), t, atol=1e-6)
    assert float(slope[1]) == pytest.approx(divergence.slope_at_one, abs=1e-6)


@pytest.mark.parametrize("beta", [0.25, 0.999, 1.001, 4.0])
def test_total_variation_moves_all_or_nothing(beta: float) -> None:
    """π_ref = (½, ½), r = (1, 0): mass 1 on the better outcome for β < 1, ½ for β > 1."""
    half = torch.full((2,), 0.5, dtype=torch.float64)
    q = TotalVariation().tilt(torch.tensor([[1.0, 0.0]], dtype=torch.float64), beta, half)
    assert q[0].tolist() == ([1.0, 0.0] if beta < 1 else [0.5, 0.5])


def test_total_variation_is_half_the_distance_and_its_ties_are_those_that_are_stated() -> None:
    p = torch.tensor([0.1, 0.3, 0.2, 0.4, 0.0], dtype=torch.float64)
    q = torch.tensor([[0.4, 0.0, 0.2, 0.4, 0.0]], dtype=torch.float64)
    assert float(TotalVariation().between(q, p)) == pytest.approx(0.3)
    rewards = torch.tensor([[1.0, 1.0, 0.5, 0.25, 9.0]], dtype=torch.float64)
    moved = TotalVariation().tilt(rewards, 0.5, p)[0]
    assert moved.tolist() == pytest.approx([0.2, 0.6, 0.2, 0.0, 0.0])  # β below keeps; bests share as p; none outside


def test_scales_of_wang_et_al() -> None:
    """Their Jensen–Shannon is twice ours, their α is 1 − ours; so β halves, or α turns round, at the same tilt."""
    u = torch.tensor([0.2, 0.9, 1.0, 3.0], dtype=torch.float64)
    theirs = u * u.log() - (u + 1) * ((u + 1) / 2).log()
    assert torch.allclose(theirs, 2 * JensenShannon().f(u))
    for a in (0.25, 0.5, 0.8):
        other = (u ** (1 - a) - (1 - a) * u - a) / (a * (a - 1))
        assert torch.allclose(other, Alpha(1 - a).f(u))
    p = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    r = torch.tensor([[0.1, 0.9, 0.4]], dtype=torch.float64)
    near = ((Alpha(1 - 1e-4), ReverseKL()), (Alpha(1e-4), ForwardKL()))
    for family, limit in near:
        assert torch.allclose(family.tilt(r, 0.5, p), limit.tilt(r, 0.5, p), atol=1e-3)


def test_alpha_two_is_half_of_chi_squared() -> None:
    p = torch.full((3,), 1 / 3, dtype=torch.float64)
    r = torch.tensor([[0.1, 0.5, 0.9]], dtype=torch.float64)
    assert torch.allclose(Alpha(2.0).tilt(r, 2.0, p), ChiSquared().tilt(r, 1.0, p), atol=1e-9)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 3), st.integers(1, 2))
def test_the_reverse_kl_payment_is_a_divergence_and_the_utility_a_log_ratio(
    seed: int, replies: int, bidders: int, features: int
) -> None:
    lottery = random_lottery(seed, replies, bidders, features)
    tau, user_weight = 0.3, 0.7
    rule = KLTilt(lottery, tau, user_weight=user_weight)
    bids = torch.rand(3, bidders, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    outcome = rule(bids)

    def partition(kept: Tensor) -> tuple[Tensor, Tensor]:
        rewards = torch.einsum("bif,yif->by", kept, lottery.exposures) - user_weight * lottery.user_losses
        mass = lottery.reference * torch.exp(rewards / tau)
        return mass / mass.sum(1, keepdim=True), mass.sum(1)

    pi, z = partition(bids)
    assert torch.allclose(outcome.allocation, pi, atol=1e-10)
    for i in range(bidders):
        without = bids.clone()
        without[:, i] = 0
        pi_without, z_without = partition(without)
        divergence = tau * (pi * (pi / pi_without).log()).sum(1)
        assert torch.allclose(outcome.payments[:, i], divergence, atol=1e-9)
        value = (bids[:, i] * lottery.exposure(outcome.allocation)[:, i]).sum(1)
        assert torch.allclose(value - outcome.payments[:, i], tau * (z / z_without).log(), atol=1e-9)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 3), st.sampled_from(DIVERGENCES), st.sampled_from([0.1, 1.0]))
def test_no_lie_pays_and_nobody_loses(seed: int, bidders: int, divergence: Divergence, tau: float) -> None:
    lottery = random_lottery(seed, 4, bidders)
    rule = KLTilt(lottery, tau, divergence, user_weight=0.25)
    generator = torch.Generator().manual_seed(seed)
    truth, lies = (torch.rand(6, bidders, 1, generator=generator, dtype=torch.float64) * 2 for _ in range(2))

    def utility(bids: Tensor) -> Tensor:
        outcome = rule(bids)
        return (truth * lottery.exposure(outcome.allocation)).sum(2) - outcome.payments

    honest = utility(truth)
    assert float(honest.min()) >= -1e-9
    assert float(rule(truth).payments.min()) >= 0
    for i in range(bidders):
        mixed = truth.clone()
        mixed[:, i] = lies[:, i]
        assert float((utility(mixed) - honest)[:, i].max()) <= 1e-9


def test_exposure_grows_with_the_bid_at_the_rate_of_its_variance() -> None:
    """dE[e_i]/db_i = Var(e_i)/τ for the reverse KL."""
    lottery = random_lottery(2, 6, 2)
    tau, h = 0.5, 1e-5
    rule = KLTilt(lottery, tau)

    def distribution(b: float) -> Tensor:
        return rule(torch.tensor([[[b], [0.4]]], dtype=torch.float64)).allocation

    e = lottery.exposures[:, 0, 0]
    q = distribution(0.7)
    variance = (q * e.square()).sum() - (q * e).sum().square()
    slope = ((distribution(0.7 + h) - distribution(0.7 - h)) * e).sum() / (2 * h)
    assert float(slope) == pytest.approx(float(variance) / tau, rel=1e-5)


def test_replies_the_reference_never_gives_stay_out() -> None:
    lottery = Lottery(torch.tensor([[[0.0]], [[1.0]], [[5.0]]]), torch.zeros(3), torch.tensor([0.5, 0.5, 0.0]))
    for divergence in DIVERGENCES:
        outcome = KLTilt(lottery, 1.0, divergence)(torch.ones(2, 1, 1, dtype=torch.float64))
        assert float(outcome.allocation[0, 2]) == 0
        assert bool(lottery.feasible(outcome.allocation).all())
        assert bool(torch.isfinite(outcome.payments).all())


def test_refusals() -> None:
    lottery = random_lottery(0, 3, 2)
    with pytest.raises(ValueError, match="temperature must be positive"):
        KLTilt(lottery, 0.0)
    with pytest.raises(ValueError, match="alpha must differ"):
        Alpha(1.0)
    with pytest.raises(ValueError, match="finite and >= 0"):
        KLTilt(lottery, 1.0)(torch.full((1, 2, 1), torch.nan))
    assert KLTilt(lottery, 1.0).dsic_proof(lottery) is not None
    assert KLTilt(lottery, 1.0).dsic_proof(random_lottery(0, 3, 2)) is None
