"""What structure gives exactly, where a menu's regret comes from, deployment, and corners."""

import pytest
import torch
from torch import Tensor

from auctionsim.mechanisms import (
    VCG,
    AllPay,
    FirstPrice,
    Menu,
    MenuAuction,
    PayAsBid,
    SecondPrice,
    ThirdPrice,
    VirtualWelfareMaximizer,
)
from auctionsim.mechanisms.affine_maximizer import AffineMaximizer
from auctionsim.priors import Empirical, Uniform
from auctionsim.regret import (
    BoundSettings,
    corner_regret,
    deployed_regret,
    ex_interim_regret,
    ex_post_regret,
    menu_regret_sources,
)
from auctionsim.regret.known_breakpoints import envelope_vertices
from auctionsim.substrates import FiniteRange, Items, Lever, QuadraticSubstrate

UNIT = Uniform(0.0, 1.0)


class Listed:
    """A finite substrate with random exposures that crowd each other out; two contexts and their average."""

    contexts = ("direct", "comparison")
    features = ("exposure",)
    levers = (Lever("x", 0.0, 1.0, 0.0),)
    separable = False

    def __init__(self, n: int, entries: int, seed: int, noise: float = 0.0) -> None:
        g = torch.Generator().manual_seed(seed)
        self.num_bidders = n
        self.allocations = torch.cat([torch.zeros(1, n, 1), torch.rand(entries - 1, n, 1, generator=g)]).double()
        raw = torch.rand(2, entries, n, generator=g).double() * self.allocations.squeeze(2)
        noisy = raw + noise * torch.rand(raw.shape, generator=g).double()
        self.table = torch.cat([noisy, noisy.mean(0, keepdim=True)])  # (context, entry, bidder), None last
        self.losses = self.allocations.square().sum((1, 2)) / 2

    def _rows(self, context: Tensor | None, batch: int) -> Tensor:
        return torch.full((batch,), 2) if context is None else context

    def null_allocation(self, batch, *, dtype=None, device=None):
        return torch.zeros(batch, self.num_bidders, 1, dtype=dtype)

    def _entry(self, allocation: Tensor) -> Tensor:
        near = (allocation.double().unsqueeze(1) - self.allocations).abs().sum((2, 3))
        assert near.amin(1).max() < 1e-6
        return near.argmin(1)

    def feasible(self, allocation):
        return (allocation.double().unsqueeze(1) - self.allocations).abs().sum((2, 3)).amin(1) < 1e-6

    def exposure(self, allocation, context=None):
        rows = self._rows(context, len(allocation))
        return self.table[rows, self._entry(allocation)].unsqueeze(2).to(allocation.dtype)

    def user_loss(self, allocation, context=None):
        return self.losses[self._entry(allocation)].to(allocation.dtype)

    def finite_range(self, context=None):
        rows = torch.tensor([2]) if context is None else context
        return FiniteRange(self.allocations, self.table[rows].unsqueeze(3), self.losses.expand(len(rows), -1))

    def maximise(self, weights, user_weight, context=None):
        rows = self._rows(context, len(weights))
        score = torch.einsum("bi,bki->bk", weights.squeeze(2).double(), self.table[rows]) - user_weight * self.losses
        return self.allocations[score.argmax(1)].to(weights.dtype)


def loose_and_exact(rule, place, v: Tensor, **settings):
    searched = ex_post_regret(rule, place, v, bounds=BoundSettings(use_structure=False), **settings)
    exact = ex_post_regret(rule, place, v, **settings)
    assert exact.method.startswith("exact")
    assert (exact.lower <= exact.upper).all()
    assert (searched.lower <= exact.upper + 1e-9).all()
    return searched, exact


@pytest.mark.parametrize(
    "rule", [FirstPrice(0.25), SecondPrice(0.25), ThirdPrice(), AllPay()], ids=lambda r: type(r).__name__
)
def test_item_rules(rule, generator: torch.Generator) -> None:
    v = torch.rand(30, 3, 1, generator=generator, dtype=torch.float64)
    reports = torch.rand(30, 3, 1, generator=generator, dtype=torch.float64)
    if isinstance(rule, SecondPrice):
        rule.dsic_proof = lambda substrate: None  # so that the list of breakpoints is used
    searched, exact = loose_and_exact(rule, Items(3), v, reports=reports)
    torch.testing.assert_close(searched.lower, exact.upper, rtol=0, atol=1e-4)
    torch.testing.assert_close(exact.lower, exact.upper, rtol=0, atol=1e-4)
    assert exact.max > 0.05


@pytest.mark.parametrize("contextual", [False, True])
def test_rules_on_a_finite_range(contextual: bool, generator: torch.Generator) -> None:
    """Pay-as-bid where it was designed; truthful rules where exposure is another's."""
    here, there = Listed(3, 16, seed=1), Listed(3, 16, seed=1, noise=0.5)
    v = torch.rand(6, 3, 1, generator=generator, dtype=torch.float64)
    context = torch.arange(6) % 2 if contextual else None
    for rule, place in (
        (PayAsBid(here, 0.25), here),
        (VCG(here, 0.25), there),
        (VirtualWelfareMaximizer(here, UNIT, 0.25), there),
        (AffineMaximizer(here, here.allocations, -0.2 * here.losses, torch.tensor([1.0, 2.0, 0.5])), there),
        (VirtualWelfareMaximizer(here, Empirical([0.25, 0.5, 0.5, 1.0]), 0.1), there),
    ):
        searched, exact = loose_and_exact(rule, place, v, context=context)
        torch.testing.assert_close(searched.lower, exact.upper, rtol=0, atol=2e-3)
        torch.testing.assert_close(exact.lower, exact.upper, rtol=0, atol=2e-4)
        assert exact.max > 0.001, rule


def test_envelope_vertices_against_a_fine_grid(generator: torch.Generator) -> None:
    slopes = torch.tensor([0.0, 0.5, 0.5, 0.25, 1.0, 0.75], dtype=torch.float64)
    intercepts = -torch.rand(20, 6, generator=generator, dtype=torch.float64)
    vertices = envelope_vertices(slopes, intercepts)
    w = torch.linspace(-3, 6, 9001, dtype=torch.float64)
    best = (w.view(-1, 1, 1) * slopes + intercepts).argmax(2)  # (weight, row)
    for row in range(20):
        turns = w[1:][best[1:, row] != best[:-1, row]]
        near = (turns.unsqueeze(1) - vertices[row]).abs().amin(1)
        assert near.max() < 1.1e-3


def crosstalk() -> QuadraticSubstrate:
    return QuadraticSubstrate(2, crosstalk=0.5)


def test_a_choice_at_the_wrong_reference_is_told_as_such() -> None:
    """Entries (1, .3), (.5, .1), v = .5, the rival always on: truth earns −.05, reporting .3 earns .025."""
    menu = Menu(torch.tensor([[[1.0], [0.5]], [[1.0], [1.0]]]), torch.tensor([[0.3, 0.1], [0.0, 0.0]]))
    rule = MenuAuction(crosstalk(), menu)
    v = torch.tensor([[[0.5], [1.0]]], dtype=torch.float64)
    exact = ex_post_regret(rule, crosstalk(), v)
    assert exact.method.startswith("exact")
    assert exact.upper[0].tolist() == [pytest.approx(0.075, abs=1e-6), pytest.approx(0.0, abs=1e-6)]
    sources = menu_regret_sources(rule, crosstalk(), v)
    assert sources.total.lower[0, 0].item() == pytest.approx(0.075, abs=1e-6)
    assert sources.choice.lower[0, 0].item() == pytest.approx(0.075, abs=1e-6)
    assert sources.influence.max == 0.0


class TwoFeatures(QuadraticSubstrate):
    """The quadratic substrate's exposure and its square, both wanted."""

    features = ("exposure", "square")

    def exposure(self, allocation, context=None):
        once = super().exposure(allocation, context)
        return torch.cat([once, once.square()], 2)


def test_fixed_menus_with_several_features_have_a_ceiling(generator: torch.Generator) -> None:
    place = TwoFeatures(3, crosstalk=0.5)
    rule = MenuAuction(place, Menu(torch.rand(3, 5, 1, generator=generator), torch.rand(3, 5, generator=generator) / 4))
    v = torch.rand(40, 3, 2, generator=generator, dtype=torch.float64)
    found = ex_post_regret(rule, place, v, budget=2000)
    assert (found.lower <= found.upper).all()
    assert found.max > 0.01
    assert found.lower.sum() > 0.8 * found.upper.sum()  # nearly every entry is some report's favourite


def test_influence_on_the_rivals_menu_is_told_as_such() -> None:
    """M_1 = {(1, .1)}, M_2(b_1) = {(1, b_1)}, v = (.4, .5): truth earns .1, reporting .6 earns .3."""

    def write(bids: Tensor, context: Tensor | None) -> Menu:
        levers = torch.ones(len(bids), 2, 1, 1, dtype=bids.dtype)
        prices = torch.stack([torch.full_like(bids[:, 0], 0.1), bids[:, 0]], 1)
        return Menu(levers, prices)

    rule = MenuAuction(crosstalk(), write)
    v = torch.tensor([[[0.4], [0.5]]], dtype=torch.float64)
    sources = menu_regret_sources(rule, crosstalk(), v)
    assert sources.total.lower[0, 0].item() == pytest.approx(0.2, abs=1e-6)
    assert sources.influence.lower[0, 0].item() == pytest.approx(0.2, abs=1e-6)
    assert sources.choice.lower[0, 0].item() == pytest.approx(0.0, abs=1e-9)


def test_sources_of_separable_menus_are_nothing(generator: torch.Generator) -> None:
    place = QuadraticSubstrate(3)
    rule = MenuAuction(place, Menu(torch.rand(3, 4, 1, generator=generator), torch.rand(3, 4, generator=generator) / 2))
    v = torch.rand(10, 3, 1, generator=generator, dtype=torch.float64)
    sources = menu_regret_sources(rule, place, v)
    assert sources.total.method.startswith("proof")
    assert sources.total.max == 0.0
    assert max(sources.choice.max, sources.influence.max) < 1e-9
    with pytest.raises(ValueError, match="levers of each bidder's own"):
        menu_regret_sources(rule, Wide(3), v)


class Wide(QuadraticSubstrate):
    """Allocations that are no levers of a bidder's own."""

    def null_allocation(self, batch, *, dtype=None, device=None):
        return torch.zeros(batch, 7, dtype=dtype)


def test_deployed_regret_is_the_price_of_estimation_error(generator: torch.Generator) -> None:
    here = Listed(2, 30, seed=4)
    v = torch.rand(50, 2, 1, generator=generator, dtype=torch.float64)
    same = deployed_regret(VCG(here, 0.2), here, here, v)
    assert same.gap == 0.0
    assert same.deployed.method.startswith("proof")
    gaps = []
    for noise in (0.1, 0.5):
        moved = deployed_regret(VCG(here, 0.2), here, Listed(2, 30, seed=4, noise=noise), v)
        assert moved.designed.max == 0.0
        assert moved.interval.low <= moved.gap <= moved.interval.high
        assert moved.gap == pytest.approx(float(moved.deployed.lower.mean()))
        gaps.append(moved.gap)
    assert 0.0001 < gaps[0] < gaps[1]
    with pytest.raises(ValueError, match="same bidders"):
        deployed_regret(VCG(here), here, Listed(3, 10, seed=4), v)


def test_corners_bound_every_valuation_between_them() -> None:
    """First price, 2 × U[0,1], the equilibrium v/2 rounded to the middle of ten cells."""
    edges = torch.linspace(0, 1, 11)
    bids = ((edges[:-1] + edges[1:]) / 4).view(-1, 1).repeat(1, 2)
    cells = corner_regret(
        FirstPrice(), Items(2), UNIT, edges, bids, draws=2**13, generator=torch.Generator().manual_seed(1)
    )
    v = torch.linspace(0.005, 0.995, 100).view(-1, 1, 1).repeat(1, 2, 1)
    cell = (v[:, 0, 0] * 10).floor().long()

    def play(x: Tensor) -> Tensor:
        return bids[(x * 10).floor().long().clamp(0, 9).squeeze(1), 0].unsqueeze(1)

    inside = ex_interim_regret(
        FirstPrice(),
        Items(2),
        UNIT,
        valuations=v,
        strategies=play,
        draws=2**13,
        generator=torch.Generator().manual_seed(2),
    )
    assert (inside.lower <= cells.pointwise[1][cell]).all()
    assert (cells.upper >= cells.lower - 1e-9).all()
    assert inside.max <= float(cells.upper.max())
    assert cells.max < 0.06
    assert cells.method.startswith("corners of 10 cells")


def test_corners_refuse_what_is_no_partition() -> None:
    bids = torch.zeros(2, 2)
    with pytest.raises(ValueError, match="edges must cover"):
        corner_regret(FirstPrice(), Items(2), UNIT, torch.tensor([0.0, 0.5, 0.9]), bids)
    with pytest.raises(ValueError, match="increasing"):
        corner_regret(FirstPrice(), Items(2), UNIT, torch.tensor([0.0, 0.5, 0.5]), bids)
    with pytest.raises(ValueError, match="one row a cell"):
        corner_regret(FirstPrice(), Items(2), UNIT, torch.tensor([0.0, 1.0]), bids)


@pytest.mark.parametrize("kind", ["first price", "all-pay", "pay-as-bid"])
def test_several_items_add_up(kind: str, generator: torch.Generator) -> None:
    """First price on two items: v − the highest rival's bid on each, exactly; a search in both comes close."""
    v = torch.rand(20, 3, 2, generator=generator, dtype=torch.float64)
    rule = {"first price": FirstPrice(), "all-pay": AllPay(), "pay-as-bid": PayAsBid(Items(3, 2))}[kind]
    exact = ex_post_regret(rule, Items(3, 2), v)
    assert exact.method == "exact: every breakpoint of the own bid, item by item"
    rivals = torch.stack([v[:, [j for j in range(3) if j != i]].amax(1) for i in range(3)], 1)
    gain = (v - rivals).clamp_min(0)  # a loser of an all-pay auction gains what it bid, a winner the gap
    known = (torch.where(v > rivals, gain, v) if kind == "all-pay" else gain).sum(2)
    torch.testing.assert_close(exact.upper, known, rtol=0, atol=1e-12)
    assert (exact.lower <= exact.upper).all()
    torch.testing.assert_close(exact.lower, exact.upper, rtol=0, atol=1e-3)
    searched = ex_post_regret(rule, Items(3, 2), v, bounds=BoundSettings(use_structure=False))
    assert (searched.lower <= exact.upper + 1e-12).all()
    assert searched.lower.sum() > 0.97 * exact.upper.sum()
