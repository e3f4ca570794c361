"""What the classical item rules share: each item goes to its highest bid, if that meets the reserve."""

from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_number
from auctionsim.claims import behaves_as
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.outcome import Outcome
from auctionsim.substrates.items import Items
from auctionsim.substrates.protocol import Substrate


class ItemRule(Mechanism):
    """Sell every item by itself to its highest bidder; bidders are additive and their payments add up over items.

    The winner of item j is the first bidder with b_ij = max_k b_kj, if b_ij ≥ reserve; otherwise nobody. Any number of
    bidders and items. The allocation fits `Items(bidders, items)`.

    Args:
        reserve: The lowest bid that wins, in money, the same for every item.
    """

    def __init__(self, reserve: float = 0.0) -> None:
        super().__init__(None, None)
        self.reserve = checked_number(reserve, "reserve")

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Find the winners and charge them by the rule."""
        del context  # items have none
        best, winner = bids.max(dim=1, keepdim=True)  # the first bidder of the highest bid
        wins = torch.zeros_like(bids).scatter_(1, winner, (best >= self.reserve).to(bids.dtype))
        charged = self.charges(bids, wins)
        return Outcome(wins, charged[..., 0] if charged.shape[2] == 1 else charged.sum(2))  # a sum of one is slow

    @abstractmethod
    def charges(
        self, bids: Float[Tensor, "batch bidder item"], wins: Float[Tensor, "batch bidder item"]
    ) -> Float[Tensor, "batch bidder item"]:
        """Return what each bidder pays for each item, `wins` being 1 where it gets it and 0 elsewhere."""

    def alike_for_all(self, substrate: Substrate) -> bool:
        """Tell whether winners go by bids alone: one reserve for all, and exposure is the allocation.

        Charges are the subclass's: it claims `is_anonymous` where they go by bids alone too.
        """
        return isinstance(self.reserve, float) and behaves_as(substrate, Items)
