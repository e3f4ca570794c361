"""Tests of what the direct method assumes: M acts through Y alone, U does not reach Y, the simulator has not drifted.

The direct and the doubly robust value of an option differ by the mean of 1[M = m]/p times the reward model's residual.
Where the option acts past the mediator, or the hidden U moves the mediator and the rating, the residual depends on the
option. The test cannot find a U that moves the mediator alike under all options in a world without its effect on the
outcome, and a reward model that is wrong in form rejects, too: a rejection says that the direct value is not to be
trusted, not why.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from auctionsim.errors import InputError
from auctionsim.logs.estimators.basis import coefficients_of, inverse_gram, polynomial_basis
from auctionsim.logs.protocol import STANDARD_ESTIMATION, EstimationSettings
from auctionsim.logs.session_log import Replays, SessionLog, Sources

_SMALLEST = 1e-8  # eigenvalue of a correlation matrix below which a direction does not vary
_TINY = 1e-150
_ROUNDING = 1e-11  # of the largest outcome: a residual below it is rounding, and says nothing of options


class AgreementTest(NamedTuple):
    """A test that numbers which should be 0 under every option are.

    Attributes:
        gaps: The numbers, such as each option's doubly robust value less its direct value.
        statistic: Wald's.
        degrees: Of freedom of its χ² law.
        p_value: Probability of a larger statistic where all are 0.
    """

    gaps: Float[np.ndarray, "*draw number"]
    statistic: Float[np.ndarray, "*draw"]
    degrees: int
    p_value: Float[np.ndarray, "*draw"]

    def rejects(self, level: float = 0.05) -> np.ndarray:
        """Tell whether the test rejects at a level."""
        return np.asarray(self.p_value < level)


def agreement(sources: Sources, settings: EstimationSettings = STANDARD_ESTIMATION) -> AgreementTest:
    """Test that the direct and the doubly robust values by the experiment's own reward model agree.

    With e the residuals of least squares of R on (1, X, Y), the gaps are D_m = mean_i 1[M_i = m]/p_i · e_i. As e is
    orthogonal to the features, D_m is also the mean of e times what of 1[M = m]/p those leave unexplained, and that
    product is its influence. Gaps weighted by the options' probabilities sum to 0: one degree is lost.

    Raises:
        ValueError: No experiment.
    """
    exp = _experiment(sources)
    basis = polynomial_basis(sources.obs or exp, settings.degree, settings.omitted)
    features, ones = basis.of(exp), np.ones(exp.outcome.shape)
    residual = exp.outcome - (features @ coefficients_of(features, exp.outcome, ones)[..., None])[..., 0]
    rounding = _ROUNDING * np.abs(exp.outcome).max(-1, keepdims=True)
    residual = np.where(np.abs(residual) > rounding, residual, 0.0)  # an outcome that the mediators say exactly
    inverse = exp.indicators / np.asarray(exp.propensity)[..., None]
    explained = features @ (inverse_gram(features, ones) @ (np.swapaxes(features, -1, -2) @ inverse))
    leverage = ((features @ inverse_gram(features, ones)) * features).sum(-1)
    shares = (inverse - explained) * (residual / np.sqrt(np.maximum(1 - leverage, 1e-6)))[..., None]
    return _wald((inverse * residual[..., None]).mean(-2), shares, sources.options - 1)


def replay_agreement(sources: Sources) -> AgreementTest:
    """Test that the simulator's mean mediators are the experiment's, option by option: whether it has drifted.

    The gaps are, by option and mediator, the mean of Y_i − E Y(m) over the sessions that ran under m, E Y(m) the
    replayed mean on session i's context. Where replays are the simulator's exact law, the gaps' covariance is the one
    that this law has, not the sample's: losses have long tails, and a small sample underrates its own error. Where
    they are a sample, it is the sample covariance.

    Returns:
        Gaps option by option, each with all mediators; degrees count the directions in which they vary.
    Raises:
        ValueError: No experiment, or no replays.
    """
    exp, replays = _experiment(sources), sources.replays
    if replays is None:
        raise InputError("whether a simulator has drifted needs replays, and the sources have none")
    means = (replays.weights[..., None] * replays.mediators).sum(-2)
    chosen = exp.indicators
    counts = np.maximum(chosen.sum(-2), 1)[..., None]
    missed = chosen[..., None] * (exp.mediators[..., None, :] - replays.by_session(means))
    gaps = missed.sum(-3) / counts
    if replays.exact:
        covariance = _replayed_covariance(replays, exp, means) / counts[..., None] ** 2
    else:
        centred = np.moveaxis(missed - chosen[..., None] * gaps[..., None, :, :], -2, -3)
        covariance = np.swapaxes(centred, -1, -2) @ centred / counts[..., None] ** 2
    values, vectors, scale = _scaled(covariance)
    along = (np.swapaxes(vectors, -1, -2) @ (gaps / scale)[..., None])[..., 0]
    kept = values > _SMALLEST
    statistic = np.where(kept, along**2 / np.where(kept, values, 1.0), 0.0).sum((-1, -2))
    degrees = kept.sum((-1, -2))
    p_value = stats.chi2.sf(statistic, np.maximum(degrees, 1))
    impossible = ((np.abs(gaps) > _SMALLEST) & (scale <= _TINY)).any((-1, -2))
    numbers = gaps.reshape(*gaps.shape[:-2], -1)
    return AgreementTest(numbers, np.asarray(statistic), int(np.max(degrees)), np.where(impossible, 0.0, p_value))


def _replayed_covariance(replays: Replays, exp: SessionLog, means: np.ndarray) -> np.ndarray:
    """Return the sum of the replayed laws' covariances over the sessions that ran under each option."""
    centred = replays.mediators - means[..., None, :]
    spread = (
        np.swapaxes(replays.weights[..., None] * centred, -1, -2) @ centred
    )  # (…, kind, option, mediator, mediator)
    kinds, options = spread.shape[-4:-2]
    logs = np.arange(exp.option.size // exp.sessions).repeat(exp.sessions)
    place = (logs * kinds + replays.kind.ravel()) * options + exp.option.ravel()
    counts = np.bincount(place, minlength=(logs[-1] + 1) * kinds * options)
    counts = counts.reshape(*exp.option.shape[:-1], kinds, options)
    return np.asarray((counts[..., None, None] * spread).sum(-4))


def _experiment(sources: Sources) -> SessionLog:
    if sources.exp is None:
        raise InputError("the test of agreement needs an experiment (EXP), and the sources have none")
    return sources.exp


def _wald(gaps: np.ndarray, shares: np.ndarray, degrees: int) -> AgreementTest:
    """Return Wald's test of gaps whose influences are `shares`, on the `degrees` leading directions."""
    covariance = np.swapaxes(shares, -1, -2) @ shares / shares.shape[-2] ** 2
    values, vectors, scale = _scaled(covariance)
    along = (np.swapaxes(vectors, -1, -2) @ (gaps / scale)[..., None])[..., 0]
    kept = values > _SMALLEST
    statistic = np.where(kept, along**2 / np.where(kept, values, 1.0), 0.0)[..., -degrees:].sum(-1)
    return AgreementTest(gaps, np.asarray(statistic), degrees, np.asarray(stats.chi2.sf(statistic, degrees)))


def _scaled(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return eigenvalues and vectors of the correlations, and the deviations; one that is 0 is written as tiny."""
    scale = np.sqrt(np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), _TINY**2))
    values, vectors = np.linalg.eigh(covariance / (scale[..., None] * scale[..., None, :]))
    return values, vectors, scale
