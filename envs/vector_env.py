"""The auction as a native Gymnasium vector environment: any number of episodes, one mechanism call a step."""

from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from auctionsim.envs.batch import BatchStep, EpisodeBatch, checked_autoreset, checked_mask
from auctionsim.envs.game_settings import AuctionParts, GameSettings
from auctionsim.envs.learner import LearnerSeat, Memories, bids_in_box, learner_spaces, learner_tensor
from auctionsim.envs.rendering import RENDER_MODES, checked_render_mode, frames
from auctionsim.envs.rounds import GameState, PlayedRound
from auctionsim.envs.row_seeds import spread_seeds
from auctionsim.envs.settings import build_game
from auctionsim.record_keywords import fields_as_keywords, keywords_of
from auctionsim.strategies import AnyStrategy

Infos = dict[str, Any]


class NeuronAuctionVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """`NeuronAuctionEnv` in a batch; row k with seed s + k equals the single environment with that seed.

    Rewards, observations and infos are those of Gymnasium's `SyncVectorEnv` of single environments, in each of its
    autoreset modes. Next-step: the step after an episode's end ignores the action, rewards 0 and returns the next
    episode's first observation. Same-step: the step that ends an episode returns the next one's first observation, and
    the last one is in info["final_obs"]. Disabled: a row that has ended is reset by options={"reset_mask": …}.

    Args:
        num_envs: Number of episodes that step together.
        setting: As in `NeuronAuctionEnv`.
        learner: As there.
        opponents: As there.
        render_mode: As there; `render` returns a tuple, one a row.
        max_episode_steps: Rounds after which an episode is truncated; None: it ends by termination only.
        autoreset_mode: Gymnasium's `AutoresetMode`, or its value ("NextStep", "SameStep", "Disabled").
        auction: As there: given by the fields of `AuctionParts` as keywords.
        settings: As there: given by the fields of `GameSettings` as keywords.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012  Gymnasium declares it so
        "render_modes": RENDER_MODES,
        "render_fps": 2,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    @fields_as_keywords("auction", "settings")
    def __init__(
        self,
        num_envs: int = 1,
        setting: str | None = None,
        *,
        learner: int = 0,
        opponents: AnyStrategy | Sequence[AnyStrategy | None] | None = None,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        auction: AuctionParts,
        settings: GameSettings,
    ) -> None:
        self.game = build_game(setting, **keywords_of(auction), **keywords_of(settings))
        self.seat = LearnerSeat(self.game, learner, opponents)
        self.autoreset_mode = checked_autoreset(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self._episodes = EpisodeBatch(self.game, num_envs, limit=max_episode_steps, autoreset=self.autoreset_mode)
        self.num_envs = self._episodes.size
        self.render_mode = checked_render_mode(render_mode)
        self.single_observation_space, self.single_action_space = learner_spaces(self.seat)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.played: PlayedRound | None = None
        self._memories: Memories = {}

    def reset(
        self,
        *,
        seed: SupportsIndex | Sequence[SupportsIndex | None] | np.ndarray | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, Infos]:
        """Begin an episode in every row, or in those where options["reset_mask"] is True.

        Args:
            seed: Row k gets seed + k; or one a row, None going on with the row's stream. Rows that are not reset take
                no notice of theirs.
            options: {"reset_mask": (num_envs,) bool array, at least one True}, or nothing.
        Raises:
            TypeError: A seed that is no whole number; a mask that is no boolean array.
            ValueError: A negative seed, not one seed a row, or a mask of another shape or without a True.
            RuntimeError: A mask before the first whole reset.
        """
        seeds = spread_seeds(seed, self.num_envs)
        mask = None if options is None else options.get("reset_mask")
        if mask is not None:
            checked_mask(mask, self.num_envs)
        super().reset(seed=seeds[0])
        self._episodes.reset(seeds, mask)
        if mask is None or self.played is None:
            self.played = None
        else:  # the others' rounds can still be shown
            self.played = self.played.without(torch.from_numpy(np.flatnonzero(mask)))
        return self.seat.observe(self._episodes.state), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, Infos]:
        """Bid in every row, and clear one round with one call of the mechanism.

        Raises:
            ValueError: A bid outside the action box or of another shape; rows that begin anew do not bid.
            RuntimeError: Before `reset`; a row has ended and autoreset is disabled.
        """
        own = learner_tensor(actions, self.action_space.shape or ())
        before = self._episodes.state
        own = bids_in_box(own, self.game, self.seat.learner, ~self._episodes.resting)
        bids, self._memories = self.seat.turn(before, own, self._memories)
        happened = self._episodes.step(bids)
        self.played = played_rows(before, happened)
        rewards = happened.rewards[:, self.seat.learner].to(torch.float64).numpy()
        observation = self.seat.observe(self._episodes.state)
        return observation, rewards, happened.over.numpy(), happened.cut.numpy(), self._infos(happened)

    def render(self) -> tuple[Any, ...] | None:
        """Return each row's round as text or as a picture; where a row has just begun, its bidders."""
        return frames(self.render_mode, self.game, self._episodes.state, self.played, self.num_envs)

    def _infos(self, happened: BatchStep) -> Infos:
        """Return the round's numbers in Gymnasium's form: an array a key, 0 where `_key` is False.

        Where rows ended and began anew in this step, their last observation and numbers are in "final_obs" and
        "final_info" instead.
        """
        if happened.round is None:
            return {}
        numbers = {name: self._filled(rows, happened) for name, rows in self.seat.info(happened.round).items()}
        if happened.ended is None:
            return _masked(numbers, happened.played.numpy())
        ended = (happened.over | happened.cut).numpy()
        going_on = happened.played.numpy() & ~ended
        infos = self._final(happened.ended, numbers, ended)
        return {**infos, **(_masked(numbers, going_on) if going_on.any() else {})}

    def _final(self, states: GameState, numbers: Infos, ended: np.ndarray) -> Infos:
        last = np.full(self.num_envs, None, dtype=object)
        seen = self.seat.observe(states)
        for row in np.flatnonzero(ended):
            last[row] = seen[row]
        return {
            "final_obs": last,
            "_final_obs": ended.copy(),
            "final_info": _masked(numbers, ended),
            "_final_info": ended.copy(),
        }

    def _filled(self, rows: np.ndarray, happened: BatchStep) -> np.ndarray:
        filled = np.zeros((self.num_envs, *rows.shape[1:]), dtype=rows.dtype)
        filled[happened.played.numpy()] = rows
        return filled


def _masked(numbers: Infos, mask: np.ndarray) -> Infos:
    """Return arrays that are 0 where the mask is False, each with its mask beside it."""
    infos: Infos = {}
    for name, rows in numbers.items():
        infos[name] = np.where(mask.reshape(-1, *[1] * (rows.ndim - 1)), rows, rows.dtype.type(0))
        infos[f"_{name}"] = mask.copy()
    return infos


def played_rows(before: GameState, happened: BatchStep) -> PlayedRound | None:
    """Return the round of the rows that played one; None where all began anew."""
    if happened.round is None:
        return None
    if bool(happened.played.all()):
        return PlayedRound.of(before, happened.round)
    rows = happened.played.nonzero().squeeze(1)
    return PlayedRound(before.rows(rows), happened.round, rows)
