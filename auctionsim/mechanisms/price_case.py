"""One bidder of one cleared auction, as a mechanism is given it to state the reason of a price in a sentence."""

from typing import NamedTuple

from torch import Tensor

from auctionsim.levers import Lever, setting_words
from auctionsim.outcome import Outcome
from auctionsim.wording import amount, listed


class PriceCase(NamedTuple):
    """One bidder of one cleared auction.

    Attributes:
        bidder: Its index.
        names: Of all bidders.
        bids: (1, bidder, feature) that were cleared, in money per unit of exposure.
        outcome: What they led to, one row.
        context: (1,), as the auction was cleared; None where there is none.
    """

    bidder: int
    names: tuple[str, ...]
    bids: Tensor
    outcome: Outcome
    context: Tensor | None

    @property
    def name(self) -> str:
        """The bidder's name."""
        return self.names[self.bidder]

    @property
    def others(self) -> str:
        """The other bidders' names, as a sentence lists them."""
        return listed([name for index, name in enumerate(self.names) if index != self.bidder])

    @property
    def bid(self) -> Tensor:
        """The bidder's own bid: (feature,)."""
        return self.bids[0, self.bidder]

    @property
    def payment(self) -> float:
        """What the bidder is charged."""
        return float(self.outcome.payments[0, self.bidder])

    @property
    def charged(self) -> str:
        """What the bidder is charged, as amounts are written."""
        return amount(self.payment)

    @property
    def context_index(self) -> int | None:
        """Index of the context, None where there is none."""
        return None if self.context is None else int(self.context[0])

    def setting(self, levers: tuple[Lever, ...]) -> str:
        """Return the bidder's own levers in words, where it has levers of its own."""
        return setting_words(self.outcome.allocation[0, self.bidder].tolist(), levers)
