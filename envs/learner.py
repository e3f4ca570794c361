"""How one learner faces a field: whose bids are the learner's, and what everybody else does."""

from collections.abc import Sequence

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.envs.game import AuctionGame, GameState, Round
from auctionsim.envs.situations import situation_of
from auctionsim.strategies import Strategy, bids_of, observed_by


class LearnerSeat:
    """One bidder of a game is the learner; the others bid by fixed strategies.

    Args:
        game: The game.
        learner: Index of the learner's bidder.
        opponents: One strategy for all others, or one each in bidder order; None (or None in the list): truth. One that
            observes more than its valuation (`auctionsim.strategies`) is told its own situation in each row.
    Raises:
        ValueError: A learner out of range, the wrong number of opponents, or one that observes what nothing tells.
    """

    def __init__(
        self, game: AuctionGame, learner: int = 0, opponents: Strategy | Sequence[Strategy | None] | None = None
    ) -> None:
        if not 0 <= learner < game.num_bidders:
            raise ValueError(f"learner must be a bidder 0 … {game.num_bidders - 1}, got {learner}")
        others = game.num_bidders - 1
        strategies = list(opponents) if isinstance(opponents, Sequence) else [opponents] * others
        if len(strategies) != others:
            raise ValueError(f"opponents must be one strategy or {others} of them, got {len(strategies)}")
        for strategy in strategies:
            observed_by(strategy)
        self.game = game
        self.learner = learner
        self.strategies: list[Strategy | None] = [*strategies[:learner], None, *strategies[learner:]]

    @torch.no_grad()
    def bids(self, state: GameState, own: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch bidder feature"]:
        """Return everybody's bids: the learner's own, the others' by their strategies."""
        valuations = self.game.valuations(state)
        columns = []
        for bidder, strategy in enumerate(self.strategies):
            truth = valuations[:, bidder]
            if bidder == self.learner:
                columns.append(own.to(truth.dtype))
            else:
                columns.append(bids_of(strategy, truth, situation_of(self.game, state, bidder)).to(truth.dtype))
        return torch.stack(columns, dim=1)

    def observe(self, state: GameState) -> np.ndarray:
        """Return what the learner sees: (batch, observation) float32."""
        return self.game.observe(state)[:, self.learner].to(torch.float32).numpy()

    def info(self, played: Round) -> dict[str, np.ndarray]:
        """Return the round in numbers, one row an episode: the learner's share and the platform's."""
        numbers = {
            "bid": played.bids[:, self.learner],
            "exposure": played.exposure[:, self.learner],
            "payment": played.outcome.payments[:, self.learner],
            "revenue": played.outcome.payments.sum(1),
        }
        if played.user_loss is not None:
            numbers["user_loss"] = played.user_loss
        return {name: number.double().numpy() for name, number in numbers.items()}


def learner_tensor(action: np.ndarray, shape: tuple[int, ...]) -> Tensor:
    """Return a learner's action as a tensor.

    Raises:
        ValueError: Another shape than the action space's.
    """
    array = np.asarray(action, dtype=np.float32)
    if array.shape != shape:
        raise ValueError(f"a bid must have shape {shape}, got {array.shape}")
    return torch.from_numpy(array.copy())


def learner_spaces(seat: LearnerSeat) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Box]:
    """Return the learner's observation and action space."""
    observation, action = bidder_spaces(seat.game, seat.learner)
    return observation, action


def bidder_spaces(game: AuctionGame, bidder: int) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Box]:
    """Return one bidder's observation and action space, both float32 boxes."""
    low, high = (bound[bidder].to(torch.float32).numpy() for bound in (game.observation_low, game.observation_high))
    highest_bid = game.bid_high[bidder].to(torch.float32).numpy()
    return (
        gymnasium.spaces.Box(low, high, dtype=np.float32),
        gymnasium.spaces.Box(np.zeros_like(highest_bid), highest_bid, dtype=np.float32),
    )
