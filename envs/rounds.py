"""Records of the game: an episode between two rounds, and what a round gave."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
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
        present: Who takes part in which round, the whole episode's.
    """

    valuations: Float[Tensor, "batch round bidder feature"]
    contexts: Int[Tensor, "batch round"]
    round: Int[Tensor, " batch"]
    last_exposure: Float[Tensor, "batch bidder feature"]
    last_payment: Float[Tensor, "batch bidder"]
    spent: Float[Tensor, "batch bidder"]
    gained: Float[Tensor, "batch bidder"]
    present: Bool[Tensor, "batch round bidder"]

    def rows(self, index: Tensor) -> "GameState":
        """Return some of the episodes."""
        return GameState(*(part[index] for part in self))

    def this_round(self, series: Tensor) -> Tensor:
        """Return the current round of a (batch, round, …) series; after the end, the last round."""
        rows = torch.arange(len(self.round))
        current: Tensor = series[rows, self.round.clamp_max(series.shape[1] - 1)]
        return current


class Round(NamedTuple):
    """The outcome of one round in every row, and what it was worth.

    Attributes:
        bids: The bids that were cleared: those asked for, lowered where a budget or an ROI target says so.
        asked: The bids as they were reported.
        outcome: The mechanism's answer.
        exposure: What each bidder really got, by the game's substrate.
        rewards: Each bidder's utility.
        user_loss: What the user lost; None where the game was told not to ask (each ask may be a model call).
        over: Which episodes have ended with this round.
        budget_left: What each bidder may still spend after this round; None without budgets.
        roi_slack: Value so far less target times payments so far, this round included; None without targets.
        present: Who took part; None where everybody always does.
        cost: By how much each bidder fell further behind its target, see `TargetCost`; None where targets are a cap.
    """

    bids: Float[Tensor, "batch bidder feature"]
    asked: Float[Tensor, "batch bidder feature"]
    outcome: Outcome
    exposure: Float[Tensor, "batch bidder feature"]
    rewards: Float[Tensor, "batch bidder"]
    user_loss: Float[Tensor, " batch"] | None
    over: Tensor
    budget_left: Float[Tensor, "batch bidder"] | None = None
    roi_slack: Float[Tensor, "batch bidder"] | None = None
    present: Bool[Tensor, "batch bidder"] | None = None
    cost: Float[Tensor, "batch bidder"] | None = None

    def rows(self, index: Tensor) -> "Round":
        """Return the round of some of the episodes."""
        numbers = {name: part[index] for name, part in self._asdict().items() if name != "outcome" and part is not None}
        outcome = Outcome(*(part[index] for part in self.outcome))
        return self._replace(outcome=outcome, **numbers)

    @property
    def throttled(self) -> Bool[Tensor, "batch bidder"]:
        """Whose bids were lowered by a limit; not those of who is absent."""
        lowered = (self.bids < self.asked).any(2)
        return lowered if self.present is None else lowered & self.present


class PlayedRound(NamedTuple):
    """A round with the state in which it was bid for.

    Attributes:
        before: The episodes that played it.
        round: What it gave them.
        rows: Which rows of a vector environment these are; a single environment has row 0 alone.
    """

    before: GameState
    round: Round
    rows: Int[Tensor, " batch"]

    @classmethod
    def of(cls, before: GameState, happened: Round) -> "PlayedRound":
        """Return a round that every row played."""
        return cls(before, happened, torch.arange(len(before.round)))

    def without(self, rows: Tensor) -> "PlayedRound | None":
        """Return the round without some rows, None where that leaves none."""
        index = (~torch.isin(self.rows, rows)).nonzero().squeeze(1)
        return PlayedRound(self.before.rows(index), self.round.rows(index), self.rows[index]) if len(index) else None

    def row(self, row: int) -> "PlayedRound | None":
        """Return the round of one row, None where that row played none."""
        index = (self.rows == row).nonzero().squeeze(1)
        return PlayedRound(self.before.rows(index), self.round.rows(index), self.rows[index]) if len(index) else None
