"""Prominence in one text: closed-form maxima, what is refused, and VCG on it."""

import pytest
import torch

from auctionsim.mechanisms import VCG, VirtualWelfareMaximizer
from auctionsim.priors import Uniform
from auctionsim.regret import ex_post_regret
from auctionsim.substrates import Prominence
from auctionsim.testing import check_substrate, mechanism_checks

F64 = torch.float64
BIDS = torch.tensor([[[1.0], [2.0], [3.0]]], dtype=F64)


@pytest.mark.parametrize("place", [Prominence(2, 0.9), Prominence(2, 1.0), Prominence(1, 2.0)])
def test_it_is_a_substrate(place: Prominence) -> None:
    check_substrate(place, examples=2)


def test_the_welfare_maximum_and_vcg_on_square_roots() -> None:
    """Shares ∝ b²; without i the others reach √(Σ b_j²)."""
    outcome = VCG(Prominence(3, 0.5))(BIDS)
    torch.testing.assert_close(outcome.allocation.flatten(), torch.tensor([1.0, 4.0, 9.0], dtype=F64) / 14)
    squares = BIDS.flatten().square()
    without = (squares.sum() - squares).sqrt()
    expected = without - (squares.sum() - squares) / squares.sum().sqrt()
    torch.testing.assert_close(outcome.payments[0], expected)
    published = torch.tensor([0.131155, 0.489665, 0.899762], dtype=F64)
    torch.testing.assert_close(outcome.payments[0], published, atol=5e-7, rtol=0)


@pytest.mark.parametrize("exponent", [0.25, 0.5, 0.8, 1.0, 2.0])
def test_no_grid_point_is_worth_more_than_the_maximum(exponent: float) -> None:
    place = Prominence(3, exponent)
    weights = torch.rand(20, 3, 1, generator=torch.Generator().manual_seed(0), dtype=F64) * 1.5 - 0.25
    steps = torch.arange(21, dtype=F64) / 20
    grid = torch.cartesian_prod(steps, steps, steps)
    clicks = place.exposure(grid[grid.sum(1) <= 1 + 1e-12].unsqueeze(2)).squeeze(2)
    best = (weights * place.exposure(place.maximise(weights, 0.0))).sum((1, 2))
    rivals = (weights.squeeze(2) @ clicks.T).amax(1)
    assert bool((best >= rivals - 1e-12).all())
    assert float((best - rivals).min()) < 0.02  # the grid comes near


def test_a_steep_exponent_and_tied_bids_stay_exact() -> None:
    nearly = Prominence(2, 1 - 2**-10)
    tied = nearly.maximise(torch.tensor([[[0.3], [0.3]], [[0.3], [0.0]], [[0.0], [0.0]]]), 0.0)
    assert tied.squeeze(2).tolist() == [[0.5, 0.5], [1.0, 0.0], [0.0, 0.0]]
    assert Prominence(2, 1.0).maximise(torch.ones(1, 2, 1), 0.0).flatten().tolist() == [1.0, 0.0]


@pytest.mark.parametrize("bidders", [1, 3])
def test_vcg_keeps_its_claims(bidders: int) -> None:
    place = Prominence(bidders, 0.5)
    rule = VCG(place)
    assert rule.dsic_proof(place)
    checks = mechanism_checks(rule, place, dsic=True, individually_rational=True, anonymous=True, examples=4)
    for check in checks:
        check()


def test_the_optimum_earns_more_than_vcg() -> None:
    place, priors = Prominence(2, 0.5), Uniform(0, 1)
    bids = torch.rand(64, 2, 1, generator=torch.Generator().manual_seed(1), dtype=F64)
    optimum = VirtualWelfareMaximizer(place, priors)
    assert float(optimum(bids).payments.sum()) > 1.2 * float(VCG(place)(bids).payments.sum())
    assert ex_post_regret(VCG(place), place, bids[:8], budget=64).max == 0


@pytest.mark.parametrize(("bidders", "exponent"), [(0, 0.5), (2, 0.0), (2, -1.0), (2, 4.5), (2, float("nan"))])
def test_what_is_no_prominence_is_refused(bidders: int, exponent: float) -> None:
    with pytest.raises(ValueError, match=r"num_bidders|exponent"):
        Prominence(bidders, exponent)


def test_more_than_one_text_is_not_feasible() -> None:
    place = Prominence(2)
    shares = torch.tensor([[[0.5], [0.5]], [[0.75], [0.5]], [[-0.25], [0.5]], [[0.25], [0.25]]])
    assert place.feasible(shares).tolist() == [True, False, False, True]
