"""Third price: the highest bid wins each item and pays the third highest."""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.mechanisms.item_rule import ItemRule, item_rule_codec
from auctionsim.mechanisms.table import Entry, of_kind, register
from auctionsim.substrates.items import Items
from auctionsim.substrates.protocol import Substrate


class ThirdPrice(ItemRule):
    """Charge the winner max(b_(3), reserve), item by item, b_(3) the third highest bid (0 with fewer than 3 bidders).

    Not truthful: bidders overbid. With n ≥ 3 bidders U[0,1] and no reserve the equilibrium is
    b(v) = (n − 1) v / (n − 2).

    Args:
        reserve: The lowest bid that wins, in money.
        ties, generator: Who wins where several bid the highest, see `ItemRule`.
    Source:
        Kagel and Levin (1993), "Independent private value auctions: bidder behaviour in first-, second- and third-price
        auctions with varying numbers of bidders".
    """

    def charges(
        self, bids: Float[Tensor, "batch bidder item"], wins: Float[Tensor, "batch bidder item"]
    ) -> Float[Tensor, "batch bidder item"]:
        """Return the second highest bid among the others of a winner, at least the reserve."""
        columns = torch.where(wins > 0, torch.zeros_like(bids), bids).unbind(dim=1)
        first = second = torch.zeros_like(columns[0])
        for bid in columns:  # over bidders, not auctions: a running best two, cheaper than a sort
            second = torch.maximum(second, torch.minimum(first, bid))
            first = torch.maximum(first, bid)
        return wins * second.clamp_min(self.reserve).unsqueeze(1)

    def is_anonymous(self, substrate: Substrate) -> bool:
        """Whoever bids most wins and is charged by bids alone, where exposure is the allocation."""
        return self.alike_for_all(substrate)


register(
    Entry(
        "third-price",
        "third price",
        "The highest bid wins an item and pays the third highest.",
        lambda _: ThirdPrice(),
        item_rule_codec(ThirdPrice),
        needs=(of_kind(Items),),
    )
)
