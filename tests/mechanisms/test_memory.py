"""Nobody reads anybody else's memory: what substrates and mechanisms are made from, and what they answer with."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from measured_fakes import fake_list, fake_surface
from test_every_mechanism import REGISTERED, good_bids, named
from torch import Tensor

from auctionsim import mechanisms as m
from auctionsim.mechanisms.affine_maximizer import AffineMaximizer
from auctionsim.priors import Empirical
from auctionsim.substrates import Bundles, Items, Lottery, MeasuredList, QuadraticSubstrate, Units

F64 = torch.float64


def tensors_in(owner: Any, seen: set[int]) -> Iterator[Tensor]:
    """Yield every tensor that an object holds, however deep."""
    if id(owner) in seen:
        return
    seen.add(id(owner))
    if isinstance(owner, Tensor):
        yield owner
    elif isinstance(owner, dict):
        for part in owner.values():
            yield from tensors_in(part, seen)
    elif isinstance(owner, list | tuple | set):
        for part in owner:
            yield from tensors_in(part, seen)
    elif hasattr(owner, "__dict__") and not isinstance(owner, type):
        yield from tensors_in(vars(owner), seen)


def places(parts: Iterator[Tensor]) -> set[int]:
    return {part.untyped_storage().data_ptr() for part in parts if part.numel()}


@pytest.mark.parametrize("dtype", [torch.float32, F64], ids=str)
@pytest.mark.parametrize("mechanism", REGISTERED, ids=named)
def test_an_outcome_lies_in_memory_of_its_own(mechanism: m.Mechanism, dtype: torch.dtype) -> None:
    """Also where no reserve keeps the bids from coming back as they are."""
    for rule in [mechanism, *([type(mechanism)()] if isinstance(mechanism, m.FirstPrice | m.AllPay) else [])]:
        bids = good_bids(rule).to(dtype)
        outcome = rule(bids)
        theirs = places(iter(outcome))
        assert len(theirs) == 2
        assert not theirs & places(iter([bids]))
        assert not theirs & places(tensors_in(rule, set()))


def test_a_lottery_copies_what_it_is_made_from() -> None:
    given = [torch.rand(3, 2, 1, dtype=F64), torch.rand(3, dtype=F64), torch.tensor([0.2, 0.3, 0.5], dtype=F64)]
    lottery = Lottery(*given)
    before = [part.clone() for part in (lottery.exposures, lottery.user_losses, lottery.reference)]
    for part in given:
        part.add_(1)
    for part, was in zip((lottery.exposures, lottery.user_losses, lottery.reference), before, strict=True):
        assert torch.equal(part, was)
    found = lottery.finite_range()
    for part in (*found, lottery.null_allocation(2, dtype=F64)):
        part.add_(1)
    assert torch.equal(lottery.exposures, before[0])
    assert torch.equal(lottery.null_allocation(1, dtype=F64)[0], before[2])


def test_rules_copy_what_they_are_made_from() -> None:
    place = QuadraticSubstrate(2, 0.5)
    bids = torch.tensor([[[0.9], [0.6]]], dtype=F64)
    levers, prices, reference = (torch.full(shape, 0.1, dtype=F64) for shape in ((2, 1, 1), (2, 1), (2, 1)))
    allocations, boosts, weights = (
        torch.eye(2, dtype=F64).unsqueeze(2),
        torch.zeros(2, dtype=F64),
        torch.ones(2).double(),
    )
    for rule, given in (
        (m.MenuAuction(place, m.Menu(levers, prices), reference=reference), (levers, prices, reference)),
        (AffineMaximizer(place, allocations, boosts, weights), (allocations, boosts, weights)),
    ):
        before = rule(bids)
        held = [part.clone() for part in tensors_in(rule, set())]
        for part in given:
            part.mul_(0.5)
        assert all(torch.equal(*pair) for pair in zip(held, tensors_in(rule, set()), strict=True))
        assert torch.equal(rule(bids).payments, before.payments)
    menu = m.MenuAuction(place, m.Menu(levers, prices))
    menu.priced_menus(bids).prices.add_(1)
    assert float(menu.priced_menus(bids).prices.max()) < 1


@pytest.mark.parametrize("surface", [fake_surface(), fake_list(2)], ids=lambda part: type(part).__name__)
def test_a_measurement_gives_out_copies(surface: Any) -> None:
    sold = surface.sell("hits")
    before = [part.clone() for part in sold.finite_range()]
    for context in (None, torch.zeros(2, dtype=torch.int64)):
        for part in sold.finite_range(context):
            part.add_(1)
    assert all(torch.equal(*pair) for pair in zip(before, sold.finite_range(), strict=True))
    assert isinstance(surface, MeasuredList) or sold.feasible(before[0]).all()


def test_exposures_are_not_the_allocation() -> None:
    for place in (Items(2, 2), Units(2, 2), Bundles.llg()):
        allocation = place.null_allocation(1)
        place.exposure(allocation).add_(1)
        assert float(allocation.abs().sum()) == 0
    samples = torch.tensor([2.0, 1.0], dtype=F64)
    prior = Empirical(samples)
    samples.zero_()
    assert prior.mean == 1.5
    assert prior.atoms.values.add_(1).tolist() == [2.0, 3.0]
    assert prior.atoms.values.tolist() == [1.0, 2.0]
