"""A substrate with two public contexts and closed forms: in one a bidder is alone, in the other two meet."""

import torch
from torch import Tensor

from auctionsim.substrates.protocol import FiniteRange, Lever


class TwoContexts:
    """One slot; whoever has it gets a share of exposure that depends on the context, and nobody else anything.

    In context "alone" only bidder 0 gets exposure from the slot, in "both" each bidder does. Under pay as bid, both of
    U[0, 1], bidder 0 wins "alone" with any bid above 0, and "both" is a first-price auction. On the mean surface, which
    nobody plays, bidder 1 would win where it bids more than twice bidder 0's bid.
    """

    num_bidders = 2
    features = ("exposure",)
    levers = (Lever("slot", 0.0, 1.0, 0.0),)
    contexts = ("alone", "both")
    shares = torch.tensor([[1.0, 0.0], [1.0, 1.0]])

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return the slot to nobody."""
        return torch.zeros(batch, 2, 1, dtype=dtype, device=device)

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell where the slot is given at most once."""
        return (allocation >= 0).flatten(1).all(1) & (allocation.sum((1, 2)) <= 1)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the slot's share."""
        shares = self.shares.mean(0, keepdim=True) if context is None else self.shares[context]
        return allocation * shares.to(allocation.dtype).unsqueeze(2)

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return zeros."""
        del context
        return allocation.new_zeros(len(allocation))

    def finite_range(self, context: Tensor | None = None) -> FiniteRange:
        """Return nobody, bidder 0, bidder 1."""
        x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64).unsqueeze(2)
        rows = 1 if context is None else len(context)
        each = [self.exposure(one.expand(rows, 2, 1), context) for one in x]
        return FiniteRange(x, torch.stack(each, 1), torch.zeros(rows, 3, dtype=torch.float64))

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        """Give the slot to the first bidder to whom it is worth most, if it is worth anything."""
        del user_weight
        worth = self.exposure(torch.ones_like(weights), context) * weights
        best, winner = worth.max(1, keepdim=True)
        return torch.zeros_like(weights).scatter_(1, winner, (best > 0).to(weights.dtype))
