"""Estimators of options' values from logs, one a file; a family of reward models has one of each form."""

from auctionsim.logs.estimators.cvci import CVCI
from auctionsim.logs.estimators.exp_only import EXP_ONLY
from auctionsim.logs.estimators.families import Family, family, family_names, register_family
from auctionsim.logs.estimators.grounded import GROUNDED, GROUNDED_UNSHRUNK
from auctionsim.logs.estimators.inverse_propensity import InversePropensity
from auctionsim.logs.estimators.means import EXP_MEANS, RAW_MEANS, Means
from auctionsim.logs.estimators.obs_only import OBS_ONLY
from auctionsim.logs.estimators.registry import estimator, estimator_names, register_estimator
from auctionsim.logs.estimators.representation_exp import REPRESENTATION_EXP
from auctionsim.logs.estimators.reward_estimator import RewardEstimator
from auctionsim.logs.estimators.rosenman import ROSENMAN

for _family in (OBS_ONLY, EXP_ONLY, CVCI, GROUNDED, GROUNDED_UNSHRUNK, REPRESENTATION_EXP, ROSENMAN):
    register_estimator(RewardEstimator(_family, "direct"))
    register_estimator(RewardEstimator(_family, "doubly_robust"))
register_estimator(RewardEstimator(EXP_ONLY, "augmented"))

__all__ = [
    "EXP_MEANS",
    "RAW_MEANS",
    "Family",
    "InversePropensity",
    "Means",
    "RewardEstimator",
    "estimator",
    "estimator_names",
    "family",
    "family_names",
    "register_estimator",
    "register_family",
]
