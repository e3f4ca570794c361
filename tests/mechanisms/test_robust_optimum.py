"""The optimum on estimates: chosen on the reported replicate alone, exact on its estimates, back from a file."""

from pathlib import Path

import pytest
import torch
from measured_fakes import fake_list, fake_subsets, fake_surface

from auctionsim.mechanisms import RobustOptimum, VirtualWelfareMaximizer, design, load_mechanism, save_mechanism
from auctionsim.mechanisms.cross_fitting import cross_fitted
from auctionsim.mechanisms.robust_optimum import lower_ends, shrinkages
from auctionsim.mechanisms.table import Problem
from auctionsim.metrics import ir_violation
from auctionsim.priors import Uniform, product
from auctionsim.regret import ex_post_regret
from auctionsim.substrates import Items, MeasuredList, Measurement
from auctionsim.substrates.estimates import MEASURED, Estimation, joint_deviations
from auctionsim.testing import check_mechanism

U = Uniform(0, 1)


def profiles(bidders: int, rows: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    context = torch.randint(3, (rows,), generator=generator)
    return product(U, bidders).sample(rows, generator, torch.float64), context


def test_on_measured_cells_it_is_the_optimum() -> None:
    view = fake_surface(2).sell("hits")
    bids, context = profiles(2)
    for before, after in zip(
        VirtualWelfareMaximizer(view, U, 0.3)(bids, context), RobustOptimum(view, U, 0.3)(bids, context), strict=True
    ):
        assert torch.equal(before, after)
    assert RobustOptimum(view, U, 0.3).dsic_proof(view) is not None


@pytest.mark.parametrize(
    "how", [pytest.param(Estimation("shrunk", 1.0), marks=pytest.mark.deep), Estimation("lower", 0.7)]
)
def test_it_conforms_on_its_estimates_and_claims_nothing_on_the_view(how: Estimation) -> None:
    view = fake_subsets(2).sell("hits")
    rule = RobustOptimum(view, U, 0.3, how)
    assert rule.dsic_proof(view) is None
    check_mechanism(rule, rule.estimates, dsic=True, individually_rational=True, examples=3)
    valuations, context = profiles(2, 8)
    exact = ex_post_regret(rule, view, valuations, context=context)
    assert exact.method.startswith("exact")
    searched = ex_post_regret(lambda bids, where=None: rule(bids, where), view, valuations, context=context, high=1.0)
    assert exact.upper is not None
    assert bool((searched.lower <= exact.upper + 1e-9).all())
    assert torch.equal(rule(valuations, context).payments, rule.rule(valuations, context).payments)


def test_on_lower_ends_nobody_loses_where_the_region_holds() -> None:
    view = fake_subsets(3).sell("hits")
    valuations, context = profiles(3, 256)
    rule = RobustOptimum(view, U, 0.0, Estimation("lower", joint_deviations(view)))
    outcome = rule(valuations, context)
    assert float(outcome.payments.sum()) > 0
    assert float(ir_violation(outcome, view, valuations, context).max()) == 0  # the view's own means are inside


@pytest.mark.parametrize("name", ["optimum-shrunk", pytest.param("optimum-lower-per-mention", marks=pytest.mark.deep)])
def test_the_other_replicate_is_not_read(name: str) -> None:
    view = fake_subsets(2).sell("hits")
    other = view.replicates["B"].features
    features = Measurement(1 - other.mean.clamp_max(1), other.standard_error * 2, other.n)
    changed = MeasuredList(
        levers=view.levers,
        allocations=view.allocations,
        features=view.measured_features,
        contexts=view.contexts,
        replicates={"A": view.replicates["A"], "B": view.replicates["B"]._replace(features=features)},
        provenance=view.provenance,
    ).sell("hits")
    bids, context = profiles(2)
    for before, after in zip(
        design(name, view, U, 0.5)(bids, context), design(name, changed, U, 0.5)(bids, context), strict=True
    ):
        assert torch.equal(before, after)


def test_cross_fitting_tries_what_it_is_given_and_keeps_the_objective() -> None:
    view = fake_subsets(2).sell("hits")
    problem = Problem(view, U, 0.5, 3)
    candidates = (*shrinkages(view), *lower_ends(view))
    fit = cross_fitted(lambda one: RobustOptimum(one, U, 0.5), problem, candidates, splits=1, profiles=12)
    assert [trial.estimation for trial in fit.trials] == [MEASURED, *candidates]
    chosen = next(trial for trial in fit.trials if trial.estimation == fit.estimation)
    assert chosen.objective >= 0.98 * fit.trials[0].objective
    ratios = [t.regret / t.revenue for t in fit.trials if t.objective >= 0.98 * fit.trials[0].objective]
    assert chosen.regret / chosen.revenue == min(ratios)
    again = cross_fitted(lambda one: RobustOptimum(one, U, 0.5), problem, candidates, splits=1, profiles=12)
    assert again == fit


def test_it_comes_back_from_a_file_and_refuses_what_was_not_measured(tmp_path: Path) -> None:
    view = fake_list(3).sell("hits")
    rule = RobustOptimum(view, [[U], [Uniform(0.5, 1)], [U]], 0.25, Estimation("shrunk", 2.0, "levers"))
    save_mechanism(rule, tmp_path / "rule")
    loaded = load_mechanism(tmp_path / "rule", view)
    assert isinstance(loaded, RobustOptimum)
    assert loaded.estimation == rule.estimation
    assert loaded.rule == rule.rule
    with pytest.raises(TypeError, match="estimates are of a measured grid or list, got Items"):
        RobustOptimum(Items(2), U)
    with pytest.raises(ValueError, match="optimum-shrunk needs a view of the kind ResponseSurface or MeasuredList"):
        design("optimum-shrunk", Items(2), U)
