"""Reward models that are linear in polynomials of context and mediators, fitted on many logs at once."""

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from auctionsim.errors import InputError
from auctionsim.logs.session_log import LogColumns, Replays, SessionLog

_SMALLEST = 1e-10  # share of the largest eigenvalue of a Gram matrix below which a direction is not identified


@dataclass(frozen=True)
class PolynomialBasis:
    """Polynomials of the context and the mediators, each column first centred and scaled; the constant 1 is the first.

    Attributes:
        kept: Of the context's and the mediators' columns in a row, those that the reward model sees.
        center: Of each kept column.
        scale: Of each kept column; 1 for one that does not vary.
        powers: For each polynomial, the kept columns whose product it is.
    """

    kept: tuple[int, ...]
    center: Float[np.ndarray, " column"]
    scale: Float[np.ndarray, " column"]
    powers: tuple[tuple[int, ...], ...]

    def features(
        self, context: Float[np.ndarray, "*one context"], mediators: Float[np.ndarray, "*lead mediator"]
    ) -> Float[np.ndarray, "*lead feature"]:
        """Return the polynomials' values; the leading axes of both are broadcast."""
        width, shape = context.shape[-1], np.broadcast_shapes(context.shape[:-1], mediators.shape[:-1])
        columns = [context[..., k] if k < width else mediators[..., k - width] for k in self.kept]
        z = [(one - center) / scale for one, center, scale in zip(columns, self.center, self.scale, strict=True)]
        values = np.ones((*shape, len(self.powers)))
        for place, power in enumerate(self.powers):
            for column in power:
                values[..., place] *= z[column]
        return values

    def of(self, log: SessionLog) -> Float[np.ndarray, "*draw session feature"]:
        """Return the polynomials of a log's sessions."""
        return self.features(log.context, log.mediators)

    def replayed(self, replays: Replays) -> Float[np.ndarray, "*draw session option feature"]:
        """Return the polynomials' means under each option, on each session's context."""
        features = self.features(replays.context[..., None, None, :], replays.mediators)
        means = (replays.weights[..., None, :] @ features)[..., 0, :]
        return replays.by_session(means)


def polynomial_basis(log: SessionLog, degree: int, omitted: tuple[str, ...] = ()) -> PolynomialBasis:
    """Return the basis of a degree on a log's columns.

    Args:
        log: Its means and deviations centre and scale columns: no fitted value depends on them, only how much a
            penalty weighs.
        degree: Of the polynomials, ≥ 1.
        omitted: Columns that are left out.
    Raises:
        ValueError: A column that is not there.
    """
    columns = (*log.columns.context, *log.columns.mediators)
    _refuse_unknown(omitted, log.columns)
    kept = tuple(k for k, name in enumerate(columns) if name not in omitted)
    numbers = np.concatenate([log.context, log.mediators], -1)[..., list(kept)].reshape(-1, len(kept))
    scale = numbers.std(0)
    powers = [
        power for size in range(degree + 1) for power in itertools.combinations_with_replacement(range(len(kept)), size)
    ]
    return PolynomialBasis(kept, numbers.mean(0), np.where(scale > 0, scale, 1.0), tuple(powers))


def _refuse_unknown(omitted: tuple[str, ...], columns: LogColumns) -> None:
    seen = (*columns.context, *columns.mediators)
    unknown = [name for name in omitted if name not in seen]
    if unknown:
        raise InputError(f"a column that is omitted must be one of {', '.join(seen)}, got {unknown[0]!r}")


class LinearFit(NamedTuple):
    """A reward model by least squares.

    Attributes:
        coefficients: (…, feature).
        covariance: (…, feature, feature), robust to unequal variances.
        influence: (…, session, feature), each session's share of the estimate's error times the sum of weights.
    """

    coefficients: Float[np.ndarray, "*draw feature"]
    covariance: Float[np.ndarray, "*draw feature feature"]
    influence: Float[np.ndarray, "*draw session feature"]


def inverse_gram(
    features: Float[np.ndarray, "*draw session feature"], weights: Float[np.ndarray, "*draw session"]
) -> Float[np.ndarray, "*draw feature feature"]:
    """Return the pseudo-inverse of Σ w φ φᵀ: a direction that no session shows gets the coefficient 0."""
    gram = np.swapaxes(features * weights[..., None], -1, -2) @ features
    return np.linalg.pinv(gram, rcond=_SMALLEST, hermitian=True)


def coefficients_of(
    features: Float[np.ndarray, "*draw session feature"],
    outcome: Float[np.ndarray, "*draw session"],
    weights: Float[np.ndarray, "*draw session"],
) -> Float[np.ndarray, "*draw feature"]:
    """Return weighted least squares."""
    moments = ((weights * outcome)[..., None, :] @ features)[..., 0, :]
    return np.asarray((inverse_gram(features, weights) @ moments[..., None])[..., 0])


def linear_fit(
    features: Float[np.ndarray, "*draw session feature"], outcome: Float[np.ndarray, "*draw session"]
) -> LinearFit:
    """Return least squares with robust errors: residuals are divided by √(1 − leverage).

    Source:
        MacKinnon and White (1985), "Some heteroskedasticity-consistent covariance matrix estimators with improved
        finite sample properties", their HC2.
    """
    inverse = inverse_gram(features, np.ones(outcome.shape))
    found = (inverse @ (outcome[..., None, :] @ features)[..., 0, :, None])[..., 0]
    spread = features @ inverse
    leverage = np.minimum((spread * features).sum(-1), 1 - 1e-6)
    residual = (outcome - (features @ found[..., None])[..., 0]) / np.sqrt(1 - leverage)
    shares = spread * residual[..., None]
    covariance = np.swapaxes(shares, -1, -2) @ shares
    return LinearFit(found, covariance, shares * outcome.shape[-1])
