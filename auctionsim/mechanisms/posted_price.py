"""Posted prices: take it or leave it, in the bidders' order."""

import torch
from torch import Tensor

from auctionsim.checks import checked_number
from auctionsim.claims import behaves_as
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.outcome import Outcome
from auctionsim.substrates.items import Items
from auctionsim.substrates.protocol import Substrate


class PostedPrice(Mechanism):
    """Sell each item to the first bidder whose bid reaches its price p_j, at that price. DSIC, individually rational.

    Any number of bidders, additive over items. The allocation fits `Items(bidders, items)`.

    Args:
        prices: In money, ≥ 0: one number for every item, or one an item.
    Source:
        Chawla et al. (2010), "Multi-parameter mechanism design and sequential posted pricing".
    Example:
        >>> PostedPrice(0.5)(torch.tensor([[[0.4], [0.6], [0.9]]])).payments
        tensor([[0.0000, 0.5000, 0.0000]])
    """

    def __init__(self, prices: float | Tensor) -> None:
        listed = prices.flatten().tolist() if isinstance(prices, Tensor) else [prices]
        self.prices = torch.tensor([checked_number(price, "prices") for price in listed], dtype=torch.float64)
        super().__init__(None, len(self.prices) if isinstance(prices, Tensor) else None)

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Offer in order."""
        del context  # items have none
        prices = self.prices.to(bids.device, bids.dtype)
        takes = (bids >= prices).to(bids.dtype)
        x = takes * (takes.cumsum(1) == 1)
        return Outcome(x, (x * prices).sum(2))

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """No bid moves a price or the order, where exposure is the allocation."""
        return "posted prices: no bid moves a price" if behaves_as(substrate, Items) else None
