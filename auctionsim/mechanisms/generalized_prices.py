"""Generalised first and second prices: positions in order of bids, a click charged at a bid of the ranking."""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_money
from auctionsim.claims import behaves_as
from auctionsim.mechanisms.codecs import numbers_on_substrate
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.table import Entry, of_kind, register
from auctionsim.outcome import Outcome
from auctionsim.substrates.positions import Positions
from auctionsim.substrates.protocol import Substrate, same_substrate


class GeneralizedSecondPrice(Mechanism):
    """Give position s to the s-th highest bid and charge it c_s · max(b_(s+1), reserve), the next bid a click.

    Bids below the reserve get nothing; the first bidder comes first on ties; b_(s+1) is 0 where nobody is next.
    Not truthful with two positions or more; with one it is the second price. VCG on `Positions` is the truthful rule.

    Args:
        positions: Click rates and the number of bidders.
        reserve: The lowest bid a click that is admitted.
    Source:
        Edelman, Ostrovsky and Schwarz (2007), "Internet advertising and the generalized second-price auction".
    """

    def __init__(self, positions: Positions, reserve: float = 0.0) -> None:
        super().__init__(positions.num_bidders, 1, positions)
        self.positions = positions
        self.reserve = checked_money(reserve, "reserve")

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Rank, and charge by the click."""
        del context  # positions have none
        b = bids.squeeze(2)
        x = self.positions.ranked(b, b >= self.reserve)
        clicks = self.positions.exposure(x).squeeze(2)
        return Outcome(x, clicks * self.price(b))

    def price(self, bids: Float[Tensor, "batch bidder"]) -> Float[Tensor, "batch bidder"]:
        """Return the price of a click for each bidder that has a position: the next bid in the ranking."""
        order = bids.sort(dim=1, descending=True, stable=True)
        following = torch.cat([order.values[:, 1:], torch.zeros_like(order.values[:, :1])], 1)
        return torch.zeros_like(bids).scatter_(1, order.indices, following).clamp_min(self.reserve)

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """With one position it is Vickrey's auction."""
        alike = same_substrate(self.positions, substrate) and behaves_as(substrate, Positions)
        if alike and len(self.positions.click_rates) == 1:
            return "Vickrey: one position, and the price does not depend on the winner's bid"
        return None

    def is_anonymous(self, substrate: Substrate) -> bool:
        """Positions and prices go by bids, and a position's clicks do not depend on who is in it."""
        alike = same_substrate(self.positions, substrate) and behaves_as(substrate, Positions)
        return alike and isinstance(self.reserve, float)


class GeneralizedFirstPrice(GeneralizedSecondPrice):
    """Give position s to the s-th highest bid and charge it c_s · b_(s), its own bid a click. Not truthful.

    Args:
        positions: Click rates and the number of bidders.
        reserve: The lowest bid a click that is admitted.
    Source:
        Edelman and Ostrovsky (2007), "Strategic bidder behavior in sponsored search auctions", on Overture's rule.
    """

    def price(self, bids: Float[Tensor, "batch bidder"]) -> Float[Tensor, "batch bidder"]:
        """Return the bidder's own bid."""
        return bids

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """Never."""
        del substrate
        return None

    def is_anonymous(self, substrate: Substrate) -> bool:
        """Positions and prices go by bids, and a position's clicks do not depend on who is in it."""
        alike = same_substrate(self.positions, substrate) and behaves_as(substrate, Positions)
        return alike and isinstance(self.reserve, float)


register(
    Entry(
        "generalized-second-price",
        "generalized second price",
        "Positions go by bids a click, each charged the next bid.",
        lambda problem: GeneralizedSecondPrice(problem.view),
        numbers_on_substrate(GeneralizedSecondPrice, "reserve"),
        needs=(of_kind(Positions),),
    )
)
register(
    Entry(
        "generalized-first-price",
        "generalized first price",
        "Positions go by bids a click, each charged its own bid.",
        lambda problem: GeneralizedFirstPrice(problem.view),
        numbers_on_substrate(GeneralizedFirstPrice, "reserve"),
        needs=(of_kind(Positions),),
    )
)
