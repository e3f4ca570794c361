"""The learner's seat among a field: whose bids are the learner's, and what everybody else does."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.claims import declared
from auctionsim.envs.game import AuctionGame, GameState, Round
from auctionsim.envs.situations import situation_of
from auctionsim.errors import InputError, InputTypeError
from auctionsim.strategies import AnyStrategy, Memory, declared_by
from auctionsim.strategy_memory import renewed, turn_of

ROUNDING = 1e-6  # by which a squashed action may pass the end of its box

Memories = Mapping[int, Memory]
"""What each bidder that remembers anything carries, by its index."""


class SeatTurn(NamedTuple):
    """Everybody's bids in one round, and what the opponents carry on."""

    bids: Float[Tensor, "batch bidder feature"]
    memories: Memories


class LearnerSeat:
    """One bidder of a game is the learner; the others bid by fixed strategies.

    Args:
        game: The game.
        learner: Index of the learner's bidder.
        opponents: One strategy for all others, or one each in bidder order; None (or None in the list): truth. One that
            observes more than its valuation (`auctionsim.strategies`) is told its own situation in each row; one that
            remembers (`auctionsim.strategy_memory`) carries its memory through each row's episode. They may bid above
            the action box, for which rules are defined too.
    Raises:
        ValueError: A learner out of range, the wrong number of opponents, or one that observes what nothing tells.
        TypeError: An opponent that is no callable.
    """

    def __init__(
        self, game: AuctionGame, learner: int = 0, opponents: AnyStrategy | Sequence[AnyStrategy | None] | None = None
    ) -> None:
        if (
            isinstance(learner, bool)
            or not isinstance(learner, int | np.integer)
            or not 0 <= learner < game.num_bidders
        ):
            raise InputError(f"learner must be a bidder 0 … {game.num_bidders - 1}, got {learner!r}")
        others = game.num_bidders - 1
        if isinstance(opponents, Sequence) and not isinstance(opponents, str):
            strategies = list(opponents)
        else:
            strategies = [opponents] * others
        if len(strategies) != others:
            raise InputError(f"opponents must be one strategy or {others} of them, got {len(strategies)}")
        for strategy in strategies:
            if strategy is not None and not callable(strategy) and declared(strategy, "remembers", False) is not True:
                raise InputTypeError(
                    f"an opponent must be a strategy, a callable from valuations to bids, got {strategy!r}"
                )
            declared_by(strategy)
        self.game = game
        self.learner = int(learner)
        self.strategies: list[AnyStrategy | None] = [*strategies[:learner], None, *strategies[learner:]]

    @torch.no_grad()
    def turn(self, state: GameState, own: Float[Tensor, "batch feature"], memories: Memories) -> SeatTurn:
        """Return everybody's bids: the learner's own, the others' by their strategies; and what these carry on.

        Args:
            state: The episodes; where one is at its first round, memories begin anew.
            own: The learner's bids.
            memories: Of the round before; none at first.
        """
        valuations, fresh = self.game.valuations(state), state.round == 0
        columns, carried = [], {}
        for bidder, strategy in enumerate(self.strategies):
            truth = valuations[:, bidder]
            if bidder == self.learner:
                columns.append(own.to(truth.dtype))
                continue
            memory = renewed(strategy, memories.get(bidder, {}), fresh)
            bids, following = turn_of(strategy, memory, truth, situation_of(self.game, state, bidder))
            columns.append(bids.to(truth.dtype))
            if following:
                carried[bidder] = following
        return SeatTurn(torch.stack(columns, dim=1), carried)

    def observe(self, state: GameState) -> np.ndarray:
        """Return what the learner sees: (batch, observation) float32."""
        return self.game.observe(state)[:, self.learner].to(torch.float32).numpy()

    def info(self, played: Round) -> dict[str, np.ndarray]:
        """Return the round in numbers, one row an episode: the learner's share and the platform's."""
        own = {name: rows[:, self.learner] for name, rows in bidders_numbers(played).items()}
        return {**own, **platform_numbers(played)}


def bidders_numbers(played: Round) -> dict[str, np.ndarray]:
    """Return what a round gave each bidder: (batch, bidder, …), by its name in an info."""
    numbers = {
        "asked": played.asked,
        "bid": played.bids,
        "throttled": played.throttled,
        "exposure": played.exposure,
        "payment": played.outcome.payments,
        "budget_left": played.budget_left,
        "roi_slack": played.roi_slack,
        "present": played.present,
        "cost": played.cost,
    }
    return {name: _array(number) for name, number in numbers.items() if number is not None}


def platform_numbers(played: Round) -> dict[str, np.ndarray]:
    """Return what a round gave the platform and cost the user: (batch,), by its name in an info."""
    numbers = {"revenue": played.outcome.payments.sum(1), "user_loss": played.user_loss}
    return {name: _array(number) for name, number in numbers.items() if number is not None}


def _array(number: Tensor) -> np.ndarray:
    array: np.ndarray = (number if number.dtype == torch.bool else number.double()).numpy()
    return array


def learner_tensor(action: np.ndarray, shape: tuple[int, ...]) -> Tensor:
    """Return a learner's action as a tensor.

    Raises:
        ValueError: Another shape than the action space's.
    """
    array = np.asarray(action, dtype=np.float32)
    if array.shape != shape:
        raise InputError(f"a bid must have shape {shape}, got {array.shape}")
    return torch.from_numpy(array.copy())


def bids_in_box(
    bids: Float[Tensor, "... feature"], game: AuctionGame, bidder: int, playing: Tensor | None = None
) -> Float[Tensor, "... feature"]:
    """Return a bidder's bids if they lie in its action box; what rounding put above its end is the end.

    The game itself takes any bid ≥ 0, since a rule is defined for them; an environment has said what may be bid.

    Args:
        bids: (…, feature).
        game: The game.
        bidder: Whose box.
        playing: (batch,), rows that are over do not bid; None: all do.
    Raises:
        ValueError: A bid below 0, above the highest, or NaN.
    """
    high = game.bid_high[bidder].to(torch.float32)
    outside = ~((bids >= 0) & (bids <= high * (1 + ROUNDING)))
    if playing is not None:
        outside &= playing.unsqueeze(1)
    if bool(outside.any()):
        place = tuple(int(k) for k in outside.nonzero()[0])
        raise InputError(
            f"a bid must lie in the action box, >= 0 and <= {high[place[-1]]:g}: got {bids[place].item():g} "
            f"from bidder {bidder} for {game.substrate.features[place[-1]]}"
        )
    return torch.minimum(bids, high)


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
