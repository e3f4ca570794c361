"""Proportional prominence: the known charges, no regret where exposure rises, and what is said where it falls."""

from pathlib import Path

import pytest
import torch
from shown_list import ShownList, isolated, levels_of, shown_list
from torch import Tensor

from auctionsim.mechanisms import ProportionalProminence, design, load_mechanism, save_mechanism
from auctionsim.mechanisms.power_share import payment_by_power
from auctionsim.mechanisms.showings import Showings, showings
from auctionsim.mechanisms.table import entry
from auctionsim.priors import Uniform
from auctionsim.regret import BoundSettings, ex_post_regret
from auctionsim.substrates import Items, Lottery, Prominence, Randomised
from auctionsim.testing import mechanism_checks

F64 = torch.float64
SEARCHED = BoundSettings(use_structure=False)


def random_bids(rows: int, bidders: int) -> Tensor:
    bids = torch.rand(rows, bidders, 1, generator=torch.Generator().manual_seed(0), dtype=F64)
    bids[0], bids[1, 0], bids[2, 1:] = 0.0, 0.0, 0.0  # nobody, all but one, one alone
    return bids


def by_trapezoids(rule: ProportionalProminence, bids: Tensor, i: int, steps: int = 20_001) -> Tensor:
    """Return b e(b) − ∫_0^b e(s) ds by quadrature, a row at a time."""
    assert rule.substrate is not None
    paid = []
    for row in bids:
        own = torch.linspace(0, 1, steps, dtype=F64) ** 3 * row[i]  # dense where a root is steep
        moved = row.repeat(steps, 1, 1)
        moved[:, i] = own.unsqueeze(1)
        exposure = rule.substrate.exposure(rule(moved).allocation)[:, i, 0]
        paid.append(row[i, 0] * exposure[-1] - torch.trapezoid(exposure, own))
    return torch.stack(paid)


def test_the_charges_on_square_roots() -> None:
    bids = torch.tensor([[[1.0], [2.0], [3.0]]], dtype=F64)
    paid = ProportionalProminence(Prominence(3, 0.5))(bids).payments[0]
    torch.testing.assert_close(paid, torch.tensor([0.126295, 0.324515, 0.522800], dtype=F64), atol=5e-7, rtol=0)
    shares, others = bids.flatten() / 6, 6 - bids.flatten()
    torch.testing.assert_close(paid, others * (shares.sqrt().atanh() - shares.sqrt()))


@pytest.mark.parametrize(
    ("exponent", "closed"),
    [
        (1.0, lambda b, rest: rest * ((b + rest) / rest).log() - rest * b / (b + rest)),
        (2.0, lambda b, rest: 2 * rest * (((b + rest) / rest).log() - b / (b + rest)) - rest * (b / (b + rest)) ** 2),
        (0.5, lambda b, rest: rest * ((b / (b + rest)).sqrt().atanh() - (b / (b + rest)).sqrt())),
    ],
)
def test_both_series_are_the_closed_forms(exponent: float, closed: object) -> None:
    ratio = torch.cat([torch.logspace(-3, 6, 200, dtype=F64), torch.tensor([1 - 1e-12, 1.0, 1 + 1e-12], dtype=F64)])
    ratio, rest = ratio.unsqueeze(1), torch.full_like(ratio, 0.75).unsqueeze(1)
    assert callable(closed)
    paid = payment_by_power(ratio * rest, rest, exponent)
    torch.testing.assert_close(paid, closed(ratio * rest, rest), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("exponent", [0.3, 0.75, 3.0])
def test_other_exponents_charge_the_integral(exponent: float) -> None:
    rule, bids = ProportionalProminence(Prominence(3, exponent)), random_bids(8, 3)
    for i in range(3):
        torch.testing.assert_close(rule(bids).payments[:, i], by_trapezoids(rule, bids, i), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("bidders", "exponent"), [(1, 0.5), (2, 0.25), (4, 0.5)])
def test_on_prominence_truth_is_dominant(bidders: int, exponent: float) -> None:
    place = Prominence(bidders, exponent)
    rule = ProportionalProminence(place)
    assert rule.dsic_proof(place)
    assert rule.dsic_proof(Prominence(bidders, exponent))  # equal by what it holds
    assert rule.dsic_proof(Prominence(bidders, 0.9)) is None
    assert ex_post_regret(rule, place, random_bids(4, bidders), budget=128, bounds=SEARCHED).max <= 1e-9
    claims = {"dsic": True, "individually_rational": True, "anonymous": True}
    for check in mechanism_checks(rule, place, examples=3, **claims):
        check()


def test_without_rivals_all_is_free() -> None:
    alone = torch.tensor([[[0.5], [0.0], [0.0]], [[0.0], [0.0], [0.0]]], dtype=F64)
    outcome = ProportionalProminence(Prominence(3, 0.5))(alone)
    assert outcome.allocation.squeeze(2).tolist() == [[1, 0, 0], [0, 0, 0]]
    assert float(outcome.payments.abs().max()) == 0
    extreme = torch.tensor([[[3e38], [1e-300], [0.0]]], dtype=F64)
    assert bool(ProportionalProminence(Prominence(3, 0.5))(extreme).payments.isfinite().all())


def test_on_a_range_shares_are_a_mixture_and_the_curve_bends_at_a_half() -> None:
    """Worths .8 and .4, together .6 and .3; at bids (.25, 1) the scores are .2 and .4, the shares ⅓ and ⅔."""
    view, shown = isolated([0.8, 0.4], {(0, 1): [0.6, 0.3]})
    rule = ProportionalProminence(view, shown)
    bids = torch.tensor([[[0.25], [1.0]]], dtype=F64)
    outcome = rule(bids)
    torch.testing.assert_close(outcome.allocation[0], torch.tensor([0, 0, 1 / 3, 2 / 3], dtype=F64), check_dtype=True)
    torch.testing.assert_close(view.exposure(outcome.allocation).flatten(), torch.tensor([0.4, 1 / 3], dtype=F64))
    # bidder 1 below a half: slope 1.2 by its share x = s/(s + .5), so ∫ s de = 1.2 · .5 · (log 1.5 − ⅓)
    assert float(outcome.payments[0, 0]) == pytest.approx(0.6 * (torch.tensor(1.5, dtype=F64).log() - 1 / 3))
    for i in range(2):
        torch.testing.assert_close(outcome.payments[:, i], by_trapezoids(rule, bids, i), atol=1e-7, rtol=0)


@pytest.mark.parametrize("bidders", [1, 2, 3])
def test_on_a_range_without_crosstalk_truth_is_dominant(bidders: int) -> None:
    everybody = {tuple(range(bidders)): [0.5, 0.25, 0.3][:bidders]} if bidders > 1 else {}
    view, shown = isolated([0.75, 0.25, 0.5][:bidders], everybody)
    rule, bids = ProportionalProminence(view, shown), random_bids(6, bidders)
    assert shown.isolates(view)
    assert rule.rises
    assert rule.dsic_proof(view)
    assert ex_post_regret(rule, view, bids, budget=128, bounds=SEARCHED).max <= 1e-12
    for i in range(bidders):
        torch.testing.assert_close(rule(bids).payments[:, i], by_trapezoids(rule, bids, i), atol=1e-6, rtol=0)


def test_crosstalk_that_rises_is_charged_in_full_and_keeps_the_proof() -> None:
    exposures = torch.tensor([[0.05, 0.1], [0.8, 0.15], [0.2, 0.6], [0.6, 0.4]], dtype=F64)
    view = Randomised(ShownList(levels_of(2, 1), exposures, torch.zeros(4)))
    rule = ProportionalProminence(view, showings(view, 0))
    assert rule.dsic_proof(view)
    assert ex_post_regret(rule, view, random_bids(6, 2), budget=128, bounds=SEARCHED).max <= 1e-12
    for check in mechanism_checks(rule, view, dsic=True, individually_rational=True, examples=3):
        check()


@pytest.mark.parametrize(
    ("exposures", "falls"),
    [
        ([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5], [0.75, 0.25]], True),  # together beats alone
        ([[0.0, 0.0], [0.5, 0.0], [0.375, 0.5], [0.25, 0.25]], True),  # the rival's ad brings more than both
        ([[0.75, 0.0], [0.5, 0.0], [0.0, 0.5], [0.25, 0.25]], True),  # being shown brings less than nobody's ad
        ([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5], [0.5, 0.25]], False),
    ],
)
def test_where_a_curve_falls_nothing_is_proved_and_charges_stay_in_bounds(
    exposures: list[list[float]], falls: bool
) -> None:
    view = Randomised(ShownList(levels_of(2, 1), torch.tensor(exposures), torch.zeros(4)))
    rule, bids = ProportionalProminence(view, showings(view, 0)), random_bids(64, 2)
    assert (rule.dsic_proof(view) is None) == (not rule.rises) == falls
    outcome = rule(bids)
    worth = (bids * view.exposure(outcome.allocation)).sum(2)
    assert bool((outcome.payments >= 0).all())
    assert bool((outcome.payments <= worth + 1e-12).all())
    regret = ex_post_regret(rule, view, bids, budget=128, bounds=SEARCHED).max
    assert regret > 0.01 if falls else regret <= 1e-12


def test_whoever_is_not_worth_showing_is_not_shown_and_takes_no_proof() -> None:
    """The second brand has no exposure alone; together would fall for the first, but never comes."""
    exposures = torch.tensor([[0.0, 0.0], [0.5, 0.0], [0.0, 0.0], [0.75, 0.25]], dtype=F64)
    view = Randomised(ShownList(levels_of(2, 1), exposures, torch.zeros(4)))
    rule, bids = ProportionalProminence(view, showings(view, 0)), random_bids(16, 2)
    assert rule.dsic_proof(view)
    assert float(rule(bids).allocation[:, 2:].max()) == 0
    assert ex_post_regret(rule, view, bids, budget=64, bounds=SEARCHED).max == 0


def test_a_fall_by_rounding_is_level() -> None:
    exposures = torch.tensor([[0.0, 0.0], [0.3, 0.0], [0.0, 0.2], [0.3 + 1e-16, 0.2]], dtype=F64)
    assert float(exposures[3, 0]) > 0.3
    view = Randomised(ShownList(levels_of(2, 1), exposures, torch.zeros(4)))
    assert ProportionalProminence(view, showings(view, 0)).rises


@pytest.mark.parametrize("seed", range(6))
def test_the_rule_about_rising_curves_is_that_of_a_grid(seed: int) -> None:
    view = Randomised(shown_list(seed, bidders=3))
    rule = ProportionalProminence(view, showings(view, 0))
    generator = torch.Generator().manual_seed(seed)
    rivals = torch.rand(400, 3, 1, generator=generator, dtype=F64) ** 4
    rivals[:40, 1] = 0.0
    own = torch.linspace(0, 4, 81, dtype=F64)
    rising = True
    for i in range(3):
        bids = rivals.repeat_interleave(81, 0)
        bids[:, i, 0] = own.repeat(400)
        exposure = view.exposure(rule(bids).allocation)[:, i].view(400, 81)
        rising &= bool((exposure.diff(dim=1) >= -1e-12).all())
    assert rule.rises == rising


def test_contexts_are_charged_by_their_own_curves_and_designs_come_back(tmp_path: Path) -> None:
    view = Randomised(shown_list(1, bidders=2, strengths=2, contexts=2))
    assert entry("proportional-prominence").knobs_on(view) == {"strength": (0.0, 1.0)}
    rule = design("proportional-prominence", view, Uniform(0, 1))
    bids = random_bids(8, 2)
    there = [rule(bids, torch.full((8,), k)) for k in range(2)]
    assert torch.equal(there[0].allocation, there[1].allocation)
    assert not torch.equal(there[0].payments, there[1].payments)
    assert torch.equal(rule(bids[3:4], torch.tensor([1])).payments, there[1].payments[3:4])
    save_mechanism(rule, tmp_path / "rule")
    again = load_mechanism(tmp_path / "rule", view)
    assert torch.equal(again(bids).payments, rule(bids).payments)


def test_what_it_cannot_share_is_refused() -> None:
    view, shown = isolated([0.5, 0.5, 0.5], {(0, 1): [0.25, 0.25]})
    with pytest.raises(ValueError, match=r"no entry of the range shows the bidders \[0, 1, 2\] together"):
        ProportionalProminence(view, shown)
    assert "shows each alone and all together" in str(entry("proportional-prominence").refusal(view))
    with pytest.raises(ValueError, match="pass the showings"):
        ProportionalProminence(view)
    with pytest.raises(ValueError, match="pass no showings"):
        ProportionalProminence(Prominence(3), shown)
    with pytest.raises(ValueError, match=r"entries 0 … 4 of the range, got 9"):
        ProportionalProminence(view, Showings(0, (1, 2, 9), {}))
    with pytest.raises(TypeError):  # under test the type checker speaks first
        ProportionalProminence(Items(2))
    with pytest.raises(ValueError, match="feature_0, feature_1"):
        ProportionalProminence(Lottery(torch.rand(3, 1, 2), torch.zeros(3)), Showings(0, (1,), {}))
