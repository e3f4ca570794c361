"""Regret is money: in another currency it is the same auction, and every bound on bids moves with it."""

import math

import pytest
import torch
from torch import Tensor

from auctionsim.mechanisms import VCG, FirstPrice, Mechanism, Menu, MenuAuction, PayAsBid, VirtualWelfareMaximizer
from auctionsim.outcome import Outcome
from auctionsim.priors import Exponential, Uniform
from auctionsim.regret import (
    BoundSettings,
    InterimSettings,
    deployed_regret,
    ex_interim_regret,
    ex_post_regret,
    exploitability,
    menu_regret_sources,
)
from auctionsim.regret.bid_range import MULTIPLE, prior_high
from auctionsim.substrates import Items, QuadraticSubstrate
from tests.regret.test_ex_post_regret import Network
from tests.regret.test_structure_and_sources import Listed

CURRENCIES = (1e-6, 1e-3, 10.0, 1e6)


def draws(batch: int, n: int, m: int = 1, seed: int = 0) -> Tensor:
    return torch.rand(batch, n, m, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def same(scaled: Tensor | float, plain: Tensor | float, unit: float) -> None:
    as_one = torch.as_tensor(scaled, dtype=torch.float64) / unit
    torch.testing.assert_close(as_one, torch.as_tensor(plain, dtype=torch.float64), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("unit", CURRENCIES)
def test_designed_here_and_paid_there(unit: float) -> None:
    here, there, v = Listed(2, 20, seed=2), Listed(2, 20, seed=2, noise=0.4), draws(12, 2)
    plain, scaled = (deployed_regret(VCG(here, 0.2 * c), here, there, v * c) for c in (1.0, unit))
    assert plain.deployed.max > 0.001
    same(scaled.deployed.upper, plain.deployed.upper, unit)
    same(scaled.deployed.bids_up_to, plain.deployed.bids_up_to, unit)
    same(scaled.gap, plain.gap, unit)
    same(torch.tensor(scaled.interval), torch.tensor(plain.interval), unit)


@pytest.mark.parametrize("unit", CURRENCIES)
def test_searched_rules_and_the_parts_of_a_menu(unit: float) -> None:
    net, place = Network(2, 2, seed=1, gain=1.0), QuadraticSubstrate(2, 0.5)
    v, w = draws(5, 2, 2), draws(5, 2)

    def found(c: float) -> list[Tensor]:
        def rule(bids: Tensor, context: Tensor | None = None) -> Outcome:
            outcome = net(bids / c)
            return Outcome(outcome.allocation, outcome.payments * c)

        menu = MenuAuction(place, Menu(torch.tensor([[[1.0], [0.5]]] * 2), torch.tensor([[0.3, 0.1]] * 2) * c))
        searched = ex_post_regret(rule, Items(2, 2), v * c, budget=200)
        rates = ex_post_regret(rule, Items(2, 2), v * c, budget=64, bounds=BoundSettings(lipschitz=100.0, budget=64))
        parts = menu_regret_sources(menu, place, w * c, budget=64)
        return [searched.lower, rates.upper, *(part.lower for part in parts)]

    for scaled, plain in zip(found(unit), found(1.0), strict=True):
        torch.testing.assert_close(scaled / unit, plain, rtol=1e-4, atol=1e-6)
    assert min(float(plain.max()) for plain in found(1.0)[:4]) > 0.001  # a fixed menu has no influence, the last part


@pytest.mark.parametrize("unit", CURRENCIES)
def test_expected_regret(unit: float) -> None:
    for prior in (Uniform, lambda low, high: Exponential(high)):
        plain, scaled = (
            ex_interim_regret(
                FirstPrice(), Items(2), prior(0.0, c), draws=256, settings=InterimSettings(types=4, budget=64)
            )
            for c in (1.0, unit)
        )
        for one, other in ((scaled.lower, plain.lower), (scaled.upper, plain.upper)):
            torch.testing.assert_close(one / unit, other, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(scaled.bids_up_to, plain.bids_up_to)
    far = exploitability(FirstPrice(), Items(2), Uniform(0, unit), draws=256)
    near = exploitability(FirstPrice(), Items(2), Uniform(0, 1), draws=256)
    assert far.value / unit == pytest.approx(near.value, rel=1e-3)


def test_bids_are_searched_up_to_what_they_can_be() -> None:
    """`high`, the mechanism's own priors, twice the row's largest number; a row's end never depends on another row."""
    place, v = QuadraticSubstrate(2), draws(4, 2) * torch.tensor([0.01, 1.0, 30.0, 0.0]).view(4, 1, 1)
    plain = PayAsBid(place, 1.0)
    assert MULTIPLE == 2.0
    found = ex_post_regret(plain, place, v, budget=64)
    torch.testing.assert_close(found.bids_up_to, (2 * v.amax((1, 2), keepdim=True)).expand_as(v))
    assert bool((found.lower[3] == 0).all())
    assert bool(found.lower.isfinite().all())
    for k in range(4):
        alone = ex_post_regret(plain, place, v[k : k + 1], budget=64)
        torch.testing.assert_close(alone.lower[0], found.lower[k], rtol=1e-9, atol=1e-12)
    known = ex_post_regret(plain, place, v, budget=64, high=40.0)
    assert bool((known.bids_up_to == 40).all())
    assert bool(known.lower.isfinite().all())
    virtual = VirtualWelfareMaximizer(Listed(2, 10, seed=1), Uniform(0, 3))
    paid = ex_post_regret(virtual, Listed(2, 10, seed=1, noise=0.3), v)
    assert paid.bids_up_to[0, 0, 0] == 3.0
    assert paid.bids_up_to[2, 0, 0] == pytest.approx(float(v[2].max()))
    assert prior_high(Declaring([Uniform(0, 2), [Uniform(0, 5)]]), 2, 1) == 5
    assert prior_high(Declaring(Exponential(1.0)), 2, 1) == Exponential(1.0).finite_high
    assert prior_high(Declaring(None), 2, 1) is prior_high(plain, 2, 1) is None
    with pytest.raises(TypeError):  # under test the type checker speaks first
        prior_high(Declaring(1.0), 2, 1)


class Declaring(Mechanism):
    """A mechanism of one's own that names its priors."""

    def __init__(self, priors: object) -> None:
        super().__init__(2, 1)
        self.priors = priors

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        return Outcome(torch.zeros_like(bids), torch.zeros_like(bids[..., 0]))


def test_a_gain_above_the_searched_bids_is_not_claimed_to_be_none() -> None:
    """Free above 5: nothing up to 2 gains, and the answer says that 2 is where it looked."""

    def free_above(bids: Tensor, context: Tensor | None = None) -> Outcome:
        outcome = VCG(Items(2))(bids)
        return Outcome(outcome.allocation, torch.where(bids[..., 0] > 5, 0.0, outcome.payments))

    v = torch.tensor([[[0.5], [1.0]]], dtype=torch.float64)
    near = ex_post_regret(free_above, Items(2), v)
    assert near.max == 0.0
    assert bool((near.bids_up_to == 2).all())
    assert ex_post_regret(free_above, Items(2), v, high=6.0).max > 0.4
    proved = ex_post_regret(VCG(Items(2)), Items(2), v)
    assert bool((proved.bids_up_to == math.inf).all())


def test_types_beyond_the_prior_are_searched_apart() -> None:
    v = torch.tensor([0.25, 0.5, 7.0]).view(3, 1, 1).repeat(1, 2, 1)
    together = ex_interim_regret(PayAsBid(Items(2)), Items(2), Uniform(0, 1), valuations=v, draws=256)
    alone = ex_interim_regret(PayAsBid(Items(2)), Items(2), Uniform(0, 1), valuations=v[:2], draws=256)
    torch.testing.assert_close(together.lower[:2], alone.lower)
    assert together.bids_up_to[:, 0, 0].tolist() == [math.inf] * 3  # the band is about every bid
    searched = ex_interim_regret(
        PayAsBid(Items(2)),
        Items(2),
        Uniform(0, 1),
        valuations=v,
        draws=256,
        settings=InterimSettings(use_structure=False),
    )
    assert searched.bids_up_to[:, 0, 0].tolist() == [1.0, 1.0, 8.0]
    with pytest.raises(ValueError, match="high must be finite and > 0"):
        ex_interim_regret(PayAsBid(Items(2)), Items(2), Uniform(0, 1), settings=InterimSettings(high=-1.0))
