"""Which of a substrate's features are sold: the same substrate, seen through fewer of them."""

from typing import Any

import torch
from torch import Tensor

from auctionsim.substrates.protocol import Lever, Substrate, contexts_of


class Selling:
    """A view of a substrate that has only some of its features; user loss, levers and contexts are the substrate's.

    A live model measures everything it can; an auction of one feature is played on a view that sells that one.
    (A `ResponseSurface` has `sell` of its own.) What else the substrate has, such as `replies`, is still there.

    Args:
        substrate: Any substrate.
        *features: Names of what is sold, in this order.
    Raises:
        ValueError: A feature that the substrate does not have, one twice, or none.
    Example:
        >>> from auctionsim.substrates import Items
        >>> Selling(Items(2, 3), "item_2").exposure(torch.ones(1, 2, 3) / 2).shape
        torch.Size([1, 2, 1])
    """

    def __init__(self, substrate: Substrate, *features: str) -> None:
        known = substrate.features
        if not features or len(set(features)) < len(features) or not set(features) <= set(known):
            raise ValueError(f"features to sell must be some of {known}, each once, got {features}")
        self.inner = substrate
        self.features = features
        self.num_bidders = substrate.num_bidders
        self.levers: tuple[Lever, ...] = substrate.levers
        self.contexts = contexts_of(substrate)
        self._columns = [known.index(name) for name in features]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "inner":  # while it is being copied there is no inner yet
            raise AttributeError(name)
        return getattr(self.inner, name)

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return the substrate's null."""
        return self.inner.null_allocation(batch, dtype=dtype, device=device)

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows the substrate can carry out: (batch,) bool."""
        return self.inner.feasible(allocation)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the sold features: (batch, bidder, feature)."""
        return self.inner.exposure(allocation, context)[..., self._columns]

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the substrate's user loss: (batch,)."""
        return self.inner.user_loss(allocation, context)

    def observe(self, allocation: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the sold features and the user loss, in one call where the substrate can."""
        both = getattr(self.inner, "observe", None)
        if both is None:
            return self.exposure(allocation, context), self.user_loss(allocation, context)
        exposure, loss = both(allocation, context)
        return exposure[..., self._columns], loss

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        """Return the substrate's argmax, features that are not sold at weight 0."""
        every = weights.new_zeros(*weights.shape[:2], len(self.inner.features))
        every[..., self._columns] = weights
        return self.inner.maximise(every, user_weight, context)
