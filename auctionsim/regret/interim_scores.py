"""What chosen deviations gain on draws of the others, with how sure that is: the scoring half of ex-interim regret."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.metrics import Interval
from auctionsim.regret.confidence import bernstein_reach, bounded_mean_interval
from auctionsim.regret.interim_game import InterimGame, received


class Scored(NamedTuple):
    """Gains of chosen deviations on the scoring draws.

    Attributes:
        mean: (type, bidder).
        reach: (type, bidder), half widths of their intervals.
        average: Interval for the average over types and bidders.
    """

    mean: Tensor
    reach: Tensor
    average: Interval


def scored_gains(
    game: InterimGame,
    valuations: Float[Tensor, "type bidder feature"],
    own: Float[Tensor, "type bidder feature"],
    best: Float[Tensor, "type bidder feature"],
    profiles: Float[Tensor, "draw bidder feature"],
    *,
    confidence: float,
    spans: Float[Tensor, "type bidder"] | None = None,
) -> Scored:
    """Score `best` against `own` on common draws; gains range over `spans`, or over what is seen."""
    count, n, _ = valuations.shape
    mean, variance, span = (torch.zeros(count, n, dtype=torch.float64, device=own.device) for _ in range(3))
    differs = (best != own).any(2)
    per_draw = torch.zeros(len(profiles), dtype=torch.float64, device=own.device)
    for i in range(n):
        deviating, staying = (received(game, i, bids[:, i], profiles) for bids in (best, own))
        for (part, there), (_, here) in zip(deviating, staying, strict=True):
            worth = valuations[part, i].unsqueeze(1)
            then = game.utility((worth * there.exposure).sum(2), there.payment)
            now = game.utility((worth * here.exposure).sum(2), here.payment)
            gain = (then - now).double()
            mean[part, i], variance[part, i] = gain.mean(1), gain.var(1)
            span[part, i] = torch.where(differs[part, i], (_span(then) + _span(now)).double(), 0.0)
            per_draw += gain.sum(0) / (count * n)
    if spans is not None:
        span = spans
    reach = bernstein_reach(variance, span, len(profiles), confidence)
    return Scored(mean, reach, bounded_mean_interval(per_draw, confidence, max(float(span.mean()), _seen(per_draw))))


def _span(utility: Float[Tensor, "type draw"]) -> Float[Tensor, " type"]:
    """Return the length of the range of a bid's utility: what was seen, and 0, what whoever gets nothing has.

    A bid that won in every draw may still lose; the range of the gains seen would miss that.
    """
    return utility.amax(1).clamp_min(0) - utility.amin(1).clamp_max(0)


def _seen(samples: Tensor) -> float:
    return float(samples.max() - samples.min())
