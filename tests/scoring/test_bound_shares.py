"""Shares of the bound of all honest mechanisms: known answers, and several features on a list with contexts."""

import pytest
from measured_fakes import fake_surface

from auctionsim.mechanisms import VCG, LinearProgram, honest_bound
from auctionsim.priors import Uniform
from auctionsim.scoring import ScoringSettings, bound_shares, mean_bound
from auctionsim.substrates import Items

FEW = ScoringSettings(512, 8, 32)


def test_one_item_lies_below_its_bound() -> None:
    """Myerson brings 5/12 for two bidders of U[0, 1], the second price 1/3."""
    rules = {"program": LinearProgram(Items(2), Uniform(0, 1), levels=16), "second price": VCG(Items(2))}
    program, second = bound_shares(rules, Items(2), Uniform(0, 1), 0.0, levels=16, settings=FEW, seed=0)
    assert program.bound == second.bound
    assert 5 / 12 < program.bound < 1.1 * 5 / 12
    for share, brought in ((program.share, 5 / 12), (second.share, 1 / 3)):
        assert share is not None
        assert share.standard_error is not None
        assert abs(share.mean - brought / program.bound) < 4 * share.standard_error + 0.03
    assert program.row.regret_is == "proved 0"


def test_a_bound_of_several_features_is_the_mean_over_contexts() -> None:
    view = fake_surface(2).sell("slot_probability", "hits")
    bounds = [
        honest_bound(view, Uniform(0, 1), 0.5, levels=2, honest="bayesian", context=place).upper
        for place in (*range(len(view.contexts)), None)
    ]
    mean = mean_bound(view, Uniform(0, 1), 0.5, 2)
    assert mean == pytest.approx(sum(bounds[:-1]) / len(view.contexts))
    assert mean >= bounds[-1] - 1e-9  # whoever knows the context can do what is best on average, too
    (vcg,) = bound_shares({"VCG": VCG(view, 0.5)}, view, Uniform(0, 1), 0.5, levels=2, settings=FEW, seed=0)
    assert vcg.share is not None
    assert vcg.row.objective_share is None
    assert 0 < vcg.share.mean < 1
