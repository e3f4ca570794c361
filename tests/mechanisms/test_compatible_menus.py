"""Menus under a shared budget: exactly truthful, never over the budget, and the known optimum on the quadratic."""

import pytest
import torch

from auctionsim import mechanisms as m
from auctionsim.metrics import utility
from auctionsim.priors import Beta, Empirical, Exponential, Mixture, Prior, Uniform
from auctionsim.regret import BoundSettings, ex_post_regret
from auctionsim.substrates import QuadraticSubstrate
from auctionsim.testing import check_mechanism

UNIT = Uniform(0, 1)


def test_the_budget_of_1_on_the_quadratic_has_its_closed_form() -> None:
    """x_1 + x_2 ≤ 1, U[0, 1], user weight 1: objective .161458, revenue .302083, loss .140625."""
    objectives = []
    for cells in (16, 64, 128):
        means = m.menus_within_budget(QuadraticSubstrate(2), UNIT, 1.0, budget=1.0, cells=cells).truthful_means()
        objectives.append(means.revenue - means.user_loss)
    assert objectives == sorted(objectives)
    assert 0.16143 < objectives[-1] < 0.161459
    assert means.revenue == pytest.approx(0.302083, abs=1e-4)
    assert means.user_loss == pytest.approx(0.140625, abs=1e-4)


def test_a_budget_that_does_not_bind_raises_no_price() -> None:
    place = QuadraticSubstrate(2)
    rule = m.menus_within_budget(place, UNIT, 1.0, budget=2.0, cells=8)
    assert bool((rule.thresholds == rule.thresholds[:, :1]).all())
    means = rule.truthful_means()
    assert means.revenue - means.user_loss == pytest.approx(1 / 6, rel=2e-4)


PRIORS: list[Prior | list[Prior]] = [
    UNIT,
    Exponential(0.5),
    [Beta(2, 5), Uniform(0.5, 1.5), Empirical([0.25, 0.5, 1.0])],
    Mixture([Uniform(0, 0.25), Uniform(0.75, 1)], [0.8, 0.2]),
]


@pytest.mark.parametrize("prior", PRIORS, ids=repr)
@pytest.mark.parametrize("budget", [0.3, 1.0])
def test_no_bids_use_more_than_the_budget_and_nobody_gains_or_loses(prior: Prior | list[Prior], budget: float) -> None:
    place = QuadraticSubstrate(3)
    rule = m.menus_within_budget(place, prior, 0.5, budget=budget, cells=8)
    generator = torch.Generator().manual_seed(0)
    ends = rule.cells[rule.cells.isfinite()]
    beside = torch.cat([ends, ends * (1 + 1e-12), (ends - 1e-12).clamp_min(0)])
    pool = torch.cat([beside, 2 * torch.rand(200, generator=generator, dtype=torch.float64)])
    bids = pool[torch.randint(len(pool), (4000, 3), generator=generator)].unsqueeze(2)
    outcome = rule(bids)
    used = outcome.allocation.sum((1, 2))
    assert float(used.max()) <= budget + 1e-9
    assert float(used.max()) > 0.5 * budget
    assert rule.most_used <= budget + 1e-9
    assert float(utility(outcome, place, bids).min()) >= -1e-12
    few = bids[:16]
    assert ex_post_regret(rule, place, few).method.startswith("proof: taxation")
    assert ex_post_regret(rule, place, few, bounds=BoundSettings(use_structure=False), budget=64).max <= 1e-12


def test_means_are_those_of_truthful_auctions() -> None:
    place, levels = QuadraticSubstrate(2), (torch.arange(800, dtype=torch.float64) + 0.5) / 800
    rule = m.menus_within_budget(place, [UNIT, Uniform(0, 2)], 0.5, budget=0.7, cells=10)
    bids = torch.cartesian_prod(levels, 2 * levels).unsqueeze(2)
    outcome, means = rule(bids), rule.truthful_means()
    assert float(outcome.payments.sum(1).mean()) == pytest.approx(means.revenue, abs=1e-3)
    assert float(place.user_loss(outcome.allocation).mean()) == pytest.approx(means.user_loss, abs=1e-3)


def test_it_keeps_the_laws_of_truthful_rules() -> None:
    place = QuadraticSubstrate(2)
    rule = m.menus_within_budget(place, UNIT, 0.5, budget=0.8, cells=8)
    check_mechanism(rule, place, dsic=True, individually_rational=True, examples=8)
    assert rule.dsic_proof(QuadraticSubstrate(2, 0.5)) is None


def test_thresholds_that_break_the_budget_are_refused() -> None:
    place = QuadraticSubstrate(2)
    levers, cells = torch.tensor([[0.4, 0.8]] * 2, dtype=torch.float64), torch.tensor([[0.0, 0.5]] * 2)
    thresholds = torch.tensor([[[0.1, 0.6], [0.1, 0.6]]] * 2)  # .8 each where both bid more than .6
    with pytest.raises(ValueError, match=r"some bids would use 1\.6 of a budget of 1"):
        m.CompatibleMenus(place, UNIT, 1.0, levers, cells, thresholds)
    thresholds[:, 1, 1] = torch.inf  # the larger entry only against the others' low bids
    with pytest.raises(ValueError, match=r"some bids would use 1\.2 of"):
        m.CompatibleMenus(place, UNIT, 1.0, levers, cells, thresholds)
    assert m.CompatibleMenus(place, UNIT, 1.2, levers, cells, thresholds).most_used == pytest.approx(1.2)
    with pytest.raises(ValueError, match="must not fall along the entries"):
        m.CompatibleMenus(place, UNIT, 2.0, levers, cells, thresholds.flip(2))
    with pytest.raises(ValueError, match="profiles of cells are looked at, got 3000"):
        m.CompatibleMenus(place, UNIT, 2.0, levers[:, :0], torch.arange(3000.0).expand(2, -1), torch.zeros(2, 3000, 0))
    with pytest.raises(ValueError, match="touches no other"):
        m.menus_within_budget(QuadraticSubstrate(2, 0.5), UNIT, budget=1.0)
    with pytest.raises(NotImplementedError, match="too many profiles"):
        m.menus_within_budget(QuadraticSubstrate(20), UNIT, budget=1.0)
