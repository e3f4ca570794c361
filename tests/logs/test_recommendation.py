"""A recommendation's probabilities are those of the normal law; what it says would settle it, settles it."""

import numpy as np
import pytest
from scipy import stats

from auctionsim.errors import InputError
from auctionsim.logs import Sources, ValueEstimates
from auctionsim.logs.estimators import estimator
from auctionsim.logs.evaluation import evaluate
from auctionsim.logs.protocol import STANDARD_ESTIMATION, EstimationSettings
from auctionsim.logs.recommendation import recommend, recommendation_regret
from auctionsim.logs.worlds import (
    LinearGaussian,
    LinearGaussianParameters,
    MeasuredParameters,
    MeasuredReplies,
    closed_forms,
)


def estimates(values: list[float], deviations: list[float], sessions: int = 100) -> ValueEstimates:
    covariance = np.diag(np.square(deviations))
    names = tuple(f"option {k}" for k in range(len(values)))
    return ValueEstimates("by hand", names, np.array(values), covariance, sessions, np.full(len(values), 1e9))


def test_two_options_have_closed_forms() -> None:
    """With lead g and error s: P(wrong) = Φ(−g/s), expected regret s φ(g/s) − g Φ(−g/s)."""
    found = recommend(estimates([1.0, 0.8], [0.1, 0.2]), np.random.default_rng(0))
    spread = 0.05**0.5
    wrong = stats.norm.cdf(-0.2 / spread)
    assert (found.option, found.runner_up) == ("option 0", "option 1")
    assert found.lead == pytest.approx(0.2)
    assert found.probability_wrong == pytest.approx(wrong, abs=0.01)
    assert found.expected_regret == pytest.approx(spread * stats.norm.pdf(0.2 / spread) - 0.2 * wrong, abs=0.003)
    needed = 100 * (stats.norm.ppf(0.95) * spread / 0.2) ** 2 - 100
    assert found.further_sessions == pytest.approx(needed, rel=0.05)


def test_with_that_many_sessions_it_is_settled() -> None:
    first = recommend(estimates([1.0, 0.9, 0.85], [0.1, 0.1, 0.1]), np.random.default_rng(0))
    assert first.further_sessions is not None
    scale = (100 / (100 + first.further_sessions)) ** 0.5
    sessions = 100 + first.further_sessions
    then = recommend(estimates([1.0, 0.9, 0.85], [0.1 * scale] * 3, sessions), np.random.default_rng(1))
    assert first.probability_wrong > 0.2
    assert then.probability_wrong == pytest.approx(0.05, abs=0.006)


def test_edges() -> None:
    sure = recommend(estimates([1.0, 0.0], [1e-6, 1e-6]), np.random.default_rng(0))
    assert (sure.further_sessions, sure.probability_wrong) == (0, 0.0)
    tied = recommend(estimates([1.0, 1.0], [0.1, 0.1]), np.random.default_rng(0))
    assert tied.further_sessions is None
    assert tied.probability_wrong == pytest.approx(0.5, abs=0.02)
    assert recommend(estimates([1.0, 0.0], [0.0, 0.0]), np.random.default_rng(0)).probability_wrong == 0
    with pytest.raises(InputError, match="has none"):
        recommend(estimates([1.0, 0.0], [np.nan, 0.1]), np.random.default_rng(0))
    with pytest.raises(InputError, match="target must be above 0"):
        recommend(estimates([1.0, 0.0], [0.1, 0.1]), np.random.default_rng(0), target=0.0)


def test_regret_of_a_recommendation() -> None:
    truth = np.array([0.2, 0.5, 0.1])
    values = np.array([[1.0, 2.0, 0.0], [3.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    assert recommendation_regret(truth, values) == pytest.approx([0.0, 0.3, 0.4])


def test_the_probability_of_being_wrong_is_how_often_it_is() -> None:
    """Over experiments in world (a), the mean probability is the share of wrong choices by the posterior's account."""
    one, rng, draws = LinearGaussian(LinearGaussianParameters(delta=0.1)), np.random.default_rng(2), 300
    exp = one.draw_exp(200, rng, (draws,))
    forms = closed_forms(one.parameters, 200)
    found = estimator("exp_means").estimate(Sources(None, exp), STANDARD_ESTIMATION, rng)
    wrong = recommendation_regret(one.values(), found.values) > 0
    assert wrong.mean() == pytest.approx(stats.norm.cdf(forms.truth / forms.exp_means_deviation), abs=0.08)


@pytest.mark.parametrize(
    ("change", "headline"),
    [
        ({}, "exp_only_direct"),
        ({"past_mediator": 0.3}, "exp_only_doubly_robust"),
        ({"real": "B"}, "exp_only_augmented"),
    ],
)
def test_the_headline_is_the_most_precise_that_is_not_rejected(change: dict[str, object], headline: str) -> None:
    one, rng = MeasuredReplies(MeasuredParameters(**change)), np.random.default_rng(3)
    exp = one.draw_exp(1000, rng)
    found = evaluate(Sources(one.draw_obs(1000, rng), exp, one.replays(exp)), seed=0, names=("raw_means",))
    assert found.recommendation.estimator == headline
    lines = found.lines()
    assert lines[0] == "causal, on 1000 randomised sessions"
    assert any("REJECTED" in line for line in lines) == bool(change)


def test_every_estimator_runs_and_what_cannot_says_why() -> None:
    one, rng = MeasuredReplies(), np.random.default_rng(4)
    exp = one.draw_exp(150, rng)
    everything = Sources(one.draw_obs(400, rng), exp, one.replays(exp))
    found = evaluate(everything, EstimationSettings(replicates=3, propensities="fitted"), seed=0)
    assert set(found.refusals) <= {"double_ml_obs"}  # where the package is not installed
    assert all(np.isfinite(one.values).all() for one in found.estimates.values())
    bare = evaluate(Sources(everything.obs, None), seed=0)
    assert {"raw_means", "ips_obs", "snips_obs"} <= set(bare.estimates)
    assert "replays (SIM)" in bare.refusals["obs_only_direct"]
