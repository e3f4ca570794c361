"""EXP-Only: a reward model fitted on the experiment alone. Our reconstruction, as the baseline that a log must beat.

Jin and Syrgkanis (2026), "The Partial Testimony of Logs", prove that experiment and simulator identify values; the
abstract counts six families and a figure names four, of which this is none. It is the estimator of that theorem.
"""

import numpy as np

from auctionsim.logs.estimators.families import Family, FittedReward, RewardDesign
from auctionsim.logs.estimators.registry import register_estimator
from auctionsim.logs.estimators.reward_estimator import RewardEstimator, register_family


def _fit(design: RewardDesign, weights: np.ndarray) -> FittedReward:
    return FittedReward(design.fitted(weights), {})


EXP_ONLY = register_family(
    Family(
        "exp_only",
        ("exp", "sim"),
        "Least squares of the outcome on context and mediators in the experiment.",
        _fit,
        linear="exp",
    )
)
register_estimator(RewardEstimator(EXP_ONLY, "augmented"))
