"""What a learned strategy is made of: a small network that says which share of each valuation to bid."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn


class BiddingNetwork(nn.Module):
    """A strategy with parameters: bid_f = v_f · start · softplus(net(v / high))_f / softplus(0), net ≈ 0 at first.

    What it learns is the share of the valuation that is bid; a valuation of 0 bids 0. Where a bidder hardly ever wins,
    little is learned, and an error in the share does little harm.

    Args:
        high: (feature,), the largest valuations: the network sees valuations in their units.
        hidden: Width of its two hidden layers.
        generator: Draws the initial weights.
        start: The share that is bid at first; 1 is truth.
    """

    def __init__(self, high: Tensor, hidden: int, generator: torch.Generator, start: float = 1.0) -> None:
        super().__init__()
        features = len(high)
        self.start = start
        self.high: Tensor
        self.register_buffer("high", high.to(torch.float32))
        self.first = nn.Linear(features, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, features)
        for layer, gain in ((self.first, 1.0), (self.second, 1.0), (self.last, 0.01)):
            nn.init.xavier_normal_(layer.weight, gain, generator=generator)
            nn.init.normal_(layer.bias, std=0.3 * gain, generator=generator)

    def forward(self, valuations: Tensor) -> Tensor:
        """Return bids (batch, feature), ≥ 0, in the valuations' dtype."""
        inner = 2 * valuations.to(torch.float32) / self.high - 1
        inner = nn.functional.silu(self.second(nn.functional.silu(self.first(inner))))
        share = nn.functional.softplus(self.last(inner)) * (self.start / math.log(2))
        return valuations * share.to(valuations.dtype)


class NetworkStrategy:
    """A trained network as a strategy: no gradients, any dtype."""

    def __init__(self, network: BiddingNetwork) -> None:
        self.network = network

    @torch.no_grad()
    def __call__(self, valuations: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch feature"]:
        """Return the network's bids."""
        bids: Tensor = self.network(valuations)
        return bids


class LearningStep(NamedTuple):
    """One report of a learner.

    Attributes:
        iteration: Updates made so far.
        utility: Mean utility of each bidder on the last batch.
        bid_ratio: Mean bid over mean valuation of each bidder, features together.
    """

    iteration: int
    utility: tuple[float, ...]
    bid_ratio: tuple[float, ...]
