"""Certificates of black-box rules: honest rules are certified unread, others are refused, bounds are never too low."""

from functools import partial

import pytest
import torch
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.mechanisms import (
    VCG,
    AllPay,
    FirstPrice,
    Mechanism,
    PostedPrice,
    SecondPrice,
    ThirdPrice,
    VirtualWelfareMaximizer,
)
from auctionsim.outcome import Outcome
from auctionsim.priors import Exponential, Uniform
from auctionsim.regret import BoundSettings, ex_post_regret, regret_certificate
from auctionsim.substrates import Items, QuadraticSubstrate

SQUARE = QuadraticSubstrate(2, crosstalk=0.5)


def drawn(rows: int, n: int = 2, seed: int = 0) -> Tensor:
    return torch.rand(rows, n, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Unread:
    """A rule behind a plain callable: no claim, no class, no priors of its own to read."""

    def __init__(self, rule: Mechanism) -> None:
        self._rule = rule

    def __call__(self, bids: Tensor, context: Tensor | None = None) -> Outcome:
        return self._rule(bids) if context is None else self._rule(bids, context)


HONEST = {
    "posted": (PostedPrice(0.5), Items(2)),
    "second with reserve": (SecondPrice(reserve=0.3), Items(3)),
    "virtual welfare": (VirtualWelfareMaximizer(QuadraticSubstrate(2), Uniform(0, 1), 1.0), QuadraticSubstrate(2)),
    "virtual welfare, crosstalk": (VirtualWelfareMaximizer(SQUARE, Uniform(0, 1), 1.0), SQUARE),
    "virtual welfare, exponential": (VirtualWelfareMaximizer(SQUARE, Exponential(2.0), 0.5), SQUARE),
    "virtual welfare, above 0": (VirtualWelfareMaximizer(SQUARE, Uniform(0.5, 1.5), 0.5), SQUARE),
    "VCG": (VCG(SQUARE, 1.0), SQUARE),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_rules_are_certified_to_a_millionth_without_reading_their_proofs(name: str) -> None:
    rule, substrate = HONEST[name]
    certificate = regret_certificate(Unread(rule), substrate, drawn(8, substrate.num_bidders))
    assert certificate.reason is None
    assert float(certificate.upper.max()) < 1e-6
    assert "nondecreasing" in certificate.assumption
    assert "convex" in certificate.assumption


def needle(bids: Tensor, context: Tensor | None = None, *, at: float, width: float) -> Outcome:
    """Second price, but an own bid in [at, at + width] has the item for nothing."""
    truth = SecondPrice()(bids)
    b = bids.squeeze(2)
    free = ((b >= at) & (b <= at + width)).to(bids)
    return Outcome(torch.where(free.unsqueeze(2) > 0, 1.0, truth.allocation), truth.payments * (1 - free))


def discount(bids: Tensor, context: Tensor | None = None) -> Outcome:
    """Second price, the winner's price a little below the rival's bid where the own bid is large: (M) holds."""
    truth = SecondPrice()(bids)
    return Outcome(truth.allocation, truth.payments * (1 - 0.02 * (bids.squeeze(2) > 0.9)))


def falling(bids: Tensor, context: Tensor | None = None) -> Outcome:
    """Exposure falls in the own bid, and U follows it."""
    b = bids.squeeze(2)
    x = 1 - 0.4 * b
    return Outcome(x.unsqueeze(2), b * x - (b - 0.2 * b.square()))


REFUSED = {
    "first price": (FirstPrice(), "identity"),
    "third price": (ThirdPrice(), "identity"),
    "all pay": (AllPay(), "identity"),
    "needle": (partial(needle, at=0.6113, width=0.005), "exposure falls"),
    "discount": (discount, "identity"),
    "falling": (falling, "exposure falls"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_rules_that_are_not_truthful_get_the_reason(name: str) -> None:
    rule, words = REFUSED[name]
    n = 3 if name == "third price" else 2
    certificate = regret_certificate(rule, Items(n), drawn(8, n), high=1.0)
    assert certificate.upper is None
    assert words in certificate.reason
    assert certificate.assumption == ""


def test_where_the_rule_breaks_is_named() -> None:
    certificate = regret_certificate(falling, Items(2), drawn(3), high=1.0)
    assert "from 1 at 0" in certificate.reason or "(row" in certificate.reason


class LuckyDraw(Mechanism):
    """Second price with the item free in one of `often` calls' auctions; does not say that it draws."""

    def __init__(self, share: float) -> None:
        super().__init__(None, 1)
        self.share, self.source = share, torch.Generator().manual_seed(0)

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        truth = SecondPrice()(bids)
        free = torch.rand(len(bids), generator=self.source) < self.share
        return Outcome(truth.allocation, torch.where(free.unsqueeze(1), 0.0, truth.payments))


def test_rules_that_draw_get_none() -> None:
    says = SecondPrice(ties="random", generator=torch.Generator().manual_seed(0))
    assert "draws" in regret_certificate(says, Items(2), drawn(4)).reason
    for share in (0.5, 0.02):
        certificate = regret_certificate(LuckyDraw(share), Items(2), drawn(4))
        assert certificate.upper is None
        assert certificate.reason


def test_a_needle_between_evaluated_bids_is_outside_the_class_and_the_certificate_says_so() -> None:
    v = torch.tensor([[[0.5], [0.25]]], dtype=torch.float64)
    thin = partial(needle, at=0.611301, width=1e-7)
    certificate = regret_certificate(thin, Items(2), v, high=1.0)
    assert float(certificate.upper.max()) < 1e-6  # and bidder 1 gains .25 at .611301
    assert certificate.widest_gap > 1e-7
    assert f"{certificate.widest_gap:.2g}" in certificate.assumption
    assert "needle" in certificate.assumption
    assert "not seen" in certificate.assumption


def test_more_evaluations_and_moved_bids_see_narrower_needles() -> None:
    v = torch.tensor([[[0.5], [0.25]]], dtype=torch.float64)
    thin = partial(needle, at=0.6109, width=1e-3)
    few = regret_certificate(thin, Items(2), v, high=1.0, budget=64)
    many = regret_certificate(thin, Items(2), v, high=1.0, budget=2**13)
    assert few.upper is not None
    assert many.upper is None
    sources = [torch.Generator().manual_seed(seed) for seed in range(24)]
    moved = {regret_certificate(thin, Items(2), v, high=1.0, budget=128, generator=source).reason for source in sources}
    assert len(moved) > 1
    assert None in moved


@pytest.mark.parametrize("rule", [SecondPrice(reserve=0.3), PostedPrice(0.4)])
def test_the_bound_on_the_regret_of_untrue_reports_is_exact_where_breakpoints_are(rule: Mechanism) -> None:
    v, reports = drawn(32, seed=1), drawn(32, seed=2)
    bound = regret_certificate(Unread(rule), Items(2), v, reports=reports, high=1.0).upper
    best = ex_post_regret(rule, Items(2), v, reports=reports, high=1.0)
    assert bool((bound >= best.lower - 1e-12).all())
    assert float((bound - best.lower).max()) < 1e-6
    assert float(best.lower.max()) > 0.1


def wavy(bids: Tensor, context: Tensor | None = None) -> Outcome:
    """The quadratic's truthful rule x = b, t = b² / 2, with a rebate that waves by up to .002."""
    b = bids.squeeze(2)
    return Outcome(b.unsqueeze(2), b.square() / 2 - 0.002 * torch.sin(40 * b))


def test_an_allowance_for_imprecise_payments_enters_the_bound() -> None:
    v = drawn(16, 1)
    assert regret_certificate(wavy, Items(1), v, high=1.0).upper is None
    allowed = regret_certificate(wavy, Items(1), v, high=1.0, tolerance=0.01)
    every = torch.linspace(0, 1, 20001, dtype=torch.float64).view(-1, 1, 1)
    paid = wavy(every)
    gains = v.view(-1, 1) * paid.allocation.view(1, -1) - paid.payments.view(1, -1)
    own = (v.squeeze(2) * wavy(v).allocation.squeeze(2) - wavy(v).payments).squeeze(1)
    regret = gains.amax(1) - own
    assert float(regret.max()) > 1e-3
    assert bool((allowed.upper.squeeze(1) >= regret).all())
    assert "0.01" in allowed.assumption


def test_it_is_for_one_feature_and_an_option_of_ex_post_regret() -> None:
    assert "one feature" in regret_certificate(SecondPrice(), Items(2, 2), torch.rand(2, 2, 2)).reason
    v, rule = drawn(4), Unread(SecondPrice(reserve=0.3))
    assert ex_post_regret(rule, Items(2), v, budget=32).upper is None
    asked = BoundSettings(certificate=True)
    estimate = ex_post_regret(rule, Items(2), v, budget=32, bounds=asked)
    assert float(estimate.upper.max()) < 1e-6
    assert "for rules whose exposure is nondecreasing" in estimate.method
    refused = ex_post_regret(Unread(FirstPrice()), Items(2), v, budget=32, bounds=asked)
    assert refused.upper is None
    assert "no certificate: the payment identity" in refused.method
    proved = ex_post_regret(SecondPrice(), Items(2), v, budget=32, bounds=asked)
    assert proved.method.startswith("proof")


class Observed(Unread):
    """A rule that keeps the bids it is asked."""

    def __call__(self, bids: Tensor, context: Tensor | None = None) -> Outcome:
        self.bids = torch.cat([getattr(self, "bids", bids.flatten()[:0]), bids.flatten()])
        return super().__call__(bids, context)


def test_a_gain_that_the_search_finds_refutes_the_certificate() -> None:
    """A needle at a bid that the search tries and the certificate does not."""
    v, asked = torch.tensor([[[0.5], [0.25]]], dtype=torch.float64), BoundSettings(certificate=True, budget=64)
    of_search, of_certificate = Observed(SecondPrice()), Observed(SecondPrice())
    ex_post_regret(of_search, Items(2), v, high=1.0, budget=32)
    regret_certificate(of_certificate, Items(2), v, high=1.0, budget=64)
    apart = (of_search.bids.view(-1, 1) - of_certificate.bids).abs().amin(1)
    rule = partial(needle, at=float(of_search.bids[apart.argmax()]) - 1e-6, width=2e-6)
    assert regret_certificate(rule, Items(2), v, high=1.0, budget=64).upper is not None
    found = ex_post_regret(rule, Items(2), v, high=1.0, budget=32, bounds=asked)
    assert found.upper is None
    assert float(found.lower.max()) > 0.2
    assert "no certificate: the search found more" in found.method


def test_it_sees_a_step_beside_a_rival_that_the_search_misses() -> None:
    """The item is free within 1e-5 above the rival's bid: intervals are halved down to where exposure jumps."""

    def beside(bids: Tensor, context: Tensor | None = None) -> Outcome:
        truth, b = SecondPrice()(bids), bids.squeeze(2)
        free = (b > b.roll(1, 1)) & (b < b.roll(1, 1) * (1 + 1e-5))
        return Outcome(truth.allocation, truth.payments * (~free))

    v = torch.tensor([[[0.75], [0.5]]], dtype=torch.float64)
    assert "identity" in regret_certificate(beside, Items(2), v).reason


def test_money_that_is_none_and_outcomes_that_do_not_fit_raise() -> None:
    with pytest.raises(InputError, match="budget"):
        regret_certificate(SecondPrice(), Items(2), drawn(2), budget=3)
    with pytest.raises(InputError, match="payments"):
        regret_certificate(lambda bids: Outcome(bids, bids), Items(2), drawn(2))


def test_a_row_has_the_bound_that_it_has_alone() -> None:
    whole = drawn(6, seed=5)
    rule = Unread(VirtualWelfareMaximizer(SQUARE, Uniform(0, 1), 0.5))
    together = regret_certificate(rule, SQUARE, whole, high=1.0)
    alone = regret_certificate(rule, SQUARE, whole[2:3], high=1.0)
    assert torch.allclose(together.upper[2:3], alone.upper, atol=1e-6)
