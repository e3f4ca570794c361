"""How a valuation becomes a bid: reading a `strategies` argument."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from auctionsim.checks import checked_amounts

Strategy: TypeAlias = Callable[[Tensor], Tensor]  # (batch, feature) valuations to (batch, feature) bids
Strategies: TypeAlias = "Strategy | Sequence[Strategy] | None"


def strategy_list(strategies: Strategies, num_bidders: int) -> tuple[Strategy, ...] | None:
    """Return one strategy a bidder, or None for truth.

    Raises:
        ValueError: A sequence of another length.
    """
    if strategies is None:
        return None
    if callable(strategies):
        return (strategies,) * num_bidders
    if len(strategies) != num_bidders:
        raise ValueError(f"strategies must be one callable or one a bidder: got {len(strategies)} for {num_bidders}")
    return tuple(strategies)


def played(strategies: tuple[Strategy, ...] | None, valuations: Tensor) -> Tensor:
    """Return the bids (batch, bidder, feature) that bidders with these valuations submit.

    Raises:
        ValueError: A strategy answers with another shape, NaN, infinite or negative bids.
    """
    if strategies is None:
        return valuations
    with torch.no_grad():
        bids = torch.stack([play(valuations[:, i]) for i, play in enumerate(strategies)], dim=1).to(valuations.dtype)
    if bids.shape != valuations.shape:
        raise ValueError(f"strategies must answer in the shape of valuations, got {tuple(bids.shape)}")
    return checked_amounts(bids, valuations.shape[1], valuations.shape[2], "a strategy's bids")
