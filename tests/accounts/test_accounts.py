"""The account of one auction: its numbers are the rule's, its sentences add up, and nobody is told a false reason."""

import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_fakes import fake_surface
from torch import Tensor

from auctionsim import metrics
from auctionsim.accounts import auction_account
from auctionsim.errors import InputError
from auctionsim.mechanisms import (
    VCG,
    AffineMaximizer,
    FirstPrice,
    Mechanism,
    Menu,
    MenuAuction,
    PayAsBid,
    SecondPrice,
    VirtualWelfareMaximizer,
)
from auctionsim.mechanisms.price_case import PriceCase
from auctionsim.mechanisms.table import design
from auctionsim.outcome import Outcome
from auctionsim.priors import Uniform
from auctionsim.regret import ex_post_regret
from auctionsim.substrates import Items, QuadraticSubstrate, Randomised

NAMES = ("Nike", "Adidas")
SURFACE = fake_surface(2).sell("slot_probability")
GIVE = torch.cat([torch.zeros(1, 2, 1), torch.eye(2).unsqueeze(2)])
RULES = {
    "pay-as-bid": PayAsBid(SURFACE, 0.5),
    "vcg": VCG(SURFACE, 0.5),
    "optimum": VirtualWelfareMaximizer(SURFACE, Uniform(0, 1), 0.5),
    "affine": AffineMaximizer(
        SURFACE,
        SURFACE.finite_range().allocations,
        -0.5 * SURFACE.finite_range().user_losses[0],
        torch.tensor([1, 1.5]),
    ),
}


def money(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


quarters = st.integers(0, 8).map(lambda k: k / 4)


@given(st.sampled_from(list(RULES)), st.tuples(quarters, quarters), st.tuples(quarters, quarters), st.integers(0, 2))
@settings(max_examples=20, deadline=None)
def test_its_numbers_are_the_mechanisms(
    name: str, valuations: tuple[float, float], bids: tuple[float, float], context: int
) -> None:
    rule, context = RULES[name], min(context, len(SURFACE.contexts) - 1)
    told = auction_account(
        rule, SURFACE, money(*valuations), money(*bids), names=NAMES, user_weight=0.5, context=context, tried=5
    )
    row, where = money(*bids).view(1, 2, 1), torch.tensor([context])
    outcome = rule(row, where)
    utilities = metrics.utility(outcome, SURFACE, money(*valuations).view(1, 2, 1), where)[0]
    for i, one in enumerate(told.bidders):
        assert one.payment == float(outcome.payments[0, i])
        assert one.utility == pytest.approx(float(utilities[i]))
        assert one.levers == tuple(outcome.allocation[0, i].tolist())
        assert one.exposures[0] == pytest.approx(float(SURFACE.exposure(outcome.allocation, where)[0, i, 0]))
        assert one.misreports is not None
        assert one.misreports.utility == pytest.approx(one.utility)
        if valuations == bids:
            assert one.misreports.truth == pytest.approx(one.utility)
    assert told.objective == pytest.approx(told.revenue - 0.5 * told.user_loss)
    assert told.welfare == pytest.approx(sum(one.value for one in told.bidders))


NUMBER = r"−?\d+(?:\.\d+)?"


def product_of(term: str) -> float:
    """One term of a written sum: a number, a product or a fraction."""
    if "/" in term:
        above, below = map(float, term.split(" / "))
        return above / below
    return math.prod(map(float, term.split(" × ")))


def total_of(sentence: str) -> float:
    """What a price sentence adds up to at last; every sum in it holds by its own written amounts."""
    written = 0.0
    term = rf"{NUMBER}(?: [×/] {NUMBER})?"
    sums = re.findall(rf"({term}(?: [+−] {term})*) ([=≈]) ({NUMBER})", sentence)
    assert sums, sentence
    for parts, sign, total in sums:
        terms = re.split(r" (?=[+−] )", parts.replace("−", "-").replace(" - ", " − "))
        signed = [(-1 if one.startswith("− ") else 1) * product_of(one.lstrip("+− ")) for one in terms]
        written = float(total.replace("−", "-"))
        assert sum(signed) == pytest.approx(written, abs=5.01e-4 if sign == "=" else 3e-3), sentence
    return written


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("bids", [(0.75, 0.5), (1.0, 0.25), (0.5, 0.75), (0.2, 1.9)])
def test_a_price_sentence_adds_up_to_the_payment(name: str, bids: tuple[float, float]) -> None:
    told = auction_account(RULES[name], SURFACE, money(*bids), names=NAMES, user_weight=0.5, tried=0)
    for one in told.bidders:
        assert one.name in one.price
        if one.payment < 1e-9:
            assert "pays nothing" in one.price
        elif re.search("[=≈]", one.price):
            assert total_of(one.price) == pytest.approx(one.payment, abs=6e-4)
        else:  # one harm alone, or an average of many critical bids
            assert f"{one.payment:.3f}" in one.price


def test_vcg_names_whom_a_bid_takes_from() -> None:
    told = auction_account(VCG(Items(2)), Items(2), money(0.75, 0.5), names=("Ann", "Bob"))
    assert told.bidders[0].price.startswith("Ann pays what its bid takes from the rest. It takes 0.500 from Bob")
    assert told.bidders[1].price == "Bob pays nothing: its bid takes nothing from the others or the user."
    assert told.sentences()[0] == "Ann gets item 0."


def test_myerson_prices_at_the_critical_bid() -> None:
    """Two bidders of U[0, 1]: the price is the larger of 1/2 and the rival's bid."""
    rule = VirtualWelfareMaximizer(Items(2), Uniform(0, 1))
    told = auction_account(rule, Items(2), money(0.9, 0.6), names=("Ann", "Bob"))
    assert "From a bid of 0.600 on it has 1.000 more, and 0.600 × 1.000 = 0.600" in told.bidders[0].price
    alone = auction_account(rule, Items(2), money(0.9, 0.1), names=("Ann", "Bob"))
    assert "From a bid of 0.500 on" in alone.bidders[0].price


def test_a_menu_names_the_entry_and_its_price() -> None:
    plain = QuadraticSubstrate(2)
    menu = Menu(torch.tensor([[[0.5]], [[1.0]]]), torch.tensor([[0.1], [0.3]]))
    told = auction_account(MenuAuction(plain, menu), plain, money(0.4, 0.2), names=NAMES)
    assert told.bidders[0].gets == "level 0.5"
    assert "“level 0.5” is worth" in told.bidders[0].price
    assert "at a price of 0.100" in told.bidders[0].price
    assert told.bidders[1].price == "Adidas pays nothing: at its bid no entry of its menu is worth the posted price."


class Halved(PayAsBid):
    """Charges half of the bid: another rule than the one that the inherited sentence is about."""

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        outcome = super().clear(bids, context)
        return Outcome(outcome.allocation, outcome.payments / 2)


class Stated(Halved):
    """The same, with a reason of its own."""

    def price_sentence(self, case: PriceCase) -> str:
        return f"{case.name} pays half of its bid."


def test_a_changed_rule_does_not_inherit_a_reason_and_may_give_its_own() -> None:
    changed = auction_account(Halved(SURFACE, 0.5), SURFACE, money(0.75, 0.5), names=NAMES, tried=0)
    assert changed.bidders[0].price.endswith("The rule states no reason.")
    assert "own bid for each unit" not in changed.bidders[0].price
    assert changed.mechanism == "halved"
    stated = auction_account(Stated(SURFACE, 0.5), SURFACE, money(0.75, 0.5), names=NAMES, tried=0)
    assert stated.bidders[1].price == "Adidas pays half of its bid."


def test_a_plain_function_is_told_too() -> None:
    def free(bids: Tensor, context: Tensor | None = None) -> Outcome:
        return Outcome(SURFACE.maximise(bids, 0.0, context), torch.zeros_like(bids[..., 0]))

    told = auction_account(free, SURFACE, money(0.75, 0.5), names=NAMES, tried=3)
    assert told.bidders[0].price == "Nike is charged 0. The rule states no reason."


@pytest.mark.parametrize("name", ["pay-as-bid", "vcg"])
def test_the_gain_of_lying_is_no_more_than_the_regret(name: str) -> None:
    rule, v = RULES[name], money(0.75, 0.5)
    told = auction_account(rule, SURFACE, v, names=NAMES, user_weight=0.5, context=0, tried=33)
    regret = ex_post_regret(rule, SURFACE, v.view(1, 2, 1), context=torch.tensor([0]), high=2.0)
    gains = [one.misreports.gain for one in told.bidders if one.misreports is not None]
    assert regret.upper is not None
    assert all(0 <= gain <= bound + 1e-6 for gain, bound in zip(gains, regret.upper[0].tolist(), strict=True))
    said = [one.misreports.sentence(one.name) for one in told.bidders if one.misreports is not None]
    if name == "vcg":
        assert all("There is a proof" in sentence for sentence in said)
    else:
        assert max(gains) > 0.5 * float(regret.upper.max())
        assert any("would have gained by lying" in sentence for sentence in said)


def test_a_lie_is_told_against_the_truth() -> None:
    v, b = money(0.75, 0.5), money(0.4, 0.5)
    told = auction_account(RULES["pay-as-bid"], SURFACE, v, b, names=NAMES, context=0, tried=9)
    honest = auction_account(RULES["pay-as-bid"], SURFACE, v, names=NAMES, context=0, tried=9)
    assert told.bidders[0].misreports is not None
    assert not told.bidders[0].is_truthful
    assert told.bidders[0].misreports.gain_of_bid == pytest.approx(told.bidders[0].utility - honest.bidders[0].utility)


@pytest.mark.parametrize("name", ["kl-tilt", "segment-auction"])
def test_lotteries_are_told_as_shares_of_replies(name: str) -> None:
    view = Randomised(SURFACE)
    told = auction_account(design(name, view, Uniform(0, 1), 0.5), view, money(0.75, 0.5), names=NAMES, tried=3)
    assert "% of replies" in told.bidders[0].gets
    assert told.bidders[0].levers == ()


def test_items_of_item_rules() -> None:
    for rule, reason in ((FirstPrice(), "own bid"), (SecondPrice(), "The rule")):
        told = auction_account(rule, Items(2), money(0.75, 0.5), names=NAMES, tried=3)
        assert reason in told.bidders[0].price
        assert told.user_sentence() == "The user loses nothing."


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"names": ("Nike",)}, "names must be one for each of 2 bidders"),
        ({"context": 9}, "context must index"),
        ({"user_weight": -1.0}, "user_weight"),
        ({"bids": money(-1, 1)}, "bids"),
        ({"tried": -1}, "tried"),
    ],
)
def test_what_does_not_fit_is_refused(mistake: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        auction_account(RULES["vcg"], SURFACE, money(0.5, 0.5), **mistake)  # type: ignore[arg-type]


def test_every_mechanism_of_the_surface_is_told() -> None:
    for name in ("pay-as-bid", "vcg", "optimum", "optimum-ignored", "bayesian-menu", "delivered-vcg"):
        rule: Mechanism = design(name, SURFACE, Uniform(0, 1), 0.5)
        told = auction_account(rule, SURFACE, money(0.9, 0.8), names=NAMES, user_weight=0.5, context=1, tried=3)
        assert all(one.name in one.price and one.price.endswith(".") for one in told.bidders)
