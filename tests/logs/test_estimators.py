"""Estimators one by one: what makes each of them right, and what each of them gains or loses by the log."""

from dataclasses import replace

import numpy as np
import pytest

from auctionsim.errors import InputError
from auctionsim.logs import STANDARD_ESTIMATION, EstimationSettings, Estimator, SessionLog, Sources, evaluate
from auctionsim.logs.estimators import estimator, estimator_names, family, family_names, register_family
from auctionsim.logs.worlds import (
    LinearGaussian,
    LinearGaussianParameters,
    MeasuredParameters,
    MeasuredReplies,
    PostedPrices,
    closed_forms,
)


def sources_of(parameters: LinearGaussianParameters, sessions: int, draws: int, logged: int = 4000) -> Sources:
    one, rng = LinearGaussian(parameters), np.random.default_rng(0)
    exp = one.draw_exp(sessions, rng, (draws,))
    return Sources(one.draw_obs(logged, rng, (draws,)), exp, one.replays(exp))


def errors(name: str, sources: Sources, truth: float) -> tuple[float, float]:
    """Return the mean error of the difference, and its root mean square."""
    found = estimator(name).estimate(sources, EstimationSettings(replicates=2), np.random.default_rng(1))
    wrong = found.difference(1, 0) - truth
    return float(wrong.mean()), float(np.sqrt((wrong**2).mean()))


def test_names_families_and_refusals() -> None:
    for name in estimator_names():
        one = estimator(name)
        assert isinstance(one, Estimator)
        assert one.name == name
        assert one.summary.endswith(".")
        assert one.needs
    for name in family_names():
        assert {f"{name}_direct", f"{name}_doubly_robust"} <= set(estimator_names())
    with pytest.raises(InputError, match="raw_means"):
        estimator("oracle")
    with pytest.raises(InputError, match="registered already"):
        register_family(family("cvci"))
    obs = LinearGaussian().draw_obs(20, np.random.default_rng(0))
    with pytest.raises(InputError, match=r"needs an experiment \(EXP\) and replays \(SIM\)"):
        estimator("cvci_direct").estimate(Sources(obs, None), STANDARD_ESTIMATION, np.random.default_rng(0))
    with pytest.raises(InputError, match="must be one of x, y, got 'z'"):
        estimator("obs_only_direct").estimate(
            Sources(obs, None, LinearGaussian().replays(obs)),
            EstimationSettings(omitted=("z",)),
            np.random.default_rng(0),
        )


@pytest.mark.parametrize("name", ["cvci_direct", "grounded_direct", "rosenman_direct", "obs_only_direct"])
def test_an_unconfounded_log_helps_whoever_leans_on_it(name: str) -> None:
    parameters = LinearGaussianParameters(kappa=0.0)
    sources, truth = sources_of(parameters, 100, 200), closed_forms(parameters).truth
    assert errors(name, sources, truth)[1] < 0.9 * errors("exp_only_direct", sources, truth)[1]


@pytest.mark.parametrize("name", ["cvci_direct", "grounded_direct", "rosenman_direct"])
def test_a_large_experiment_outweighs_a_confounded_log(name: str) -> None:
    """With n the bias goes: at 6,000 sessions it is under a fifth of OBS-Only's, which stays."""
    parameters = LinearGaussianParameters(kappa=2.0, b=1.0)
    sources, forms = sources_of(parameters, 6000, 20), closed_forms(parameters)
    bias = forms.obs_only - forms.truth
    assert errors("obs_only_direct", sources, forms.truth)[0] == pytest.approx(bias, rel=0.15)
    assert abs(errors(name, sources, forms.truth)[0]) < abs(bias) / 5


def test_shrinkage_is_the_estimated_variance_over_the_squared_distance() -> None:
    """For two options tr Σ / |θ_exp − θ_obs|² of the centred values is Var/distance² of their difference."""
    sources = sources_of(LinearGaussianParameters(), 200, 5)
    rng, settings = np.random.default_rng(1), EstimationSettings(replicates=2)
    own, log, both = (
        estimator(f"{name}_direct").estimate(sources, settings, rng) for name in ("exp_only", "obs_only", "rosenman")
    )
    share = both.diagnostics["weight"]
    distance = own.difference(1, 0) - log.difference(1, 0)
    assert both.difference(1, 0) == pytest.approx(own.difference(1, 0) - share * distance)
    variance = own.difference_error(1, 0) ** 2
    assert share == pytest.approx(np.minimum(variance / distance**2, 1), rel=0.1)


def test_a_wrong_reward_model_is_mended_by_the_doubly_robust_correction() -> None:
    """A reward model that does not see the loss: direct values are all alike, corrected ones are right."""
    one, rng = MeasuredReplies(), np.random.default_rng(2)
    exp = one.draw_exp(400, rng, (60,))
    sources = Sources(None, exp, one.replays(exp))
    settings = EstimationSettings(omitted=("kl", "reply_kl", "quality"))
    bias = {}
    for form in ("direct", "doubly_robust", "augmented"):
        found = estimator(f"exp_only_{form}").estimate(sources, settings, rng)
        bias[form] = np.abs(found.values.mean(0) - one.values()).max()
    assert bias["direct"] > 0.05
    assert max(bias["doubly_robust"], bias["augmented"]) < 0.03


def test_labels_that_follow_the_reward_teach_its_shape() -> None:
    """A step in the reward: a linear head on what aligned labels teach errs less than a line, and not if misaligned."""
    wrong = {}
    for alignment in (1.0, 0.0):
        one = MeasuredReplies(MeasuredParameters(nonlinearity=1.0, alignment=alignment, loss_weight=20.0))
        rng = np.random.default_rng(3)
        exp = one.draw_exp(1000, rng, (10,))
        sources = Sources(one.draw_obs(4000, rng, (10,)), exp, one.replays(exp))
        found = estimator("representation_exp_direct").estimate(sources, EstimationSettings(replicates=2), rng)
        wrong[alignment] = float(np.sqrt(((found.values - one.values()) ** 2).mean()))
    assert wrong[1.0] < 0.7 * wrong[0.0]


def by_context(sessions: int, seed: int = 0) -> SessionLog:
    """A log in which the context alone chooses: Y = M + X, R = 2 M + 3 X + noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=sessions)
    option = (rng.uniform(size=sessions) < 1 / (1 + np.exp(-1.5 * x))).astype(np.int64)
    outcome = 2.0 * option + 3 * x + rng.normal(size=sessions)
    base = LinearGaussian().draw_obs(sessions, rng)
    return replace(base, context=x[:, None], option=option, outcome=outcome, propensity=None)


def test_propensities_fitted_to_the_context_are_right_where_it_alone_chooses() -> None:
    log = by_context(8000)
    fitted, rng = EstimationSettings(propensities="fitted"), np.random.default_rng(0)
    raw = estimator("raw_means").estimate(Sources(log, None), fitted, rng)
    found = estimator("snips_obs").estimate(Sources(log, None), fitted, rng)
    assert abs(float(raw.difference(1, 0)) - 2) > 1
    assert float(found.difference(1, 0)) == pytest.approx(2, abs=0.3)
    assert found.associational
    with pytest.raises(InputError, match="states no propensities"):
        estimator("ips_obs").estimate(Sources(log, None), STANDARD_ESTIMATION, rng)


def test_normalised_weights_keep_constants() -> None:
    log = replace(PostedPrices().draw_obs(50, np.random.default_rng(0)), outcome=np.full(50, 7.0))
    for name, exact in (("snips_obs", True), ("ips_obs", False)):
        values = estimator(name).estimate(Sources(log, None), STANDARD_ESTIMATION, np.random.default_rng(0)).values
        assert (np.abs(values - 7) < 1e-12).all() == exact


def test_double_machine_learning_is_right_where_the_context_alone_chooses() -> None:
    pytest.importorskip("doubleml", reason="DoubleML is an optional package (auctionsim[logs])")
    log, rng = by_context(1500, 1), np.random.default_rng(0)
    found = estimator("double_ml_obs").estimate(Sources(log, None), STANDARD_ESTIMATION, rng)
    assert abs(float(found.difference(1, 0)) - 2) < 4 * float(found.difference_error(1, 0)) < 1
    wide, narrow = (
        estimator("double_ml_obs").estimate(Sources(log, None), EstimationSettings(confounding=share), rng).diagnostics
        for share in (0.3, 0.01)
    )
    assert (wide["bound_lower"] < narrow["bound_lower"]).all()
    assert (wide["bound_upper"] > narrow["bound_upper"]).all()


def test_bounds_of_a_confounded_log_hold_the_truth_only_if_enough_is_granted() -> None:
    pytest.importorskip("doubleml", reason="DoubleML is an optional package (auctionsim[logs])")
    one, rng = LinearGaussian(), np.random.default_rng(0)
    obs = one.draw_obs(1500, rng)
    inside = {}
    for share in (0.01, 0.4):
        notes = (
            estimator("double_ml_obs")
            .estimate(Sources(obs, None), EstimationSettings(confounding=share), rng)
            .diagnostics
        )
        inside[share] = bool(((notes["bound_lower"] <= one.values()) & (one.values() <= notes["bound_upper"])).all())
    assert inside == {0.01: False, 0.4: True}
    settings = EstimationSettings(confounding=0.4)
    lines = evaluate(Sources(obs, None), settings, seed=0, names=("double_ml_obs",)).lines()
    assert lines[0].startswith("associational only")
    assert any("at most 40%" in line for line in lines)
    assert lines[-1] == "  they single no option out"
