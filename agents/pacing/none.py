"""No pacing: every campaign bids its valuation until its budget ends."""

from dataclasses import dataclass

import numpy as np

from auctionsim.agents.pacing.registry import register
from auctionsim.agents.pacing.tick import tick_orders
from auctionsim.market import CampaignTerms, Controller, Orders, State, TickStart


@dataclass(frozen=True)
class NoPacing(Controller):
    """Truth: the multiplier is 1, whatever budget and target say; the market ends what the budget does not pay for.

    Attributes:
        name: By which campaigns refer to it.
    """

    name: str = "none"

    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        """Return the valuation as bid."""
        del state, terms
        return tick_orders(start, np.ones(len(start.present)))


register(NoPacing)
