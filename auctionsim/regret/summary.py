"""Summaries of ex-post searches: gains, their mean, and an interval that says over which range."""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.metrics import Interval
from auctionsim.regret.betting import betting_interval
from auctionsim.regret.estimate import Game, RegretEstimate
from auctionsim.regret.payoff_range import largest_gain


def summarised(
    game: Game,
    lower: Float[Tensor, "batch bidder"],
    upper: Float[Tensor, "batch bidder"] | None,
    best_misreports: Float[Tensor, "batch bidder feature"],
    *,
    method: str,
    budget: int,
    confidence: float,
    high: Float[Tensor, "batch bidder feature"],
    bids_up_to: Float[Tensor, "batch bidder feature"] | None = None,
) -> RegretEstimate:
    """Return an ex-post estimate with an interval for the mean over rows that are independent draws.

    The interval is `betting_interval`'s, a row's gains averaged over bidders being taken to lie between 0 and
    `largest_gain`: it covers rare gains that no row shows. None for one row, and where a gain is above that range.

    Args:
        game: What was misreported in.
        lower: Gains that misreports bring.
        upper: Proved bounds, or None.
        best_misreports: What brings them.
        method: How they were found.
        budget: Misreports scored.
        confidence: Of the interval.
        high: Upper ends of the boxes, from which the range follows.
        bids_up_to: Over which misreports `upper` and "exact" hold; default `high`.
    """
    rows = lower.mean(1)
    most = largest_gain(game, high)
    interval: Interval | None = None
    if len(rows) > 1 and float(rows.max()) > most:
        method += f"; no interval: a row gains {float(rows.max()):.4g}, its bids are worth {most:.4g} at most"
    elif len(rows) > 1:
        interval = betting_interval(rows, most, confidence)
    return RegretEstimate(
        lower,
        upper,
        best_misreports,
        float(lower.mean()),
        float(lower.max()),
        interval,
        method,
        budget,
        bids_up_to=high if bids_up_to is None else bids_up_to,
        largest_gain=None if interval is None else most,
    )


def everywhere(game: Game) -> Float[Tensor, "batch bidder feature"]:
    """Return infinite ends: a claim about every bid ≥ 0."""
    return torch.full_like(game.valuations, torch.inf)
