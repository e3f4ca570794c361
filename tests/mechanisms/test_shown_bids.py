"""Bids shown to the model: the nearest listed setting by a slow loop, its exact regret, and no proof anywhere."""

import pytest
import torch
from measured_fakes import fake_list
from shown_list import ShownList, levels_of, shown_list
from torch import Tensor

from auctionsim.levers import at_null
from auctionsim.mechanisms import ShownBids, design
from auctionsim.mechanisms.showings import showings
from auctionsim.mechanisms.table import entry
from auctionsim.metrics import utility
from auctionsim.priors import Uniform
from auctionsim.regret import BoundSettings, ex_post_regret
from auctionsim.substrates import Lottery, Randomised
from auctionsim.testing import mechanism_checks

F64 = torch.float64
SEARCHED = BoundSettings(use_structure=False)


def nearest(view: Randomised, row: list[float], scale: float) -> list[int]:
    """Return the entries nearest to bids, by a loop over levers; several where they tie up to rounding."""
    base = view.substrate
    assert base is not None
    levels = at_null(base.finite_range().allocations.double(), base.levers).tolist()  # type: ignore[attr-defined]
    far = [
        sum(
            (min(bid / scale, 1) - (level - lever.null) / (lever.high - lever.null)) ** 2
            for bid, own in zip(row, entry_levels, strict=True)
            for level, lever in zip(own, base.levers, strict=True)
        )
        for entry_levels in levels
    ]
    return [k for k, one in enumerate(far) if one <= min(far) + 1e-9]


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_the_nearest_entry_is_that_of_a_slow_loop(scale: float) -> None:
    for view in (
        Randomised(shown_list(0, bidders=3, strengths=3)),
        Randomised(fake_list(2).sell("slot_probability")),  # two levers a bidder, one of them null at 1
    ):
        bids = torch.rand(40, view.num_bidders, 1, generator=torch.Generator().manual_seed(0), dtype=F64) * 1.2
        chosen = ShownBids(view, scale)(bids).allocation
        assert bool((chosen.sum(1) == 1).all())
        for k, entry_number in enumerate(chosen.argmax(1).tolist()):
            assert entry_number in nearest(view, bids[k, :, 0].tolist(), scale)


def test_equals_go_to_the_first_and_nobody_to_the_null() -> None:
    view = Randomised(ShownList(levels_of(2, 1), torch.eye(4, 2, dtype=F64), torch.zeros(4)))
    halves = torch.tensor([[[0.5], [0.0]], [[0.0], [0.0]], [[0.5], [0.5]], [[9.0], [9.0]]], dtype=F64)
    assert ShownBids(view)(halves).allocation.argmax(1).tolist() == [0, 0, 0, 3]


def test_every_bid_is_paid_for_what_it_gets() -> None:
    view = Randomised(shown_list(1, bidders=2, strengths=2, contexts=2))
    rule = ShownBids(view, 0.5)
    bids = torch.rand(16, 2, 1, generator=torch.Generator().manual_seed(0), dtype=F64)
    context = torch.arange(16) % 2
    outcome = rule(bids, context)
    assert bool((outcome.payments > 0).any())
    assert float(utility(outcome, view, bids, context).abs().max()) <= 1e-15
    assert torch.equal(outcome.allocation, rule(bids).allocation)
    for check in mechanism_checks(rule, view, dsic=False, individually_rational=True, examples=4):
        check()


@pytest.mark.parametrize("bidders", [1, 2, 3])
def test_its_regret_is_exact_and_no_search_finds_more(bidders: int) -> None:
    view = Randomised(shown_list(2, bidders=bidders, strengths=3))
    rule = ShownBids(view, 0.75)
    bids = torch.rand(16, bidders, 1, generator=torch.Generator().manual_seed(3), dtype=F64)
    known = ex_post_regret(rule, view, bids, budget=64)
    found = ex_post_regret(rule, view, bids, budget=1024, bounds=SEARCHED)
    assert known.upper is not None
    assert bool((found.lower <= known.upper + 1e-12).all())
    assert float((known.upper - found.lower).max()) < 0.01
    assert known.max > 0.05
    assert rule.dsic_proof(view) is None


def test_one_bidder_gains_by_bidding_just_enough() -> None:
    """Null or all of the lever, exposure 0 or 1, scale 1: from a bid of ½ on it is shown, and ½ is what it pays."""
    view = Randomised(ShownList(torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [1.0]]), torch.zeros(2)))
    truth: Tensor = torch.tensor([[[0.9]], [[0.3]]], dtype=F64)
    found = ex_post_regret(ShownBids(view), view, truth, budget=64)
    assert found.upper is not None
    assert found.upper.flatten().tolist() == pytest.approx([0.4, 0.0], abs=1e-9)


def test_the_table_designs_it_on_every_list_with_levers() -> None:
    view = Randomised(fake_list(2).sell("slot_probability"))
    rule = design("shown-bids-first-price", view, Uniform(0, 1))
    assert isinstance(rule, ShownBids)
    assert rule.scale == 1.0
    assert entry("shown-bids-first-price").knobs_on(view) == {"scale": (1.0, 0.5, 0.25)}
    assert showings(view, 0).nobody == 0
    lottery = Lottery(torch.rand(3, 2, 1, generator=torch.Generator().manual_seed(0)), torch.zeros(3))
    assert "levers of each bidder's own" in str(entry("shown-bids-first-price").refusal(lottery))
    with pytest.raises(ValueError, match="levers of each bidder's own"):
        ShownBids(lottery)
    for scale in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="scale"):
            ShownBids(view, scale)
