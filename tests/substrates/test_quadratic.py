"""The quadratic substrate: its exact maximum against a fine grid, with and without crosstalk."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from auctionsim import metrics
from auctionsim.mechanisms import VCG, VirtualWelfareMaximizer, load_mechanism, save_mechanism
from auctionsim.priors import Uniform
from auctionsim.substrates import QuadraticSubstrate
from auctionsim.substrates.protocol import ChargedLoss, charged_loss_of


@settings(max_examples=30)
@given(
    st.integers(0, 10**6),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.2, 0.5, 1.0]),
    st.sampled_from([0.0, 0.25, 1.0]),
    st.sampled_from([(1.0, 0.0), (0.0, 0.5), (1.0, 0.25), (2.0, -0.75), (0.0, -1.0)]),
)
def test_maximum_beats_every_grid_point(
    seed: int, n: int, share: float, user_weight: float, curve: tuple[float, float]
) -> None:
    substrate = QuadraticSubstrate(n, share / max(n - 1, 1), *curve)
    weights = torch.randint(-6, 9, (5, n, 1), generator=torch.Generator().manual_seed(seed)).double() / 4
    x = substrate.maximise(weights, user_weight)
    assert bool(substrate.feasible(x).all())
    own = (weights * substrate.exposure(x)).sum((1, 2)) - user_weight * substrate.user_loss(x)
    axis = torch.linspace(0, 1, 21, dtype=torch.float64)
    grid = torch.cartesian_prod(*[axis] * n).view(-1, n, 1)
    value = torch.einsum("bif,kif->bk", weights, substrate.exposure(grid)) - user_weight * substrate.user_loss(grid)
    assert bool((own.unsqueeze(1) >= value - 1e-12).all())
    assert bool((substrate.exposure(grid) >= 0).all())


def test_by_hand() -> None:
    x = torch.tensor([[[0.5], [1.0]]])
    assert QuadraticSubstrate(2, 0.5).exposure(x).flatten().tolist() == [0.25, 0.75]
    assert QuadraticSubstrate(2, 0.5).user_loss(x).tolist() == [0.625]
    # Two lovers of exposure at full crosstalk and no user: one of them alone, the first on ties.
    assert QuadraticSubstrate(2, 1.0).maximise(torch.ones(1, 2, 1), 0.0).flatten().tolist() in ([0.0, 1.0], [1.0, 0.0])
    assert QuadraticSubstrate(2, 0.5).separable is False
    assert QuadraticSubstrate(1, 0.5).separable is True


def test_loss_with_coefficients_against_its_closed_form() -> None:
    """One bidder U[0, 1], user weight 1, L = x²/2 + x/4: x(v) = (φ(v) − 1/4)⁺ with φ = 2v − 1.

    The integrals over v by hand; a midpoint sum of 20,000 valuations is as close as this.
    """
    v = ((torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000).view(-1, 1, 1)

    def scored(design: QuadraticSubstrate, truth: QuadraticSubstrate) -> tuple[float, float]:
        outcome = VirtualWelfareMaximizer(design, Uniform(0, 1), 1.0)(v)
        return float(metrics.revenue(outcome, truth, v).mean()), float(metrics.user_loss(outcome, truth, v).mean())

    truth, half = QuadraticSubstrate(1, linear=0.25), QuadraticSubstrate(1)
    revenue, loss = scored(truth, truth)
    assert (revenue, loss, revenue - loss) == pytest.approx((0.105469, 0.070312, 0.035156), abs=2e-6)
    revenue, loss = scored(half, truth)
    assert revenue - loss == pytest.approx(0.020833, abs=2e-6)


def test_a_linear_gain_is_taken_though_nobody_pays() -> None:
    place = QuadraticSubstrate(2, linear=-0.25)
    assert place.maximise(torch.zeros(1, 2, 1), 1.0).flatten().tolist() == [0.25, 0.25]
    assert place.user_loss(place.maximise(torch.zeros(1, 2, 1), 1.0)).tolist() == [-0.0625]
    assert place.user_loss(place.null_allocation(1)).tolist() == [0.0]


def test_coefficients_are_the_identity_of_the_loss(tmp_path: Path) -> None:
    first, other = QuadraticSubstrate(2, linear=0.25), QuadraticSubstrate(2)
    assert first != other
    assert other == QuadraticSubstrate(2, 0.0, 1.0, 0.0)
    assert charged_loss_of(other) == ChargedLoss("loss", "loss")
    save_mechanism(VCG(first, 1.0), tmp_path / "rule.safetensors")
    assert isinstance(load_mechanism(tmp_path / "rule.safetensors", first), VCG)
    with pytest.raises(
        ValueError, match=r"saved for the user loss 'loss' .* resting on 'quadratic 1\.0, linear 0\.25'"
    ):
        load_mechanism(tmp_path / "rule.safetensors", other)
    with pytest.raises(ValueError, match=r"this substrate charges 'loss' .* resting on 'quadratic 2\.0, linear 0\.25'"):
        load_mechanism(tmp_path / "rule.safetensors", QuadraticSubstrate(2, quadratic=2.0, linear=0.25))


@pytest.mark.parametrize(("name", "value"), [("quadratic", -0.1), ("quadratic", math.inf), ("linear", math.nan)])
def test_a_loss_that_is_not_convex_or_no_number_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a number in"):
        QuadraticSubstrate(2, **{name: value})


@pytest.mark.parametrize("crosstalk", [-0.1, 1.1])
def test_crosstalk_out_of_range_is_refused(crosstalk: float) -> None:
    with pytest.raises(ValueError, match="crosstalk must be a number in"):
        QuadraticSubstrate(2, crosstalk)


def test_too_many_bidders_are_refused() -> None:
    with pytest.raises(NotImplementedError, match="at most 8 bidders"):
        QuadraticSubstrate(9, 0.1).maximise(torch.ones(1, 9, 1), 0.0)
