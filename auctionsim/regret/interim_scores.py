"""Scores of chosen deviations on draws of the others, with how sure they are: the scoring half of ex-interim regret."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.metrics import Interval
from auctionsim.regret.confidence import bernstein_reach, bounded_mean_interval
from auctionsim.regret.interim_game import InterimGame, received


class Trial(NamedTuple):
    """One context's deviations and what they are scored against.

    Attributes:
        game: In that context.
        own: (type, bidder, feature), what bidders bid unless deviating.
        best: (type, bidder, feature), the deviations.
        profiles: (draw, bidder, feature), everybody's bids; independent of the other contexts'.
    """

    game: InterimGame
    own: Tensor
    best: Tensor
    profiles: Tensor


class Scored(NamedTuple):
    """Gains of chosen deviations on the scoring draws, averaged over contexts.

    Attributes:
        mean: (type, bidder).
        reach: (type, bidder), half widths of their intervals.
        average: Interval for the average over types and bidders.
        by_context: (context, type, bidder), the means in each context.
    """

    mean: Tensor
    reach: Tensor
    average: Interval
    by_context: Tensor

    @property
    def floored(self) -> Float[Tensor, "type bidder"]:
        """What deviators gain who stay with their own bid in contexts where the deviation brings less."""
        return self.by_context.clamp_min(0).mean(0)


def scored_gains(
    trials: Sequence[Trial],
    valuations: Float[Tensor, "type bidder feature"],
    *,
    confidence: float,
    spans: Float[Tensor, "type bidder"] | None = None,
) -> Scored:
    """Score `best` against `own` on common draws; gains range over `spans`, or over what is seen.

    Contexts are strata of equal weight: draw k of the average is the mean of draw k of every context, so that the
    draws of the average are independent, and one interval holds for it.
    """
    (count, n, _), draws = valuations.shape, len(trials[0].profiles)
    mean, variance, span = (torch.zeros(count, n, dtype=torch.float64, device=valuations.device) for _ in range(3))
    by_context = torch.zeros(len(trials), count, n, dtype=torch.float64, device=valuations.device)
    per_draw = torch.zeros(draws, dtype=torch.float64, device=valuations.device)
    for i in range(n):
        for together in zip(*(_gains(trial, i, valuations) for trial in trials), strict=True):
            part = together[0].part
            by_context[:, part, i] = torch.stack([one.gain.mean(1) for one in together])
            gain = torch.stack([one.gain for one in together]).mean(0)
            mean[part, i], variance[part, i] = gain.mean(1), gain.var(1)
            span[part, i] = torch.stack([one.span for one in together]).mean(0)
            per_draw += gain.sum(0) / (count * n)
    if spans is not None:
        span = spans
    reach = bernstein_reach(variance, span, draws, confidence)
    widest = max(float(span.mean()), _seen(per_draw))
    return Scored(mean, reach, bounded_mean_interval(per_draw, confidence, widest), by_context)


class _Gains(NamedTuple):
    """Gains of some types: (type, draw), and how far they can range: (type,)."""

    part: slice
    gain: Tensor
    span: Tensor


def _gains(trial: Trial, bidder: int, valuations: Tensor) -> Iterator[_Gains]:
    """Yield what one bidder's types gain by `best` over `own`, some types at a time."""
    differs = (trial.best[:, bidder] != trial.own[:, bidder]).any(1)
    deviating, staying = (
        received(trial.game, bidder, bids[:, bidder], trial.profiles) for bids in (trial.best, trial.own)
    )
    for (part, there), (_, here) in zip(deviating, staying, strict=True):
        worth = valuations[part, bidder].unsqueeze(1)
        then = trial.game.utility((worth * there.exposure).sum(2), there.payment)
        now = trial.game.utility((worth * here.exposure).sum(2), here.payment)
        span = torch.where(differs[part], (_span(then) + _span(now)).double(), 0.0)
        yield _Gains(part, (then - now).double(), span)


def _span(utility: Float[Tensor, "type draw"]) -> Float[Tensor, " type"]:
    """Return the length of the range of a bid's utility: what was seen, and 0, what whoever gets nothing has.

    A bid that won in every draw may still lose; the range of the gains seen would miss that.
    """
    return utility.amax(1).clamp_min(0) - utility.amin(1).clamp_max(0)


def _seen(samples: Tensor) -> float:
    return float(samples.max() - samples.min())
