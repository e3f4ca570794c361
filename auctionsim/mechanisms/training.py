"""Parts of every training of a mechanism: profiles to learn on, a schedule, and the record of hard evaluations."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from auctionsim.checks import checked_number, checked_positive
from auctionsim.errors import InputError
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.training_point import TrainingPoint
from auctionsim.priors import Product
from auctionsim.substrates.protocol import Substrate

LEARNING_RATES = (1e-12, 1e3)  # the least and the largest


@dataclass(frozen=True)
class Schedule:
    """A schedule of learning rates and of softness over the steps of a training.

    Attributes:
        learning_rate: First step size of Adam; what it is a share of, and how far it falls, the training says.
        inverse_temperatures: β of the soft choice at the first and the last step, geometric between.
    Raises:
        TypeError, ValueError: A number outside its range, or not two temperatures.
    """

    learning_rate: float
    inverse_temperatures: tuple[float, float]

    def __post_init__(self) -> None:
        checked_number(self.learning_rate, "learning_rate", *LEARNING_RATES)
        if not isinstance(self.inverse_temperatures, Sequence) or len(self.inverse_temperatures) != 2:
            raise InputError(f"inverse_temperatures must be two numbers, got {self.inverse_temperatures!r}")
        for beta in self.inverse_temperatures:
            checked_positive(beta, "inverse_temperatures")


Progress: TypeAlias = Callable[[TrainingPoint, int], None]
"""Called after every evaluation with the point and the number of steps there will be."""

TABLE = 2**14  # knots of the quantile functions that training draws from


class ProfileSampler:
    """Draws valuations for training: every marginal stratified, so that a batch covers each prior evenly.

    Quantile functions are tabulated once, linear in between (training only; evaluations draw exactly).
    """

    def __init__(self, priors: Product) -> None:
        self.priors = priors
        levels = (torch.arange(TABLE, dtype=torch.float64) + 0.5) / TABLE
        spread = levels.view(-1, 1, 1).expand(-1, priors.num_bidders, priors.num_features)
        self.table = priors.quantile(spread, torch.float64)

    def draw(self, batch: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
        """Return (batch, bidder, feature) valuations, independent across bidders and features."""
        shape = (batch, self.priors.num_bidders, self.priors.num_features)
        order = torch.rand(shape, generator=generator).argsort(0)
        u = (order + torch.rand(shape, generator=generator)) / batch
        place = (u.double() * TABLE - 0.5).clamp(0, TABLE - 1 - 1e-9)
        k = place.long()
        below, above = self.table.gather(0, k), self.table.gather(0, k + 1)
        return (below + (above - below) * (place - k)).to(dtype)


def geometric(start: float, end: float, share: float) -> float:
    """Return the point at `share` of the way from start to end, on a logarithmic scale."""
    return start * math.exp(math.log(end / start) * share)


def evaluated(
    mechanism: Mechanism, substrate: Substrate, valuations: Tensor, user_weight: float, context: Tensor | None
) -> tuple[float, float, float]:
    """Return the mean objective, revenue and user loss of the deployed rule under truthful bids."""
    outcome = mechanism(valuations, context)
    revenue = float(outcome.payments.sum(1).mean())
    loss = float(substrate.user_loss(outcome.allocation, context).mean())
    return revenue - user_weight * loss, revenue, loss
