"""A tick as controllers see it: spend beside the tick's share of the budget, and no orders where none can be given."""

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


def open_share(news: TickNews) -> Column:
    """Return the share of a tick in which campaigns could bid: until their money ended, else all of it."""
    return np.where(np.isnan(news.ended), 1.0, news.ended)


def shares_behind(terms: CampaignTerms, news: TickNews) -> Column:
    """Return by how many ticks' even shares of the day's budget spend fell behind, while campaigns could bid.

    s − z/ρ with spend z, share ρ and `open_share` s: 1 without spend or budget, negative where too much was spent. A
    day's sum is below 0 wherever the money ended early, however much of the last tick was cut off.
    """
    behind: Column = open_share(news) - news.spend / (terms.budget / terms.ticks_per_day)
    return behind


def after_bidding(news: TickNews, after: Column, before: Column) -> Column:
    """Return `after` for campaigns that could bid in the tick, `before` for the others, which have learnt nothing."""
    return np.where(news.taking, after, before)
