"""The core-selecting rule for two local bidders and a global one: payments in the core, nearest to the bids."""

import torch
from torch import Tensor

from auctionsim.mechanisms.codecs import Codec, State
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.table import Entry, Need, register
from auctionsim.outcome import Outcome
from auctionsim.substrates.bundles import Bundles


class NearestBid(Mechanism):
    """Choose the best set of winners of LLG and charge the core point of lowest revenue that is nearest to the bids.

    The core asks p_1 + p_2 ≥ b_3 of winning locals (bidders 0 and 1) and p_3 ≥ b_1 + b_2 of a winning global one
    (bidder 2). So the global pays b_1 + b_2, and the locals split their joint advantage Δ = b_1 + b_2 − b_3 evenly:
    p_i = b_i − Δ/2, or 0 and b_3 where that is negative for one. Revenue is never below VCG's; not truthful: with
    locals U[0,1] and a truthful global U[0,2], all independent, the locals bid ln(2/(2 − v)).

    Source:
        Day and Cramton (2012), "Quadratic core-selecting payment rules for combinatorial auctions"; Ausubel and
        Baranov (2020), "Core-selecting auctions with incomplete information", for the equilibrium.
    """

    def __init__(self) -> None:
        self.bundles = Bundles.llg()
        super().__init__(3, 1, self.bundles)

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Maximise reported value and charge the core point."""
        x = self.bundles.maximise(bids, 0.0, context)
        wins, b = x.squeeze(2), bids.squeeze(2)
        locals_, global_ = b[:, :2], b[:, 2:]
        advantage = locals_.sum(1, keepdim=True) - global_
        split = torch.minimum((locals_ - advantage / 2).clamp_min(0), global_)
        charged = torch.cat([split, locals_.sum(1, keepdim=True)], 1)
        return Outcome(x, torch.minimum(charged, b) * wins)


register(
    Entry(
        "nearest-bid",
        "nearest bid (core-selecting)",
        "The best winners of two local bidders and a global one, charged the core point nearest to their bids.",
        lambda _: NearestBid(),
        Codec(NearestBid, lambda _: State({}, {}), lambda *_: NearestBid()),
        needs=(Need("the bundles of two local bidders and a global one", lambda view: view == Bundles.llg()),),
    )
)
