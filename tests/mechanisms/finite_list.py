"""A substrate that is nothing but a list of numbers, for mechanisms that search lists."""

import torch
from torch import Tensor

from auctionsim.substrates import FiniteRange, Lever


class FiniteList:
    """Entry k of each context gives exposures (context, entry, bidder, feature) and losses (context, entry).

    An allocation is (batch, bidder, 1), everybody's lever at the entry's number; None averages over contexts.
    """

    def __init__(self, exposures: Tensor, losses: Tensor, *, with_contexts: bool = False) -> None:
        self.exposures, self.losses = exposures.double(), losses.double()
        self.num_bidders = exposures.shape[2]
        self.features = tuple(f"f{k}" for k in range(exposures.shape[3]))
        self.levers = (Lever("entry", 0.0, float(exposures.shape[1] - 1), 0.0),)
        self.contexts = tuple(f"c{k}" for k in range(len(exposures))) if with_contexts else ()

    def finite_range(self, context: Tensor | None = None) -> FiniteRange:
        entries = torch.arange(self.losses.shape[1], dtype=torch.float64)
        allocations = entries.view(-1, 1, 1).expand(-1, self.num_bidders, 1)
        if context is None:
            return FiniteRange(allocations, self.exposures.mean(0, keepdim=True), self.losses.mean(0, keepdim=True))
        return FiniteRange(allocations, self.exposures[context], self.losses[context])

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        return torch.zeros(batch, self.num_bidders, 1, dtype=dtype, device=device)

    def feasible(self, allocation: Tensor) -> Tensor:
        entries = self.finite_range().allocations.to(allocation).flatten(1)
        return (allocation.flatten(1).unsqueeze(1) == entries).all(2).any(1)

    def _entry(self, allocation: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        entry = allocation[:, 0, 0].long()
        found = self.finite_range(context)
        rows = torch.arange(len(entry)) if context is not None else torch.zeros_like(entry)
        return found.exposures[rows, entry], found.user_losses[rows, entry]

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        return self._entry(allocation, context)[0].to(allocation.dtype)

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        return self._entry(allocation, context)[1].to(allocation.dtype)

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        found = self.finite_range(context)
        scores = (weights.unsqueeze(1) * found.exposures).sum((2, 3)) - user_weight * found.user_losses
        return found.allocations[scores.argmax(1)].to(weights.dtype)


def quarter_list(
    seed: int, *, bidders: int, entries: int, contexts: int = 1, features: int = 1, organic: bool = True
) -> FiniteList:
    """Return a random list of quarters, with crosstalk of every sign; the null may carry organic exposure."""
    generator = torch.Generator().manual_seed(seed)
    exposures = torch.randint(0, 5, (contexts, entries, bidders, features), generator=generator) / 4
    losses = torch.randint(0, 5, (contexts, entries), generator=generator) / 4
    losses[:, 0] = 0
    if not organic:
        exposures[:, 0] = 0
    return FiniteList(exposures, losses, with_contexts=contexts > 1)
