"""Auctions with a known needle: a rebate to whoever bids within a width of a point that is made of the rivals' bids."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.outcome import Outcome

Target = Callable[[Tensor], Tensor]
"""From bids (batch, bidder, item) to the point at which each bidder is paid back (batch, bidder, item)."""


def next_rival(bids: Tensor) -> Tensor:
    """The next bidder's bid, as it is."""
    return bids.roll(-1, 1)


def last_rival(bids: Tensor) -> Tensor:
    """The previous bidder's bid."""
    return bids.roll(1, 1)


def exchanged(bids: Tensor) -> Tensor:
    """The next bidder's bid, items in the reverse order."""
    return bids.roll(-1, 1).flip(2)


def highest(bids: Tensor) -> Tensor:
    """The highest rival bid for each item."""
    return torch.stack([bids.roll(k, 1) for k in range(1, bids.shape[1])]).amax(0)


class Rebate:
    """A rule that pays `size` back at the target, falling to nothing at `width` from it in the worst item.

    Args:
        rule: Clears bids.
        target: Must not depend on the own bid, so that the needle stays where it is.
        width: Half the needle's base, money.
        size: Most that is paid, money.
    """

    def __init__(self, rule: Callable[[Tensor], Outcome], target: Target, width: float, size: float = 0.5) -> None:
        self.rule, self.target, self.width, self.size = rule, target, width, size

    def __call__(self, bids: Float[Tensor, "batch bidder item"], context: Tensor | None = None) -> Outcome:
        """Clear one auction per row."""
        del context
        outcome = self.rule(bids)
        near = (1 - (bids - self.target(bids)).abs().amax(2) / self.width).clamp_min(0)
        return Outcome(outcome.allocation, outcome.payments - self.size * near)
