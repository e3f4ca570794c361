"""Polishing: its exact objective against the hard rule's, its end against closed forms, and what it leaves alone."""

import pytest
import torch
from torch import Tensor

from auctionsim.mechanisms import Menu, MenuAuction
from auctionsim.mechanisms.menu_losses import MenuLosses
from auctionsim.mechanisms.menu_polishing import Polish, can_polish
from auctionsim.priors import Beta, Empirical, Exponential, Prior, Uniform, product
from auctionsim.substrates import QuadraticSubstrate


def polish(substrate: QuadraticSubstrate, prior: Prior, user_weight: float) -> Polish:
    n = substrate.num_bidders
    losses = MenuLosses(substrate, substrate.null_allocation(1)[0])
    return Polish(substrate, product(prior, n), user_weight, losses)


def random_menu(seed: int, bidders: int, entries: int) -> Menu:
    generator = torch.Generator().manual_seed(seed)
    levers = torch.rand(bidders, entries, 1, generator=generator, dtype=torch.float64)
    prices = levers.squeeze(2).square() * (0.3 + 0.3 * torch.rand(bidders, entries, generator=generator))
    return Menu(levers, prices)


def hard_objective(menu: Menu, substrate: QuadraticSubstrate, prior: Prior, user_weight: float) -> float:
    """Return E[Σ p − λ L] by quadrature: on this substrate L is a sum, so each bidder's own valuation is enough."""
    nodes = (torch.arange(40_000, dtype=torch.float64) + 0.5) / 40_000
    valuations = prior.quantile(nodes).view(-1, 1, 1).expand(-1, substrate.num_bidders, 1).contiguous()
    outcome = MenuAuction(substrate, menu)(valuations)
    return float((outcome.payments.sum(1) - user_weight * substrate.user_loss(outcome.allocation)).mean())


@pytest.mark.parametrize("prior", [Uniform(0, 1), Exponential(0.5), Beta(2, 5)], ids=repr)
@pytest.mark.parametrize(("bidders", "crosstalk"), [(1, 0.0), (2, 0.5), (3, 0.25)])
def test_it_climbs_what_the_hard_rule_earns(prior: Prior, bidders: int, crosstalk: float) -> None:
    substrate = QuadraticSubstrate(bidders, crosstalk)
    rule = polish(substrate, prior, 0.7)
    for seed in range(2):
        menu = random_menu(seed, bidders, 3)
        exact = float(rule.objective(rule.ladder(menu, None), None))
        assert exact == pytest.approx(hard_objective(menu, substrate, prior, 0.7), abs=2e-5)
        better = rule.of(menu, None, 16)
        assert hard_objective(better, substrate, prior, 0.7) >= exact - 2e-5


@pytest.mark.parametrize(("entries", "user_weight"), [(1, 1.0), (2, 1.0), (3, 2.0)])
def test_few_entries_end_at_their_closed_form(entries: int, user_weight: float) -> None:
    """U[0, 1], e = x, L = x²/2, K entries: x_k = 2k/((2K + 1)w), objective (1 − 1/(2K + 1)²)/(12 w) a bidder."""
    substrate = QuadraticSubstrate(2)
    menu = polish(substrate, Uniform(0, 1), user_weight).of(random_menu(1, 2, entries), None, 800)
    expected = torch.arange(1, entries + 1, dtype=torch.float64) * 2 / ((2 * entries + 1) * user_weight)
    assert torch.allclose(menu.levers.squeeze(2).sort(1).values, expected.expand(2, -1), atol=5e-3)
    best = (1 - 1 / (2 * entries + 1) ** 2) / (6 * user_weight)
    assert hard_objective(menu, substrate, Uniform(0, 1), user_weight) == pytest.approx(best, rel=1e-4)
    if entries == 1 and user_weight == 1:
        assert menu.prices.flatten().tolist() == pytest.approx([4 / 9, 4 / 9], abs=5e-3)


def test_entries_that_nobody_takes_come_into_use() -> None:
    substrate = QuadraticSubstrate(2)
    one = Menu(torch.full((2, 8, 1), 0.5, dtype=torch.float64), torch.full((2, 8), 0.3, dtype=torch.float64))
    menu = polish(substrate, Uniform(0, 1), 1.0).of(one, None, 200)
    taken = MenuAuction(substrate, menu)(_even(2)).allocation
    assert all(len(taken[:, i].unique()) >= 5 for i in range(2))  # the null among them
    before, after = (hard_objective(each, substrate, Uniform(0, 1), 1.0) for each in (one, menu))
    assert after > before + 0.01


def test_nothing_to_sell_stays_nothing() -> None:
    nothing = Menu(torch.zeros(2, 3, 1, dtype=torch.float64), torch.zeros(2, 3, dtype=torch.float64))
    menu = polish(QuadraticSubstrate(2), Uniform(0, 1), 1.0).of(nothing, None, 40)
    assert float(menu.levers.max()) == 0
    assert float(menu.prices.max()) == 0


def test_only_one_feature_with_densities_is_polished() -> None:
    assert can_polish(product(Beta(2, 5), 3))
    assert not can_polish(product(Uniform(0, 1), 2, 2))
    assert not can_polish(product([Uniform(0, 1), Empirical([0.5, 1.0])], 2))


def _even(bidders: int) -> Tensor:
    return torch.linspace(0, 1, 2001, dtype=torch.float64).view(-1, 1, 1).expand(-1, bidders, 1).contiguous()
