"""Which of a substrate's features are sold: the same substrate, seen through fewer of them."""

from typing import Any

import torch
from torch import Tensor

from auctionsim.claims import claimed
from auctionsim.substrates.measured import Measured
from auctionsim.substrates.protocol import (
    FiniteRange,
    Lever,
    Substrate,
    contexts_of,
    is_finite,
    is_separable,
    maximises_exactly,
)

SAMPLES = ("replies", "prompts")  # what a live model shows of itself beside its numbers


class Selling:
    """A view of a substrate that has only some of its features; user loss, levers and contexts are the substrate's.

    A live model measures everything it can; an auction of one feature is played on a view that sells that one. Every
    number is the view's own, and so is every claim: nothing else of the substrate is seen through it, save a live
    model's replies and prompts. It has a `finite_range` where the substrate has one. Of something measured, which has
    views of its own, it is that view: `Selling(surface, "hits")` is `surface.sell("hits")`.

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

    def __new__(cls, substrate: Substrate, *features: str) -> Any:
        """Return the substrate's own view where it has them."""
        return substrate.sell(*features) if isinstance(substrate, Measured) else super().__new__(cls)

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
        if is_finite(substrate):
            self.finite_range = self._sold_range
        for name in SAMPLES:
            if hasattr(substrate, name):
                setattr(self, name, getattr(substrate, name))

    @property
    def separable(self) -> bool:
        """Whether the substrate is: its bidders' features do not depend on others' levers, and these are some."""
        return is_separable(self.inner)

    @property
    def maximises_exactly(self) -> bool:
        """Whether the substrate does: features that are not sold weigh 0."""
        return maximises_exactly(self.inner)

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
        both = claimed(self.inner, "observe")
        if both is None:
            return self.exposure(allocation, context), self.user_loss(allocation, context)
        exposure, loss = both(allocation, context)
        return exposure[..., self._columns], loss

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        """Return the substrate's argmax, features that are not sold at weight 0."""
        every = weights.new_zeros(*weights.shape[:2], len(self.inner.features))
        every[..., self._columns] = weights
        return self.inner.maximise(every, user_weight, context)

    def _sold_range(self, context: Tensor | None = None) -> FiniteRange:
        """Return the substrate's finite range with the sold features."""
        whole: FiniteRange = self.inner.finite_range(context)  # type: ignore[attr-defined]
        return whole._replace(exposures=whole.exposures[..., self._columns])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selling) and self.features == other.features and bool(self.inner == other.inner)

    def __hash__(self) -> int:
        return hash((Selling, self.features, self.num_bidders))

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.inner, *self.features)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Selling":
        """Return a view of the same substrate: a live model is not copied with it."""
        return Selling(self.inner, *self.features)
