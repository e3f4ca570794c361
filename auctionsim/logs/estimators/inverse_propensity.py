"""Inverse propensity weights: each session counts by one over the probability of the option that it ran under.

Right where the propensities are those given everything that moves both choice and outcome. A log rarely knows them:
fitted to the context, they leave what is hidden. Known, they make the mean right, but not its interval: where few
sessions carry the sum, the error is far from normal (`effective_sessions` says how many there are).

Source:
    Horvitz and Thompson (1952), "A generalization of sampling without replacement from a finite universe"; Swaminathan
    and Joachims (2015), "The self-normalized estimator for counterfactual learning".
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from auctionsim.errors import InputError
from auctionsim.logs.estimators.families import require
from auctionsim.logs.estimators.registry import register_estimator
from auctionsim.logs.protocol import EstimationSettings, Source
from auctionsim.logs.session_log import SessionLog, Sources
from auctionsim.logs.value_estimates import ValueEstimates


@dataclass(frozen=True)
class InversePropensity:
    """Weighted means of outcomes, plain (IPS) or divided by the sum of weights (SNIPS).

    Attributes:
        source: Which log.
        normalised: Whether weights are divided by their sum.
    """

    source: Literal["obs", "exp"]
    normalised: bool

    family = ""

    @property
    def name(self) -> str:
        """By kind and source."""
        return f"{'snips' if self.normalised else 'ips'}_{self.source}"

    @property
    def needs(self) -> tuple[Source, ...]:
        """One log."""
        return (self.source,)

    @property
    def summary(self) -> str:
        """One sentence."""
        kind = "Self-normalised inverse" if self.normalised else "Inverse"
        return f"{kind} propensity weights on the {'log' if self.source == 'obs' else 'experiment'}."

    def estimate(
        self, sources: Sources, settings: EstimationSettings, generator: np.random.Generator
    ) -> ValueEstimates:
        """Return weighted means and their covariance.

        Raises:
            ValueError: No such log, or propensities that it does not state and that are not to be fitted.
        """
        del generator
        require(self.name, self.needs, sources)
        log = sources.obs if self.source == "obs" else sources.exp
        assert log is not None
        weights = log.indicators / propensities(log, settings)[..., None]
        scores = weights * log.outcome[..., None]
        values = scores.mean(-2)
        if self.normalised:
            total = weights.mean(-2)
            if not (total > 0).all():
                raise InputError(f"{self.name} needs a session under every option, and one has none")
            values = values / total
            scores = weights * (log.outcome[..., None] - values[..., None, :]) / total[..., None, :]
        centred = scores - scores.mean(-2, keepdims=True)
        covariance = np.swapaxes(centred, -1, -2) @ centred / (log.sessions * (log.sessions - 1))
        effective = weights.sum(-2) ** 2 / np.maximum((weights**2).sum(-2), np.finfo(float).tiny)
        notes = {"effective_sessions": np.asarray(effective.min(-1))}
        randomised = log.sessions if self.source == "exp" else 0
        options = sources.columns.options
        associational = self.source == "obs" and settings.propensities == "fitted"
        degrees = np.maximum(log.indicators.sum(-2) - 1, 1.0)
        return ValueEstimates(self.name, options, values, covariance, randomised, degrees, notes, associational)


def propensities(log: SessionLog, settings: EstimationSettings) -> np.ndarray:
    """Return the probability of each session's option: as the log states it, or fitted to the context.

    Raises:
        ValueError: The log states none, and they are not to be fitted.
    """
    if settings.propensities == "fitted" and not log.randomised:
        if log.option.ndim > 1:
            return np.stack([propensities(log.draw(k), settings) for k in range(len(log.option))])
        return _fitted(log)
    if log.propensity is None:
        raise InputError("the log states no propensities: have them fitted to the context, which leaves what is hidden")
    return log.propensity


def _fitted(log: SessionLog) -> np.ndarray:
    """Return propensities by multinomial logistic regression on the context; by shares where there is no context."""
    from sklearn.linear_model import LogisticRegression

    shares = log.indicators.mean(0)
    if not log.context.shape[-1] or (shares == 1).any():
        return np.asarray(shares[log.option])
    model = LogisticRegression(C=1e6, max_iter=1000).fit(log.context, log.option)
    place = np.searchsorted(model.classes_, log.option)
    return np.asarray(model.predict_proba(log.context)[np.arange(log.sessions), place])


for _source in ("obs", "exp"):
    for _normalised in (False, True):
        register_estimator(InversePropensity(_source, _normalised))
