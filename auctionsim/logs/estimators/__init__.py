"""Estimators of options' values from logs, one a file; a family of reward models has one of each form."""

from auctionsim.logs.estimators import (  # noqa: F401, I001  each registers; in the order of tables
    means,
    inverse_propensity,
    double_ml,
    obs_only,
    exp_only,
    cvci,
    grounded,
    rosenman,
    representation_exp,
)
from auctionsim.logs.estimators.families import Family, FittedReward, RewardDesign
from auctionsim.logs.estimators.registry import estimator, estimator_names, register_estimator
from auctionsim.logs.estimators.reward_estimator import family, family_names, register_family

__all__ = [
    "Family",
    "FittedReward",
    "RewardDesign",
    "estimator",
    "estimator_names",
    "family",
    "family_names",
    "register_estimator",
    "register_family",
]
