"""Episodes that strategies play: all rounds of a batch, one strategy in the learner's seat."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_count
from auctionsim.envs.learner import LearnerSeat, Memories
from auctionsim.envs.rounds import GameState, Round
from auctionsim.envs.row_draws import EpisodeKeys
from auctionsim.envs.row_seeds import seeded_rows
from auctionsim.envs.situations import situation_of
from auctionsim.seeds import checked_seed
from auctionsim.strategies import AnyStrategy, Situation
from auctionsim.strategy_memory import begun, turn_of


class PlayedTurn(NamedTuple):
    """One round of a batch of episodes, as the learner's seat sees it.

    Attributes:
        before: The episodes that played it.
        own: (episode, feature), what the learner asked for.
        situation: What it could know beside its valuation.
        round: What it gave.
        after: The episodes after it.
    """

    before: GameState
    own: Float[Tensor, "episode feature"]
    situation: Situation
    round: Round
    after: GameState


def first_episodes(seed: int, count: int) -> EpisodeKeys:
    """Return the first episodes of rows seed, seed + 1, …: those that environments with these seeds begin with."""
    first = checked_seed(seed)
    rows = seeded_rows(range(first, first + checked_count(count, "episodes")))
    return EpisodeKeys(rows.key, rows.stream, np.zeros(count, np.uint64))


def turns(seat: LearnerSeat, strategy: AnyStrategy | None, state: GameState) -> Iterator[PlayedTurn]:
    """Yield the rounds of episodes that begin, the learner's seat played by a strategy.

    Args:
        seat: Its game, and the opponents.
        strategy: The learner's; None tells the truth.
        state: Episodes at their beginning.
    """
    game, now = seat.game, state
    own_memory = begun(strategy, len(state.round))
    memories: Memories = {}
    for _ in range(game.rounds):
        situation = situation_of(game, now, seat.learner)
        truth = game.valuations(now)[:, seat.learner]
        own, own_memory = turn_of(strategy, own_memory, truth, situation)
        bids, memories = seat.turn(now, own, memories)
        after, happened = game.step(now, bids)
        yield PlayedTurn(now, own, situation, happened, after)
        now = after
