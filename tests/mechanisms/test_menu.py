"""Menu auctions: the choice by hand and by loop, truthfulness where it is proved, and where it fails."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from auctionsim.mechanisms import Menu, MenuAuction
from auctionsim.mechanisms import menu as module
from auctionsim.mechanisms.menu_entries import chosen_entries
from auctionsim.regret import ex_post_regret
from auctionsim.substrates import Items, QuadraticSubstrate


def quarter_menu(seed: int, bidders: int, entries: int, levers: int = 1) -> Menu:
    generator = torch.Generator().manual_seed(seed)
    return Menu(
        torch.randint(0, 5, (bidders, entries, levers), generator=generator).double() / 4,
        torch.randint(0, 5, (bidders, entries), generator=generator).double() / 4,
    )


def quarter_bids(seed: int, batch: int, bidders: int, features: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed + 1)
    return torch.randint(0, 9, (batch, bidders, features), generator=generator).double() / 4


def best_entry(bid: list[float], menu: Menu, bidder: int, exposure: Tensor) -> tuple[float, Tensor]:
    """Return price and levers by a slow loop: the null, highest utility, then lowest price, then first."""
    options = [(0.0, 0.0, -1)]
    for k in range(menu.prices.shape[1]):
        price = float(menu.prices[bidder, k])
        utility = sum(b * float(e) for b, e in zip(bid, exposure[k], strict=True)) - price
        options.append((utility, price, k))
    utility, price, k = max(options, key=lambda option: (option[0], -option[1], -option[2]))
    return price, torch.zeros(menu.levers.shape[2]) if k < 0 else menu.levers[bidder, k]


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 4))
def test_slow_loop(seed: int, bidders: int, entries: int) -> None:
    menu, bids = quarter_menu(seed, bidders, entries), quarter_bids(seed, 3, bidders)
    outcome = MenuAuction(QuadraticSubstrate(bidders), menu)(bids)
    for row in range(len(bids)):
        for i in range(bidders):
            price, levers = best_entry(bids[row, i].tolist(), menu, i, menu.levers[i])  # e_i = x_i at the others' null
            assert float(outcome.payments[row, i]) == price
            assert outcome.allocation[row, i].tolist() == levers.tolist()


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 3))
def test_slow_loop_with_several_features(seed: int, entries: int, items: int) -> None:
    menu, bids = quarter_menu(seed, 1, entries, items), quarter_bids(seed, 4, 1, items)
    outcome = MenuAuction(Items(1, items), menu)(bids)
    for row in range(len(bids)):
        price, levers = best_entry(bids[row, 0].tolist(), menu, 0, menu.levers[0])
        assert float(outcome.payments[row, 0]) == price
        assert outcome.allocation[row, 0].tolist() == levers.tolist()


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 6))
def test_thresholds_and_scores_choose_alike(seed: int, bidders: int, entries: int) -> None:
    menu = Menu(*(part.double() for part in quarter_menu(seed, bidders, entries)))
    bids = torch.cat([quarter_bids(seed, 40, bidders), torch.rand(40, bidders, 1, dtype=torch.float64)])
    rule = MenuAuction(QuadraticSubstrate(bidders), menu)
    scored = module._take(rule.priced_menus(bids), chosen_entries(bids, rule.priced_menus(bids)))
    assert torch.equal(rule(bids).payments, scored.payments)
    assert torch.equal(rule(bids).allocation, scored.allocation)


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 4))
def test_truthful_and_rational_without_crosstalk(seed: int, bidders: int, entries: int) -> None:
    substrate = QuadraticSubstrate(bidders)
    rule = MenuAuction(substrate, quarter_menu(seed, bidders, entries))
    assert rule.dsic_proof(substrate) is not None
    truth, lies = quarter_bids(seed, 6, bidders), quarter_bids(seed + 7, 6, bidders)

    def utility(bids: Tensor) -> Tensor:
        outcome = rule(bids)
        return (truth * substrate.exposure(outcome.allocation)).sum(2) - outcome.payments

    honest = utility(truth)
    assert bool((honest >= 0).all())
    for i in range(bidders):
        mixed = truth.clone()
        mixed[:, i] = lies[:, i]
        assert bool((utility(mixed)[:, i] <= honest[:, i]).all())


@given(st.integers(0, 10**6), st.integers(1, 3))
def test_rows_do_not_touch(seed: int, bidders: int) -> None:
    rule = MenuAuction(QuadraticSubstrate(bidders, 0.25), quarter_menu(seed, bidders, 4))
    bids = quarter_bids(seed, 5, bidders)
    together = rule(bids)
    for k in range(len(bids)):
        alone = rule(bids[k : k + 1])
        assert torch.equal(alone.payments[0], together.payments[k])
        assert torch.equal(alone.allocation[0], together.allocation[k])


def test_crosstalk_through_the_others_menus() -> None:
    """M_1 = {(1, .1)}, M_2(b_1) = {(1, b_1)}, γ = ½, v = (.4, .5): truth earns .1, reporting .6 earns .3."""

    def write(bids: Tensor, context: Tensor | None) -> Menu:
        prices = torch.stack([torch.full_like(bids[:, 0], 0.1), bids[:, 0]], 1)
        return Menu(torch.ones(len(bids), 2, 1, 1, dtype=bids.dtype), prices)

    substrate = QuadraticSubstrate(2, 0.5)
    rule = MenuAuction(substrate, write)
    assert rule.dsic_proof(substrate) is None
    bids = torch.tensor([[[0.4], [0.5]], [[0.6], [0.5]]], dtype=torch.float64)
    outcome = rule(bids)
    utility = 0.4 * substrate.exposure(outcome.allocation)[:, 0, 0] - outcome.payments[:, 0]
    assert utility.tolist() == pytest.approx([0.1, 0.3])


def test_crosstalk_through_the_reference() -> None:
    """Entries (1, .3), (.5, .1), v = .5, the rival always on, γ = ½: truth earns −.05, reporting .3 earns .025."""
    menu = Menu(torch.tensor([[[1.0], [0.5]], [[1.0], [1.0]]]), torch.tensor([[0.3, 0.1], [0.0, 0.0]]))
    substrate = QuadraticSubstrate(2, 0.5)
    outcome = MenuAuction(substrate, menu)(torch.tensor([[[0.5], [1.0]], [[0.3], [1.0]]], dtype=torch.float64))
    utility = 0.5 * substrate.exposure(outcome.allocation)[:, 0, 0] - outcome.payments[:, 0]
    assert utility.tolist() == pytest.approx([-0.05, 0.025])
    informed = MenuAuction(substrate, menu, reference=torch.ones(2, 1))
    truthful = informed(torch.tensor([[[0.5], [1.0]]], dtype=torch.float64))
    assert float(truthful.payments[0, 0]) == pytest.approx(0.1)  # values the entries where the rival really stands


def test_the_closed_form_menu_of_one_entry() -> None:
    """K = 1, w = 1 on the separable quadratic: lever 2/3 at price 4/9 earns (1 − 1/9)/12 a bidder."""
    menu = Menu(torch.full((1, 1, 1), 2 / 3), torch.full((1, 1), 4 / 9))
    substrate = QuadraticSubstrate(1)
    valuations = ((torch.arange(90000, dtype=torch.float64) + 0.5) / 90000).view(-1, 1, 1)
    outcome = MenuAuction(substrate, menu)(valuations)
    objective = float((outcome.payments.sum(1) - substrate.user_loss(outcome.allocation)).mean())
    assert objective == pytest.approx((1 - 1 / 9) / 12, abs=1e-6)


def test_items_for_several_bidders_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot give everybody its highest levers"):
        MenuAuction(Items(2), quarter_menu(0, 2, 3))


@pytest.mark.parametrize(
    ("menu", "message"),
    [
        (Menu(torch.ones(2, 3, 1), torch.ones(2, 4)), "a menu needs levers"),
        (Menu(torch.ones(3, 3, 1), torch.ones(3, 3)), "a menu needs levers"),
        (Menu(2 * torch.ones(2, 3, 1), torch.ones(2, 3)), "levers must lie in"),
        (Menu(torch.ones(2, 3, 1), torch.full((2, 3), torch.nan)), "prices must be finite"),
    ],
)
def test_bad_menus_are_refused(menu: Menu, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MenuAuction(QuadraticSubstrate(2), menu)


def test_a_writer_of_the_wrong_shape_is_refused() -> None:
    rule = MenuAuction(QuadraticSubstrate(2), lambda bids, context: Menu(torch.ones(1, 2, 3, 1), torch.ones(1, 2, 3)))
    with pytest.raises(ValueError, match="a menu writer must return"):
        rule(torch.rand(4, 2, 1))
    with pytest.raises(ValueError, match="finite and >= 0"):
        rule(torch.full((4, 2, 1), -1.0))


def test_a_writer_that_reads_the_own_bid_gets_no_proof() -> None:
    """It charges half of what is bid; without crosstalk, too, a lower bid then gains."""

    def write(bids: Tensor, context: Tensor | None) -> Menu:
        return Menu(torch.ones(len(bids), 2, 1, 1, dtype=bids.dtype), bids / 2)

    substrate = QuadraticSubstrate(2)
    rule = MenuAuction(substrate, write)
    assert rule.dsic_proof(substrate) is None
    assert ex_post_regret(rule, substrate, torch.full((1, 2, 1), 0.5, dtype=torch.float64)).mean > 0.1
