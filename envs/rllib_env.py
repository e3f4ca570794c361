"""The auction as RLlib environments: one multi-agent env, and the same in a native batch."""

from collections.abc import Sequence
from typing import Any, ClassVar, SupportsIndex

import numpy as np
import torch
from gymnasium.spaces import Dict as DictSpace
from ray.rllib.env.env_context import EnvContext
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from ray.rllib.env.vector.vector_multi_agent_env import VectorMultiAgentEnv
from ray.tune.registry import register_env

from auctionsim.envs.batch import EpisodeBatch
from auctionsim.envs.bidders import bidder_names, named_bids, named_infos, named_observations, named_spaces
from auctionsim.envs.game import GameState
from auctionsim.envs.learner import bids_in_box
from auctionsim.envs.rendering import RENDER_MODES, checked_render_mode, frame, frames
from auctionsim.envs.rounds import PlayedRound
from auctionsim.envs.row_seeds import RowSeeds, RowStreams, seeded_rows, spread_seeds, worker_rows
from auctionsim.envs.settings import build_game
from auctionsim.envs.vector_env import played_rows
from auctionsim.errors import CallOrderError
from auctionsim.seeds import checked_seed

ENV_NAME = "auctionsim/NeuronAuctionMultiAgent-v0"
Named = dict[str, Any]


class NeuronAuctionMultiAgentEnv(MultiAgentEnv):  # type: ignore[misc]
    """Bidders bidder_0, bidder_1, … bid at once, `rounds` times; then all terminate.

    Made by one of RLlib's workers, it plays auctions of its own: no other worker, and no other env of this one, plays
    them at this seed or another. Made from a plain dict, its seeds are those of the other faces.

    Args:
        config: A "setting", or a "mechanism" with its "substrate" and "priors"; the fields of `GameSettings`; and a
            "render_mode": "ansi", "rgb_array" or None. An `EnvContext` says which worker asks; its `vector_index` is
            counted on, so that its next env has another place.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": RENDER_MODES, "render_fps": 2}

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        super().__init__()
        options = dict(config or {})
        self.render_mode = checked_render_mode(options.pop("render_mode", None))
        self.game = build_game(**options)
        self.possible_agents = bidder_names(self.game)
        self.agents = self.possible_agents.copy()  # RLlib refuses an env that empties it
        self.observation_spaces, self.action_spaces = named_spaces(self.game)
        self._place: tuple[int, int] | None = None
        if isinstance(config, EnvContext):
            self._place = config.worker_index, config.vector_index
            config.vector_index += 1
        self._stream = RowStreams(1)
        self.played: PlayedRound | None = None
        self._state: GameState | None = None

    def reset(self, *, seed: SupportsIndex | None = None, options: dict[str, Any] | None = None) -> tuple[Named, Named]:
        """Begin an episode; with a seed, always the same one.

        Raises:
            TypeError, ValueError: A seed that is no whole number ≥ 0.
        """
        del options
        number = None if seed is None else checked_seed(seed)
        super().reset(seed=number)
        if number is not None:
            self._stream.seed([0], self._row_seeds(number))
        self._state = self.game.draw_rows(self._stream.begin([0]))
        self.played = None
        return named_observations(self.game, self._state)[0], {name: {} for name in self.agents}

    def _row_seeds(self, seed: int) -> RowSeeds:
        """Return where the row begins; RLlib adds the worker's index and the env's place to the experiment's seed."""
        if self._place is None:
            return seeded_rows([seed])
        worker, place = self._place
        return worker_rows(seed - worker - place, worker, [place])

    def step(self, action_dict: Named) -> tuple[Named, Named, Named, Named, Named]:
        """Clear one round.

        Raises:
            ValueError: A bidder is missing, or a bid is bad.
            RuntimeError: Before `reset`, or after the episode's end.
        """
        if self._state is None or int(self._state.round[0]) >= self.game.rounds:
            raise CallOrderError("no episode is running: call reset() first")
        bids = named_bids(self.game, action_dict).unsqueeze(0)
        before = self._state
        self._state, played = self.game.step(before, bids)
        self.played = PlayedRound.of(before, played)
        names, over = self.agents, bool(played.over[0])
        return (
            named_observations(self.game, self._state)[0],
            dict(zip(names, played.rewards[0].tolist(), strict=True)),
            {**dict.fromkeys(names, over), "__all__": over},
            {**dict.fromkeys(names, False), "__all__": False},
            named_infos(self.game, played)[0],
        )

    def render(self) -> Any:
        """Return the round just played as text or as a picture (height, width, 3); before the first, the bidders."""
        return frame(self.render_mode, self.game, self._state, self.played)


class NeuronAuctionVectorMultiAgentEnv(VectorMultiAgentEnv):  # type: ignore[misc]
    """`NeuronAuctionMultiAgentEnv` in a native batch: one mechanism call a vector step, next-step autoreset.

    Args:
        num_envs: Number of episodes that step together.
        config: As in `NeuronAuctionMultiAgentEnv`.
        with_infos: Report each round's numbers in the infos, which costs time.
    """

    def __init__(self, num_envs: int, config: dict[str, Any] | None = None, *, with_infos: bool = True) -> None:
        template = NeuronAuctionMultiAgentEnv(config)
        self.game = template.game
        self.num_envs = num_envs
        self.envs = [template] * num_envs  # RLlib reads the spaces from here, and steps nothing
        self.with_infos = with_infos
        self.metadata = {**template.metadata, "autoreset_mode": "next_step"}
        self.render_mode = template.render_mode
        self.played: PlayedRound | None = None
        self.single_observation_spaces = template.observation_spaces
        self.single_action_spaces = template.action_spaces
        self.single_observation_space = DictSpace({**template.observation_spaces})
        self.single_action_space = DictSpace({**template.action_spaces})
        self._names = template.possible_agents
        self.episodes = EpisodeBatch(self.game, num_envs)

    def reset(
        self,
        *,
        seed: SupportsIndex | Sequence[SupportsIndex | None] | np.ndarray | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[list[Named], list[Named]]:
        """Begin an episode in every row; row k gets seed + k."""
        del options
        self.episodes.reset(spread_seeds(seed, self.num_envs))
        self.played = None
        return named_observations(self.game, self.episodes.state), [self._no_infos() for _ in range(self.num_envs)]

    def step(self, actions: Sequence[Named]) -> tuple[list[Named], list[Named], list[Named], list[Named], list[Named]]:
        """Clear one round in every running row; rows that are over begin anew and ignore what is bid there."""
        before = self.episodes.state
        happened = self.episodes.step(self._bids(actions, ~self.episodes.resting))
        self.played = played_rows(before, happened) if self.render_mode is not None else None
        infos = iter(named_infos(self.game, happened.round) if self.with_infos and happened.round is not None else ())
        rewards, over, played = happened.rewards.tolist(), happened.over.tolist(), happened.played.tolist()
        names = self._names
        return (
            named_observations(self.game, self.episodes.state),
            [dict(zip(names, row, strict=True)) for row in rewards],
            [{**dict.fromkeys(names, row), "__all__": row} for row in over],
            [{**dict.fromkeys(names, False), "__all__": False} for _ in over],
            [next(infos, self._no_infos()) if row else self._no_infos() for row in played],
        )

    def render(self) -> tuple[Any, ...] | None:
        """Return each row's round as text or as a picture; where a row has just begun, its bidders."""
        return frames(self.render_mode, self.game, self.episodes.state, self.played, self.num_envs)

    def _bids(self, actions: Sequence[Named], playing: torch.Tensor) -> torch.Tensor:
        resting = np.zeros(self.game.num_features, dtype=np.float32)
        rows = [[row.get(name, resting) for name in self._names] for row in actions]
        bids = torch.from_numpy(np.asarray(rows, dtype=np.float32))
        own = [bids_in_box(bids[:, bidder], self.game, bidder, playing) for bidder in range(self.game.num_bidders)]
        return torch.stack(own, dim=1)

    def _no_infos(self) -> Named:
        return {name: {} for name in self._names}


def register_envs() -> str:
    """Register `NeuronAuctionMultiAgentEnv` with Ray, as often as you like; return the name it goes by."""
    register_env(ENV_NAME, NeuronAuctionMultiAgentEnv)
    return ENV_NAME
