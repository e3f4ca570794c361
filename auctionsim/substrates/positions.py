"""Slots on a page: one bidder a position, exposure is its click rate."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auctionsim.checks import (
    checked_allocation,
    checked_context,
    checked_count,
    checked_money,
    checked_number,
    checked_weights,
)
from auctionsim.errors import InputError
from auctionsim.substrates.protocol import BaseSubstrate, Lever


@dataclass(frozen=True)
class Positions(BaseSubstrate):
    """Positions with click rates c_1 ≥ c_2 ≥ … ≥ 0, each for one bidder, each bidder in at most one.

    A lever is the probability of being in a position; e_i = Σ_s c_s x_is, L = 0. Feasible: x ≥ 0, Σ_i x_is ≤ 1 and
    Σ_s x_is ≤ 1, which is exactly what lotteries over assignments give (Birkhoff).

    Args:
        num_bidders: n ≥ 1.
        click_rates: One a position, nonincreasing.
    Source:
        Varian (2007), "Position auctions"; Edelman, Ostrovsky and Schwarz (2007).
    Example:
        >>> Positions(3, (1.0, 0.5)).maximise(torch.tensor([[[0.2], [0.9], [0.4]]]), 0.0)[0]
        tensor([[0., 0.],
                [1., 0.],
                [0., 1.]])
    """

    num_bidders: int
    click_rates: tuple[float, ...]
    features = ("clicks",)
    anonymous = True

    def __post_init__(self) -> None:
        checked_count(self.num_bidders, "num_bidders")
        rates = tuple(checked_number(rate, "click_rates") for rate in self.click_rates)
        if not rates or list(rates) != sorted(rates, reverse=True):
            raise InputError(f"click_rates must be nonincreasing, at least one, got {self.click_rates!r}")
        object.__setattr__(self, "click_rates", rates)

    @property
    def levers(self) -> tuple[Lever, ...]:
        """One probability a position."""
        return tuple(Lever(f"position_{s}", 0.0, 1.0, 0.0) for s in range(len(self.click_rates)))

    @property
    def exposure_bounds(self) -> tuple[float, float]:
        """From nothing to the first position's click rate."""
        return 0.0, max(self.click_rates)

    @property
    def separable(self) -> bool:
        """A position is for one bidder, and a bidder for one position."""
        return self.num_bidders == 1 and len(self.click_rates) == 1

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return nobody anywhere: zeros (batch, bidder, position)."""
        checked_count(batch, "batch", 0)
        return torch.zeros(batch, self.num_bidders, len(self.click_rates), dtype=dtype, device=device)

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows give each position and each bidder at most one, up to float rounding: (batch,) bool."""
        x = checked_allocation(allocation, (self.num_bidders, len(self.click_rates)), finite=False)
        most = 1 + 8 * (self.num_bidders + len(self.click_rates)) * torch.finfo(x.dtype).eps
        return (x >= 0).flatten(1).all(1) & (x.sum(1) <= most).all(1) & (x.sum(2) <= most).all(1)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return Σ_s c_s x_is: (batch, bidder, 1)."""
        checked_context(context, len(allocation), self.contexts)
        x = self._checked(allocation)
        return (x * x.new_tensor(self.click_rates)).sum(2, keepdim=True)

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return zeros (batch,)."""
        checked_context(context, len(allocation), self.contexts)
        return self._checked(allocation).new_zeros(len(allocation))

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        """Put the bidders of positive weight in order of weight, the first bidder first on ties."""
        checked_weights(weights, self.num_bidders, len(self.features))
        checked_money(user_weight, "user_weight")
        checked_context(context, len(weights), self.contexts)
        return self.ranked(weights.squeeze(2), weights.squeeze(2) > 0)

    def ranked(
        self, keys: Float[Tensor, "batch bidder"], admitted: Bool[Tensor, "batch bidder"]
    ) -> Float[Tensor, "batch bidder position"]:
        """Return the allocation that gives position s to the s-th highest key among the admitted."""
        order = keys.masked_fill(~admitted, -torch.inf).sort(dim=1, descending=True, stable=True).indices
        x = torch.zeros(*keys.shape, len(self.click_rates), dtype=keys.dtype, device=keys.device)
        filled = min(self.num_bidders, len(self.click_rates))
        winners = order[:, :filled]
        placed = admitted.gather(1, winners).to(keys.dtype)
        x[:, :, :filled].scatter_(1, winners.unsqueeze(1), placed.unsqueeze(1))
        return x

    def _checked(self, allocation: Tensor) -> Tensor:
        return checked_allocation(allocation, (self.num_bidders, len(self.click_rates)))
