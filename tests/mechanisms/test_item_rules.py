"""The classical item rules: by hand, against closed forms, and for what Vickrey proved."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from auctionsim.mechanisms import VCG, AllPay, FirstPrice, Mechanism, PayAsBid, SecondPrice, ThirdPrice
from auctionsim.substrates import Items, QuadraticSubstrate

RULES = [FirstPrice, SecondPrice, ThirdPrice, AllPay]
RESERVES = st.sampled_from([0.0, 0.5, 1.25])


@st.composite
def quarter_bids(draw: st.DrawFn, bidders: int | None = None, items: int | None = None) -> Tensor:
    shape = (draw(st.integers(1, 4)), bidders or draw(st.integers(1, 4)), items or draw(st.integers(1, 3)))
    count = math.prod(shape)
    quarters = draw(st.lists(st.integers(0, 8), min_size=count, max_size=count))
    return torch.tensor(quarters, dtype=torch.float64).view(shape) / 4


def test_one_row_by_hand() -> None:
    bids = torch.tensor([[[0.2, 0.9], [0.8, 0.9], [0.6, 0.1]]])
    won = torch.tensor([[[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]])
    for rule, payments in [
        (FirstPrice(), [0.9, 0.8, 0.0]),
        (SecondPrice(), [0.9, 0.6, 0.0]),
        (ThirdPrice(), [0.1, 0.2, 0.0]),
        (AllPay(), [1.1, 1.7, 0.7]),
        (FirstPrice(reserve=0.85), [0.9, 0.0, 0.0]),
        (SecondPrice(reserve=0.7), [0.9, 0.7, 0.0]),
        (ThirdPrice(reserve=0.7), [0.7, 0.7, 0.0]),
        (AllPay(reserve=0.7), [0.9, 1.7, 0.0]),
    ]:
        outcome = rule(bids)
        expected = won * (bids.amax(1, keepdim=True) >= rule.reserve)
        assert torch.equal(outcome.allocation, expected), rule
        assert torch.allclose(outcome.payments, torch.tensor([payments])), rule


@pytest.mark.parametrize("rule", RULES)
def test_an_unopposed_bid_wins(rule: type[Mechanism]) -> None:
    outcome = rule()(torch.tensor([[[1.0], [0.0]]]))
    assert outcome.allocation.flatten().tolist() == [1.0, 0.0]
    if rule in (SecondPrice, ThirdPrice):
        assert outcome.payments.tolist() == [[0.0, 0.0]]


def test_a_bid_at_the_reserve_wins() -> None:
    outcome = SecondPrice(reserve=0.5)(torch.tensor([[[0.5], [0.25]], [[0.25], [0.49]]]))
    assert outcome.allocation.squeeze(2).tolist() == [[1.0, 0.0], [0.0, 0.0]]
    assert outcome.payments.tolist() == [[0.5, 0.0], [0.0, 0.0]]


@given(quarter_bids(), RESERVES, st.sampled_from(RULES))
def test_slow_loop(bids: Tensor, reserve: float, rule: type[Mechanism]) -> None:
    outcome = rule(reserve)(bids)
    for row in range(len(bids)):
        payments = [0.0] * bids.shape[1]
        for item in range(bids.shape[2]):
            column = bids[row, :, item].tolist()
            winner = column.index(max(column)) if max(column) >= reserve else None
            ranked = [*sorted((b for k, b in enumerate(column) if k != winner), reverse=True), 0.0, 0.0]
            assert outcome.allocation[row, :, item].tolist() == [float(k == winner) for k in range(len(column))]
            if rule is AllPay:
                payments = [p + (b if b >= reserve else 0) for p, b in zip(payments, column, strict=True)]
            elif winner is not None:
                price = {FirstPrice: column[winner], SecondPrice: ranked[0], ThirdPrice: ranked[1]}[rule]
                payments[winner] += max(price, reserve)
        assert outcome.payments[row].tolist() == payments


@given(quarter_bids(), quarter_bids(), RESERVES)
def test_second_price_is_truthful_and_individually_rational(truth: Tensor, other: Tensor, reserve: float) -> None:
    mechanism = SecondPrice(reserve)

    def utility(bids: Tensor) -> Tensor:
        outcome = mechanism(bids)
        return (truth * outcome.allocation).sum(2) - outcome.payments

    honest = utility(truth)
    assert bool((honest >= 0).all())
    for bidder in range(truth.shape[1]):
        lie = other[0, 0, 0]
        misreport = truth.clone()
        misreport[:, bidder] = lie
        assert bool((utility(misreport)[:, bidder] <= honest[:, bidder]).all())


@given(quarter_bids(), RESERVES, st.sampled_from(RULES))
def test_rows_do_not_touch(bids: Tensor, reserve: float, rule: type[Mechanism]) -> None:
    together = rule(reserve)(bids)
    for k in range(len(bids)):
        alone = rule(reserve)(bids[k : k + 1])
        assert torch.equal(together.allocation[k], alone.allocation[0])
        assert torch.equal(together.payments[k], alone.payments[0])


@given(quarter_bids())
def test_vcg_and_pay_as_bid_on_items_are_second_and_first_price(bids: Tensor) -> None:
    substrate = Items(bids.shape[1], bids.shape[2])
    sold = bids.amax(1, keepdim=True) > 0  # `maximise` keeps an item that nobody wants
    for general, classical in [(VCG(substrate), SecondPrice()), (PayAsBid(substrate), FirstPrice())]:
        assert torch.equal(general(bids).payments, classical(bids).payments)
        assert torch.equal(general(bids).allocation, classical(bids).allocation * sold)


@pytest.mark.parametrize(("bidders", "expected"), [(1, 1 / 4), (2, 5 / 12), (3, 17 / 32)])
def test_revenue_with_reserve_one_half(bidders: int, expected: float) -> None:
    # The kinks of a second price lie on the grid's diagonals, so the midpoint rule's error is c h² and extrapolates.
    coarse, fine = (_midpoint_revenue(SecondPrice(reserve=0.5), bidders, nodes) for nodes in (40, 80))
    assert (4 * fine - coarse) / 3 == pytest.approx(expected, abs=1e-6)


def _midpoint_revenue(mechanism: Mechanism, bidders: int, nodes: int) -> float:
    axis = (torch.arange(nodes, dtype=torch.float64) + 0.5) / nodes
    grid = torch.cartesian_prod(*[axis] * bidders).view(-1, bidders, 1)
    return float(mechanism(grid).payments.sum(1).mean())


def test_proofs_are_claimed_only_where_they_hold() -> None:
    assert SecondPrice().dsic_proof(Items(3)) is not None
    assert SecondPrice().dsic_proof(QuadraticSubstrate(2)) is None
    assert FirstPrice().dsic_proof(Items(3)) is None


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("bids", "message"),
    [
        (torch.tensor([[[math.nan], [1.0]]]), "finite and >= 0, got nan"),
        (torch.tensor([[[0.5], [-1.0]]]), r"finite and >= 0, got -1.0 at \(batch, bidder, feature\) = \(0, 1, 0\)"),
        (torch.tensor([[[math.inf], [1.0]]]), "finite and >= 0, got inf"),
        (torch.tensor([[1.0, 2.0]]), r"shape \(batch, bidder, item\)"),
        (torch.zeros(2, 0, 1), r"shape \(batch, bidder, item\)"),
    ],
)
def test_bad_bids_are_refused(rule: type[Mechanism], bids: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rule()(bids)


def test_integers_and_negative_reserves_are_refused() -> None:
    with pytest.raises(TypeError, match="floating-point"):
        FirstPrice()(torch.ones(1, 2, 1, dtype=torch.int64))
    with pytest.raises(ValueError, match="reserve must be a number"):
        SecondPrice(reserve=-1.0)


def test_an_empty_batch_clears() -> None:
    assert SecondPrice()(torch.zeros(0, 3, 2)).payments.shape == (0, 3)
