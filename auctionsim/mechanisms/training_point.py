"""One point of a learned mechanism's history."""

from typing import NamedTuple


class TrainingPoint(NamedTuple):
    """One evaluation during training, by the hard choice of the deployed rule on fixed profiles.

    Attributes:
        step: Steps taken.
        objective: Mean of Σ t_i − user_weight · L under truthful bids.
        revenue: Mean of Σ t_i.
        user_loss: Mean of L.
        inverse_temperature: Of the soft choice trained at that step, per unit of money.
    """

    step: int
    objective: float
    revenue: float
    user_loss: float
    inverse_temperature: float
