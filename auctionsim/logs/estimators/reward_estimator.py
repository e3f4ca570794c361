"""Values from a reward model: directly over replays, or corrected by the experiment's own outcomes.

With f the reward model, φ_i(m) what the simulator replays on session i's context under option m,

    direct:         v_m = mean_i f(X_i, Y_i(m)),
    doubly robust:  v_m = mean_i [ f(X_i, Y_i(m)) + 1[M_i = m]/p (R_i − f(X_i, Y_i)) ],
    augmented:      v_m = mean_i [ f(X_i, Y_i(m)) + 1[M_i = m]/p (R_i − f(X_i, Y_i(M_i))) ].

The second is right where the reward model is wrong, but needs a simulator that is right; the third needs neither, and
pays with the mediator's noise. Both fit f on the other folds' sessions.

Source:
    Dudík, Langford and Li (2011), "Doubly robust policy evaluation and learning"; Jin and Syrgkanis (2026), "The
    Partial Testimony of Logs", for the mediator that a simulator replays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from auctionsim.errors import InputError
from auctionsim.logs.estimators.basis import linear_fit
from auctionsim.logs.estimators.families import Family, RewardDesign, design_of, require
from auctionsim.logs.estimators.registry import register_estimator
from auctionsim.logs.protocol import EstimationSettings, Source
from auctionsim.logs.session_log import Sources
from auctionsim.logs.value_estimates import ValueEstimates

Form = Literal["direct", "doubly_robust", "augmented"]
FORMS: tuple[Form, ...] = ("direct", "doubly_robust", "augmented")


@dataclass(frozen=True)
class RewardEstimator:
    """An estimator of values by a family's reward model.

    Attributes:
        model: The family.
        form: How the reward is turned into values.
    """

    model: Family
    form: Form

    @property
    def name(self) -> str:
        """Family and form."""
        return f"{self.model.name}_{self.form}"

    @property
    def family(self) -> str:
        """The family's name."""
        return self.model.name

    @property
    def needs(self) -> tuple[Source, ...]:
        """The family's sources, and the experiment where it corrects."""
        return self.model.needs if self.form == "direct" or "exp" in self.model.needs else (*self.model.needs, "exp")

    @property
    def summary(self) -> str:
        """The family's sentence, with the form."""
        return f"{self.model.summary.rstrip('.')}; values: {self.form.replace('_', ' ')}."

    def estimate(
        self, sources: Sources, settings: EstimationSettings, generator: np.random.Generator
    ) -> ValueEstimates:
        """Return values and their covariance."""
        require(self.name, self.needs, sources)
        design = design_of(self.model, sources, settings, generator)
        if self.form == "direct":
            values, covariance, notes = self._direct(design, settings, generator)
            degrees = np.full(values.shape, float(max(design.outcome.shape[-1] - design.features.shape[-1], 1)))
        else:
            values, covariance, notes = self._corrected(design, sources)
            degrees = np.maximum((design.inverse > 0).sum(-2) - 1.0, 1.0)
        randomised = 0 if sources.exp is None or "exp" not in self.needs else sources.exp.sessions
        options = sources.columns.options
        return ValueEstimates(
            self.name, options, values, covariance, randomised, degrees, notes, associational=not randomised
        )

    def _direct(
        self, design: RewardDesign, settings: EstimationSettings, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, Mapping[str, np.ndarray]]:
        ones = np.ones(design.replayed.shape[:-2])
        fitted = self.model.fit(design, ones)
        by_session = (design.replayed @ fitted.coefficients[..., None, :, None])[..., 0]
        values = by_session.mean(-2)
        if self.model.linear:
            return values, _formula(self.model, design, by_session), fitted.diagnostics
        spread = [self._resampled(design, generator) for _ in range(settings.replicates)]
        return values, _covariance(np.stack(spread, -2)), fitted.diagnostics

    def _resampled(self, design: RewardDesign, generator: np.random.Generator) -> np.ndarray:
        """Return values on sessions drawn anew, the log's model on a normal draw around itself."""
        sessions = design.outcome.shape[-1]
        shares = np.full(sessions, 1 / sessions)
        weights = generator.multinomial(sessions, shares, size=design.outcome.shape[:-1]).astype(np.float64)
        if design.obs is not None:
            root = _root(design.obs.covariance)
            noise = generator.normal(size=design.obs.coefficients.shape)
            drawn = design.obs.coefficients + (root @ noise[..., None])[..., 0]
            design = replace(design, obs=design.obs._replace(coefficients=drawn))
        found = self.model.fit(design, weights).coefficients
        return np.asarray((design.mean_replayed(weights) @ found[..., None])[..., 0])

    def _corrected(
        self, design: RewardDesign, sources: Sources
    ) -> tuple[np.ndarray, np.ndarray, Mapping[str, np.ndarray]]:
        scores, notes = scored(self.model, design, self.form, sources)
        return scores.mean(-2), _covariance(scores) / scores.shape[-2], notes


def scored(
    model: Family, design: RewardDesign, form: Form, sources: Sources
) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
    """Return each session's cross-fitted value of each option, (…, session, option), and what the whole fit chose."""
    assert sources.exp is not None
    scores = np.zeros((*design.outcome.shape, design.replayed.shape[-2]))
    for fold in range(design.folds):
        here = design.fold == fold
        weights = np.broadcast_to((~here).astype(np.float64), design.outcome.shape)
        found = model.fit(design, weights).coefficients
        replayed = (design.replayed[..., here, :, :] @ found[..., None, :, None])[..., 0]
        if form == "augmented":
            expected = (replayed * sources.exp.indicators[..., here, :]).sum(-1)
        else:
            expected = (design.features[..., here, :] @ found[..., None])[..., 0]
        missed = design.outcome[..., here] - expected
        scores[..., here, :] = replayed + design.inverse[..., here, :] * missed[..., None]
    return scores, model.fit(design, np.ones(design.outcome.shape)).diagnostics


def _formula(model: Family, design: RewardDesign, by_session: np.ndarray) -> np.ndarray:
    """Return the covariance of direct values where the reward is least squares on one source."""
    sessions, means = by_session.shape[-2], design.replayed.mean(-3)
    context = by_session - by_session.mean(-2, keepdims=True)
    if model.linear == "obs":
        assert design.obs is not None
        own = means @ design.obs.covariance @ np.swapaxes(means, -1, -2)
        return np.asarray(own + _covariance(by_session) / sessions)
    influence = context + linear_fit(design.features, design.outcome).influence @ np.swapaxes(means, -1, -2)
    return np.asarray(np.swapaxes(influence, -1, -2) @ influence / sessions**2)


def _covariance(rows: np.ndarray) -> np.ndarray:
    """Return the sample covariance of rows: (…, row, option) → (…, option, option)."""
    centred = rows - rows.mean(-2, keepdims=True)
    return np.asarray(np.swapaxes(centred, -1, -2) @ centred / max(rows.shape[-2] - 1, 1))


def _root(covariance: np.ndarray) -> np.ndarray:
    """Return a square root of a covariance that may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :])


_FAMILIES: dict[str, Family] = {}


def register_family(model: Family) -> Family:
    """Make a family known, with an estimator by the direct method and a doubly robust one, and return it.

    Raises:
        ValueError: The name is taken.
    """
    for form in FORMS[:2]:
        register_estimator(RewardEstimator(model, form))
    _FAMILIES[model.name] = model
    return model


def family_names() -> tuple[str, ...]:
    """Return the names of all families, in the order of their registration."""
    return tuple(_FAMILIES)


def family(name: str) -> Family:
    """Return a family.

    Raises:
        ValueError: There is none of that name.
    """
    if name not in _FAMILIES:
        raise InputError(f"a family must be one of {', '.join(_FAMILIES)}, got {name!r}")
    return _FAMILIES[name]
