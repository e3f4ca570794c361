"""All-pay: the highest bid wins each item, and every admitted bid is paid, also the losing ones."""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.mechanisms.item_rule import ItemRule, item_rule_codec
from auctionsim.mechanisms.table import Entry, of_kind, register
from auctionsim.substrates.items import Items
from auctionsim.substrates.protocol import Substrate


class AllPay(ItemRule):
    """Charge everybody its own bid, item by item; a bid below the reserve is not admitted and costs nothing.

    Neither truthful nor individually rational ex post. With n bidders U[0,1] and no reserve the equilibrium is
    b(v) = (n − 1) vⁿ / n.

    Args:
        reserve: The lowest bid that is admitted, in money.
        ties, generator: Who wins where several bid the highest, see `ItemRule`.
    Source:
        Baye, Kovenock and de Vries (1996), "The all-pay auction with complete information"; Krishna, "Auction theory",
        section 3.2, for the equilibrium with private values.
    """

    def charges(
        self, bids: Float[Tensor, "batch bidder item"], wins: Float[Tensor, "batch bidder item"]
    ) -> Float[Tensor, "batch bidder item"]:
        """Return every admitted bid."""
        del wins
        return torch.where(bids >= self.reserve, bids, torch.zeros_like(bids)) if self.reserve else bids.clone()

    def is_anonymous(self, substrate: Substrate) -> bool:
        """Whoever bids most wins and everybody is charged its own bid, where exposure is the allocation."""
        return self.alike_for_all(substrate)


register(
    Entry(
        "all-pay",
        "all pay",
        "The highest bid wins an item, and everybody pays its own bid.",
        lambda _: AllPay(),
        item_rule_codec(AllPay),
        needs=(of_kind(Items),),
    )
)
