"""Positions whose ads compete for one click: VCG and the optimum over all placements, ties, and what is refused."""

import itertools

import pytest
import torch

from auctionsim.mechanisms import VCG, VirtualWelfareMaximizer
from auctionsim.priors import Uniform
from auctionsim.regret import BoundSettings, ex_post_regret
from auctionsim.substrates import MNLPositions
from auctionsim.testing import check_substrate, mechanism_checks

F64 = torch.float64
ATTRACTION = ((1.5, 0.8), (1.2, 0.9), (0.6, 0.5))
PLACE = MNLPositions(ATTRACTION)
SEARCHED = BoundSettings(use_structure=False)


def values(*each: float) -> torch.Tensor:
    return torch.tensor(each, dtype=F64).view(1, -1, 1)


@pytest.mark.parametrize("attraction", [((1.0, 0.5),) * 2, ((2.0,),), ((0.0,), (1.0,), (3.0,))])
def test_it_is_a_substrate(attraction: tuple[tuple[float, ...], ...]) -> None:
    check_substrate(MNLPositions(attraction), examples=2)


def test_vcg_on_three_ads_and_two_positions() -> None:
    outcome = VCG(PLACE)(values(1, 0.8, 1.8))
    assert outcome.allocation[0].tolist() == [[1, 0], [0, 0], [0, 1]]
    welfare = (values(1, 0.8, 1.8) * PLACE.exposure(outcome.allocation)).sum()
    assert float(welfare) == pytest.approx(0.8)
    torch.testing.assert_close(outcome.payments[0], torch.tensor([0.42, 0, 0.152941], dtype=F64), atol=5e-7, rtol=0)


@pytest.mark.parametrize(
    ("nudge", "placed", "payments"),
    [
        (-1e-9, [[1, 0], [0, 0], [0, 1]], [0.434667, 0, 0.152941]),
        (1e-9, [[0, 1], [0, 0], [1, 0]], [0.268, 0, 0.319608]),
    ],
)
def test_two_placements_tie_and_payments_depend_on_the_tie(
    nudge: float, placed: list[list[int]], payments: list[float]
) -> None:
    """At values (1, .8, 2) both are worth 5/6; whoever is chosen, truth is dominant."""
    tied = values(1, 0.8, 2)
    rivals = torch.tensor([[[1.0, 0], [0, 0], [0, 1]], [[0, 1.0], [0, 0], [1, 0]]], dtype=F64)
    torch.testing.assert_close((tied * PLACE.exposure(rivals)).sum((1, 2)), torch.full((2,), 5 / 6, dtype=F64))
    beside = values(1, 0.8, 2 + nudge)
    outcome = VCG(PLACE)(beside)
    assert outcome.allocation[0].tolist() == placed
    torch.testing.assert_close(outcome.payments[0], torch.tensor(payments, dtype=F64), atol=5e-7, rtol=0)
    for truth in (tied, beside):
        assert ex_post_regret(VCG(PLACE), PLACE, truth, budget=256, bounds=SEARCHED).max <= 1e-12
    assert VCG(PLACE).dsic_proof(PLACE)


def test_an_exact_tie_goes_to_the_first_and_is_truthful_both_ways() -> None:
    """Both ways to place two ads give 3/4 of a click, in dyadic parts; which comes first decides who pays what."""
    rows, truth = ((2.0, 0.5), (2.5, 1.0)), values(1, 1)
    paid = []
    for attraction in (rows, tuple(row[::-1] for row in rows)):
        place = MNLPositions(attraction)
        paid.append(VCG(place)(truth).payments[0].tolist())
        assert ex_post_regret(VCG(place), place, truth, budget=64, bounds=SEARCHED).max <= 1e-12
    assert paid == [pytest.approx([2.5 / 3.5 - 0.25, 2 / 3 - 0.5]), pytest.approx([2.5 / 3.5 - 0.625, 2 / 3 - 0.125])]


@pytest.mark.parametrize("attraction", [ATTRACTION, ((0.7, 0.2, 1.1), (1.3, 0.4, 0.9)), ((0.3,),)])
def test_the_maximum_is_that_of_a_slow_loop(attraction: tuple[tuple[float, ...], ...]) -> None:
    place = MNLPositions(attraction)
    n, positions = len(attraction), len(attraction[0])
    weights = torch.rand(20, n, 1, generator=torch.Generator().manual_seed(0), dtype=F64) * 2 - 0.5
    best = (weights * place.exposure(place.maximise(weights, 0.0))).sum((1, 2))
    for k, row in enumerate(weights.squeeze(2).tolist()):
        top = 0.0
        for seats in itertools.product((None, *range(positions)), repeat=n):
            taken = [seat for seat in seats if seat is not None]
            if len(set(taken)) < len(taken):
                continue
            shown = [0.0 if seat is None else attraction[i][seat] for i, seat in enumerate(seats)]
            top = max(top, sum(w * a for w, a in zip(row, shown, strict=True)) / (1 + sum(shown)))
        assert float(best[k]) == pytest.approx(top, abs=1e-12)


def test_a_position_stays_empty_where_an_ad_would_take_more_than_it_brings() -> None:
    outcome = VCG(PLACE)(values(1, 0, 0.1))
    assert outcome.allocation[0].tolist() == [[1, 0], [0, 0], [0, 0]]


def test_vcg_keeps_its_claims() -> None:
    for check in mechanism_checks(VCG(PLACE), PLACE, dsic=True, individually_rational=True, examples=4):
        check()
    alike = MNLPositions(((1.0, 0.5),) * 2)
    checks = mechanism_checks(VCG(alike), alike, dsic=True, individually_rational=True, anonymous=True, examples=2)
    for check in checks:
        check()


def test_the_optimum_is_truthful_and_earns_more() -> None:
    bids = torch.rand(200, 3, 1, generator=torch.Generator().manual_seed(1), dtype=F64)
    optimum = VirtualWelfareMaximizer(PLACE, Uniform(0, 1))
    assert float(optimum(bids).payments.sum()) > 1.2 * float(VCG(PLACE)(bids).payments.sum())
    assert ex_post_regret(optimum, PLACE, bids[:4], budget=64, bounds=SEARCHED).max <= 1e-9
    one = VirtualWelfareMaximizer(MNLPositions(((3.0, 1.0),)), Uniform(0, 1))(values(0.75))
    assert float(one.payments) == pytest.approx(0.5 * 0.75)  # one bidder: a price of ½ a click


@pytest.mark.parametrize("attraction", [(), ((),), ((1.0,), (1.0, 2.0)), ((-1.0,),), ((float("inf"),),)])
def test_what_is_no_attraction_is_refused(attraction: tuple[tuple[float, ...], ...]) -> None:
    with pytest.raises(ValueError, match="attraction"):
        MNLPositions(attraction)


def test_too_many_placements_are_refused() -> None:
    with pytest.raises(ValueError, match="can be placed in 234662231 ways"):
        MNLPositions(((1.0,) * 10,) * 10)
