"""The token auction on replies of mixed tokens, where all is exact, and on showings."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_fakes import fake_subsets
from shown_list import isolated, shown_list
from torch import Tensor

from auctionsim.mechanisms import TokenSecondPrice, design, load_mechanism, save_mechanism
from auctionsim.mechanisms.showings import Showings, showings
from auctionsim.mechanisms.shown_shares import exposes_by_shares, shares_of_showings
from auctionsim.mechanisms.token_second_price import share_charges
from auctionsim.priors import Uniform
from auctionsim.regret import BoundSettings, ex_post_regret
from auctionsim.substrates import Items, Randomised, TokenMixtureReplies
from auctionsim.testing import check_mechanism, check_substrate

F64 = torch.float64
LAWS = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], dtype=F64)
OWN = torch.tensor([0.4, 0.4, 0.2], dtype=F64)
BIDS = torch.tensor([[[2.0], [1.0]]], dtype=F64)
SEARCH = BoundSettings(use_structure=False)


def random_laws(seed: int, bidders: int, tokens: int) -> Tensor:
    laws = 0.05 + torch.rand(bidders, tokens, generator=torch.Generator().manual_seed(seed), dtype=F64)
    return laws / laws.sum(1, keepdim=True)


def test_the_linear_mixture_by_hand() -> None:
    """TV · [B ln(1 + b/B) − bB/(b + B)], TV(p_1, p_2) = .6; a charge is Myerson's for 1 − TV(q, p_i)."""
    place = TokenMixtureReplies(LAWS, OWN)
    rule = TokenSecondPrice(place)
    outcome = rule(BIDS)
    assert place.token_law(outcome.allocation)[0].tolist() == pytest.approx([0.5, 0.233333, 0.266667], abs=1e-6)
    assert outcome.payments[0].tolist() == pytest.approx([0.259167, 0.086558], abs=1e-6)
    assert float(outcome.payments[0, 0]) == pytest.approx(0.6 * (math.log(3) - 2 / 3))
    assert place.exposure(outcome.allocation)[0, :, 0].tolist() == pytest.approx([1 - 0.6 / 3, 1 - 0.6 * 2 / 3])
    twice = TokenSecondPrice(TokenMixtureReplies(LAWS, OWN, length=2))(BIDS)
    assert twice.payments[0].tolist() == pytest.approx([2 * 0.259167, 2 * 0.086558], abs=2e-6)  # charges in total


def test_the_log_linear_mixture_by_hand_is_not_monotone() -> None:
    place = TokenMixtureReplies(LAWS, OWN, "log-linear")
    law = place.token_law(TokenSecondPrice(place)(BIDS).allocation)
    assert law[0].tolist() == pytest.approx([0.471205, 0.294807, 0.233988], abs=1e-6)
    alike = torch.tensor([[0.6, 0.2, 0.2], [0.2, 0.2, 0.6]], dtype=F64)
    half = TokenMixtureReplies(alike, OWN, "log-linear").token_law(torch.full((1, 2, 1), 0.5, dtype=F64))
    assert float(half[0, 1]) == pytest.approx(0.224009, abs=5e-7)  # above .2, what both laws give it


def test_truth_is_dominant_for_nearness_in_a_reply_of_one_token_only() -> None:
    place = TokenMixtureReplies(LAWS, OWN)
    rule = TokenSecondPrice(place)
    assert rule.dsic_proof(place) is not None
    values = torch.rand(20, 2, 1, generator=torch.Generator().manual_seed(0), dtype=F64)
    assert ex_post_regret(rule, place, values, budget=256, bounds=SEARCH).max <= 1e-9
    for other in (
        TokenMixtureReplies(LAWS, OWN, "log-linear"),
        TokenMixtureReplies(LAWS, OWN, length=2),
        TokenMixtureReplies(LAWS, OWN, sold="named", tokens=((0,), (2,))),
    ):
        assert TokenSecondPrice(other).dsic_proof(other) is None
        assert rule.dsic_proof(other) is None
    longer = TokenMixtureReplies(LAWS, OWN, length=3)
    found = ex_post_regret(TokenSecondPrice(longer), longer, values, budget=256)
    assert found.max > 1e-3  # nearness of whole replies is no sum over tokens


def test_truth_is_not_dominant_for_being_named() -> None:
    """Bidder 2 sells token 3 at v = 1: its share is worth .5 a unit and charged at TV = .6, so it bids 5/6."""
    place = TokenMixtureReplies(LAWS, OWN, sold="named", tokens=((0,), (2,)))
    found = ex_post_regret(TokenSecondPrice(place), place, BIDS, budget=2000)
    assert float(found.lower[0, 1]) == pytest.approx(0.001923, abs=1e-6)
    assert float(found.best_misreports[0, 1]) == pytest.approx(5 / 6, abs=1e-3)
    longer = TokenMixtureReplies(LAWS, OWN, sold="named", tokens=((0,), (2,)), length=3)
    assert ex_post_regret(TokenSecondPrice(longer), longer, BIDS, budget=512).max > 0.1


def test_a_brand_may_be_named_less_for_a_higher_bid() -> None:
    """Bidder 1's own law gives token 2 less than bidder 2's does."""
    place = TokenMixtureReplies(LAWS, OWN, sold="named", tokens=((1,), (2,)))
    bids = torch.tensor([[[0.5], [1.0]], [[1.0], [1.0]], [[2.0], [1.0]]], dtype=F64)
    named = place.exposure(TokenSecondPrice(place)(bids).allocation)[:, 0, 0]
    assert named.tolist() == sorted(named.tolist(), reverse=True)
    assert float(named[0] - named[2]) > 0.03


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from(["linear", "log-linear"]))
def test_charges_integrate_the_total_variation_that_a_bid_moves(seed: int, bidders: int, mixture: str) -> None:
    place = TokenMixtureReplies(random_laws(seed, bidders, 4), random_laws(seed + 1, 1, 4)[0], mixture)
    rule = TokenSecondPrice(place)
    bids = torch.rand(2, bidders, 1, generator=torch.Generator().manual_seed(seed), dtype=F64) + 0.1
    outcome = rule(bids)
    final = place.token_law(outcome.allocation)
    steps = (torch.arange(4000, dtype=F64) + 0.5) / 4000
    for i in range(bidders):
        many = bids.repeat_interleave(4000, 0)
        many[:, i, 0] *= steps.repeat(2)
        moved = (place.token_law(rule(many).allocation).view(2, 4000, 4) - final.unsqueeze(1)).abs().sum(2) / 2
        torch.testing.assert_close(outcome.payments[:, i], bids[:, i, 0] * moved.mean(1), atol=2e-4, rtol=0)


def test_share_charges_hold_at_the_ends() -> None:
    bids = torch.tensor([[0.0, 1.0, 1e30, 1e-30, 1.0]], dtype=F64)
    others = torch.tensor([[1.0, 0.0, 1e-30, 1e30, 1e-9]], dtype=F64)
    charged = share_charges(bids, others)[0]
    assert bool(torch.isfinite(charged).all())
    assert charged[:4].tolist() == [0, 0, 0, 0]
    assert float(charged[4]) == pytest.approx(1e-9 * (math.log(1e9) - 1), rel=1e-3)


def test_replies_conform_and_refuse() -> None:
    for place in (
        TokenMixtureReplies(LAWS, OWN),
        TokenMixtureReplies(LAWS, OWN, "log-linear", length=2),
        TokenMixtureReplies(LAWS, OWN, sold="named", tokens=((0,), (1, 2)), length=3),
    ):
        check_substrate(place, examples=4)
        check_mechanism(
            TokenSecondPrice(place), place, dsic=False, individually_rational=place.features == ("match",), examples=2
        )
    check_mechanism(
        TokenSecondPrice(TokenMixtureReplies(LAWS, OWN)),
        TokenMixtureReplies(LAWS, OWN),
        dsic=True,
        individually_rational=True,
        examples=3,
    )
    for laws in (LAWS * 0.5, torch.tensor([[1.0, 0.0, 0.0]]), LAWS[0]):
        with pytest.raises(ValueError, match="laws must be positive probabilities"):
            TokenMixtureReplies(laws, OWN)
    with pytest.raises(ValueError, match="more than 4096"):
        TokenMixtureReplies(LAWS, OWN, length=8)
    with pytest.raises(ValueError, match="tokens must name 2 bidders"):
        TokenMixtureReplies(LAWS, OWN, sold="named")
    with pytest.raises(ValueError, match="mixture must be one of"):
        TokenMixtureReplies(LAWS, OWN, "mean")


@given(st.integers(0, 10**6), st.integers(1, 4))
def test_showings_by_shares_give_each_bidder_its_share(seed: int, bidders: int) -> None:
    view = Randomised(shown_list(seed, bidders))
    shown = showings(view, 0)
    weights = torch.randint(0, 5, (6, bidders + 1), generator=torch.Generator().manual_seed(seed)).double()
    weights[:, -1] += 1
    shares = (weights / weights.sum(1, keepdim=True))[:, :-1]
    mixed = shares_of_showings(shares, shown, len(view.reference))
    assert bool(view.feasible(mixed).all())
    given_ = torch.zeros_like(shares)
    for i, own in enumerate(shown.alone):
        given_[:, i] += mixed[:, own]
    for members, entry in shown.together.items():
        for i in members:
            given_[:, i] += mixed[:, entry] / len(members)
    torch.testing.assert_close(given_, shares)
    torch.testing.assert_close(mixed[:, shown.nobody], 1 - shares.sum(1), atol=1e-12, rtol=0)


def test_two_thirds_and_a_third_are_both_in_two_thirds_and_the_first_alone_in_a_third() -> None:
    view, shown = isolated([1.0, 1.0], {(0, 1): [0.5, 0.5]})
    rule = TokenSecondPrice(view, shown)
    outcome = rule(BIDS)
    assert outcome.allocation[0].tolist() == pytest.approx([0, 1 / 3, 0, 2 / 3])
    assert outcome.payments[0].tolist() == pytest.approx([0.259167 / 0.6, 0.086558 / 0.6], abs=1e-5)
    assert rule(BIDS * 0).allocation[0].tolist() == [1, 0, 0, 0]
    scaled, same = isolated([0.5, 0.25], {(0, 1): [0.25, 0.125]})
    half = TokenSecondPrice(scaled, same)(BIDS)
    assert half.payments[0].tolist() == pytest.approx([0.5 * 0.259167 / 0.6, 0.25 * 0.086558 / 0.6], abs=1e-5)


def test_a_list_is_truthful_where_exposure_goes_by_shares_and_has_no_proof_elsewhere() -> None:
    view, shown = isolated([0.5, 0.25], {(0, 1): [0.25, 0.125]})
    assert exposes_by_shares(shown, view)
    rule = TokenSecondPrice(view, shown)
    assert rule.dsic_proof(view) is not None
    check_mechanism(rule, view, dsic=True, individually_rational=True, examples=3)
    crowded, sets = isolated([0.5, 0.25], {(0, 1): [0.5, 0.125]})
    assert TokenSecondPrice(crowded, sets).dsic_proof(crowded) is None
    measured = Randomised(fake_subsets(3).sell("hits"))
    other = TokenSecondPrice(measured, showings(measured, 0))
    assert other.dsic_proof(measured) is None
    check_mechanism(other, measured, dsic=False, individually_rational=False, examples=2)


def test_what_it_cannot_run_on_is_refused() -> None:
    view, shown = isolated([0.5, 0.25, 0.5], {(0, 1, 2): [0.25, 0.125, 0.25]})
    with pytest.raises(ValueError, match="each set of 3 bidders must be shown"):
        TokenSecondPrice(view, shown)
    with pytest.raises(ValueError, match="needs its showings"):
        TokenSecondPrice(view)
    with pytest.raises(ValueError, match="no entries that showings could name"):
        TokenSecondPrice(TokenMixtureReplies(LAWS, OWN), Showings(0, (1, 2), {}))
    with pytest.raises(TypeError):
        TokenSecondPrice(Items(2))


def test_the_table_designs_it_on_replies_of_mixed_tokens_and_files_bring_it_back(tmp_path: Path) -> None:
    place = TokenMixtureReplies(LAWS, OWN)
    rule = design("token-second-price", place, Uniform(0, 1))
    save_mechanism(rule, tmp_path / "rule")
    assert torch.equal(load_mechanism(tmp_path / "rule", place)(BIDS).payments, TokenSecondPrice(place)(BIDS).payments)
    with pytest.raises(ValueError, match="token-second-price needs replies of mixed tokens"):
        design("token-second-price", Items(2), Uniform(0, 1))
