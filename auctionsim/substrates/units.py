"""Identical units for bidders whose value depends on how many they get."""

from dataclasses import dataclass

import torch
from torch import Tensor

from auctionsim.blocks import row_blocks
from auctionsim.checks import (
    checked_allocation,
    checked_context,
    checked_count,
    checked_money,
    checked_weights,
)
from auctionsim.substrates.protocol import BaseSubstrate, Lever


@dataclass(frozen=True)
class Units(BaseSubstrate):
    """U identical units; feature k is the k-th unit, so a valuation lists marginal values.

    Lever x_ik is 1 if bidder i gets at least k units, else 0; e_ik = x_ik, L = 0. Feasible: nonincreasing in k and
    Σ_ik x_ik ≤ U. Fractions are not feasible: such shares need not be a lottery over allocations.

    Args:
        num_bidders: n ≥ 1.
        num_units: U ≥ 1.
    Example:
        >>> Units(2, 2).maximise(torch.tensor([[[3.0, 1.0], [2.0, 0.5]]]), 0.0)[0]
        tensor([[1., 0.],
                [1., 0.]])
    """

    num_bidders: int
    num_units: int
    anonymous = True
    exposure_bounds = (0.0, 1.0)

    def __post_init__(self) -> None:
        checked_count(self.num_bidders, "num_bidders")
        checked_count(self.num_units, "num_units")

    @property
    def features(self) -> tuple[str, ...]:
        """One feature a unit: the first, the second, …"""
        return tuple(f"unit_{k + 1}" for k in range(self.num_units))

    @property
    def levers(self) -> tuple[Lever, ...]:
        """At least 1, 2, … units: 1 or 0."""
        return tuple(Lever(name, 0.0, 1.0, 0.0) for name in self.features)

    @property
    def separable(self) -> bool:
        """A unit can be given once, so only a single bidder is free of the others."""
        return self.num_bidders == 1

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return no unit to anyone: zeros (batch, bidder, unit)."""
        checked_count(batch, "batch", 0)
        return torch.zeros(batch, self.num_bidders, self.num_units, dtype=dtype, device=device)

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows give whole units, at most U: (batch,) bool."""
        x = checked_allocation(allocation, (self.num_bidders, self.num_units), finite=False)
        ordered = (x[:, :, 1:] <= x[:, :, :-1]).flatten(1).all(1)
        return ((x == 0) | (x == 1)).flatten(1).all(1) & ordered & (x.sum((1, 2)) <= self.num_units)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return a copy of the allocation: (batch, bidder, unit)."""
        checked_context(context, len(allocation), self.contexts)
        return self._checked(allocation).clone()

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return zeros (batch,)."""
        checked_context(context, len(allocation), self.contexts)
        return self._checked(allocation).new_zeros(len(allocation))

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        """Return the exact argmax for marginal weights of any sign and order, by dynamic programming over bidders.

        best_i(u) = max_k best_{i−1}(u − k) + Σ_{l≤k} weight_il; ties go to fewer units, for the last bidder first.
        """
        checked_weights(weights, self.num_bidders, len(self.features))
        checked_money(user_weight, "user_weight")
        checked_context(context, len(weights), self.contexts)
        w = self._checked(weights)
        blocks = row_blocks(len(w), (self.num_units + 1) ** 2)
        return torch.cat([self._best(w[rows]) for rows in blocks])

    def _best(self, w: Tensor) -> Tensor:
        batch, n, units = w.shape
        worth = torch.cat([torch.zeros_like(w[:, :, :1]), w.cumsum(2)], 2)  # of 0, 1, … units
        best = torch.zeros_like(worth[:, 0])  # with u units at hand and no bidder yet
        taken = []
        for i in range(n):
            options = best.new_full((batch, units + 1, units + 1), -torch.inf)  # (row, at hand, taken)
            for u in range(units + 1):
                options[:, u, : u + 1] = best[:, : u + 1].flip(1) + worth[:, i, : u + 1]
            best, choice = options.max(2)
            taken.append(choice)
        hand = torch.full((batch, 1), units, device=w.device)
        counts = []
        for choice in reversed(taken):
            counts.append(choice.gather(1, hand))
            hand = hand - counts[-1]
        number = torch.cat(counts[::-1], 1).unsqueeze(2)
        return (torch.arange(units, device=w.device) < number).to(w.dtype)

    def _checked(self, allocation: Tensor) -> Tensor:
        return checked_allocation(allocation, (self.num_bidders, self.num_units))
