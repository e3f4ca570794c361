"""Second price: the highest bid wins each item and pays the best losing bid or the reserve."""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.claims import behaves_as
from auctionsim.mechanisms.item_rule import ItemRule, item_rule_codec
from auctionsim.mechanisms.table import Entry, of_kind, register
from auctionsim.substrates.items import Items
from auctionsim.substrates.protocol import Substrate


class SecondPrice(ItemRule):
    """Charge the winner max(max_{j≠i} b_j, reserve), item by item. DSIC and individually rational for additive bidders.

    The price is the lowest bid with which the winner still wins (up to ties), so no report can change it.

    Args:
        reserve: The lowest bid that wins, in money. With one item and i.i.d. regular priors the monopoly price is the
            revenue-optimal one.
        ties, generator: Who wins where several bid the highest, see `ItemRule`.
    Source:
        Vickrey (1961), "Counterspeculation, auctions, and competitive sealed tenders"; Myerson (1981) for the reserve.
    Example:
        >>> SecondPrice(reserve=0.5)(torch.tensor([[[1.0], [0.0]]])).payments
        tensor([[0.5000, 0.0000]])
    """

    def charges(
        self, bids: Float[Tensor, "batch bidder item"], wins: Float[Tensor, "batch bidder item"]
    ) -> Float[Tensor, "batch bidder item"]:
        """Return the best bid among the others, at least the reserve."""
        rival = torch.where(wins > 0, torch.zeros_like(bids), bids).amax(dim=1, keepdim=True)
        return wins * rival.clamp_min(self.reserve)

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """Vickrey's argument, item by item, where exposure is the allocation.

        Tied bidders who tell the truth earn 0 whoever wins, so it holds for shared ties as it stands. Random ones are
        truthful in every draw, but a proof is about outcomes that bids decide: none is claimed.
        """
        if self.draws or not behaves_as(substrate, Items):
            return None
        return "Vickrey: the price does not depend on the winner's bid"

    def is_anonymous(self, substrate: Substrate) -> bool:
        """Whoever bids most wins and is charged by bids alone, where exposure is the allocation."""
        return self.alike_for_all(substrate)


register(
    Entry(
        "second-price",
        "second price",
        "The highest bid wins an item and pays the best losing bid.",
        lambda _: SecondPrice(),
        item_rule_codec(SecondPrice),
        needs=(of_kind(Items),),
    )
)
