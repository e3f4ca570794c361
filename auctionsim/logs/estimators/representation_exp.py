"""Representation-EXP: the log's labels teach what matters about a reply, the experiment what it is worth.

A reconstruction: Jin and Syrgkanis (2026) name the family in a figure's caption. The log never shows its outcome to
it: labels (clicks, dwell time, conversions) are regressed on polynomials of context and mediators, and the reward is
a linear head, fitted on the experiment, on what those regressions predict.
"""

import numpy as np

from auctionsim.errors import InputError
from auctionsim.logs.estimators.basis import coefficients_of
from auctionsim.logs.estimators.families import Family, FittedReward, RewardDesign
from auctionsim.logs.estimators.reward_estimator import register_family


def _fit(design: RewardDesign, weights: np.ndarray) -> FittedReward:
    """Return the coefficients of 1 and of the predicted labels, written as those of the polynomials behind them."""
    if design.labels is None:
        raise InputError("representation_exp needs labels in the log, such as clicks; the log has none")
    predicted = design.features @ design.labels
    head = coefficients_of(
        np.concatenate([np.ones((*predicted.shape[:-1], 1)), predicted], -1), design.outcome, weights
    )
    found = (design.labels @ head[..., 1:, None])[..., 0]
    found[..., 0] += head[..., 0]
    return FittedReward(found, {})


register_family(
    Family(
        "representation_exp",
        ("obs", "exp", "sim"),
        "A linear head, fitted on the experiment, on features that predict the log's labels.",
        _fit,
        further=1,
    )
)
