"""The auction as a native Gymnasium vector environment: any number of episodes, one mechanism call a step."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from auctionsim.envs.batch import BatchStep, EpisodeBatch, spread_seeds
from auctionsim.envs.learner import LearnerSeat, Strategy, bids_in_box, learner_spaces, learner_tensor
from auctionsim.envs.rendering import RENDER_MODES, checked_render_mode, frames
from auctionsim.envs.rounds import GameState, PlayedRound
from auctionsim.envs.settings import build_game


class NeuronAuctionVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """`NeuronAuctionEnv` in a batch; row k with seed s + k equals the single environment with that seed.

    Next-step autoreset: the step after an episode's end ignores the action, rewards 0 and returns the next episode's
    first observation.

    Args:
        num_envs: Number of episodes that step together.
        setting: As in `NeuronAuctionEnv`.
        learner: As there.
        opponents: As there.
        render_mode: As there; `render` returns a tuple, one a row.
        **options: As there.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012  Gymnasium declares it so
        "render_modes": RENDER_MODES,
        "render_fps": 2,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        setting: str | None = None,
        *,
        learner: int = 0,
        opponents: Strategy | Sequence[Strategy | None] | None = None,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        self.game = build_game(setting, **options)
        self.seat = LearnerSeat(self.game, learner, opponents)
        self.num_envs = num_envs
        self.render_mode = checked_render_mode(render_mode)
        self.single_observation_space, self.single_action_space = learner_spaces(self.seat)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._episodes = EpisodeBatch(self.game, num_envs)
        self.played: PlayedRound | None = None

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode in every row, or where options["reset_mask"] says so."""
        mask = None if options is None else options.get("reset_mask")
        super().reset(seed=seed if isinstance(seed, int) else None)
        self._episodes.reset(spread_seeds(seed, self.num_envs), mask)
        if mask is None or self.played is None:
            self.played = None
        else:  # the others' rounds can still be shown
            self.played = self.played.without(torch.from_numpy(np.flatnonzero(mask)))
        return self.seat.observe(self._episodes.state), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Bid in every row, and clear one round with one call of the mechanism.

        Raises:
            ValueError: A bid outside the action box or of another shape; rows that begin anew do not bid.
            RuntimeError: Before `reset`.
        """
        own = learner_tensor(actions, self.action_space.shape or ())
        before = self._episodes.state
        own = bids_in_box(own, self.game, self.seat.learner, before.round < self.game.rounds)
        happened = self._episodes.step(self.seat.bids(before, own))
        self.played = played_rows(before, happened)
        rewards = happened.rewards[:, self.seat.learner].to(torch.float64).numpy()
        over = happened.over.numpy()
        observation = self.seat.observe(self._episodes.state)
        return observation, rewards, over, np.zeros_like(over), self._infos(happened)

    def render(self) -> tuple[Any, ...] | None:
        """Return each row's round as text or as a picture; where a row has just begun, its bidders."""
        return frames(self.render_mode, self.game, self._episodes.state, self.played, self.num_envs)

    def _infos(self, happened: BatchStep) -> dict[str, Any]:
        """Return the round's numbers in Gymnasium's form: an array a key, 0 where `_key` is False."""
        if happened.round is None:
            return {}
        played = happened.played.numpy()
        infos: dict[str, Any] = {}
        for name, rows in self.seat.info(happened.round).items():
            filled = np.zeros((self.num_envs, *rows.shape[1:]), dtype=rows.dtype)
            filled[played] = rows
            infos[name], infos[f"_{name}"] = filled, played
        return infos


def played_rows(before: GameState, happened: BatchStep) -> PlayedRound | None:
    """Return the round of the rows that played one; None where all began anew."""
    if happened.round is None:
        return None
    if bool(happened.played.all()):
        return PlayedRound.of(before, happened.round)
    rows = happened.played.nonzero().squeeze(1)
    return PlayedRound(before.rows(rows), happened.round, rows)
