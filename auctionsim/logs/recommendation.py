"""Recommendations: the option with the highest estimate, how likely that is wrong, and what would settle it."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from auctionsim.checks import checked_number
from auctionsim.errors import InputError
from auctionsim.logs.value_estimates import ValueEstimates

DRAWS = 20_000
"""Of the estimates' normal law, by which probabilities and expected regrets are computed."""


class Recommendation(NamedTuple):
    """An option to run, with its uncertainty.

    The estimates' errors are taken for normal with the estimated covariance, and no option for likelier than another
    beforehand. So a bias is not counted: estimates from a log alone can be wrong with any probability.

    Attributes:
        estimator: Whose estimates.
        option: The option with the highest value; the first of several.
        value: Its value.
        interval: Of that value.
        runner_up: The second highest.
        lead: Its distance to the first.
        lead_interval: Of that distance.
        probability_wrong: Probability that another option is better.
        expected_regret: Mean of what the best option would bring more.
        sessions: How many randomised sessions the estimates rest on.
        further_sessions: How many more bring the probability of being wrong down to `target` if the distances are
            those estimated; 0 where it is there already, None where no number does or none were randomised.
        target: That probability.
        associational: Whether the estimates say what went together, not what an option causes.
    """

    estimator: str
    option: str
    value: float
    interval: tuple[float, float]
    runner_up: str
    lead: float
    lead_interval: tuple[float, float]
    probability_wrong: float
    expected_regret: float
    sessions: int
    further_sessions: int | None
    target: float
    associational: bool


def recommend(
    estimates: ValueEstimates, generator: np.random.Generator, *, target: float = 0.05, level: float = 0.95
) -> Recommendation:
    """Return the option to run, by one log's estimates.

    Args:
        estimates: Of one log, without an axis of draws.
        generator: Of the draws by which probabilities are computed.
        target: Probability of being wrong that is aimed at.
        level: Of intervals.
    Raises:
        ValueError: Estimates of several logs, or without errors; a target out of (0, ½].
    """
    if estimates.values.ndim != 1:
        raise InputError(f"a recommendation is made from one log, got estimates of shape {estimates.values.shape}")
    if not np.isfinite(estimates.covariance).all():
        raise InputError(f"a recommendation needs errors, and {estimates.estimator} has none")
    if checked_number(target, "target", 0.0, 0.5) == 0:
        raise InputError("target must be above 0: no number of sessions rules every error out")
    values = estimates.values
    best, second = (int(k) for k in np.argsort(-values, kind="stable")[:2])
    noise = _noise(estimates.covariance, generator)
    gaps = values[best] - values
    excess = noise - noise[:, [best]] - gaps  # how much better each option is than the best, in each draw
    scales = _critical_scales(np.delete(noise - noise[:, [best]], best, 1), np.delete(gaps, best))
    interval = estimates.intervals(level)[best]
    lead = estimates.difference_interval(best, second, level)
    return Recommendation(
        estimator=estimates.estimator,
        option=estimates.options[best],
        value=float(values[best]),
        interval=(float(interval[0]), float(interval[1])),
        runner_up=estimates.options[second],
        lead=float(gaps[second]),
        lead_interval=(float(lead[0]), float(lead[1])),
        probability_wrong=float((scales < 1).mean()),
        expected_regret=float(np.maximum(excess.max(1), 0.0).mean()),
        sessions=estimates.sessions,
        further_sessions=_further(scales, estimates.sessions, target),
        target=target,
        associational=estimates.associational,
    )


def recommendation_regret(
    truth: Float[np.ndarray, " option"], values: Float[np.ndarray, "*draw option"]
) -> Float[np.ndarray, "*draw"]:
    """Return the best option's true value less that of the option with the highest estimate."""
    return np.asarray(truth.max() - truth[values.argmax(-1)])


def _noise(covariance: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return draws of the estimates' errors: (draw, option)."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return np.asarray(generator.normal(size=(DRAWS, len(covariance))) @ root.T)


def _critical_scales(ahead: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Return, for each draw, the factor on all errors from which on another option overtakes; infinite for never.

    An option overtakes at the factor s where s · (its error less the best's) = its gap. So one set of draws answers
    for every number of sessions: with N instead of n, all errors shrink by √(n/N).
    """
    factors = np.where(ahead > 0, gaps / np.where(ahead > 0, ahead, 1.0), np.inf)
    return np.asarray(factors.min(1))


def _further(scales: np.ndarray, sessions: int, target: float) -> int | None:
    if not sessions:
        return None
    scale = float(np.quantile(scales, target, method="lower"))
    if scale >= 1:
        return 0
    if scale <= 0:
        return None
    return int(np.ceil(sessions / scale**2)) - sessions
