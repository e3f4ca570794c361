"""Position, unit and bundle auctions: by hand, by enumeration, and against published equilibria."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from auctionsim.mechanisms import (
    VCG,
    DiscriminatoryPrice,
    GeneralizedFirstPrice,
    GeneralizedSecondPrice,
    NearestBid,
    PostedPrice,
    SecondPrice,
    UniformPrice,
    VickreyUnits,
)
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.substrates import Bundles, Items, Positions, Substrate, Units


def quarters(seed: int, *shape: int) -> Tensor:
    return torch.randint(0, 9, shape, generator=torch.Generator().manual_seed(seed)).double() / 4


def gain_from_lying(rule: Mechanism, substrate: Substrate, truth: Tensor, lies: Tensor) -> tuple[float, float]:
    """Return the worst truthful utility and the best gain of one bidder's lie, row against row."""

    def utility(bids: Tensor) -> Tensor:
        outcome = rule(bids)
        return (truth * substrate.exposure(outcome.allocation)).sum(2) - outcome.payments

    honest = utility(truth)
    gains = []
    for i in range(truth.shape[1]):
        mixed = truth.clone()
        mixed[:, i] = lies[:, i]
        gains.append(float((utility(mixed)[:, i] - honest[:, i]).max()))
    return float(honest.min()), max(gains)


def test_positions_by_hand() -> None:
    positions = Positions(3, (1.0, 0.5))
    bids = torch.tensor([[[2.0], [5.0], [1.0]]])
    placed = [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]
    for rule, payments in [
        (GeneralizedSecondPrice(positions), [0.5, 2.0, 0.0]),
        (GeneralizedFirstPrice(positions), [1.0, 5.0, 0.0]),
        (VCG(positions), [0.5, 1.5, 0.0]),  # Varian: 0.5 · 1 and (1 − 0.5) · 2 + 0.5 · 1
        (GeneralizedSecondPrice(positions, reserve=1.5), [0.75, 2.0, 0.0]),
    ]:
        outcome = rule(bids)
        assert outcome.allocation[0].tolist() == placed
        assert outcome.payments[0].tolist() == payments
    sparse = GeneralizedSecondPrice(positions, reserve=3.0)(bids)
    assert sparse.payments[0].tolist() == [0.0, 3.0, 0.0]
    assert sparse.allocation.sum() == 1


@given(st.integers(0, 10**6), st.integers(1, 4))
def test_one_position_is_an_item(seed: int, bidders: int) -> None:
    bids = quarters(seed, 4, bidders, 1)
    ours, classical = GeneralizedSecondPrice(Positions(bidders, (1.0,)))(bids), SecondPrice()(bids)
    assert torch.equal(ours.allocation, classical.allocation)
    assert torch.equal(ours.payments, classical.payments)


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 3))
def test_vcg_on_positions_never_costs_more_than_gsp_and_is_truthful(seed: int, bidders: int, count: int) -> None:
    positions = Positions(bidders, tuple(2.0**-k for k in range(count)))
    truth, lies = quarters(seed, 5, bidders, 1), quarters(seed + 1, 5, bidders, 1)
    worst, gain = gain_from_lying(VCG(positions), positions, truth, lies)
    assert worst >= 0
    assert gain <= 0
    assert bool((VCG(positions)(truth).payments <= GeneralizedSecondPrice(positions)(truth).payments).all())


def test_gsp_is_not_truthful() -> None:
    positions = Positions(3, (1.0, 0.5))
    truth, lie = torch.tensor([[[10.0], [9.0], [2.0]]]), torch.tensor([[[3.0], [9.0], [2.0]]])
    _, gain = gain_from_lying(GeneralizedSecondPrice(positions), positions, truth, lie)
    assert gain == pytest.approx(4 - 1)  # second at 2 a click beats first at 9


def test_units_by_hand() -> None:
    units = Units(2, 3)
    bids = torch.tensor([[[5.0, 4.0, 1.0], [3.0, 2.0, 2.0]]])
    won = [[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    for rule, payments in [
        (UniformPrice(units), [4.0, 2.0]),
        (DiscriminatoryPrice(units), [9.0, 3.0]),
        (VickreyUnits(units), [4.0, 1.0]),
        (VCG(units), [4.0, 1.0]),
    ]:
        outcome = rule(bids)
        assert outcome.allocation[0].tolist() == won
        assert outcome.payments[0].tolist() == payments


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 3))
def test_vickrey_is_vcg_for_falling_values_and_truthful(seed: int, bidders: int, count: int) -> None:
    units = Units(bidders, count)
    truth = quarters(seed, 5, bidders, count).sort(2, descending=True).values
    lies = quarters(seed + 1, 5, bidders, count)
    assert torch.equal(VickreyUnits(units)(truth).payments, VCG(units)(truth).payments)
    for rule in (VickreyUnits(units), VCG(units)):
        worst, gain = gain_from_lying(rule, units, truth, lies)
        assert worst >= 0
        assert gain <= 0


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 3))
def test_vcg_on_units_is_truthful_for_any_values(seed: int, bidders: int, count: int) -> None:
    units = Units(bidders, count)
    truth, lies = quarters(seed, 5, bidders, count), quarters(seed + 1, 5, bidders, count)
    worst, gain = gain_from_lying(VCG(units), units, truth, lies)
    assert worst >= 0
    assert gain <= 0


def test_llg_by_hand() -> None:
    bids = torch.tensor([[[0.75], [0.5], [1.0]], [[1.0], [0.25], [1.0]], [[1.0], [0.1], [0.5]], [[0.25], [0.5], [1.0]]])
    outcome = NearestBid()(bids.double())
    expected = [[0.625, 0.375, 0], [0.875, 0.125, 0], [0.5, 0, 0], [0, 0, 0.75]]
    assert outcome.payments.tolist() == [pytest.approx(row) for row in expected]
    assert outcome.allocation.squeeze(2).tolist() == [[1, 1, 0], [1, 1, 0], [1, 1, 0], [0, 0, 1]]


@given(st.integers(0, 10**6))
def test_nearest_bid_payments_are_the_nearest_core_point(seed: int) -> None:
    """Slow: among core points of lowest revenue, on a grid, none is nearer to the bids; VCG never earns more."""
    bids = quarters(seed, 6, 3, 1)
    outcome = NearestBid()(bids)
    assert bool((outcome.payments.sum(1) >= VCG(Bundles.llg())(bids).payments.sum(1) - 1e-12).all())
    for row in range(6):
        b1, b2, b3 = bids[row, :, 0].tolist()
        if b1 + b2 <= b3:
            continue
        p1, p2 = outcome.payments[row, :2].tolist()
        assert p1 + p2 == pytest.approx(b3)
        candidates = [(k / 16, b3 - k / 16) for k in range(int(b1 * 16) + 1)]
        nearest = min((b1 - q1) ** 2 + (b2 - q2) ** 2 for q1, q2 in candidates if 0 <= q2 <= b2)
        assert (b1 - p1) ** 2 + (b2 - p2) ** 2 <= nearest + 1e-12


def llg_profiles(nodes: int) -> tuple[Tensor, Tensor]:
    """Return local types (type,) and the other two bidders' types (profile, 2) on midpoint grids."""
    axis = (torch.arange(nodes, dtype=torch.float64) + 0.5) / nodes
    return axis, torch.cartesian_prod(axis, 2 * axis)


def test_vcg_on_llg_has_its_published_utilities() -> None:
    axis, others = llg_profiles(80)
    profiles = torch.cat([axis.repeat_interleave(len(others)).unsqueeze(1), others.repeat(len(axis), 1)], 1)
    outcome = VCG(Bundles.llg())(profiles.unsqueeze(2))
    utility = (profiles * outcome.allocation.squeeze(2) - outcome.payments).mean(0)
    assert utility.tolist() == pytest.approx([5 / 24, 5 / 24, 7 / 24], abs=2e-4)
    assert float(outcome.payments.sum(1).mean()) == pytest.approx(7 / 12, abs=4e-4)


def test_the_nearest_bid_equilibrium_is_a_best_response() -> None:
    """Against ln(2/(2 − v)) of the other local and a truthful global, no bid beats ln(2/(2 − v))."""
    _, others = llg_profiles(400)
    rival = others.clone()
    rival[:, 0] = torch.log(2 / (2 - rival[:, 0]))
    rule = NearestBid()
    for v in (0.3, 0.6, 0.95):
        equilibrium = math.log(2 / (2 - v))
        utilities = []
        for bid in (equilibrium, equilibrium - 0.05, equilibrium + 0.05, v, 0.0):
            bids = torch.cat([torch.full((len(rival), 1), bid, dtype=torch.float64), rival], 1).unsqueeze(2)
            outcome = rule(bids)
            utilities.append(float((v * outcome.allocation[:, 0, 0] - outcome.payments[:, 0]).mean()))
        assert utilities[0] >= max(utilities[1:]) - 2e-5
        assert utilities[0] > utilities[3] + 1e-4  # truth is worse


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 3), st.sampled_from([0.0, 0.5, 1.25]))
def test_posted_prices_by_loop_and_truthful(seed: int, bidders: int, items: int, price: float) -> None:
    prices = torch.tensor([price + k / 4 for k in range(items)])
    truth, lies = quarters(seed, 4, bidders, items), quarters(seed + 1, 4, bidders, items)
    rule = PostedPrice(prices)
    outcome = rule(truth)
    for row, item in itertools.product(range(4), range(items)):
        takers = [i for i in range(bidders) if float(truth[row, i, item]) >= float(prices[item])]
        assert outcome.allocation[row, :, item].tolist() == [float(takers[:1] == [i]) for i in range(bidders)]
    assert torch.allclose(outcome.payments, (outcome.allocation * prices).sum(2))
    worst, gain = gain_from_lying(rule, Items(bidders, items), truth, lies)
    assert worst >= 0
    assert gain <= 0


def test_proofs_and_refusals() -> None:
    assert PostedPrice(0.5).dsic_proof(Items(2)) is not None
    assert GeneralizedSecondPrice(Positions(2, (1.0,))).dsic_proof(Positions(2, (1.0,))) is not None
    assert GeneralizedSecondPrice(Positions(2, (1.0, 0.5))).dsic_proof(Positions(2, (1.0, 0.5))) is None
    assert GeneralizedFirstPrice(Positions(2, (1.0,))).dsic_proof(Positions(2, (1.0,))) is None
    assert NearestBid().dsic_proof(Bundles.llg()) is None
    for rule, features in ((NearestBid(), 1), (UniformPrice(Units(3, 2)), 2), (PostedPrice(0.5), 1)):
        with pytest.raises(ValueError, match="finite and >= 0"):
            rule(torch.full((1, 3, features), math.inf))
    with pytest.raises(ValueError, match="prices must be a number"):
        PostedPrice(-1.0)
