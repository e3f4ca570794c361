"""The kit sees what happens off its grids, beside what rivals bid, and in any currency."""

from collections.abc import Callable

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor

from auctionsim.mechanisms import VCG, Mechanism, SecondPrice, VirtualWelfareMaximizer
from auctionsim.outcome import Outcome
from auctionsim.priors import Uniform
from auctionsim.substrates import Items, QuadraticSubstrate, Substrate
from auctionsim.testing import BrokenClaimError, mechanism_checks
from auctionsim.testing.deviations import best_deviation
from auctionsim.testing.strategies import loose_bids

Rounding = Callable[[Tensor], Tensor]
TWO = Items(2)


class Rounded(Mechanism):
    """VCG whose argmax is taken at rounded bids; externalities are priced at the bids, or, `whole`, at rounded ones."""

    def __init__(self, place: Substrate, near: Rounding, *, whole: bool = False) -> None:
        super().__init__(place.num_bidders, len(place.features), place)
        self.place, self.near, self.whole, self.exact = place, near, whole, VCG(place)

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        near = self.near(bids)
        chosen = self.exact.clear(near, context).allocation
        payments = []
        for i in range(bids.shape[1]):
            without = near.clone()
            without[:, i] = 0
            rivals = (near if self.whole else bids).clone()
            rivals[:, i] = 0
            alone = self.place.exposure(self.exact.clear(without, context).allocation)
            payments.append((rivals * (alone - self.place.exposure(chosen))).sum((1, 2)))
        return Outcome(chosen, torch.stack(payments, 1))


def to(steps: float) -> Rounding:
    return lambda bids: (bids * steps).round() / steps


def to_powers(steps: int) -> Rounding:
    return lambda bids: torch.where(bids > 0, 2 ** ((bids.clamp_min(1e-300).log2() * steps).round() / steps), bids)


def dsic_of(mechanism: Mechanism | Callable[..., Outcome], place: Substrate, high: float = 1.0) -> None:
    checks = mechanism_checks(mechanism, place, dsic=True, individually_rational=False, high=high)
    next(check for check in checks if check.name == "dsic")()


QUADRATIC = QuadraticSubstrate(2, crosstalk=0.5)


@pytest.mark.parametrize("whole", [False, True], ids=["priced at bids", "priced at rounded bids"])
@pytest.mark.parametrize(
    ("place", "near"),
    [
        (QUADRATIC, to(40)),
        (QUADRATIC, to(7)),
        (QuadraticSubstrate(2), to(1000)),
        (Items(3), to(1000)),
        (TWO, to(32)),
        (TWO, to(1e5)),
        (TWO, to_powers(8)),
        (QUADRATIC, lambda bids: (bids * 40).floor() / 40),
        (Items(2, 2), to(100)),
    ],
    ids=["40th", "7th", "1000th, apart", "1000th, items", "32nd", "1e5th", "powers", "floor", "two items"],
)
def test_an_argmax_at_rounded_bids_is_caught(place: Substrate, near: Rounding, whole: bool) -> None:
    with pytest.raises(BrokenClaimError, match=r"^dsic: bidder \d with valuation \S+ .*gains "):
        dsic_of(Rounded(place, near, whole=whole), place)


def sold(bids: Tensor, winner: Tensor, price: Tensor) -> Outcome:
    x = torch.zeros_like(bids).scatter_(1, winner.view(-1, 1, 1), 1.0)
    return Outcome(x, x[..., 0] * price.unsqueeze(1))


def needle(bids: Tensor, context: Tensor | None = None) -> Outcome:
    """A second price that is waived if the winner bids a thousandth, within a tenth of it, more than its rival."""
    high, low = bids[..., 0].max(1), bids[..., 0].min(1)
    waived = ((high.values - low.values - 1e-3).abs() < 1e-4) & (low.values > 0)
    return sold(bids, high.indices, torch.where(waived, 0.0, low.values))


def near_ties_to_the_second(bids: Tensor, context: Tensor | None = None) -> Outcome:
    """A second price that takes bids within 10⁻⁵ for ties."""
    first = bids[:, 0, 0] > bids[:, 1, 0] + 1e-5
    return sold(bids, (~first).long(), bids[..., 0].min(1).values)


def asks_more_than_it_takes(bids: Tensor, context: Tensor | None = None) -> Outcome:
    """A reserve of .3337 below which nothing is sold, and of .3336 that is charged."""
    high, low = bids[..., 0].max(1), bids[..., 0].min(1)
    outcome = sold(bids, high.indices, low.values.clamp_min(0.3336))
    is_sold = (high.values > 0.3337).to(bids.dtype).unsqueeze(1)
    return Outcome(outcome.allocation * is_sold.unsqueeze(2), outcome.payments * is_sold)


@pytest.mark.parametrize("mechanism", [needle, near_ties_to_the_second, asks_more_than_it_takes])
def test_what_hides_beside_a_rival_or_a_threshold_is_caught(mechanism: Callable[..., Outcome]) -> None:
    with pytest.raises(BrokenClaimError, match=r"^dsic: bidder \d"):
        dsic_of(mechanism, TWO)


def fee_off_the_grid(bids: Tensor, context: Tensor | None = None) -> Outcome:
    """A second price with a fee of 10⁻⁴ for whoever bids no 32nd."""
    outcome = SecondPrice()(bids)
    return Outcome(outcome.allocation, outcome.payments + 1e-4 * ((bids * 32) % 1 > 0)[..., 0])


def test_a_loss_off_the_grid_is_caught() -> None:
    checks = mechanism_checks(fee_off_the_grid, TWO, dsic=False, individually_rational=True)
    with pytest.raises(BrokenClaimError, match=r"^individually_rational: bidder \d"):
        next(check for check in checks if check.name == "individually_rational")()


@pytest.mark.parametrize("high", [1e8, 1e-6])
def test_the_currency_accuses_nobody_and_hides_nothing(high: float) -> None:
    for rule, place in (
        (SecondPrice(reserve=high / 3), Items(3)),
        (VCG(QUADRATIC, 0.7 * high), QUADRATIC),
        (VirtualWelfareMaximizer(TWO, Uniform(0, high)), TWO),
    ):
        claims = {"dsic": True, "individually_rational": True, "anonymous": True, "examples": 10}
        for check in mechanism_checks(rule, place, high=high, **claims):
            check()
    with pytest.raises(BrokenClaimError, match="gains"):
        dsic_of(Rounded(QUADRATIC, to(1000 / high)), QUADRATIC, high)

    def slightly_first(bids: Tensor, context: Tensor | None = None) -> Outcome:
        """The winner pays a ten-millionth of its own bid instead of the second one's."""
        outcome = SecondPrice()(bids)
        return Outcome(outcome.allocation, outcome.payments * (1 - 1e-6) + 1e-6 * (bids * outcome.allocation).sum(2))

    with pytest.raises(BrokenClaimError, match="gains"):
        dsic_of(slightly_first, TWO, high)


@given(loose_bids(2, 1, high=4.0), st.booleans())
def test_deviations_are_what_they_say(bids: Tensor, pays_own: bool) -> None:
    """The gain that is reported is the one that the mechanism pays; under a second price there is none."""

    def rule(reports: Tensor, context: Tensor | None = None) -> Outcome:
        outcome = SecondPrice()(reports)
        return Outcome(outcome.allocation, (reports * outcome.allocation).sum(2)) if pays_own else outcome

    found = best_deviation(rule, TWO, bids, None, 4.0)
    assert float(found.truth.max()) <= 6.0
    for i in range(2):
        worth = []
        for report in (found.truth, found.misreport):
            reports = bids.clone()
            reports[:, i] = report[:, i]
            outcome = rule(reports)
            worth.append((found.truth[:, i] * outcome.allocation[:, i]).sum(1) - outcome.payments[:, i])
        torch.testing.assert_close(worth[1] - worth[0], found.gain[:, i], rtol=0, atol=1e-12)
    if pays_own:  # the highest type that is judged, 6, needs only to bid a little above the rival
        assert (found.gain >= 6.0 - bids[..., 0].flip(1) - 1e-4).all()
    else:
        assert float(found.gain.max()) < 1e-12


@given(loose_bids(batch=3, high=2.0))
def test_loose_bids_are_amounts(bids: Tensor) -> None:
    assert float(bids.min()) >= 0
    assert float(bids.max()) <= 3.0
