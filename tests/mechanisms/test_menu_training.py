"""Learned menus against their closed forms, always by the hard choice."""

import math

import pytest
import torch
from torch import Tensor

from auctionsim.mechanisms import MenuAuction, TrainingPoint, VirtualWelfareMaximizer, train_menu
from auctionsim.priors import Beta, Exponential, Prior, Uniform
from auctionsim.substrates import Items, QuadraticSubstrate


def objective_of_one(rule: MenuAuction, prior: Prior, user_weight: float, nodes: int = 20000) -> float:
    """Return Σ_i E[p_i − w x_i²/2] by quadrature over each bidder's own valuation: the substrate is separable."""
    quantiles = (torch.arange(nodes, dtype=torch.float64) + 0.5) / nodes
    valuations = prior.quantile(quantiles).view(-1, 1, 1).expand(-1, rule.range.num_bidders, 1).contiguous()
    outcome = rule(valuations)
    return float((outcome.payments.sum(1) - user_weight * rule.range.user_loss(outcome.allocation)).mean())


@pytest.mark.parametrize(
    ("prior", "user_weight"),
    [(Uniform(0, 1), 1.0), (Exponential(1.0), 2.0), (Exponential(1.0), 16.0), (Beta(2, 5), 3.0)],
    ids=repr,
)
def test_the_separable_neuron_menu_reaches_its_optimum(prior: Prior, user_weight: float) -> None:
    rule = train_menu(QuadraticSubstrate(2), prior, user_weight)
    best = 2 * VirtualWelfareMaximizer(QuadraticSubstrate(1), prior, user_weight).optimum(nodes=20000).objective
    reached = objective_of_one(rule, prior, user_weight)
    assert 0.995 * best <= reached <= best * (1 + 1e-6)


def test_one_bidder_two_items_reaches_the_known_optimum() -> None:
    rule = train_menu(Items(1, 2), Uniform(0, 1), entries=16, seed=1)
    optimum = (12 + 2 * math.sqrt(2)) / 27
    # A lattice in two dimensions (Kronecker, with the plastic number) integrates the jumps to about 1e-5.
    k = torch.arange(1, 2**20 + 1, dtype=torch.float64)
    points = torch.stack([k * 0.7548776662466927 % 1, k * 0.5698402909980532 % 1], 1)
    revenue = float(rule(points.unsqueeze(1)).payments.mean())
    assert 0.999 * optimum <= revenue <= 1.0003 * optimum


def test_history_is_hard_and_progress_is_told() -> None:
    told: list[tuple[TrainingPoint, int]] = []
    rule = train_menu(
        QuadraticSubstrate(2), Uniform(0, 1), 1.0, entries=4, steps=80, progress=lambda *now: told.append(now)
    )
    assert rule.history == tuple(point for point, _ in told)
    assert told[-1][0].step == told[-1][1] == 80
    last = rule.history[-1]
    assert last.objective == pytest.approx(last.revenue - last.user_loss)
    assert last.objective == pytest.approx(objective_of_one(rule, Uniform(0, 1), 1.0), abs=2e-3)
    assert last.objective > rule.history[0].objective


def test_the_same_seed_gives_the_same_menu() -> None:
    one, two, other = (
        train_menu(QuadraticSubstrate(2), Uniform(0, 1), 1.0, entries=3, steps=30, seed=seed) for seed in (5, 5, 6)
    )
    bids = torch.rand(50, 2, 1, generator=torch.Generator().manual_seed(0))
    assert torch.equal(one(bids).payments, two(bids).payments)
    assert not torch.equal(one(bids).payments, other(bids).payments)


def soft_losses(crosstalk: float, most_joint: int, monkeypatch: pytest.MonkeyPatch) -> MenuAuction:
    monkeypatch.setattr("auctionsim.mechanisms.menu_losses.MOST_JOINT", most_joint)
    return train_menu(QuadraticSubstrate(2, crosstalk), Uniform(0, 1), 1.0, entries=5, steps=300)


def test_crosstalk_tables_and_single_moves_learn_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's loss here is a sum whatever the crosstalk, so both estimates must find the separable optimum."""
    for most_joint in (2**12, 0):
        rule = soft_losses(0.5, most_joint, monkeypatch)
        apart = MenuAuction(QuadraticSubstrate(2), rule.menus)
        assert objective_of_one(apart, Uniform(0, 1), 1.0) > 0.95 * (2 / 12)


def test_a_huge_user_weight_leaves_the_null() -> None:
    rule = train_menu(QuadraticSubstrate(2), Uniform(0, 1), 1e6, entries=4, steps=200)
    outcome = rule(torch.rand(100, 2, 1, generator=torch.Generator().manual_seed(0)))
    assert float(outcome.payments.max()) == 0
    assert float(outcome.allocation.max()) == 0


def test_items_with_several_bidders_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot give everybody"):
        train_menu(Items(2), Uniform(0, 1))


def test_contexts_get_menus_of_their_own() -> None:
    class Doubled(QuadraticSubstrate):
        """Context 1 doubles every exposure; None is the mean."""

        contexts = ("plain", "double")

        def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
            factor = torch.full((len(allocation),), 1.5) if context is None else 1.0 + context
            return super().exposure(allocation) * factor.to(allocation.dtype).view(-1, 1, 1)

        def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
            return super().user_loss(allocation)

    rule = train_menu(Doubled(1), Uniform(0, 1), 1.0, entries=5, steps=300)
    nodes = ((torch.arange(8000, dtype=torch.float64) + 0.5) / 8000).view(-1, 1, 1)
    for context, factor in ((0, 1.0), (1, 2.0), (None, 1.5)):
        where = None if context is None else torch.full((8000,), context)
        outcome = rule(nodes, where)
        objective = float((outcome.payments.sum(1) - outcome.allocation.square().sum((1, 2)) / 2).mean())
        # E of max_x f φ x − x²/2 over [0, 1]: x = min(f φ₊, 1)
        phi = factor * (2 * nodes - 1).clamp_min(0)
        lever = phi.clamp_max(1)
        best = float((phi * lever - lever.square() / 2).mean())
        assert 0.98 * best <= objective <= best * (1 + 1e-4), context
