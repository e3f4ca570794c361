"""Many episodes that step together: a random stream each, one mechanism call for all, and Gymnasium's autoresets."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from jaxtyping import Bool, Float
from torch import Tensor

from auctionsim.checks import checked_count
from auctionsim.envs.game import AuctionGame, GameState, Round
from auctionsim.envs.row_seeds import RowSeeds, RowStreams, seeded_rows
from auctionsim.errors import CallOrderError, InputError, InputTypeError

__all__ = ["BatchStep", "EpisodeBatch", "checked_autoreset"]


class BatchStep(NamedTuple):
    """The results of one vector step.

    Attributes:
        rewards: 0 in the rows that began a new episode instead of playing.
        over: Rows whose episode terminated in this step.
        cut: Rows that reached the time limit in this step.
        played: Rows that played a round; the others began a new episode.
        round: The round, with the played rows only; None if no row played.
        ended: The states in which rows ended, before those rows began anew in the same step; None where none did.
    """

    rewards: Float[Tensor, "batch bidder"]
    over: Bool[Tensor, " batch"]
    cut: Bool[Tensor, " batch"]
    played: Bool[Tensor, " batch"]
    round: Round | None
    ended: GameState | None


class EpisodeBatch:
    """A fixed number of episodes of one game.

    Row k draws from a stream of its own, so it lives through the same episodes as a single environment with its seed.

    Args:
        game: The game.
        size: Number of episodes, ≥ 1.
        limit: Rounds after which an episode is cut, ≥ 1; None: never.
        autoreset: When a row that has ended begins its next episode: in the following step, whatever is bid there
            (NEXT_STEP); in the step in which it ended (SAME_STEP); or when it is reset (DISABLED).
    """

    def __init__(
        self,
        game: AuctionGame,
        size: int,
        *,
        limit: int | None = None,
        autoreset: AutoresetMode = AutoresetMode.NEXT_STEP,
    ) -> None:
        self.game = game
        self.size = checked_count(size, "num_envs")
        self.limit = None if limit is None else checked_count(limit, "max_episode_steps")
        self.autoreset = autoreset
        self._streams = RowStreams(size)
        self._ended = torch.zeros(size, dtype=torch.bool)
        self._state: GameState | None = None

    @property
    def state(self) -> GameState:
        """The current state.

        Raises:
            RuntimeError: Before the first `reset`.
        """
        if self._state is None:
            raise CallOrderError("no episode is running: call reset() first")
        return self._state

    @property
    def resting(self) -> Bool[Tensor, " batch"]:
        """Rows whose episode has ended: where there is an autoreset, the next step begins another, without a bid."""
        return self._ended

    def seed(self, seeds: RowSeeds) -> None:
        """Let every row's next episode be the first of its stream."""
        self._streams.seed(range(self.size), seeds)

    def reset(self, seeds: Sequence[int | None], mask: np.ndarray | None = None) -> None:
        """Begin new episodes.

        Args:
            seeds: One a row; None goes on with the row's stream. Those of rows that are not reset are not used.
            mask: (batch,) bool, which rows; None: all.
        Raises:
            ValueError: Not one seed a row, or not one truth value a row, or none is true.
            TypeError: A mask that is no array of truth values.
            RuntimeError: A mask that leaves rows out before they have begun an episode.
        """
        if len(seeds) != self.size:
            raise InputError(f"seeds must be one a row ({self.size}), got {len(seeds)}")
        rows = np.arange(self.size) if mask is None else np.flatnonzero(checked_mask(mask, self.size))
        if self._state is None and len(rows) < self.size:
            raise CallOrderError("no episode is running in the rows that reset_mask leaves out: reset all rows first")
        if any(seed is not None for seed in seeds):
            given = {row: seed for row in rows.tolist() if (seed := seeds[row]) is not None}
            self._streams.seed(list(given), seeded_rows(list(given.values())))
        self._begin(torch.from_numpy(rows))

    def step(self, bids: Float[Tensor, "batch bidder feature"]) -> BatchStep:
        """Play one round in every running episode; begin a new one where the autoreset says so.

        Raises:
            RuntimeError: Before `reset`; a row has ended, and there is no autoreset.
        """
        resting = self._ended
        if self.autoreset is AutoresetMode.DISABLED and bool(resting.any()):
            ended = resting.nonzero().flatten().tolist()
            raise CallOrderError(f"the episodes of rows {ended} are over: reset them with options={{'reset_mask': …}}")
        played = ~resting
        rewards, round_ = self._play(bids, played)
        over, cut = torch.zeros_like(resting), torch.zeros_like(resting)
        if round_ is not None:
            over[played] = round_.over
            if self.limit is not None:
                cut[played] = self.state.round[played] >= self.limit
        if bool(resting.any()):
            self._begin(resting.nonzero().flatten())
        self._ended, ended_states = over | cut, None
        if self.autoreset is AutoresetMode.SAME_STEP and bool(self._ended.any()):
            ended_states = self.state
            self._begin(self._ended.nonzero().flatten())
        return BatchStep(rewards, over, cut, played, round_, ended_states)

    def _play(self, bids: Tensor, played: Tensor) -> tuple[Tensor, Round | None]:
        """Play a round in these rows, and return all rewards and the round."""
        state, game = self.state, self.game
        if bool(played.all()):  # the usual case: rows in step
            self._state, round_ = game.step(state, bids)
            return round_.rewards, round_
        rewards = torch.zeros(self.size, game.num_bidders, dtype=game.dtype)
        if not bool(played.any()):
            return rewards, None
        following, round_ = game.step(GameState(*(part[played] for part in state)), bids[played])
        rewards[played] = round_.rewards
        self._state = _replaced(state, played.nonzero().flatten(), following)
        return rewards, round_

    def _begin(self, rows: Tensor) -> None:
        fresh = self.game.draw_rows(self._streams.begin(rows.numpy()))
        self._state = fresh if len(rows) == self.size else _replaced(self.state, rows, fresh)
        self._ended = self._ended.index_fill(0, rows, False)


def _replaced(state: GameState, rows: Tensor, fresh: GameState) -> GameState:
    parts = []
    for old, new in zip(state, fresh, strict=True):
        part = old.clone()
        part[rows] = new
        parts.append(part)
    return GameState(*parts)


def checked_mask(mask: object, size: int) -> np.ndarray:
    """Return a reset mask as Gymnasium defines it.

    Raises:
        TypeError: No array of truth values.
        ValueError: Another shape than (size,), or nothing to reset.
    """
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        kind = f"an array of {mask.dtype}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise InputTypeError(f"reset_mask must be a numpy array of truth values, got {kind}")
    if mask.shape != (size,):
        raise InputError(f"reset_mask must have shape ({size},), one truth value a row, got {mask.shape}")
    if not mask.any():
        raise InputError("reset_mask must name at least one row to reset, all are False")
    return mask


def checked_autoreset(mode: AutoresetMode | str) -> AutoresetMode:
    """Return Gymnasium's autoreset mode of a member, its value or its name.

    Raises:
        ValueError: None of the three.
    """
    for known in AutoresetMode:
        if mode is known or (isinstance(mode, str) and mode in (known.value, known.name)):
            return known
    names = [known.value for known in AutoresetMode]
    raise InputError(f"autoreset_mode must be one of {names} or Gymnasium's AutoresetMode, got {mode!r}")
