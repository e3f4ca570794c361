"""Grounded: the log's reward model plus a linear correction that is fitted on the experiment.

A reconstruction: Jin and Syrgkanis (2026) name the family in a figure's caption. Unshrunk, and in the same linear
class, the correction undoes all that the log contributed, and the result is EXP-Only; so a log helps only where the
correction is shrunk or of a smaller class.

Source:
    Kallus, Puli and Shalit (2018), "Removing hidden confounding by experimental grounding".
"""

import numpy as np

from auctionsim.logs.estimators.basis import coefficients_of
from auctionsim.logs.estimators.families import Family, FittedReward, RewardDesign
from auctionsim.logs.estimators.reward_estimator import register_family

PENALTIES = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Candidates of the ridge, per session, on scaled columns; the constant is not penalised."""


def _unshrunk(design: RewardDesign, weights: np.ndarray) -> FittedReward:
    rest = design.outcome - (design.features @ design.log_reward[..., None])[..., 0]
    return FittedReward(design.log_reward + coefficients_of(design.features, rest, weights), {})


def _shrunk(design: RewardDesign, weights: np.ndarray) -> FittedReward:
    """Return the log's reward plus a ridge correction, its penalty cross-validated on the experiment."""
    rest = design.outcome - (design.features @ design.log_reward[..., None])[..., 0]
    errors = 0.0
    for fold in range(design.folds):
        held = weights * (design.fold == fold)
        corrections = _ridge(design.features, rest, weights - held)
        missed = rest[..., None] - design.features @ np.swapaxes(corrections, -1, -2)
        errors = errors + (held[..., None] * missed**2).sum(-2)
    best = np.argmin(errors, -1)
    corrections = _ridge(design.features, rest, weights)
    chosen = np.take_along_axis(corrections, np.asarray(best)[..., None, None], axis=-2)[..., 0, :]
    return FittedReward(design.log_reward + chosen, {"penalty": np.asarray(np.take(PENALTIES, best))})


def _ridge(features: np.ndarray, rest: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the correction at every penalty: (…, penalty, feature)."""
    gram = np.swapaxes(features * weights[..., None], -1, -2) @ features
    moments = ((weights * rest)[..., None, :] @ features)[..., 0, :]
    penalised = np.diag([0.0, *[1.0] * (gram.shape[-1] - 1)])
    scale = weights.sum(-1)[..., None, None, None] * np.asarray(PENALTIES)[:, None, None]
    inverse = np.linalg.pinv(gram[..., None, :, :] + scale * penalised, rcond=1e-10, hermitian=True)
    return np.asarray((inverse @ moments[..., None, :, None])[..., 0])


register_family(
    Family(
        "grounded",
        ("obs", "exp", "sim"),
        "The log's reward model plus a ridge correction fitted on the experiment.",
        _shrunk,
    )
)
register_family(
    Family(
        "grounded_unshrunk",
        ("obs", "exp", "sim"),
        "The log's reward model plus an unpenalised correction: EXP-Only in another guise, kept to show it.",
        _unshrunk,
        linear="exp",
    )
)
