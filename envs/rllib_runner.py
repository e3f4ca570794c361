"""The fast RLlib runner: whole episodes in a native batch, one mechanism call a round."""

import math
import uuid
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import torch
from ray.rllib.core.columns import Columns
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.utils.metrics import (
    NUM_AGENT_STEPS_SAMPLED,
    NUM_AGENT_STEPS_SAMPLED_LIFETIME,
    NUM_ENV_STEPS_SAMPLED,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    NUM_EPISODES,
    NUM_EPISODES_LIFETIME,
    NUM_MODULE_STEPS_SAMPLED,
    NUM_MODULE_STEPS_SAMPLED_LIFETIME,
    WEIGHTS_SEQ_NO,
)
from ray.rllib.utils.spaces.space_utils import clip_action, unsquash_action
from torch import Tensor

from auctionsim.envs.learner import bids_in_box
from auctionsim.envs.rllib_env import NeuronAuctionVectorMultiAgentEnv
from auctionsim.envs.row_seeds import RowSeeds, worker_rows
from auctionsim.errors import InputError
from auctionsim.seeds import checked_seed

ModuleColumns = dict[str, np.ndarray]


class Seats(NamedTuple):
    """The seats that one module plays: bidders of rows.

    Attributes:
        rows: (seat,) the row.
        bidders: (seat,) the bidder.
    """

    rows: np.ndarray
    bidders: np.ndarray


class PolicyOutput(NamedTuple):
    """The policies' output in one round.

    Attributes:
        bids: (row, bidder, feature), what goes to the auction.
        columns: For each module what its seats' episodes keep: actions as sampled, and the model's other outputs.
    """

    bids: Tensor
    columns: dict[str, ModuleColumns]


class NeuronAuctionEnvRunner(MultiAgentEnvRunner):  # type: ignore[misc]
    """RLlib's multi-agent runner over one natively batched env: `config.env_runners(env_runner_cls=…)`.

    It plays whole episodes, all rows in step, and writes each bidder's arrays into its episode at once. The default
    connectors' work is done here (actions are sampled, then stretched or clipped to the bids allowed); others, and
    policies with a memory, are refused. Episodes, spaces and metrics are those of RLlib's own runner, and so is the
    policy mapping: `policy_mapping_fn(agent, episode)` is asked once an agent and episode, when the episode begins.

    Workers at one seed play auctions of their own, evaluation workers too. A runner that goes on after a stop, restored
    from a checkpoint or started anew after a failure, plays new ones, by the number of steps taken so far; one that
    evaluates plays its own again.
    """

    def __init__(self, config: Any, **kwargs: Any) -> None:
        if config._env_to_module_connector is not None or config._module_to_env_connector is not None:
            raise InputError("this runner does the default connectors' work itself: custom ones need RLlib's own")
        super().__init__(config=config, **kwargs)
        if self.module is not None and any(module.is_stateful() for module in self.module.values()):
            raise InputError("this runner plays policies without a memory: a stateful one needs RLlib's own runner")

    def make_env(self) -> None:
        """Build the batch from `env_config`; the env's registered name is not looked up."""
        self.env = NeuronAuctionVectorMultiAgentEnv(
            self.config.num_envs_per_env_runner, dict(self.config.env_config), with_infos=False
        )
        self.num_envs = self.env.num_envs
        self._needs_initial_reset = True

    def _sample(
        self,
        *,
        num_timesteps: int | None = None,
        num_episodes: int | None = None,
        explore: bool,
        random_actions: bool = False,
        force_reset: bool = False,
    ) -> list[MultiAgentEpisode]:
        """Play whole episodes until there are enough: at least the number asked for, in full batches."""
        del force_reset  # every call begins new episodes
        rounds = self.env.game.rounds
        wanted = num_episodes if num_timesteps is None else math.ceil(num_timesteps / rounds)
        episodes: list[MultiAgentEpisode] = []
        while len(episodes) < (wanted or 0):
            episodes += self._play(explore, random_actions)
        self._log(episodes, rounds)
        self._done_episodes_for_metrics.extend(episodes)
        return episodes

    def _play(self, explore: bool, random_actions: bool) -> list[MultiAgentEpisode]:
        """Play one episode in every row."""
        batch, game = self.env.episodes, self.env.game
        if self._needs_initial_reset and self.config.seed is not None:
            batch.seed(self._row_seeds(checked_seed(self.config.seed)))
        self._needs_initial_reset = False
        batch.reset([None] * self.num_envs)
        episodes = [self._new_episode() for _ in range(self.num_envs)]
        seats = self._seats(episodes)
        seen = [game.observe(batch.state).to(torch.float32)]
        rewards, outputs = [], []
        for _ in range(game.rounds):
            output = self._random_bids(seats) if random_actions else self._policy_bids(seen[-1], seats, explore)
            happened = batch.step(output.bids)
            rewards.append(happened.rewards.numpy())
            outputs.append(output.columns)
            seen.append(game.observe(batch.state).to(torch.float32))
        observations = np.stack([one.numpy() for one in seen], axis=1)  # (row, round + 1, bidder, observation)
        earned = np.stack(rewards, axis=1)
        for module, seat in seats.items():
            columns = {
                name: np.stack([round_output[module][name] for round_output in outputs], axis=1)
                for name in outputs[0][module]
            }
            for place, (row, bidder) in enumerate(zip(seat.rows.tolist(), seat.bidders.tolist(), strict=True)):
                own = {name: np.ascontiguousarray(column[place]) for name, column in columns.items()}
                self._fill(episodes[row], bidder, observations[row, :, bidder], earned[row, :, bidder], own)
        return episodes

    def _row_seeds(self, seed: int) -> RowSeeds:
        """Return where the rows begin: other auctions for every worker, and after every stop."""
        evaluation = bool(self.config.in_evaluation)
        steps = 0 if evaluation else int(self.num_env_steps_sampled_lifetime or 0)
        return worker_rows(seed, self.worker_index, range(self.num_envs), evaluation=evaluation, steps=steps)

    def _seats(self, episodes: list[MultiAgentEpisode]) -> dict[str, Seats]:
        """Ask the policy mapping once an agent and episode.

        Raises:
            ValueError: It names a module that there is not.
        """
        seats: dict[str, list[tuple[int, int]]] = {}
        for bidder, name in enumerate(self.env.envs[0].possible_agents):
            for row, episode in enumerate(episodes):
                module = episode.module_for(name)
                if self.module is not None and module not in self.module:
                    known = sorted(self.module.keys())
                    raise InputError(f"policy_mapping_fn must name one of {known}, got {module!r} for {name}")
                seats.setdefault(module, []).append((row, bidder))
        return {module: Seats(*np.array(pairs).T) for module, pairs in seats.items()}

    @torch.no_grad()
    def _policy_bids(self, seen: Tensor, seats: dict[str, Seats], explore: bool) -> PolicyOutput:
        columns = {}
        for module_id, (rows, bidders) in seats.items():
            module = self.module[module_id]
            batch = {Columns.OBS: seen[rows, bidders]}
            out = module.forward_exploration(batch) if explore else module.forward_inference(batch)
            if explore:
                distribution = module.get_exploration_action_dist_cls().from_logits(out[Columns.ACTION_DIST_INPUTS])
            else:
                kind = module.get_inference_action_dist_cls()
                distribution = kind.from_logits(out[Columns.ACTION_DIST_INPUTS]).to_deterministic()
            action = distribution.sample()
            kept = {Columns.ACTIONS: action, **out}
            if explore:
                kept[Columns.ACTION_LOGP] = distribution.logp(action)
            columns[module_id] = {key: value.cpu().numpy() for key, value in kept.items()}
            columns[module_id][WEIGHTS_SEQ_NO] = np.full(len(rows), self._weights_seq_no)
        actions = self._by_row({module: own[Columns.ACTIONS] for module, own in columns.items()}, seats)
        names = self.env.envs[0].possible_agents
        allowed = [self._allowed(actions[:, bidder], name) for bidder, name in enumerate(names)]
        return PolicyOutput(torch.from_numpy(np.stack(allowed, axis=1).astype(np.float32)), columns)

    def _random_bids(self, seats: dict[str, Seats]) -> PolicyOutput:
        names = self.env.envs[0].possible_agents
        spaces = self.env.single_action_spaces
        columns = {
            module: {Columns.ACTIONS: np.stack([spaces[names[bidder]].sample() for bidder in bidders])}
            for module, (_, bidders) in seats.items()
        }
        actions = self._by_row({module: own[Columns.ACTIONS] for module, own in columns.items()}, seats)
        return PolicyOutput(torch.from_numpy(actions), columns)

    def _by_row(self, actions: ModuleColumns, seats: dict[str, Seats]) -> np.ndarray:
        """Return the modules' actions as (row, bidder, feature)."""
        game = self.env.game
        together = np.zeros((self.num_envs, game.num_bidders, game.num_features), dtype=np.float32)
        for module, (rows, bidders) in seats.items():
            together[rows, bidders] = actions[module]
        return together

    def _allowed(self, action: np.ndarray, name: str) -> np.ndarray:
        space = self.env.single_action_spaces[name]
        if self.config.normalize_actions:
            return np.asarray(unsquash_action(action, space))
        if self.config.clip_actions:
            return np.asarray(clip_action(action, space))
        bidder = self.env.envs[0].possible_agents.index(name)
        return bids_in_box(torch.from_numpy(action), self.env.game, bidder).numpy()

    def _new_episode(self) -> MultiAgentEpisode:
        return MultiAgentEpisode(
            id_=uuid.uuid4().hex,
            observation_space=self.env.single_observation_spaces,
            action_space=self.env.single_action_spaces,
            agent_to_module_mapping_fn=self.config.policy_mapping_fn,
        )

    def _fill(
        self,
        episode: MultiAgentEpisode,
        bidder: int,
        observations: np.ndarray,
        rewards: np.ndarray,
        columns: ModuleColumns,
    ) -> None:
        """Write one bidder's arrays, (round + 1, …) and (round, …), into its episode."""
        name, rounds = self.env.envs[0].possible_agents[bidder], len(rewards)
        episode.agent_episodes[name] = SingleAgentEpisode(
            agent_id=name,
            module_id=episode.module_for(name),
            multi_agent_episode_id=episode.id_,
            observation_space=self.env.single_observation_spaces[name],
            action_space=self.env.single_action_spaces[name],
            observations=np.ascontiguousarray(observations),
            infos=[{} for _ in range(rounds + 1)],
            actions=columns.pop(Columns.ACTIONS),
            rewards=np.ascontiguousarray(rewards),
            terminated=True,
            extra_model_outputs=columns,
            len_lookback_buffer=0,
        )
        episode.env_t_to_agent_t[name].extend(range(rounds + 1))
        episode.env_t = rounds
        episode.is_terminated = True

    def _log(self, episodes: list[MultiAgentEpisode], rounds: int) -> None:
        """Log what RLlib's runner logs, in one go."""
        steps = len(episodes) * rounds
        self.metrics.log_value(NUM_ENV_STEPS_SAMPLED, steps, reduce="sum")
        self.metrics.log_value(NUM_ENV_STEPS_SAMPLED_LIFETIME, steps, reduce="lifetime_sum", with_throughput=True)
        self.metrics.log_value(NUM_EPISODES, len(episodes), reduce="sum")
        self.metrics.log_value(NUM_EPISODES_LIFETIME, len(episodes), reduce="lifetime_sum")
        self._log_env_steps(metric=self._metrics_num_env_steps_sampled, num_steps=steps)
        for name in self.env.envs[0].possible_agents:
            self.metrics.log_value((NUM_AGENT_STEPS_SAMPLED, name), steps, reduce="sum")
            self.metrics.log_value((NUM_AGENT_STEPS_SAMPLED_LIFETIME, name), steps, reduce="lifetime_sum")
        seats = Counter(played.module_id for episode in episodes for played in episode.agent_episodes.values())
        for module, count in seats.items():
            self.metrics.log_value((NUM_MODULE_STEPS_SAMPLED, module), count * rounds, reduce="sum")
            self.metrics.log_value((NUM_MODULE_STEPS_SAMPLED_LIFETIME, module), count * rounds, reduce="lifetime_sum")
