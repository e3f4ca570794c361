"""Prominence in one text: bidders share it, and clicks are a power of the share."""

from dataclasses import dataclass

import torch
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

MOST_EXPONENT = 4.0
"""Up to here payments on a share of all bids are exact to rounding (`mechanisms.power_share`)."""


@dataclass(frozen=True)
class Prominence(BaseSubstrate):
    """Shares x_i ≥ 0 of one text with Σ x_i ≤ 1; e_i = x_i^α, L = 0.

    With α < 1 the first words are worth most, and the welfare maximum gives everybody a share in proportion to
    w_i^(1/(1 − α)); with α ≥ 1 it gives all of the text to one.

    Args:
        num_bidders: n ≥ 1.
        exponent: α, 0 < α ≤ 4.
    Source:
        Dubey, Feng, Kidambi, Mehta and Wang (2024), "Auctions with LLM summaries", arXiv 2404.08126: bidders are given
        relative prominences, and clicks that are a power of the prominence are their worked case.
    Example:
        >>> Prominence(3, 0.5).maximise(torch.tensor([[[1.0], [2.0], [3.0]]]), 0.0).flatten()
        tensor([0.0714, 0.2857, 0.6429])
    """

    num_bidders: int
    exponent: float = 0.5
    features = ("clicks",)
    levers = (Lever("share", 0.0, 1.0, 0.0),)
    anonymous = True
    exposure_bounds = (0.0, 1.0)

    def __post_init__(self) -> None:
        checked_count(self.num_bidders, "num_bidders")
        exponent = checked_number(self.exponent, "exponent", 0.0, MOST_EXPONENT)
        if exponent == 0:
            raise InputError("exponent must be positive, got 0: any share, however small, would then get all clicks")
        object.__setattr__(self, "exponent", exponent)

    @property
    def separable(self) -> bool:
        """With one bidder: others take the text away."""
        return self.num_bidders == 1

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return nobody mentioned: zeros (batch, bidder, 1)."""
        checked_count(batch, "batch", 0)
        return torch.zeros(batch, self.num_bidders, 1, dtype=dtype, device=device)

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows share one text at most, up to float rounding: (batch,) bool."""
        x = checked_allocation(allocation, (self.num_bidders, 1), finite=False).squeeze(2)
        most = 1 + 8 * self.num_bidders * torch.finfo(x.dtype).eps
        return (x >= 0).all(1) & (x.sum(1) <= most)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return x_i^α: (batch, bidder, 1). The gradient at a share of 0, infinite where α < 1, is given as 0."""
        checked_context(context, len(allocation), self.contexts)
        x = self._checked(allocation)
        if self.exponent == 1:
            return x.clone()
        return torch.where(x == 0, 0.0, torch.where(x == 0, 1.0, x).pow(self.exponent))

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return zeros (batch,)."""
        checked_context(context, len(allocation), self.contexts)
        return self._checked(allocation).new_zeros(len(allocation))

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        """Return the exact argmax: shares ∝ max(w_i, 0)^(1/(1 − α)), or all to the first highest where α ≥ 1."""
        checked_weights(weights, self.num_bidders, len(self.features))
        checked_money(user_weight, "user_weight")
        checked_context(context, len(weights), self.contexts)
        positive = weights.double().clamp_min(0)
        top, first = positive.max(1, keepdim=True)
        if self.exponent >= 1:
            shares = torch.zeros_like(positive).scatter_(1, first, (top > 0).double())
        else:
            relative = (positive / torch.where(top > 0, top, 1.0)).pow(1 / (1 - self.exponent))
            total = torch.zeros_like(top)
            for i in range(self.num_bidders):  # term by term: a row gives the same floats in any batch
                total = total + relative[:, i : i + 1]
            shares = relative / torch.where(top > 0, total, 1.0)
        return shares.to(weights.dtype)

    def _checked(self, allocation: Tensor) -> Tensor:
        return checked_allocation(allocation, (self.num_bidders, 1))
