"""Charges per mention that is made: the expectation of the rule's payments, and nobody loses whatever is drawn."""

from pathlib import Path

import pytest
import torch
from finite_list import FiniteList, quarter_list
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_fakes import fake_surface
from torch import Tensor

from auctionsim.claims import declared
from auctionsim.mechanisms import (
    VCG,
    AllPay,
    BayesianMenu,
    DeliveredVCG,
    FirstPrice,
    KLTilt,
    Menu,
    MenuAuction,
    PayAsBid,
    PerMention,
    RobustOptimum,
    SecondPrice,
    VirtualWelfareMaximizer,
    design,
    load_mechanism,
    save_mechanism,
)
from auctionsim.metrics import utility
from auctionsim.priors import Uniform
from auctionsim.regret import deployed_regret, ex_post_regret
from auctionsim.substrates import Items, Lottery, QuadraticSubstrate, Randomised
from auctionsim.substrates.estimates import Estimation
from auctionsim.testing import check_mechanism

F64, U = torch.float64, Uniform(0, 1)


def lists(seed: int, bidders: int, features: int = 1, factor: Tensor | None = None) -> tuple[FiniteList, FiniteList]:
    """Return estimates and what is delivered on one list: anything else, or each bidder's estimates by a factor."""
    generator = torch.Generator().manual_seed(seed)
    guess = torch.rand(1, 6, bidders, features, generator=generator, dtype=F64)
    truth = torch.rand(1, 6, bidders, features, generator=generator, dtype=F64)
    if factor is not None:
        truth = guess * factor.view(1, 1, -1, 1)
    losses = torch.rand(1, 6, generator=generator, dtype=F64)
    losses[:, 0] = 0
    return FiniteList(guess, losses), FiniteList(truth, losses)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 3))
def test_nobody_loses_and_a_share_of_the_bid_is_charged(seed: int, bidders: int, features: int) -> None:
    estimates, truth = lists(seed, bidders, features)
    values = torch.rand(20, bidders, features, generator=torch.Generator().manual_seed(seed), dtype=F64)
    base = VCG(estimates, 0.3)
    rule = PerMention(base).delivered(truth)
    outcome, expected = rule(values), base(values)
    assert torch.equal(outcome.allocation, expected.allocation)
    assert float(utility(outcome, truth, values).min()) >= -1e-12
    assert float(outcome.payments.min()) >= 0
    for row in range(20):
        for i in range(bidders):
            priced = float((values[row, i] * estimates.exposure(outcome.allocation)[row, i]).sum())
            given_ = float((values[row, i] * truth.exposure(outcome.allocation)[row, i]).sum())
            share = float(expected.payments[row, i]) / priced if priced > 0 else 0.0
            assert float(outcome.payments[row, i]) == pytest.approx(share * given_, abs=1e-12)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_errors_by_a_factor_cost_no_truth(seed: int, bidders: int) -> None:
    """u_i = r_i (v_i ê_i − t_i): truthful where charges on estimates are not."""
    factor = 0.25 + 2 * torch.rand(bidders, generator=torch.Generator().manual_seed(seed), dtype=F64)
    estimates, truth = lists(seed, bidders, 1, factor)
    values = torch.rand(12, bidders, 1, generator=torch.Generator().manual_seed(seed), dtype=F64)
    for base in (VCG(estimates, 0.3), VirtualWelfareMaximizer(estimates, U, 0.3)):
        regret = ex_post_regret(PerMention(base).delivered(truth), truth, values, high=1.0)
        assert regret.method.startswith("exact")
        assert regret.max <= 1e-9


def test_it_is_the_rule_where_its_estimates_are_delivered() -> None:
    place = quarter_list(3, bidders=2, entries=6, contexts=2)
    rule = PerMention(VirtualWelfareMaximizer(place, U, 0.25))
    check_mechanism(rule, place, dsic=True, individually_rational=True, examples=4)
    assert "Myerson" in str(rule.dsic_proof(place))
    assert rule.delivered(place).dsic_proof(place) is None  # claimed where nothing is charged anew
    bids, context = torch.rand(30, 2, 1, generator=torch.Generator().manual_seed(0), dtype=F64), torch.arange(30) % 2
    again = rule.delivered(place)(bids, context)
    torch.testing.assert_close(again.payments, rule(bids, context).payments, atol=1e-12, rtol=0)


def test_in_every_draw_of_a_lottery_nobody_loses_and_the_mean_is_the_payment() -> None:
    lottery = Lottery(torch.rand(5, 2, 1, generator=torch.Generator().manual_seed(0)), torch.zeros(5))
    for base in (KLTilt(lottery, 0.3), VCG(lottery, 0.0)):
        rule = PerMention(base)
        bids = torch.rand(12, 2, 1, generator=torch.Generator().manual_seed(1), dtype=F64)
        outcome = rule(bids)
        drawn = rule.drawn_payments(bids, outcome)
        assert drawn is not None
        mean = (outcome.allocation.unsqueeze(2) * drawn).sum(1)
        torch.testing.assert_close(mean, outcome.payments, atol=1e-12, rtol=0)
        worth = bids[:, None, :, 0] * lottery.exposures[None, :, :, 0]
        assert bool((drawn <= worth + 1e-12).all())
        assert base.drawn_payments(bids, outcome) is None
    in_contexts = Randomised(quarter_list(4, bidders=2, entries=4, contexts=2), torch.tensor([0.4, 0.3, 0.2, 0.1]))
    rule, context = PerMention(KLTilt(in_contexts, 0.3)), torch.tensor([0, 1, 1])
    bids = torch.full((3, 2, 1), 0.6, dtype=F64)
    outcome = rule(bids, context)
    drawn = rule.drawn_payments(bids, outcome, context)
    assert drawn is not None
    torch.testing.assert_close((outcome.allocation.unsqueeze(2) * drawn).sum(1), outcome.payments, atol=1e-12, rtol=0)


def test_realised_mentions_have_the_payment_as_their_mean() -> None:
    place = quarter_list(8, bidders=2, entries=6)
    place.exposures = place.exposures.clamp_max(1)
    rule = PerMention(VCG(place, 0.1))
    bids = torch.rand(4, 2, 1, generator=torch.Generator().manual_seed(2), dtype=F64)
    outcome, prices = rule(bids), rule.prices(bids)
    chance = place.exposure(outcome.allocation)
    draws = 40_000
    mentions = (
        torch.rand(draws, *chance.shape, generator=torch.Generator().manual_seed(3), dtype=F64) < chance
    ).double()
    charged = (prices * mentions).sum(3)
    assert bool((charged <= (bids * mentions).sum(3) + 1e-12).all())
    reach = 5 * charged.std(0) / draws**0.5 + 1e-12
    assert bool(((charged.mean(0) - outcome.payments).abs() <= reach).all())


def test_rules_that_charge_more_than_the_bid_is_worth_are_refused() -> None:
    bids = torch.tensor([[[0.5], [0.75]]], dtype=F64)
    with pytest.raises(NotImplementedError, match=r"AllPay charges bidder 0 0\.5, and 0 is what it bids for"):
        PerMention(AllPay())(bids)
    place, paid = lists(1, 2)
    with pytest.raises(NotImplementedError, match="DeliveredVCG charges bidder"):
        PerMention(DeliveredVCG(place).delivered(FiniteList(5 * paid.exposures, paid.losses)))(bids.repeat(1, 1, 1))
    quadratic = QuadraticSubstrate(2, 0.5)
    dear = MenuAuction(quadratic, Menu(torch.ones(2, 1, 1), torch.tensor([[0.45], [0.45]])))
    with pytest.raises(NotImplementedError, match="MenuAuction charges bidder"):
        PerMention(dear)(torch.tensor([[[0.5], [0.5]]]))
    for base in (FirstPrice(), SecondPrice(), PayAsBid(Items(2))):
        torch.testing.assert_close(PerMention(base)(bids).payments, base(bids).payments)


def test_a_threat_to_whoever_bids_below_the_support_is_priced_at_its_start() -> None:
    """Both brands are named by the one reply that there is: a bid of 0 is charged 1 a unit, which no type of U[1, 2]
    minds."""
    both = Lottery(torch.ones(1, 2, 1), torch.zeros(1))
    base = VirtualWelfareMaximizer(both, Uniform(1, 2))
    bids = torch.tensor([[[0.5], [1.5]]], dtype=F64)
    assert base(bids).payments.tolist() == [[1.0, 1.0]]
    assert PerMention(base).prices(bids).flatten().tolist() == [1.0, 1.0]


def test_estimates_that_a_rule_charges_for_are_what_its_price_is_of() -> None:
    view = fake_surface(2).sell("hits")
    inner = RobustOptimum(view, U, 0.3, Estimation("lower", 0.5))
    bids = torch.rand(16, 2, 1, generator=torch.Generator().manual_seed(0), dtype=F64)
    context = torch.arange(16) % 3
    outcome = PerMention(inner).delivered(view)(bids, context)
    low = inner.estimates.exposure(outcome.allocation, context)[..., 0]
    price = torch.where(low > 0, inner(bids, context).payments / low.clamp_min(1e-12), 0.0)
    wanted = price * view.exposure(outcome.allocation, context)[..., 0]
    torch.testing.assert_close(outcome.payments, wanted, atol=1e-12, rtol=1e-9)


def test_deployed_regret_charges_where_it_is_used() -> None:
    estimates, truth = lists(5, 2)
    values = torch.rand(32, 2, 1, generator=torch.Generator().manual_seed(0), dtype=F64)
    rule = PerMention(VCG(estimates, 0.2))
    measured = deployed_regret(rule, estimates, truth, values, high=1.0)
    direct = ex_post_regret(rule.delivered(truth), truth, values, high=1.0)
    assert torch.equal(measured.deployed.lower, direct.lower)
    assert measured.designed.max <= 1e-9


@pytest.mark.parametrize("name", ["optimum-per-mention", "vcg-per-mention"])
def test_it_comes_back_from_a_file(name: str, tmp_path: Path) -> None:
    place = quarter_list(3, bidders=2, entries=6)
    rule = design(name, place, U, 0.25)
    save_mechanism(rule, tmp_path / "rule")
    assert isinstance(load_mechanism(tmp_path / "rule", place), PerMention)
    with pytest.raises(TypeError, match="has a file form where"):
        save_mechanism(rule.delivered(place), tmp_path / "other")
    assert declared(rule, "draws", False) is False
    with pytest.raises(ValueError, match="what is delivered must fit the rule"):
        rule.delivered(Items(3))


def test_an_entry_of_a_bayesian_menu_is_priced_by_its_expected_exposure() -> None:
    """So the mean over rivals is the entry's price, and the realised exposure costs no more than it is worth."""
    place = QuadraticSubstrate(2, 0.5)
    base = BayesianMenu(place, U, Menu(torch.ones(2, 1, 1), torch.tensor([[0.25], [0.5]])))
    rule = PerMention(base).delivered(place)
    grid = (torch.arange(200, dtype=F64) + 0.5) / 200
    bids = torch.stack([torch.full((200,), 0.9, dtype=F64), grid], 1).unsqueeze(2)
    outcome = rule(bids)
    assert float(utility(outcome, place, bids).min()) >= -1e-12
    assert float(outcome.payments[:, 0].mean()) == pytest.approx(0.25, abs=0.002)  # over rivals on a grid of 200
    price = 0.25 / float(base.expected[0, 0, 1])
    torch.testing.assert_close(rule.prices(bids)[:, 0, 0], torch.full((200,), price, dtype=F64))
    assert float(utility(base(bids), place, bids).min()) < -0.01  # at the menu's prices a bidder may lose
    assert ex_post_regret(rule, place, bids[:8], high=1.0).method.startswith("exact")
