"""What an episode is between two rounds, and what a round gave: the records of the game."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.outcome import Outcome


class GameState(NamedTuple):
    """A batch of episodes, each at its own round.

    Attributes:
        valuations: The whole episode's, drawn when it began.
        contexts: The whole episode's prompt groups, indices into the substrate's contexts; all 0 where it has none.
        round: Rounds played so far; `rounds` once the episode is over.
        last_exposure: What each bidder got in the round before, 0 at the start.
        last_payment: What each bidder paid in the round before, 0 at the start.
        spent: Payments so far.
        gained: Value so far, Σ v · e.
    """

    valuations: Float[Tensor, "batch round bidder feature"]
    contexts: Int[Tensor, "batch round"]
    round: Int[Tensor, " batch"]
    last_exposure: Float[Tensor, "batch bidder feature"]
    last_payment: Float[Tensor, "batch bidder"]
    spent: Float[Tensor, "batch bidder"]
    gained: Float[Tensor, "batch bidder"]

    def this_round(self, series: Tensor) -> Tensor:
        """Return the current round of a (batch, round, …) series; after the end, the last round."""
        rows = torch.arange(len(self.round))
        current: Tensor = series[rows, self.round.clamp_max(series.shape[1] - 1)]
        return current


class Round(NamedTuple):
    """What one round gave.

    Attributes:
        bids: The bids that were cleared: the reported ones, lowered where a budget or an ROI target says so.
        outcome: The mechanism's answer.
        exposure: What each bidder really got, by the game's substrate.
        rewards: Each bidder's utility.
        user_loss: What the user lost; None where the game was told not to ask (each ask may be a model call).
        over: Which episodes have ended with this round.
    """

    bids: Float[Tensor, "batch bidder feature"]
    outcome: Outcome
    exposure: Float[Tensor, "batch bidder feature"]
    rewards: Float[Tensor, "batch bidder"]
    user_loss: Float[Tensor, " batch"] | None
    over: Tensor
