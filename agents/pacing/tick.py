"""A tick as controllers see it: spend against the tick's share of the budget, and no orders where none can be given."""

import numpy as np
from jaxtyping import Float

from auctionsim.market import CampaignTerms, Orders, TickNews, TickStart

Column = Float[np.ndarray, " campaign"]


def tick_orders(start: TickStart, multiplier: Column, participation: Column | float = 1.0) -> Orders:
    """Return orders; a campaign that is absent or has no money left gives none.

    Args:
        start: The tick's.
        multiplier: Bid per valuation, ≥ 0.
        participation: Share of queries that are bid for, in [0, 1].
    """
    bidding = start.present & (start.budget_left > 0)
    return Orders(np.where(bidding, multiplier, 0.0), np.where(bidding, participation, 0.0))


def spend_ratio(terms: CampaignTerms, news: TickNews) -> Column:
    """Return a tick's spend as a multiple of its even share of the day's budget; 0 without a budget."""
    share: Column = news.spend / (terms.budget / terms.ticks_per_day)
    return share


def after_bidding(news: TickNews, after: Column, before: Column) -> Column:
    """Return `after` for campaigns that could bid in the tick, `before` for the others, which have learnt nothing."""
    return np.where(news.taking, after, before)
