"""Menus written by a network: what it may look at, where it begins, and that learning raises the hard objective."""

import pytest
import torch

from auctionsim.mechanisms import Menu, MenuAuction, MenuNetwork, train_menu, train_menu_writer
from auctionsim.priors import Uniform
from auctionsim.substrates import QuadraticSubstrate


def shaken(network: MenuNetwork, seed: int = 0) -> MenuNetwork:
    """Give the last layer weights, so that the menus depend on their inputs."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.data.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return network.requires_grad_(False)


def test_it_begins_as_the_free_menu() -> None:
    substrate = QuadraticSubstrate(2)
    free = Menu(torch.rand(2, 4, 1), torch.rand(2, 4))
    bids = torch.rand(20, 2, 1)
    network = MenuNetwork(substrate, entries=4, free=free).requires_grad_(False)
    for one, two in zip(MenuAuction(substrate, network)(bids), MenuAuction(substrate, free)(bids), strict=True):
        assert torch.allclose(one, two, atol=1e-7)


def test_a_bidders_own_bid_moves_its_rivals_menus_only() -> None:
    network = shaken(MenuNetwork(QuadraticSubstrate(3), entries=4))
    bids = torch.rand(5, 3, 1)
    raised = bids.clone()
    raised[:, 1] += 0.7
    before, after = network(bids), network(raised)
    assert torch.equal(before.prices[:, 1], after.prices[:, 1])
    assert torch.equal(before.levers[:, 1], after.levers[:, 1])
    assert not torch.equal(before.prices[:, 0], after.prices[:, 0])
    assert float(before.prices.min()) >= 0
    assert float(before.levers.min()) >= 0
    assert float(before.levers.max()) <= 1


def test_truthful_without_crosstalk_and_rows_do_not_touch() -> None:
    substrate = QuadraticSubstrate(2)
    rule = MenuAuction(substrate, shaken(MenuNetwork(substrate, entries=6)))
    truth, lies = torch.rand(200, 2, 1), torch.rand(200, 2, 1)

    def utility(bids: torch.Tensor) -> torch.Tensor:
        outcome = rule(bids)
        return (truth * substrate.exposure(outcome.allocation)).sum(2) - outcome.payments

    assert rule.dsic_proof(substrate) is not None
    assert MenuAuction(substrate, lambda bids, context: Menu(*rule.menus(bids, context))).dsic_proof(substrate) is None
    honest = utility(truth)
    assert float(honest.min()) >= -1e-6
    for i in range(2):
        mixed = truth.clone()
        mixed[:, i] = lies[:, i]
        assert float((utility(mixed) - honest)[:, i].max()) <= 1e-5
    together = rule(truth)
    alone = rule(truth[7:8])
    assert torch.allclose(together.payments[7], alone.payments[0], atol=1e-5)


def test_learning_raises_the_hard_objective_where_losses_interact() -> None:
    class Joint(QuadraticSubstrate):
        """L = (Σ x)²/2: one bidder's lever makes the other's dearer to the user."""

        separable = False

        def user_loss(self, allocation: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
            return allocation.sum((1, 2)).square() / 2

    fixed = train_menu(Joint(2), Uniform(0, 1), 1.0, entries=6, steps=400)
    learned = train_menu_writer(fixed, Uniform(0, 1), 1.0, steps=200)
    assert learned.history[0].objective == pytest.approx(fixed.history[-1].objective, abs=5e-3)
    assert learned.history[-1].objective > 1.02 * learned.history[0].objective
    # The optimum lets one bidder have x = φ₊: E[max(φ₁, φ₂, 0)²]/2 = 7/48.
    assert learned.history[-1].objective < 7 / 48
    assert not learned.is_fixed
    with pytest.raises(ValueError, match="fixed menus"):
        train_menu_writer(learned, Uniform(0, 1))
