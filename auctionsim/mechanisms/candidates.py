"""The list of joint allocations that an exact argmax searches, and its choice: the same floats in every call."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auctionsim.substrates.items import Items
from auctionsim.substrates.protocol import FiniteSubstrate, Substrate, contexts_of

MOST_CELLS = 2**23  # rows × entries scored at once


class Candidates(NamedTuple):
    """Joint allocations in one context, all numbers in float64; the null is entry 0.

    Attributes:
        allocations: (entry, …).
        exposures: (entry, bidder, feature).
        user_losses: (entry,).
        allowed: (entry,), which may be chosen; entry 0 always.
    """

    allocations: Tensor
    exposures: Tensor
    user_losses: Tensor
    allowed: Tensor

    def scores(
        self, weights: Float[Tensor, "row bidder feature"], constants: Float[Tensor, " entry"]
    ) -> Float[Tensor, "row entry"]:
        """Return Σ weights · exposure + constant, −inf where not allowed.

        Summed term by term and not by a matrix product, whose rounding depends on how many rows it is given: equal
        weights give equal floats, so that ties are broken alike in a batch, alone, and inside a payment.
        """
        base = torch.where(self.allowed, constants, -torch.inf)
        total = base.expand(len(weights), -1)
        for i in range(weights.shape[1]):
            for f in range(weights.shape[2]):
                total = total + weights[:, i, f, None] * self.exposures[:, i, f]
        return total


def candidates_of(
    substrate: Substrate, context: int | None, device: torch.device, *, no_suppression: bool = False
) -> Candidates:
    """Return the substrate's finite range in one context (None: their average).

    Args:
        substrate: One with a `finite_range`, or one item for sale.
        context: Index into its contexts.
        device: Where the bids are.
        no_suppression: Allow only entries that leave every bidder at least its exposure at the null.
    Raises:
        TypeError: It has no finite range.
    """
    if isinstance(substrate, FiniteSubstrate):
        index = None if context is None else torch.tensor([context], device=device)
        found = substrate.finite_range(index)
        allocations, exposures, losses = found.allocations, found.exposures[0], found.user_losses[0]
    elif isinstance(substrate, Items) and substrate.num_items == 1:
        n = substrate.num_bidders
        allocations = torch.cat([torch.zeros(1, n, 1), torch.eye(n).unsqueeze(2)])
        exposures, losses = allocations, torch.zeros(n + 1)
    else:
        raise TypeError(f"{type(substrate).__name__} has no finite range")
    exposures, losses = exposures.to(device, torch.float64), losses.to(device, torch.float64)
    allowed: Bool[Tensor, " entry"] = torch.ones_like(losses, dtype=torch.bool)
    if no_suppression:
        allowed = (exposures >= exposures[:1]).all(2).all(1)
    return Candidates(allocations.to(device), exposures, losses, allowed)


def has_candidates(substrate: Substrate) -> bool:
    """Tell whether `candidates_of` works."""
    return isinstance(substrate, FiniteSubstrate) or (isinstance(substrate, Items) and substrate.num_items == 1)


def context_groups(substrate: Substrate, context: Tensor | None, batch: int) -> list[tuple[int | None, Tensor]]:
    """Return the rows of each context, contexts being few: [(context, row indices)]."""
    if context is None or not contexts_of(substrate):
        device = None if context is None else context.device
        return [(None, torch.arange(batch, device=device))]
    return [(c, (context == c).nonzero().squeeze(1)) for c in sorted(set(context.tolist()))]
