"""Tilts on lists: a first price, a reference that spreads over showings, and the posterior mixture."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_fakes import fake_subsets
from shown_list import ShownList, isolated, shown_list
from torch import Tensor

from auctionsim.mechanisms import KLTilt, PosteriorMixtureAuction, TiltFirstPrice, load_mechanism, save_mechanism
from auctionsim.mechanisms.kl_tilt import OWN_REFERENCE, spread_reference
from auctionsim.mechanisms.showings import Showings, showings
from auctionsim.mechanisms.table import Problem, entry
from auctionsim.mechanisms.tuned import tuned
from auctionsim.priors import Uniform
from auctionsim.regret import ex_post_regret
from auctionsim.substrates import Lottery, Randomised
from auctionsim.testing import check_mechanism

F64 = torch.float64
ONE_NAMING = Lottery(torch.tensor([[[1.0]], [[0.0]]]), torch.zeros(2))
SURE = Randomised(fake_subsets(2).sell("hits"))


def drawn_bids(seed: int, rows: int, bidders: int) -> Tensor:
    return torch.rand(rows, bidders, 1, generator=torch.Generator().manual_seed(seed), dtype=F64)


def test_a_first_price_on_a_tilt_is_shaded() -> None:
    """P_0 = .5, τ = .25, v = 1: the best bid solves (1 − b)(1 − P(b)) = τ."""
    rule = TiltFirstPrice(ONE_NAMING, 0.25)
    found = ex_post_regret(rule, ONE_NAMING, torch.ones(1, 1, 1, dtype=F64), budget=2000)
    assert float(found.best_misreports) == pytest.approx(0.198015, abs=1e-5)
    assert found.max == pytest.approx(0.551985, abs=1e-6)
    assert found.upper is None
    assert rule.dsic_proof(ONE_NAMING) is None
    bid = float(found.best_misreports)
    chance = 1 / (1 + math.exp(-bid / 0.25))
    assert (1 - bid) * (1 - chance) == pytest.approx(0.25, abs=1e-5)


def test_a_first_price_allocates_as_the_tilt_and_charges_bids_in_every_draw() -> None:
    view = Randomised(fake_subsets(2).sell("hits"), torch.full((4,), 0.25))
    bids, context = drawn_bids(0, 9, 2), torch.arange(9) % len(view.contexts)
    rule = TiltFirstPrice(view, 0.2, user_weight=0.5)
    for where in (None, context):
        outcome = rule(bids, where)
        assert torch.equal(outcome.allocation, KLTilt(view, 0.2, user_weight=0.5)(bids, where).allocation)
        exposure = view.exposure(outcome.allocation, where)
        torch.testing.assert_close(outcome.payments, (bids * exposure).sum(2))
        drawn = rule.drawn_payments(bids, outcome, where)
        torch.testing.assert_close(torch.einsum("by,byi->bi", outcome.allocation, drawn), outcome.payments)
        for entry_ in range(4):
            sure = torch.eye(4, dtype=F64)[entry_].expand(9, -1)
            torch.testing.assert_close(drawn[:, entry_], (bids * view.exposure(sure, where)).sum(2))


def test_first_price_conforms() -> None:
    check_mechanism(TiltFirstPrice(ONE_NAMING, 0.25), ONE_NAMING, dsic=False, individually_rational=True, examples=4)


def test_a_reference_that_is_sure_of_the_null_sells_nothing_and_one_that_spreads_does() -> None:
    bids = drawn_bids(1, 20, 2)
    nothing = KLTilt(SURE, 0.1)(bids)
    assert torch.equal(nothing.allocation, SURE.null_allocation(20, dtype=F64))
    assert float(nothing.payments.abs().max()) == 0
    shown = showings(SURE, 0)
    reference = spread_reference(SURE, 0, 0.75)
    assert reference.tolist() == [0.25] * 4
    rule = KLTilt(SURE, 0.1, reference=reference)
    outcome = rule(bids)
    assert float(outcome.payments.min()) > 0
    assert rule(bids * 0).allocation[0].tolist() == pytest.approx([0.25] * 4)
    assert rule.dsic_proof(SURE) is not None  # a reference is no part of what is sold
    assert shown.nobody == 0
    check_mechanism(rule, SURE, dsic=True, individually_rational=True, examples=3)


@given(st.integers(0, 10**6), st.integers(0, 2), st.sampled_from([0.05, 0.5, 0.9]))
def test_a_reference_shows_nobody_but_in_a_share_of_replies(seed: int, strength: int, spread: float) -> None:
    view = Randomised(shown_list(seed, 2, strengths=3))
    shown = showings(view, strength)
    reference = spread_reference(view, strength, spread)
    entries = [*shown.alone, *shown.together.values()]
    assert reference.nonzero().flatten().tolist() == sorted([shown.nobody, *entries])
    assert reference[shown.nobody] == 1 - spread
    assert reference[entries].tolist() == [spread / len(entries)] * len(entries)


def test_a_reference_must_show_somebody_and_nobody() -> None:
    for wrong in (0.0, 1.0, 1.5):
        with pytest.raises(ValueError, match="spread must be a share between 0 and 1"):
            spread_reference(SURE, 0, wrong)


@pytest.mark.parametrize("name", ["kl-tilt", "tilt-first-price"])
def test_a_tilt_leans_from_a_spread_reference_on_a_list_and_from_its_own_on_a_lottery(name: str) -> None:
    lottery = Lottery(torch.eye(3)[:, 1:].unsqueeze(2), torch.zeros(3), torch.tensor([0.8, 0.15, 0.05], dtype=F64))
    plain = entry(name).designed(Problem(lottery, Uniform(0, 1)))
    assert isinstance(plain, KLTilt)
    assert plain.temperature == 0.1
    assert torch.equal(plain.reference, lottery.reference)
    assert tuned(entry(name), Problem(lottery, Uniform(0, 1)), profiles=8).tried == 5
    best = tuned(entry(name), Problem(SURE, Uniform(0, 1)), profiles=64)
    assert best.settings["strength"] != OWN_REFERENCE
    assert best.tried == 5 * 4
    assert isinstance(best.mechanism, KLTilt)
    assert float(best.mechanism(drawn_bids(2, 9, 2)).payments.sum()) > 0


def test_a_tilt_keeps_its_reference_in_a_file(tmp_path: Path) -> None:
    for k, rule in enumerate([KLTilt(SURE, 0.1), TiltFirstPrice(SURE, 0.3, reference=spread_reference(SURE, 0, 0.5))]):
        save_mechanism(rule, tmp_path / str(k))
        loaded = load_mechanism(tmp_path / str(k), SURE)
        assert type(loaded) is type(rule)
        bids = drawn_bids(3, 5, 2)
        torch.testing.assert_close(loaded(bids).allocation, rule(bids).allocation, atol=1e-15, rtol=0)


def test_a_reference_must_be_a_distribution_over_the_range() -> None:
    for wrong in (torch.ones(4), torch.tensor([1.5, -0.5, 0.0, 0.0]), torch.tensor([0.5, 0.5])):
        with pytest.raises(ValueError, match="reference must be 4 probabilities"):
            KLTilt(SURE, 0.1, reference=wrong)


def test_a_tilt_over_the_pages_that_show_one_is_the_sampled_candidates_law() -> None:
    """π_ref = (.8, .15, .05), rewards 2 and 3, τ = 1: a tilt whose entries expose one bidder each is a posterior."""
    lottery = Lottery(torch.eye(3)[:, 1:].unsqueeze(2), torch.zeros(3), torch.tensor([0.8, 0.15, 0.05], dtype=F64))
    bids = torch.tensor([[[2.0], [3.0]]], dtype=F64)
    prior = torch.tensor([0.8, 0.15, 0.05], dtype=F64)
    rule = PosteriorMixtureAuction(lottery, Showings(0, (1, 2), {}), 1.0, prior)
    outcome = rule(bids)
    assert outcome.allocation[0].tolist() == pytest.approx([0.274665, 0.380535, 0.344800], abs=1e-6)
    assert outcome.payments[0].tolist() == pytest.approx([0.362031, 0.637449], abs=1e-6)
    tilt = KLTilt(lottery, 1.0)(bids)
    torch.testing.assert_close(outcome.payments, tilt.payments, atol=1e-12, rtol=0)
    assert rule.dsic_proof(lottery) is not None


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 3), st.sampled_from([0.02, 0.2, 2.0]))
def test_a_posterior_mixture_charges_the_integral_of_its_odds(seed: int, bidders: int, temperature: float) -> None:
    """t_i = b_i g_i x_i − g_i ∫_0^{b_i} x_i, by many small steps."""
    generator = torch.Generator().manual_seed(seed)
    view, shown = isolated(torch.rand(bidders, generator=generator).tolist(), {})
    rule = PosteriorMixtureAuction(view, shown, temperature)
    bids = drawn_bids(seed, 3, bidders)
    outcome = rule(bids)
    for i in range(bidders):
        ladder = torch.linspace(0, 1, 2001, dtype=F64)
        many = bids.repeat_interleave(2001, 0)
        many[:, i, 0] *= ladder.repeat(3)
        exposure = view.exposure(rule(many).allocation)[:, i, 0].view(3, 2001)
        integral = torch.trapezoid(exposure, bids[:, i] * ladder)
        torch.testing.assert_close(
            outcome.payments[:, i], bids[:, i, 0] * exposure[:, -1] - integral, atol=1e-5, rtol=1e-4
        )


def test_a_posterior_mixture_conforms_where_nothing_is_unpaid_and_has_no_proof_elsewhere() -> None:
    view, shown = isolated([0.75, 0.5], {(0, 1): [0.5, 0.25]})
    rule = PosteriorMixtureAuction(view, shown, 0.2)
    assert rule.dsic_proof(view) is not None
    check_mechanism(rule, view, dsic=True, individually_rational=True, examples=4)
    others = PosteriorMixtureAuction(SURE, showings(SURE, 0), 0.2)
    assert others.dsic_proof(SURE) is None  # organic exposure, and crosstalk
    check_mechanism(others, SURE, dsic=False, individually_rational=True, examples=3)
    for wrong in (torch.ones(3), torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.5, 0.5])):
        with pytest.raises(ValueError, match="prior must"):
            PosteriorMixtureAuction(view, shown, 0.2, wrong)
    with pytest.raises(ValueError, match="temperature must be finite and > 0"):
        PosteriorMixtureAuction(view, shown, 0.0)


def test_the_posterior_mixtures_proof_is_of_every_context() -> None:
    """Bidder 2 loses .2 in one context where bidder 1 is shown, and gets .2 in the other: on average nothing."""
    exposures = torch.tensor([[[0.0, 0.0], [0.5, 0.0], [0.0, 0.5]]] * 2, dtype=F64)
    levels = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    alone = Randomised(ShownList(levels, exposures, torch.zeros(2, 3)))
    assert PosteriorMixtureAuction(alone, showings(alone, 0), 0.1).dsic_proof(alone)
    exposures[:, 1, 1] = torch.tensor([-0.2, 0.2], dtype=F64)
    view = Randomised(ShownList(levels, exposures, torch.zeros(2, 3)))
    rule = PosteriorMixtureAuction(view, showings(view, 0), 0.1)
    assert rule.dsic_proof(view) is None
    bids, first = drawn_bids(3, 16, 2), torch.zeros(16, dtype=torch.int64)
    assert ex_post_regret(rule, view, bids, context=first, budget=64).max > 1e-4
