"""The auction as Stable-Baselines3 takes it: its `VecEnv` over the native batch, with actions in [−1, 1]."""

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv

from auctionsim.envs.game_settings import AuctionParts, GameSettings
from auctionsim.envs.shares import bids_of_shares, share_box
from auctionsim.envs.vector_env import NeuronAuctionVectorEnv
from auctionsim.errors import CallOrderError, InputError
from auctionsim.record_keywords import fields_as_keywords, keywords_of
from auctionsim.strategies import AnyStrategy

Rows = None | int | Iterable[int]


class NeuronAuctionVecEnv(VecEnv):  # type: ignore[misc]
    """`NeuronAuctionVectorEnv` by Stable-Baselines3's rules: any number of episodes, one mechanism call a step.

    It is to the last bit a `DummyVecEnv` of single environments inside `NormalisedBids`: an episode's end begins the
    next one in the same step, with the last observation in info["terminal_observation"], and
    info["TimeLimit.truncated"] where only the time limit ended it. Rows share one environment: an attribute or a
    method's answer is the same for every row. Render mode "rgb_array" gives one picture of all rows, side by side.

    Args:
        setting: As in `NeuronAuctionEnv`.
        num_envs: Number of episodes that step together.
        symmetric: Actions −1 … 1 are bids 0 … the highest, as Stable-Baselines3 wants them; False: shares 0 … 1.
        learner: As in `NeuronAuctionVectorEnv`; so are those that follow.
        opponents: As there.
        render_mode: As there.
        max_episode_steps: As there.
        auction: As there: given by the fields of `AuctionParts` as keywords.
        settings: As there: given by the fields of `GameSettings` as keywords.
    Raises:
        ModuleNotFoundError: On import, without Stable-Baselines3.
    """

    @fields_as_keywords("auction", "settings")
    def __init__(
        self,
        setting: str | None = None,
        num_envs: int = 1,
        *,
        symmetric: bool = True,
        learner: int = 0,
        opponents: AnyStrategy | Sequence[AnyStrategy | None] | None = None,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
        auction: AuctionParts,
        settings: GameSettings,
    ) -> None:
        self.env = NeuronAuctionVectorEnv(
            num_envs,
            setting,
            learner=learner,
            opponents=opponents,
            render_mode=render_mode,
            max_episode_steps=max_episode_steps,
            autoreset_mode=AutoresetMode.SAME_STEP,
            **keywords_of(auction),
            **keywords_of(settings),
        )
        self._symmetric = symmetric
        self._high: np.ndarray = self.env.single_action_space.high  # type: ignore[attr-defined]
        self._actions: np.ndarray | None = None
        actions: Box = share_box(self._high.shape, symmetric=symmetric)
        super().__init__(self.env.num_envs, self.env.single_observation_space, actions)

    def reset(self) -> np.ndarray:
        """Begin an episode in every row, at the seeds that `seed` set for this reset, if it did."""
        observations, _ = self.env.reset(seed=self._seeds)
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """Take the actions of the step to come: (row, feature)."""
        self._actions = np.array(actions, dtype=np.float32)

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Play a round in every row.

        Returns:
            Observations, rewards, which episodes ended, and a dict a row.
        Raises:
            RuntimeError: No actions were given.
            ValueError: Actions that make no bids.
        """
        if self._actions is None:
            raise CallOrderError("no actions to play: call step_async() first")
        bids = bids_of_shares(self._actions, self._high, symmetric=self._symmetric)
        self._actions = None
        observations, rewards, over, cut, infos = self.env.step(bids)
        ended = over | cut
        rows = _by_row(infos, self.num_envs)
        for row, truncated in enumerate((cut & ~over).tolist()):
            rows[row]["TimeLimit.truncated"] = truncated
        for row in np.flatnonzero(ended).tolist():
            rows[row]["terminal_observation"] = infos["final_obs"][row]
        return observations, rewards.astype(np.float32), ended, rows

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def get_images(self) -> list[np.ndarray | None]:
        """Return every row's picture, as `render` tiles them; None each in another render mode than "rgb_array"."""
        if self.render_mode != "rgb_array":
            return [None] * self.num_envs
        return list(self.env.render() or ())

    def get_attr(self, attr_name: str, indices: Rows = None) -> list[Any]:
        """Return the environment's attribute, once a row."""
        answer = getattr(self.env, attr_name)
        return [answer for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Rows = None) -> None:
        """Set the environment's attribute.

        Raises:
            ValueError: For some rows only: they share one environment.
        """
        if len(set(self._get_indices(indices))) < self.num_envs:
            raise InputError(f"rows share one environment: {attr_name!r} can be set for all of them only")
        setattr(self.env, attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Rows = None, **method_kwargs: Any) -> list[Any]:
        """Call the environment's method once, and return its answer once a row."""
        answer = getattr(self.env, method_name)(*method_args, **method_kwargs)
        return [answer for _ in self._get_indices(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper[Any, Any, Any, Any]], indices: Rows = None
    ) -> list[bool]:
        """Tell that no row is wrapped."""
        del wrapper_class
        return [False for _ in self._get_indices(indices)]


def _by_row(infos: dict[str, Any], size: int) -> list[dict[str, Any]]:
    """Return one dict a row of Gymnasium's arrays; a row that ended has its numbers in "final_info"."""
    last = infos.get("final_info", {})
    ended = infos.get("_final_info", np.zeros(size, dtype=bool))
    columns = {}
    for name in {**last, **infos}:
        if name.startswith(("_", "final_")):
            continue
        numbers, finals = infos.get(name, last.get(name)), last.get(name, infos.get(name))
        columns[name] = np.where(ended.reshape(-1, *[1] * (numbers.ndim - 1)), finals, numbers)
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
