"""Menus at expected exposures: truthful in expectation under crosstalk, the rivals' valuations integrated exactly."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from finite_list import quarter_list
from shown_list import ShownList, shown_list
from torch import Tensor

from auctionsim import mechanisms as m
from auctionsim.data import packaged_names
from auctionsim.mechanisms.protocol import bic_proof_of
from auctionsim.outcome import Outcome
from auctionsim.priors import Beta, Empirical, Exponential, Mixture, Prior, Uniform
from auctionsim.regret import InterimSettings, ex_interim_regret, ex_post_regret
from auctionsim.substrates import (
    MeasuredList,
    QuadraticSubstrate,
    Randomised,
    ResponseSurface,
    Substrate,
)
from auctionsim.testing import check_mechanism

UNIT = Uniform(0, 1)
MENU = m.Menu(torch.tensor([[[0.5], [1.0]], [[0.25], [0.75]]]), torch.tensor([[0.1, 0.3], [0.05, 0.25]]))


def trained(place: Substrate, user_weight: float = 1.0, prior: Prior = UNIT, levels: int = 17) -> m.BayesianMenu:
    return m.train_bayesian_menu(place, prior, user_weight, levels=levels, starts=2)


def objective(rule: m.BayesianMenu, user_weight: float) -> float:
    means = rule.truthful_means()
    return means.revenue - user_weight * means.user_loss


def received(rule: m.BayesianMenu, place: Substrate, bidder: int, bids: Tensor) -> tuple[Tensor, Tensor]:
    """Return a bidder's expected exposure and payment at its own bids, by the rule's own outcomes alone.

    A rival's outcome is constant between its thresholds, so one bid of each stretch stands for all of it.
    """
    thresholds = rule.own_bid_breakpoints(torch.ones(1, place.num_bidders, 1, dtype=torch.float64), None)[0]
    stretches = []
    for i in range(place.num_bidders):
        prior = rule.priors.marginal(i)
        inner = thresholds[i][(prior.cdf(thresholds[i]) > 0) & (prior.cdf(thresholds[i]) < 1)]
        ends = torch.cat([inner.new_tensor([prior.low]), inner, inner.new_tensor([prior.finite_high])])
        chances = torch.cat([inner.new_zeros(1), prior.cdf(inner), inner.new_ones(1)]).diff()
        stretches.append(list(zip(((ends[1:] + ends[:-1]) / 2).tolist(), chances.tolist(), strict=True)))
    exposure, payment = torch.zeros_like(bids), torch.zeros_like(bids)
    stretches[bidder] = [(0.0, 1.0)]
    for profile in itertools.product(*stretches):
        chance = torch.tensor([one for _, one in profile], dtype=torch.float64).prod()
        rows = torch.tensor([bid for bid, _ in profile], dtype=torch.float64).repeat(len(bids), 1)
        rows[:, bidder] = bids
        outcome = rule(rows.unsqueeze(2))
        exposure += chance * place.exposure(outcome.allocation)[:, bidder, 0]
        payment += chance * outcome.payments[:, bidder]
    return exposure, payment


def interim(rule: m.BayesianMenu, place: Substrate) -> tuple[float, float]:
    """Return the largest interim regret and the smallest interim utility, over types and all their bids."""
    regret, least = 0.0, torch.inf
    for i in range(place.num_bidders):
        high = rule.priors.marginal(i).finite_high
        types = torch.linspace(0, high, 41, dtype=torch.float64)
        own = rule.own_bid_breakpoints(torch.ones(1, place.num_bidders, 1, dtype=torch.float64), None)[0, i]
        beside = own[own.isfinite()]
        bids = torch.cat([types, beside, beside * (1 + 1e-9), torch.linspace(0, 2 * high, 41, dtype=torch.float64)])
        exposure, payment = received(rule, place, i, bids)
        utility = types.unsqueeze(1) * exposure - payment
        truth = utility[:, : len(types)].diagonal()
        regret = max(regret, float((utility.amax(1) - truth).max()))
        least = min(least, float(truth.min()))
    return regret, least


LISTED = shown_list(5, bidders=2, strengths=2)
PLACES: dict[str, Callable[[], Substrate]] = {
    "quadratic .2": lambda: QuadraticSubstrate(2, 0.2),
    "quadratic .5": lambda: QuadraticSubstrate(2, 0.5),
    "quadratic 1": lambda: QuadraticSubstrate(2, 1.0),
    "three bidders": lambda: QuadraticSubstrate(3, 0.5),
    "list": lambda: LISTED,
    "randomised list": lambda: Randomised(LISTED),
    "surface": lambda: ResponseSurface.packaged("charities-2@1").sell("slot_probability"),
    "carrier": lambda: MeasuredList.packaged("running-shoes-2-neurons@1").sell("slot_probability"),
}


@pytest.mark.parametrize("name", PLACES)
def test_truth_is_a_best_reply_and_nobody_expects_to_lose(name: str) -> None:
    place = PLACES[name]()
    for user_weight in (0.0, 0.5):
        rule = trained(place, user_weight, levels=9)
        regret, least = interim(rule, place)
        assert regret <= 1e-12
        assert least >= -1e-12
        assert float(rule.residual.max()) < 1e-12


@pytest.mark.deep
@pytest.mark.parametrize("user_weight", [0.0, 1.0, 2.0])
def test_truth_is_a_best_reply_on_every_packaged_measurement(user_weight: float) -> None:
    for kind in (ResponseSurface, MeasuredList):
        for name in packaged_names():
            try:
                measured = kind.packaged(name)
            except ValueError:  # of the other kind
                continue
            place = measured.sell(measured.features[0])
            regret, least = interim(trained(place, user_weight), place)
            assert regret <= 1e-12, name
            assert least >= -1e-12, name


def test_interim_regret_is_0_by_structure_for_these_priors_and_truthful_rivals_alone() -> None:
    place = QuadraticSubstrate(2, 0.5)
    rule = trained(place)
    proved = ex_interim_regret(rule, place, UNIT)
    assert proved.method.startswith("proof in expectation: fixed menus")
    assert proved.upper is not None
    assert proved.max == 0.0
    assert float(proved.upper.max()) < 1e-12
    few = InterimSettings(types=4, budget=16)
    other = ex_interim_regret(rule, place, Uniform(0, 2), draws=64, settings=few)
    shading = ex_interim_regret(rule, place, UNIT, strategies=lambda v: v / 2, draws=64, settings=few)
    elsewhere = ex_interim_regret(rule, QuadraticSubstrate(2, 0.25), UNIT, draws=64, settings=few)
    for found in (other, shading, elsewhere):
        assert found.upper is None
        assert found.method.startswith("estimated")


def test_a_changed_rule_has_no_proof() -> None:
    class Rebate(m.BayesianMenu):
        def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
            outcome = super().clear(bids, context)
            return Outcome(outcome.allocation, outcome.payments / 2)

    place = QuadraticSubstrate(2, 0.5)
    assert bic_proof_of(m.BayesianMenu(place, UNIT, MENU), place, UNIT) is not None
    assert bic_proof_of(Rebate(place, UNIT, MENU), place, UNIT) is None
    assert bic_proof_of(m.MenuAuction(place, MENU), place, UNIT) is None


def test_a_residual_is_stated_and_bounds_what_truth_loses() -> None:
    place = QuadraticSubstrate(2, 0.5)
    exact = m.BayesianMenu(place, UNIT, MENU)
    off = exact.expected.clone()
    off[:, 0, 2] += 0.1
    off[:, 1, 1] -= 0.05
    rule = m.BayesianMenu(place, UNIT, MENU, off)
    assert 0.05 < float(rule.residual.max()) < 0.2
    regret, least = interim(rule, place)
    assert 1e-4 < regret <= 2 * float(rule.residual.max())
    assert least >= -float(rule.residual.max())
    proved = ex_interim_regret(rule, place, UNIT)
    assert proved.upper is not None
    assert float(proved.upper.amax()) > 2 * 0.95 * float(rule.residual.max())


@pytest.mark.parametrize("crosstalk", [0.0, 0.2, 0.5, 1.0])
def test_given_menus_find_their_fixed_point(crosstalk: float) -> None:
    place = QuadraticSubstrate(2, crosstalk)
    rule = m.BayesianMenu(place, UNIT, MENU)
    assert float(rule.residual.max()) < 1e-9
    assert interim(rule, place)[0] <= 2e-9
    if crosstalk == 0:  # nothing to expect: the paper's menu
        bids = torch.rand(64, 2, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        for one, other in zip(rule(bids), m.MenuAuction(place, MENU)(bids), strict=True):
            assert torch.equal(one, other)


def pennies() -> ShownList:
    """Two levels besides nothing: the first bidder is exposed more where both have the same, the second where not."""
    levels = torch.tensor(list(itertools.product([0.0, 0.5, 1.0], repeat=2)))
    both, same = (levels > 0).all(1), levels[:, 0] == levels[:, 1]
    wanted = torch.stack([both & same, both & ~same], 1)
    return ShownList(levels, ((levels > 0).double() + wanted.double()) / 2, torch.zeros(9))


def test_a_missing_fixed_point_is_reported() -> None:
    levels = torch.tensor([[[0.5], [1.0]]]).repeat(2, 1, 1)
    with pytest.raises(RuntimeError, match="no expected exposures were found that the bidders' picks bear out"):
        m.BayesianMenu(pennies(), Uniform(1, 2), m.Menu(levels, torch.full((2, 2), 0.01)))
    apart = m.BayesianMenu(pennies(), Uniform(1, 2), m.Menu(levels, torch.tensor([[0.01, 0.02], [0.01, 0.02]])))
    assert float(apart.residual.max()) < 1e-9
    assert interim(apart, pennies())[0] <= 4e-9


def test_objectives_have_their_closed_forms() -> None:
    for n in (1, 2, 20):  # x = 2v − 1, 1/12 a bidder
        apart = trained(QuadraticSubstrate(n), 1.0, levels=65)
        assert n / 12 * (1 - 2e-4) < objective(apart, 1.0) < n / 12
    # whoever reaches 2/3 takes all of its lever and is exposed unless the other does: 2 · t · t (1 − t)
    assert objective(trained(QuadraticSubstrate(2, 1.0), 0.0), 0.0) == pytest.approx(8 / 27, abs=1e-9)


def test_no_thresholds_on_the_same_entries_are_better() -> None:
    place, entry, steps = QuadraticSubstrate(2, 0.5), 1.0, torch.linspace(0.02, 1, 50, dtype=torch.float64)
    rule = m.train_bayesian_menu(place, UNIT, 0.5, levels=2)
    t, s = torch.meshgrid(steps, steps, indexing="ij")
    exposed = entry * (1 - 0.5 * (1 - torch.stack([s, t])))
    paid = torch.stack([t * (1 - t), s * (1 - s)]) * exposed
    lost = ((1 - t) + (1 - s)) / 2
    assert float((paid.sum(0) - 0.5 * lost).max()) <= objective(rule, 0.5) + 1e-12


PRIORS: list[Prior] = [
    Beta(2, 5),
    Exponential(1.0),
    Uniform(1, 2),
    Empirical([0.25, 0.5, 0.5, 1.0]),
    Mixture([Uniform(0, 1), Uniform(2, 3)], [0.7, 0.3]),
]


@pytest.mark.parametrize("prior", PRIORS, ids=repr)
def test_a_single_bidder_has_the_optimum_and_two_have_no_more(prior: Prior) -> None:
    alone, both = QuadraticSubstrate(1), shown_list(7, bidders=2, strengths=2)
    best = m.VirtualWelfareMaximizer(alone, prior, 0.5, below_support="ignored").optimum(nodes=4096).objective
    assert objective(trained(alone, 0.5, prior, 65), 0.5) == pytest.approx(best, rel=1e-3)
    rule = trained(both, 0.25, prior)
    optimum = m.VirtualWelfareMaximizer(both, prior, 0.25).optimum(nodes=200).objective
    assert objective(rule, 0.25) <= optimum * 1.005
    assert float(rule.residual.max()) < 1e-9 * prior.finite_high
    assert interim(rule, both)[0] <= 1e-9 * prior.finite_high


def test_means_are_those_of_truthful_auctions() -> None:
    place = shown_list(9, bidders=2, strengths=2, contexts=2)
    rule = trained(place, 0.25)
    levels = (torch.arange(400, dtype=torch.float64) + 0.5) / 400
    bids = torch.cartesian_prod(levels, levels).unsqueeze(2)
    for context in (None, 0, 1):
        repeated = None if context is None else torch.full((len(bids),), context)
        outcome = rule(bids, repeated)
        means = rule.truthful_means(context)
        assert float(outcome.payments.sum(1).mean()) == pytest.approx(means.revenue, abs=0.01)
        assert float(place.user_loss(outcome.allocation, repeated).mean()) == pytest.approx(means.user_loss, abs=0.01)


def test_regret_after_the_fact_is_exact_and_not_0() -> None:
    place = QuadraticSubstrate(2, 1.0)
    bids = torch.rand(32, 2, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = ex_post_regret(trained(place), place, bids)
    assert found.upper is not None
    assert found.max > 0.01
    assert float((found.upper - found.lower).max()) < 1e-3


def test_settings_that_were_not_measured_are_carried_out_as_the_nearest() -> None:
    levels = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])  # both together were not measured
    place = ShownList(levels, torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), torch.zeros(3))
    rule = m.BayesianMenu(place, UNIT, m.Menu(torch.ones(2, 1, 1), torch.tensor([[0.25], [0.1]])))
    bids = torch.tensor([[[0.9], [0.9]], [[0.1], [0.9]]], dtype=torch.float64)
    assert rule(bids).allocation[..., 0].tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert interim(rule, place)[0] <= 1e-9


def test_where_nobody_buys_the_reference_of_a_randomised_list_holds() -> None:
    place = Randomised(quarter_list(4, bidders=2, entries=4, contexts=2), torch.tensor([0.4, 0.3, 0.2, 0.1]))
    rule = trained(place, 0.5, Uniform(0.25, 1))
    assert float(rule.residual.max()) < 1e-12
    nobody = rule(torch.zeros(1, 2, 1, dtype=torch.float64))
    assert nobody.allocation[0].tolist() == pytest.approx([0.4, 0.3, 0.2, 0.1])
    assert float(nobody.payments.abs().max()) == 0


@pytest.mark.parametrize("place", [QuadraticSubstrate(2, 0.5), Randomised(shown_list(3, bidders=2, contexts=2))])
def test_it_keeps_the_laws_that_it_claims_and_comes_back_from_a_file(place: Substrate, tmp_path: Path) -> None:
    rule = trained(place, 0.25)
    check_mechanism(rule, place, dsic=False, individually_rational=False, examples=5)
    m.save_mechanism(rule, tmp_path / "rule")
    loaded = m.load_mechanism(tmp_path / "rule", rule.substrate)
    bids = torch.rand(64, 2, 1, generator=torch.Generator().manual_seed(0))
    for before, after in zip(rule(bids), loaded(bids), strict=True):
        assert torch.equal(before, after)
    assert isinstance(loaded, m.BayesianMenu)
    assert torch.equal(loaded.residual, rule.residual)


def test_what_does_not_fit_is_refused() -> None:
    place = QuadraticSubstrate(2, 0.5)
    with pytest.raises(ValueError, match="prices must be finite and >= 0"):
        m.BayesianMenu(place, UNIT, MENU._replace(prices=-MENU.prices))
    with pytest.raises(ValueError, match="levers must lie in"):
        m.BayesianMenu(place, UNIT, MENU._replace(levers=2 * MENU.levers))
    with pytest.raises(ValueError, match="a menu needs levers"):
        m.BayesianMenu(place, UNIT, MENU._replace(prices=MENU.prices[:1]))
    with pytest.raises(ValueError, match="expected exposures must be"):
        m.BayesianMenu(place, UNIT, MENU, torch.ones(1, 2, 2))
    with pytest.raises(ValueError, match="of one feature"):
        m.train_bayesian_menu(quarter_list(0, bidders=2, entries=3, features=2), UNIT)
    with pytest.raises(NotImplementedError, match="combinations to average over"):
        m.train_bayesian_menu(QuadraticSubstrate(24, 0.01), UNIT)
