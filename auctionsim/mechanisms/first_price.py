"""First price: the highest bid wins each item and is paid."""

from jaxtyping import Float
from torch import Tensor

from auctionsim.mechanisms.item_rule import ItemRule, item_rule_codec
from auctionsim.mechanisms.price_case import PriceCase
from auctionsim.mechanisms.price_sentences import own_bid_sentence
from auctionsim.mechanisms.table import Entry, of_kind, register
from auctionsim.substrates.items import Items
from auctionsim.substrates.protocol import Substrate


class FirstPrice(ItemRule):
    """Charge the winner b_i, item by item. Individually rational at truthful bids, not truthful.

    With n bidders U[0,1] and no reserve the equilibrium is b(v) = (n − 1) v / n.

    Args:
        reserve: The lowest bid that wins, in money.
        ties, generator: Who wins where several bid the highest, see `ItemRule`.
    Source:
        Vickrey (1961), "Counterspeculation, auctions, and competitive sealed tenders".
    Example:
        >>> import torch
        >>> FirstPrice()(torch.tensor([[[1.0], [0.0]]])).payments
        tensor([[1., 0.]])
    """

    def charges(
        self, bids: Float[Tensor, "batch bidder item"], wins: Float[Tensor, "batch bidder item"]
    ) -> Float[Tensor, "batch bidder item"]:
        """Return the winner's own bid."""
        return bids * wins

    def price_sentence(self, case: PriceCase) -> str:
        """Return the own bid times the exposure that it is paid for."""
        return own_bid_sentence(case, self.priced_exposure(case.bids, case.outcome, case.context))

    def is_anonymous(self, substrate: Substrate) -> bool:
        """Whoever bids most wins and is charged by bids alone, where exposure is the allocation."""
        return self.alike_for_all(substrate)


register(
    Entry(
        "first-price",
        "first price",
        "The highest bid wins an item and pays itself.",
        lambda _: FirstPrice(),
        item_rule_codec(FirstPrice),
        needs=(of_kind(Items),),
    )
)
