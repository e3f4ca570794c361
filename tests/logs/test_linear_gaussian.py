"""World (a): the formulas give the published numbers, and simulation gives the formulas."""

import numpy as np
import pytest

from auctionsim.errors import InputError
from auctionsim.logs import EstimationSettings, Sources
from auctionsim.logs.estimators import estimator, estimator_names
from auctionsim.logs.worlds import LinearGaussian, LinearGaussianParameters, closed_forms

OTHERS = (
    LinearGaussianParameters(a=0.8, b=-0.4, c=0.3, kappa=0.6, delta=0.5, rho=-0.3, sigma_y=0.8, sigma_r=0.4),
    LinearGaussianParameters(a=-0.5, b=0.9, c=-0.2, kappa=2.0, delta=-0.6, rho=0.2, sigma_y=0.6, sigma_r=0.7),
    LinearGaussianParameters(a=1.5, b=0.3, c=0.0, kappa=-1.2, delta=0.2, rho=0.9, sigma_y=0.4, sigma_r=0.3),
)
"""Other signs and sizes of every parameter."""


def test_the_formulas_give_the_numbers_of_the_standard_parameters() -> None:
    found = closed_forms(LinearGaussianParameters(), 200)
    assert found.truth == pytest.approx(-0.3)
    assert found.raw == pytest.approx(0.264190, abs=5e-7)
    assert found.obs_only == pytest.approx(-0.253416, abs=5e-7)
    assert found.exp_means_deviation == pytest.approx(0.129615, abs=5e-7)
    assert found.exp_only_deviation == pytest.approx(0.028735, abs=5e-7)
    assert found.doubly_robust_deviation == pytest.approx(0.1)
    assert found.cvci_weight == pytest.approx(0.2756, abs=5e-5)
    assert found.cvci_error == pytest.approx(0.02446, abs=5e-6)
    assert found.agreement_gap == 0


@pytest.mark.parametrize("parameters", [LinearGaussianParameters(), *OTHERS])
def test_the_log_behaves_as_its_formulas_say(parameters: LinearGaussianParameters) -> None:
    """One log of 60,000 sessions: raw and OBS-Only differences within 4 standard errors of their limits."""
    world, rng = LinearGaussian(parameters), np.random.default_rng(1)
    obs = world.draw_obs(60_000, rng)
    sources, forms = Sources(obs, None, world.replays(obs)), closed_forms(parameters)
    for name, limit in (("raw_means", forms.raw), ("obs_only_direct", forms.obs_only)):
        found = estimator(name).estimate(sources, EstimationSettings(), rng)
        error = float(found.difference_error(1, 0))
        assert abs(float(found.difference(1, 0)) - limit) < 4 * error < 0.1, name
    assert abs(forms.raw - forms.truth) > 0.1


@pytest.mark.parametrize("change", [{"past_mediator": 0.4}, {"hidden_in_mediator": 0.5}, {"drift": 0.2}])
def test_limits_hold_where_an_assumption_is_violated(change: dict[str, float]) -> None:
    parameters = LinearGaussianParameters(**change)
    world, rng, forms = LinearGaussian(parameters), np.random.default_rng(2), closed_forms(parameters)
    obs, exp = world.draw_obs(40_000, rng), world.draw_exp(40_000, rng)
    sources = Sources(obs, exp, world.replays(exp))
    limits = {"raw_means": forms.raw, "obs_only_direct": forms.obs_only, "exp_only_direct": forms.exp_only}
    if not parameters.drift:
        limits["exp_only_doubly_robust"] = forms.truth
    limits |= {"exp_only_augmented": forms.truth, "exp_means": forms.truth}
    for name, limit in limits.items():
        found = estimator(name).estimate(sources, EstimationSettings(), rng)
        assert abs(float(found.difference(1, 0)) - limit) < 4 * float(found.difference_error(1, 0)), name
    assert abs(forms.exp_only - forms.truth) > 0.05


def test_an_unshrunk_grounding_is_exp_only() -> None:
    world, rng = LinearGaussian(), np.random.default_rng(3)
    obs, exp = world.draw_obs(500, rng, (50,)), world.draw_exp(120, rng, (50,))
    sources = Sources(obs, exp, world.replays(exp))
    pair = [
        estimator(f"{name}_{form}").estimate(sources, EstimationSettings(), np.random.default_rng(4))
        for form in ("direct", "doubly_robust")
        for name in ("grounded_unshrunk", "exp_only")
    ]
    for grounded, own in (pair[:2], pair[2:]):
        assert np.abs(grounded.values - own.values).max() < 1e-10
        assert np.abs(grounded.covariance - own.covariance).max() < 1e-10


def test_draws_are_independent_logs() -> None:
    """Many logs at once give what each gives by itself, for every estimator without a bootstrap."""
    world, rng = LinearGaussian(), np.random.default_rng(5)
    obs, exp = world.draw_obs(300, rng, (3,)), world.draw_exp(100, rng, (3,))
    many = Sources(obs, exp, world.replays(exp))
    settings = EstimationSettings(replicates=2)
    for name in estimator_names():
        if name == "double_ml_obs":
            continue
        together = estimator(name).estimate(many, settings, np.random.default_rng(6))
        for k in range(3):
            alone = Sources(obs.draw(k), exp.draw(k), world.replays(exp.draw(k)))
            one = estimator(name).estimate(alone, settings, np.random.default_rng(6))
            penalised = name.startswith("grounded_d")  # scaled by all logs together
            assert np.allclose(one.values, together.values[k], atol=0.02 if penalised else 1e-9), name


@pytest.mark.deep
@pytest.mark.parametrize("parameters", [LinearGaussianParameters(), *OTHERS])
@pytest.mark.parametrize(("sessions", "tolerance"), [(200, 0.03), (5000, 0.015)])
def test_means_and_deviations_of_20000_experiments(
    parameters: LinearGaussianParameters, sessions: int, tolerance: float
) -> None:
    world, rng, draws = LinearGaussian(parameters, nodes=1), np.random.default_rng(7), 20_000
    forms, chunk, found = closed_forms(parameters, sessions), 100_000 // sessions, {}
    names = {
        "exp_means": forms.exp_means_deviation,
        "exp_only_direct": forms.exp_only_deviation,
        "exp_only_doubly_robust": forms.doubly_robust_deviation,
    }
    for _ in range(draws // chunk):
        exp = world.draw_exp(sessions, rng, (chunk,))
        sources = Sources(None, exp, world.replays(exp))
        for name in names:
            one = estimator(name).estimate(sources, EstimationSettings(folds=2), rng)
            found.setdefault(name, []).append(one.difference(1, 0))
    weight = forms.cvci_weight
    mixed = weight * forms.obs_only + (1 - weight) * np.concatenate(found["exp_only_direct"])
    for name, deviation in names.items():
        differences = np.concatenate(found[name])
        print(name, sessions, differences.mean(), differences.std() / deviation)
        assert abs(differences.mean() - forms.truth) < 3 * differences.std() / np.sqrt(draws)
        assert differences.std() == pytest.approx(deviation, rel=tolerance)
    error = np.sqrt(((mixed - forms.truth) ** 2).mean())
    print("cvci", sessions, error / forms.cvci_error)
    assert error == pytest.approx(forms.cvci_error, rel=tolerance)


def test_parameters_are_numbers_in_range() -> None:
    with pytest.raises(InputError, match="sigma_y must be finite and > 0"):
        LinearGaussianParameters(sigma_y=0.0)
    with pytest.raises(InputError, match="alignment must be a number in"):
        LinearGaussianParameters(alignment=1.5)
