"""A bidder that explores on a grid of bids, so that the probability of every bid is known."""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_count, checked_number
from auctionsim.errors import InputError
from auctionsim.strategies import Situation, Strategy, bids_of, observed_by


class GridExploration:
    """Bid the level nearest to a strategy's bid, or, with a small probability, any level.

    Each feature has the levels 0, high/(levels − 1), …, high, and explores by itself: the nearest level (the lower one
    of two) has probability 1 − share + share/levels, each other share/levels. So every level of every feature has a
    probability above 0 where share > 0, as estimators that weigh by it need.

    Args:
        strategy: What is explored around; None: truth.
        high: (feature,), the highest bids.
        levels: How many, ≥ 2.
        share: Of bids that are drawn evenly, in [0, 1].
        generator: What draws.
    Attributes:
        measure: "mass".
    Raises:
        ValueError: Fewer than two levels, a share that is none, highs that are not finite and > 0.
    """

    draws = True
    measure = "mass"

    def __init__(
        self, strategy: Strategy | None, high: Tensor, levels: int, share: float, generator: torch.Generator
    ) -> None:
        if high.ndim != 1 or not bool((high.isfinite() & (high > 0)).all()):
            raise InputError(f"high must be one finite number > 0 a feature, got {high.tolist()}")
        self.strategy, self.high, self.generator = strategy, high, generator
        self.levels = checked_count(levels, "levels", 2)
        self.share = checked_number(share, "share", 0.0, 1.0)
        self.observes = observed_by(strategy)

    @torch.no_grad()
    def __call__(self, valuations: Float[Tensor, "batch feature"], *known: Situation) -> Tensor:
        """Return bids on the grid."""
        nearest = self._nearest(bids_of(self.strategy, valuations, *known))
        level = torch.randint(self.levels, nearest.shape, generator=self.generator)
        explores = torch.rand(nearest.shape, generator=self.generator, dtype=torch.float64) < self.share
        return self._bid(torch.where(explores, level, nearest)).to(valuations.dtype)

    @torch.no_grad()
    def probability(
        self, valuations: Float[Tensor, "batch feature"], bids: Float[Tensor, "batch feature"], *known: Situation
    ) -> Float[Tensor, " batch"]:
        """Return the probability of bids, float64; 0 for those off the grid."""
        nearest = self._nearest(bids_of(self.strategy, valuations, *known))
        level = self._nearest(bids)
        each = torch.full(level.shape, self.share / self.levels, dtype=torch.float64)
        each = each + (level == nearest) * (1 - self.share)
        return torch.where(self._bid(level).to(bids.dtype) == bids, each, 0.0).prod(1)

    def _nearest(self, bids: Tensor) -> Tensor:
        step = self.high.double() / (self.levels - 1)
        return torch.ceil(bids.double() / step - 0.5).clamp(0, self.levels - 1).long()

    def _bid(self, level: Tensor) -> Tensor:
        return level.double() * self.high.double() / (self.levels - 1)
