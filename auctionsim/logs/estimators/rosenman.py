"""Shrinkage of the experiment's values towards the log's, by an unbiased estimate of the risk. A reconstruction.

Jin and Syrgkanis (2026) count six families; that this is one of theirs is our guess. The source shrinks effects of
strata; our strata are options, and what is shrunk are their values less the mean value.

Source:
    Rosenman, Basse, Owen and Baiocchi (2023), "Combining observational and experimental datasets using shrinkage
    estimators", the estimator with one common factor, cut to [0, 1].
"""

import numpy as np

from auctionsim.logs.estimators.basis import coefficients_of, inverse_gram
from auctionsim.logs.estimators.families import Family, FittedReward, RewardDesign
from auctionsim.logs.estimators.reward_estimator import register_family


def _fit(design: RewardDesign, weights: np.ndarray) -> FittedReward:
    """Return β_exp − λ(β_exp − β_obs), λ = tr Σ / |θ_exp − θ_obs|², θ the direct values less their mean."""
    own = coefficients_of(design.features, design.outcome, weights)
    gap = own - design.log_reward
    means = design.mean_replayed(weights)
    contrasts = means - means.mean(-2, keepdims=True)  # (…, option, feature)
    residual = design.outcome - (design.features @ own[..., None])[..., 0]
    shares = (design.features @ inverse_gram(design.features, weights)) * (np.sqrt(weights) * residual)[..., None]
    trace = ((shares @ np.swapaxes(contrasts, -1, -2)) ** 2).sum((-1, -2))
    distance = ((contrasts @ gap[..., None])[..., 0] ** 2).sum(-1)
    share = np.where(distance > 0, np.minimum(trace / np.where(distance > 0, distance, 1.0), 1.0), 1.0)
    return FittedReward(own - share[..., None] * gap, {"weight": share})


register_family(
    Family(
        "rosenman",
        ("obs", "exp", "sim"),
        "The experiment's values shrunk towards the log's by as much as an unbiased estimate of the risk allows.",
        _fit,
    )
)
