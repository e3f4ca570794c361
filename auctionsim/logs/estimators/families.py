"""Families of reward models: each turns a log's model and an experiment into the coefficients of one reward."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from auctionsim.errors import InputError
from auctionsim.logs.estimators.basis import (
    LinearFit,
    PolynomialBasis,
    coefficients_of,
    linear_fit,
    polynomial_basis,
)
from auctionsim.logs.protocol import EstimationSettings, Source
from auctionsim.logs.session_log import Sources


@dataclass(frozen=True)
class RewardDesign:
    """The arrays that a family fits on, in one basis. `session` runs over the population that replays are of.

    Attributes:
        basis: Of the reward.
        features: Of the experiment; no sessions where there is none.
        outcome: Of the experiment.
        replayed: Mean polynomials under every option on each session's context.
        inverse: 1[M = m]/p of the experiment's sessions.
        fold: Of each session.
        folds: How many.
        obs: The log's reward model: coefficients (…, feature) and their covariance; None without a log.
        labels: (…, feature, label), least squares of the log's labels; None without.
    """

    basis: PolynomialBasis
    features: Float[np.ndarray, "*draw row feature"]
    outcome: Float[np.ndarray, "*draw row"]
    replayed: Float[np.ndarray, "*draw session option feature"]
    inverse: Float[np.ndarray, "*draw row option"]
    fold: Int[np.ndarray, " row"]
    folds: int
    obs: LinearFit | None = None
    labels: Float[np.ndarray, "*draw feature label"] | None = None

    @property
    def log_reward(self) -> Float[np.ndarray, "*draw feature"]:
        """Coefficients of the log's reward model."""
        assert self.obs is not None
        return self.obs.coefficients

    def mean_replayed(self, weights: Float[np.ndarray, "*draw row"]) -> Float[np.ndarray, "*draw option feature"]:
        """Return the mean polynomials under every option, over weighted sessions."""
        replayed = self.replayed
        flat = replayed.reshape(*replayed.shape[:-2], -1)
        total = (weights[..., None, :] @ flat)[..., 0, :] / weights.sum(-1)[..., None]
        return np.asarray(total.reshape(*total.shape[:-1], *replayed.shape[-2:]))

    def fitted(self, weights: Float[np.ndarray, "*draw row"]) -> Float[np.ndarray, "*draw feature"]:
        """Return the experiment's least squares under weights of its sessions."""
        return coefficients_of(self.features, self.outcome, weights)


class FittedReward(NamedTuple):
    """A reward by its coefficients, with what its family chose."""

    coefficients: np.ndarray
    diagnostics: Mapping[str, np.ndarray]


Fit = Callable[[RewardDesign, np.ndarray], FittedReward]


@dataclass(frozen=True)
class Family:
    """A family of reward models.

    Attributes:
        name: Words with underscores.
        needs: Sources.
        summary: One sentence.
        fit: From a design and weights of the experiment's sessions to a reward.
        linear: Whether the reward's error is that of least squares on one source, so that it has a formula:
            "exp", "obs", or "" where the bootstrap is needed.
        further: How much higher than the settings' the degree of its basis is.
    """

    name: str
    needs: tuple[Source, ...]
    summary: str
    fit: Fit
    linear: str = ""
    further: int = 0


def design_of(
    one: Family, sources: Sources, settings: EstimationSettings, generator: np.random.Generator
) -> RewardDesign:
    """Return the arrays that a family fits on.

    Raises:
        ValueError: A source that it needs is missing.
    """
    require(one.name, one.needs, sources)
    obs, exp, replays = sources.obs, sources.exp, sources.replays
    assert replays is not None
    basis = polynomial_basis(obs or sources.population, settings.degree + one.further, settings.omitted)
    model = labels = None
    if obs is not None and "obs" in one.needs:
        features = basis.of(obs)
        model = linear_fit(features, obs.outcome)
        if one.further and obs.columns.labels:
            targets = (
                coefficients_of(features, label, np.ones(label.shape)) for label in np.moveaxis(obs.labels, -1, 0)
            )
            labels = np.stack(list(targets), -1)
    rows = sources.population if exp is None else exp
    inverse = (
        np.zeros(rows.indicators.shape) if exp is None else exp.indicators / _propensity(exp.propensity)[..., None]
    )
    fold = generator.permutation(rows.sessions) % settings.folds
    return RewardDesign(
        basis,
        basis.of(rows),
        rows.outcome,
        basis.replayed(replays),
        inverse,
        fold,
        settings.folds,
        model,
        labels,
    )


def _propensity(stated: np.ndarray | None) -> np.ndarray:
    assert stated is not None, "an experiment states its propensities"
    return stated


def require(name: str, needs: tuple[Source, ...], sources: Sources) -> None:
    """Refuse sources that lack what an estimator needs.

    Raises:
        ValueError: One is missing; says which.
    """
    words = {"obs": "a log (OBS)", "exp": "an experiment (EXP)", "sim": "replays (SIM)"}
    there = {"obs": sources.obs, "exp": sources.exp, "sim": sources.replays}
    lacking = [words[source] for source in needs if there[source] is None]
    if lacking:
        raise InputError(f"{name} needs {' and '.join(lacking)}, and the sources have none")
