"""The test of agreement rejects what it should, and holds its level; drift is seen in the replays."""

import numpy as np
import pytest

from auctionsim.errors import InputError
from auctionsim.logs import Replays, Sources, World
from auctionsim.logs.agreement import agreement, replay_agreement
from auctionsim.logs.estimators import estimator
from auctionsim.logs.protocol import STANDARD_ESTIMATION, EstimationSettings
from auctionsim.logs.worlds import (
    LinearGaussian,
    LinearGaussianParameters,
    MeasuredParameters,
    MeasuredReplies,
    PostedPrices,
    closed_forms,
)


def rejections(one: World, sessions: int, draws: int = 300) -> tuple[float, float]:
    exp = one.draw_exp(sessions, np.random.default_rng(0), (draws,))
    sources = Sources(None, exp, one.replays(exp))
    return float(agreement(sources).rejects().mean()), float(replay_agreement(sources).rejects().mean())


@pytest.mark.parametrize("one", [LinearGaussian(), MeasuredReplies()], ids=["a", "c"])
def test_both_hold_their_level_where_nothing_is_violated(one: World) -> None:
    for found in rejections(one, 600, 400):
        assert 0.02 <= found <= 0.07


def test_an_outcome_that_the_mediators_say_exactly_is_no_violation() -> None:
    """Revenue at a posted price is what was sold: what least squares leaves of it is rounding."""
    assert rejections(PostedPrices(), 400, 100)[0] == 0


@pytest.mark.parametrize("change", [{"past_mediator": 0.3}, {"hidden_in_mediator": 0.5}])
def test_violations_are_found_as_often_as_the_formula_says(change: dict[str, float]) -> None:
    parameters = LinearGaussianParameters(**change)
    power = closed_forms(parameters, 1000).agreement_power()
    found, drift = rejections(LinearGaussian(parameters), 1000)
    assert found >= 0.8
    assert found == pytest.approx(power, abs=0.035)
    assert drift <= 0.09  # the simulator is right: only the reward is not


def test_the_power_is_not_monotone_in_what_reaches_the_mediator() -> None:
    powers = [
        closed_forms(LinearGaussianParameters(hidden_in_mediator=g), 1000).agreement_power() for g in (0.1, 0.5, 5.0)
    ]
    assert powers[1] > max(powers[0], powers[2])
    assert powers[1] == pytest.approx(0.96, abs=0.005)


def test_violations_of_measured_worlds_are_found() -> None:
    assert rejections(MeasuredReplies(MeasuredParameters(past_mediator=0.1)), 1000, 200)[0] >= 0.8
    assert rejections(MeasuredReplies(MeasuredParameters(hidden_in_mediator=0.5)), 1000, 200)[0] >= 0.8


def test_drift_is_seen_in_replays_and_not_in_rewards() -> None:
    for one in (
        LinearGaussian(LinearGaussianParameters(drift=0.2)),
        MeasuredReplies(MeasuredParameters(simulated="A", real="B")),
    ):
        agree, drift = rejections(one, 1000, 200)
        assert drift >= 0.9
        assert agree <= 0.12


def test_gaps_are_doubly_robust_less_direct_values() -> None:
    """Without cross-fitting both differ by exactly the gap; with many folds, nearly."""
    one = LinearGaussian(LinearGaussianParameters(past_mediator=0.3))
    exp = one.draw_exp(2000, np.random.default_rng(1))
    sources, settings = Sources(None, exp, one.replays(exp)), EstimationSettings(folds=20)
    values = {
        form: estimator(f"exp_only_{form}").estimate(sources, settings, np.random.default_rng(0)).values
        for form in ("direct", "doubly_robust")
    }
    assert agreement(sources).gaps == pytest.approx(values["doubly_robust"] - values["direct"], abs=2e-3)
    assert np.abs(agreement(sources).gaps).min() > 0.05


def test_sampled_replays_have_the_sample_covariance() -> None:
    one, rng = LinearGaussian(), np.random.default_rng(2)
    exp = one.draw_exp(300, rng, (400,))
    law = one.replays(exp)
    x, y = exp.context, exp.mediators
    sample = 0.5 * x[..., None, :] + 0.3 * np.arange(2.0)[:, None] + 0.5 * rng.normal(size=(*y.shape[:-1], 2, 1))
    replays = Replays(sample[..., None, :], np.ones((*y.shape[:-1], 2, 1)), law.context, law.kind, exact=False)
    found = replay_agreement(Sources(None, exp, replays))
    assert 0.02 <= found.rejects().mean() <= 0.085


def test_a_test_needs_an_experiment() -> None:
    obs = LinearGaussian().draw_obs(10, np.random.default_rng(0))
    with pytest.raises(InputError, match="needs an experiment"):
        agreement(Sources(obs, None), STANDARD_ESTIMATION)


@pytest.mark.deep
def test_level_and_power_in_1000_experiments() -> None:
    """At 1,000 randomised sessions: at most 7 % where nothing is violated, at least 80 % where something is."""
    cases: dict[str, tuple[World, bool]] = {
        "a": (LinearGaussian(), False),
        "a, M past Y by −aΔ": (LinearGaussian(LinearGaussianParameters(past_mediator=0.3)), True),
        "a, U in Y by σ_Y": (LinearGaussian(LinearGaussianParameters(hidden_in_mediator=0.5)), True),
        "c": (MeasuredReplies(), False),
        "c, M past Y by .1 a setting": (MeasuredReplies(MeasuredParameters(past_mediator=0.1)), True),
        "c, U in Y by .5": (MeasuredReplies(MeasuredParameters(hidden_in_mediator=0.5)), True),
    }
    for label, (one, violated) in cases.items():
        parts = []
        for seed in range(5):
            exp = one.draw_exp(1000, np.random.default_rng(seed), (200,))
            sources = Sources(None, exp, one.replays(exp))
            parts.append((agreement(sources).rejects().mean(), replay_agreement(sources).rejects().mean()))
        agree, drift = np.mean(parts, 0)
        print(f"| {label} | {agree:.3f} | {drift:.3f} |")
        assert agree >= 0.8 if violated else agree <= 0.07
        assert drift <= 0.07
