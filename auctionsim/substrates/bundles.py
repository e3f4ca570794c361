"""Bundles for single-minded bidders: each wants one set of items, all or nothing."""

import itertools
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
from auctionsim.errors import InputError
from auctionsim.substrates.protocol import BaseSubstrate, FiniteRange, Lever


@dataclass(frozen=True)
class Bundles(BaseSubstrate):
    """Bidder i wants the items of `wanted[i]`, all of them.

    The lever is 1 for getting the bundle and 0 for not; e_i = x_i, L = 0. Feasible: no item is given twice. Fractions
    are not feasible: with overlapping bundles, shares that respect every item need not be a lottery over allocations.

    Args:
        wanted: The items of each bidder's bundle, at most 16 bidders.
    Example:
        >>> Bundles.llg().maximise(torch.tensor([[[0.6], [0.7], [1.2]]]), 0.0).flatten()
        tensor([1., 1., 0.])
    """

    wanted: tuple[tuple[int, ...], ...]
    features = ("bundle",)
    levers = (Lever("bundle", 0.0, 1.0, 0.0),)

    def __post_init__(self) -> None:
        object.__setattr__(self, "wanted", tuple(tuple(bundle) for bundle in self.wanted))
        if not 1 <= len(self.wanted) <= 16 or not all(self.wanted):
            raise InputError(f"wanted must list a bundle of at least one item for 1 to 16 bidders, got {self.wanted!r}")

    @classmethod
    def llg(cls) -> "Bundles":
        """Two local bidders who want an item each, and a global one who wants both."""
        return cls(((0,), (1,), (0, 1)))

    @property
    def num_bidders(self) -> int:
        """One bidder a bundle."""
        return len(self.wanted)

    @property
    def separable(self) -> bool:
        """Whether no two bundles share an item."""
        items = [item for bundle in self.wanted for item in set(bundle)]
        return len(items) == len(set(items))

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return no bundle to anyone: zeros (batch, bidder, 1)."""
        checked_count(batch, "batch", 0)
        return torch.zeros(batch, self.num_bidders, 1, dtype=dtype, device=device)

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows give whole bundles and no item twice: (batch,) bool."""
        x = checked_allocation(allocation, (self.num_bidders, 1), finite=False).squeeze(2)
        return ((x == 0) | (x == 1)).all(1) & (x @ self._demand(x) <= 1).all(1)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return a copy of the allocation: (batch, bidder, 1)."""
        checked_context(context, len(allocation), self.contexts)
        return self._checked(allocation).clone()

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return zeros (batch,)."""
        checked_context(context, len(allocation), self.contexts)
        return self._checked(allocation).new_zeros(len(allocation))

    def finite_range(self, context: Tensor | None = None) -> FiniteRange:
        """Return every set of bidders whose bundles fit together, nobody first, then by size."""
        if context is not None:
            checked_context(context, len(context), self.contexts)
        n = self.num_bidders
        sets = [winners for size in range(n + 1) for winners in itertools.combinations(range(n), size)]
        x = torch.zeros(len(sets), n, 1)
        for k, winners in enumerate(sets):
            x[k, list(winners)] = 1
        x = x[self.feasible(x)]
        return FiniteRange(x, x.clone().unsqueeze(0), torch.zeros(1, len(x)))

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        """Return the best set of winners by enumeration."""
        checked_weights(weights, self.num_bidders, len(self.features))
        checked_money(user_weight, "user_weight")
        checked_context(context, len(weights), self.contexts)
        sets = self.finite_range().allocations.to(weights.device, weights.dtype)
        members = sets.squeeze(2).T  # (bidder, set)
        blocks = row_blocks(len(weights), len(sets))
        return sets[torch.cat([_worth(weights[rows].squeeze(2), members).argmax(1) for rows in blocks])]

    def _demand(self, like: Tensor) -> Tensor:
        """Return (bidder, item), 1 where the bidder wants the item."""
        items = sorted({item for bundle in self.wanted for item in bundle})
        return like.new_tensor([[float(item in bundle) for item in items] for bundle in self.wanted])

    def _checked(self, allocation: Tensor) -> Tensor:
        return checked_allocation(allocation, (self.num_bidders, 1))


def _worth(weights: Tensor, members: Tensor) -> Tensor:
    """Return what each set is worth (row, set), summed bidder by bidder."""
    total = weights.new_zeros(len(weights), members.shape[1])
    for i, member in enumerate(members):
        total = torch.addcmul(total, weights[:, i, None], member)
    return total
