"""Many episodes that step together: one generator each, one mechanism call for all, next-step autoreset."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auctionsim.checks import checked_count
from auctionsim.envs.game import AuctionGame, GameState, Round


class BatchStep(NamedTuple):
    """What one vector step gave.

    Attributes:
        rewards: 0 in the rows that began a new episode.
        over: Rows whose episode ended in this step.
        played: Rows that played a round; the others began a new episode.
        round: The round, with the played rows only; None if no row played.
    """

    rewards: Float[Tensor, "batch bidder"]
    over: Bool[Tensor, " batch"]
    played: Bool[Tensor, " batch"]
    round: Round | None


class EpisodeBatch:
    """A fixed number of episodes of one game.

    Row k draws from a generator of its own, so it lives through the same episodes as a single environment with its
    seed. A row whose episode is over begins the next one in the following step, whatever is bid there.

    Args:
        game: The game.
        size: Number of episodes, ≥ 1.
    """

    def __init__(self, game: AuctionGame, size: int) -> None:
        self.game = game
        self.size = checked_count(size, "num_envs")
        self._generators = [torch.Generator() for _ in range(size)]
        self._seeded = False
        self._state: GameState | None = None

    @property
    def state(self) -> GameState:
        """The current state.

        Raises:
            RuntimeError: Before the first `reset`.
        """
        if self._state is None:
            raise RuntimeError("no episode is running: call reset() first")
        return self._state

    def reset(self, seeds: Sequence[int | None], mask: np.ndarray | None = None) -> None:
        """Begin new episodes.

        Args:
            seeds: One a row; None goes on with the row's generator.
            mask: Which rows; None: all.
        Raises:
            ValueError: Not one seed a row.
        """
        if len(seeds) != self.size:
            raise ValueError(f"seeds must be one a row ({self.size}), got {len(seeds)}")
        if not self._seeded:
            fresh = np.random.SeedSequence().generate_state(self.size, np.uint64)
            for generator, entropy in zip(self._generators, fresh, strict=True):
                generator.manual_seed(int(entropy) >> 1)
            self._seeded = True
        rows = range(self.size) if mask is None or self._state is None else np.flatnonzero(mask).tolist()
        for row in rows:
            if seeds[row] is not None:
                self._generators[row].manual_seed(int(seeds[row] or 0))
        self._begin(list(rows))

    def step(self, bids: Float[Tensor, "batch bidder feature"]) -> BatchStep:
        """Play one round in every running episode; begin a new one in the rows that are over."""
        state, game = self.state, self.game
        resting = state.round >= game.rounds
        played = ~resting
        rewards = torch.zeros(self.size, game.num_bidders, dtype=game.dtype)
        if bool(played.all()):  # the usual case: rows in step
            self._state, happened = game.step(state, bids)
            return BatchStep(happened.rewards, happened.over, played, happened)
        over = torch.zeros_like(resting)
        round_ = None
        if bool(played.any()):
            running = GameState(*(part[played] for part in state))
            following, round_ = game.step(running, bids[played])
            rewards[played] = round_.rewards
            over[played] = round_.over
            self._state = _replaced(state, played.nonzero().squeeze(1), following)
        self._begin(resting.nonzero().squeeze(1).tolist())
        return BatchStep(rewards, over, played, round_)

    def _begin(self, rows: list[int]) -> None:
        fresh = self.game.draw_each([self._generators[row] for row in rows])
        self._state = fresh if len(rows) == self.size else _replaced(self.state, torch.tensor(rows), fresh)


def _replaced(state: GameState, rows: Tensor, fresh: GameState) -> GameState:
    parts = []
    for old, new in zip(state, fresh, strict=True):
        part = old.clone()
        part[rows] = new
        parts.append(part)
    return GameState(*parts)


def spread_seeds(seed: int | Sequence[int | None] | None, size: int) -> list[int | None]:
    """Return one seed a row as Gymnasium does: seed, seed + 1, …; a list as it is; None for all."""
    if seed is None:
        return [None] * size
    if isinstance(seed, int):
        return [seed + row for row in range(size)]
    return list(seed)
