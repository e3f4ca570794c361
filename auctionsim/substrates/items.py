"""Classical items as a substrate: exposure is the probability of getting each item, and no user is harmed."""

from dataclasses import dataclass

import torch
from torch import Tensor

from auctionsim.checks import (
    checked_allocation,
    checked_context,
    checked_count,
    checked_money,
    checked_weights,
)
from auctionsim.substrates.protocol import BaseSubstrate, Lever


@dataclass(frozen=True)
class Items(BaseSubstrate):
    """Indivisible items sold to additive bidders.

    A lever is the probability of getting an item; e_ij = x_ij, L = 0. Feasible: x ≥ 0 and Σ_i x_ij ≤ 1.
    With it, a closed form about items tests the code that runs on neurons.

    Args:
        num_bidders: n ≥ 1.
        num_items: m ≥ 1; item j is feature j.
    Example:
        >>> Items(2).maximise(torch.tensor([[[0.3], [0.7]]]), user_weight=0.0)
        tensor([[[0.],
                 [1.]]])
    """

    num_bidders: int
    num_items: int = 1
    anonymous = True
    exposure_bounds = (0.0, 1.0)

    def __post_init__(self) -> None:
        checked_count(self.num_bidders, "num_bidders")
        checked_count(self.num_items, "num_items")

    @property
    def features(self) -> tuple[str, ...]:
        """One feature an item."""
        return tuple(f"item_{j}" for j in range(self.num_items))

    @property
    def levers(self) -> tuple[Lever, ...]:
        """One probability an item."""
        return tuple(Lever(name, 0.0, 1.0, 0.0) for name in self.features)

    @property
    def separable(self) -> bool:
        """An item can be given once, so only a single bidder is free of the others."""
        return self.num_bidders == 1

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return no item to anyone: zeros (batch, bidder, item)."""
        checked_count(batch, "batch", 0)
        return torch.zeros(batch, self.num_bidders, self.num_items, dtype=dtype, device=device)

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows give each item at most once, up to float rounding: (batch,) bool."""
        x = checked_allocation(allocation, (self.num_bidders, self.num_items), finite=False)
        slack = 8 * self.num_bidders * torch.finfo(x.dtype).eps
        return (x >= 0).flatten(1).all(1) & (x.sum(1) <= 1 + slack).all(1)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return a copy of the allocation: (batch, bidder, item)."""
        checked_context(context, len(allocation), self.contexts)
        return checked_allocation(allocation, (self.num_bidders, self.num_items)).clone()

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return zeros (batch,)."""
        checked_context(context, len(allocation), self.contexts)
        x = checked_allocation(allocation, (self.num_bidders, self.num_items))
        return x.new_zeros(x.shape[0])

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        """Give each item to the first bidder of the highest positive weight, and to nobody where none is positive."""
        checked_weights(weights, self.num_bidders, len(self.features))
        checked_money(user_weight, "user_weight")
        checked_context(context, len(weights), self.contexts)
        best, winner = weights.max(dim=1, keepdim=True)
        x = torch.zeros_like(weights)
        return x.scatter_(1, winner, (best > 0).to(weights.dtype))
