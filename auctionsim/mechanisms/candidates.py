"""The list of joint allocations that an exact argmax searches, and its choice: the same floats in every call."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auctionsim.claims import behaves_as
from auctionsim.errors import InputTypeError
from auctionsim.substrates.items import Items
from auctionsim.substrates.protocol import Substrate, contexts_of, finite_range_of, is_finite

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
        self, weights: Float[Tensor, "row bidder feature"], constants: Float[Tensor, "*row entry"]
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


def least_exposed(
    exposures: Float[Tensor, "entry bidder"],
    bidders: Bool[Tensor, "row bidder"],
    allowed: Bool[Tensor, " entry"] | None = None,
) -> Bool[Tensor, "row entry"]:
    """Tell which entries, of those allowed, give the marked bidders the least exposure between them.

    Where none is marked these are all.
    """
    burden = exposures.new_zeros(len(bidders), len(exposures))
    for i in range(bidders.shape[1]):
        burden = burden + torch.where(bidders[:, i, None], exposures[:, i], 0.0)
    if allowed is not None:
        burden = torch.where(allowed, burden, torch.inf)
    return burden == burden.amin(1, keepdim=True)


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
    if is_finite(substrate):
        index = None if context is None else torch.tensor([context], device=device)
        whole = finite_range_of(substrate, index)
        allocations, exposures, losses = whole.allocations, whole.exposures[0], whole.user_losses[0]
    elif _is_one_item(substrate):
        n = substrate.num_bidders
        allocations = torch.cat([torch.zeros(1, n, 1), torch.eye(n).unsqueeze(2)])
        exposures, losses = allocations, torch.zeros(n + 1)
    else:
        raise InputTypeError(f"{type(substrate).__name__} has no finite range")
    exposures, losses = exposures.to(device, torch.float64), losses.to(device, torch.float64)
    allowed: Bool[Tensor, " entry"] = torch.ones_like(losses, dtype=torch.bool)
    if no_suppression:
        allowed = (exposures >= exposures[:1]).all(2).all(1)
    return Candidates(allocations.to(device), exposures, losses, allowed)


def has_candidates(substrate: Substrate) -> bool:
    """Tell whether `candidates_of` works."""
    return is_finite(substrate) or _is_one_item(substrate)


def _is_one_item(substrate: Substrate) -> bool:
    return behaves_as(substrate, Items) and len(substrate.features) == 1


def context_groups(substrate: Substrate, context: Tensor | None, batch: int) -> list[tuple[int | None, Tensor]]:
    """Return the rows of each context, contexts being few: [(context, row indices)]."""
    if context is None or not contexts_of(substrate):
        device = None if context is None else context.device
        return [(None, torch.arange(batch, device=device))]
    return [(c, (context == c).nonzero().squeeze(1)) for c in sorted(set(context.tolist()))]
