"""CVCI: w times the log's reward model and 1 − w times the experiment's, w by cross-validation on the experiment.

A reconstruction: Jin and Syrgkanis (2026) name the family in a figure's caption. Its source minimises a weighted sum
of both losses; in a linear class, a mixture of both fits does the same job with a weight that has a closed form.

Source:
    Yang, Lin, Athey, Jordan and Imbens (2025), "Cross-validated causal inference: a modern method to combine
    experimental and observational data".
"""

import numpy as np

from auctionsim.logs.estimators.families import Family, FittedReward, RewardDesign
from auctionsim.logs.estimators.reward_estimator import register_family


def _fit(design: RewardDesign, weights: np.ndarray) -> FittedReward:
    """Return the mixture whose weight has the least error on held-out sessions of the experiment.

    With held-out residual e of the experiment's model and g the log's prediction less that model's, Σ(e − w g)² is
    least at w = Σ e g / Σ g², cut to [0, 1].
    """
    log = design.log_reward
    along, square = 0.0, 0.0
    for fold in range(design.folds):
        held = weights * (design.fold == fold)
        model = design.fitted(weights - held)
        residual = design.outcome - (design.features @ model[..., None])[..., 0]
        gap = (design.features @ (log - model)[..., None])[..., 0]
        along = along + (held * residual * gap).sum(-1)
        square = square + (held * gap**2).sum(-1)
    weight = np.clip(along / np.where(square > 0, square, 1.0), 0.0, 1.0)
    own = design.fitted(weights)
    return FittedReward(own + weight[..., None] * (log - own), {"weight": np.asarray(weight)})


register_family(
    Family(
        "cvci",
        ("obs", "exp", "sim"),
        "A mixture of the log's and the experiment's reward models, its weight cross-validated on the experiment.",
        _fit,
    )
)
