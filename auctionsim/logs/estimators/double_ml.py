"""Double machine learning on the log alone, with the bounds that a hidden confounder of a stated strength leaves.

Average potential outcomes of every option, adjusted for the context by scikit-learn's regressions on cross-fitted
folds. A hidden confounder is not adjusted for; so what the log alone can honestly say is an interval that widens with
the confounding that one grants (`EstimationSettings.confounding`), and the confounding that would undo a finding.

Source:
    Chernozhukov et al. (2018), "Double/debiased machine learning for treatment and structural parameters";
    Chernozhukov, Cinelli, Newey, Sharma and Syrgkanis (2022), "Long story short: omitted variable bias in causal
    machine learning". Computed by the package DoubleML.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from auctionsim.errors import InputError, MissingPackageError
from auctionsim.logs.estimators.families import require
from auctionsim.logs.estimators.registry import register_estimator
from auctionsim.logs.protocol import EstimationSettings, Source
from auctionsim.logs.session_log import SessionLog, Sources
from auctionsim.logs.value_estimates import ValueEstimates


@dataclass(frozen=True)
class DoubleMachineLearning:
    """Average potential outcomes on the log, with sensitivity bounds.

    Diagnostics are `bound_lower` and `bound_upper` (…, option): what the values can be if the hidden confounder
    explains at most the settings' share of the outcome's and of the choice's remaining variance, sampling error
    included; `robustness` (…, option): the share at which a value could be 0.
    """

    name = "double_ml_obs"
    family = ""
    needs: ClassVar[tuple[Source, ...]] = ("obs",)
    summary = "Double machine learning on the log, adjusted for the context, with bounds for hidden confounding."

    def estimate(
        self, sources: Sources, settings: EstimationSettings, generator: np.random.Generator
    ) -> ValueEstimates:
        """Return adjusted means with their covariance and bounds.

        Raises:
            ValueError: No log, or an option with fewer sessions than folds.
            ImportError: DoubleML is not installed.
        """
        require(self.name, self.needs, sources)
        log = sources.obs
        assert log is not None
        if log.option.ndim == 1:
            values, covariance, notes = _one(log, settings, generator)
        else:
            if log.option.ndim != 2:
                raise InputError(f"{self.name} takes one axis of draws at most, got shape {log.option.shape}")
            parts = [_one(log.draw(k), settings, generator) for k in range(len(log.option))]
            values, covariance = np.stack([part[0] for part in parts]), np.stack([part[1] for part in parts])
            notes = {key: np.stack([part[2][key] for part in parts]) for key in parts[0][2]}
        degrees = np.maximum(log.indicators.sum(-2) - 1, 1.0)
        options = sources.columns.options
        return ValueEstimates(self.name, options, values, covariance, 0, degrees, notes, associational=True)


def _one(
    log: SessionLog, settings: EstimationSettings, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, Mapping[str, np.ndarray]]:
    fewest = int(log.indicators.sum(0).min())
    if fewest < settings.folds:
        raise InputError(f"double_ml_obs needs {settings.folds} sessions under every option, one a fold; got {fewest}")
    model = _fitted(log, settings, int(generator.integers(2**31)))
    found = model.framework
    psi = found.scaled_psi[..., 0]
    model.sensitivity_analysis(cf_y=settings.confounding, cf_d=settings.confounding, rho=1.0)
    bounds = model.sensitivity_params
    notes = {
        "bound_lower": np.asarray(bounds["ci"]["lower"]),
        "bound_upper": np.asarray(bounds["ci"]["upper"]),
        "robustness": np.asarray(bounds["rv"]),
    }
    return np.asarray(found.thetas), psi.T @ psi / len(psi) ** 2, notes


def _fitted(log: SessionLog, settings: EstimationSettings, seed: int) -> Any:
    """Return DoubleML's model, fitted on folds that are stratified by option."""
    try:
        import doubleml
    except ImportError:
        raise MissingPackageError("double_ml_obs needs the package DoubleML: pip install 'auctionsim[logs]'") from None
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    context = log.context if log.context.shape[-1] else np.zeros((log.sessions, 1))
    data = doubleml.DoubleMLData.from_arrays(x=context, y=log.outcome, d=log.option.astype(np.float64))
    steps = (PolynomialFeatures(settings.degree, include_bias=False), StandardScaler())
    outcome = make_pipeline(*steps, LinearRegression())
    choice = make_pipeline(*steps, LogisticRegression(max_iter=1000))
    levels = [float(k) for k in range(len(log.columns.options))]
    model = doubleml.DoubleMLAPOS(data, outcome, choice, treatment_levels=levels, draw_sample_splitting=False)
    folds = StratifiedKFold(settings.folds, shuffle=True, random_state=seed).split(context, log.option)
    model.set_sample_splitting([list(folds)])
    return model.fit()


register_estimator(DoubleMachineLearning())
