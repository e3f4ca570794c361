"""OBS-Only: a reward model fitted on the confounded log alone."""

import numpy as np

from auctionsim.logs.estimators.families import Family, FittedReward, RewardDesign
from auctionsim.logs.estimators.reward_estimator import register_family


def _fit(design: RewardDesign, weights: np.ndarray) -> FittedReward:
    del weights
    return FittedReward(design.log_reward, {})


register_family(
    Family(
        "obs_only",
        ("obs", "sim"),
        "Least squares of the outcome on context and mediators in the log: biased by what moves choice and rating.",
        _fit,
        linear="obs",
    )
)
