"""How RLlib samples the auction fast: whole episodes in a native batch, one mechanism call a round."""

import math
import uuid
from collections.abc import Sequence
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


class PolicyOutput(NamedTuple):
    """What the policies said in one round.

    Attributes:
        bids: (row, bidder, feature), what goes to the auction.
        columns: For each bidder what its episode keeps: actions as sampled, and the model's other outputs.
    """

    bids: Tensor
    columns: list[dict[str, np.ndarray]]


class NeuronAuctionEnvRunner(MultiAgentEnvRunner):  # type: ignore[misc]
    """RLlib's multi-agent runner over one natively batched env: `config.env_runners(env_runner_cls=…)`.

    It plays whole episodes, all rows in step, and writes each bidder's arrays into its episode at once. The default
    connectors' work is done here (actions are sampled, then stretched or clipped to the bids allowed); others, and
    policies with a memory, are refused. Episodes, spaces and metrics are those of RLlib's own runner.
    """

    def __init__(self, config: Any, **kwargs: Any) -> None:
        if config._env_to_module_connector is not None or config._module_to_env_connector is not None:
            raise ValueError("this runner does the default connectors' work itself: custom ones need RLlib's own")
        super().__init__(config=config, **kwargs)
        if self.module is not None and any(module.is_stateful() for module in self.module.values()):
            raise ValueError("this runner plays policies without a memory: a stateful one needs RLlib's own runner")

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
        self._log(len(episodes), rounds)
        self._done_episodes_for_metrics.extend(episodes)
        return episodes

    def _play(self, explore: bool, random_actions: bool) -> list[MultiAgentEpisode]:
        """Play one episode in every row."""
        batch, game = self.env.episodes, self.env.game
        first = self._needs_initial_reset
        batch.reset([(self._seed or 0) + k if first and self._seed is not None else None for k in range(self.num_envs)])
        self._needs_initial_reset = False
        seen = [game.observe(batch.state).to(torch.float32)]
        rewards, said = [], []
        for _ in range(game.rounds):
            output = self._random_bids() if random_actions else self._policy_bids(seen[-1], explore)
            happened = batch.step(output.bids)
            rewards.append(happened.rewards.numpy())
            said.append(output.columns)
            seen.append(game.observe(batch.state).to(torch.float32))
        observations = np.stack([one.numpy() for one in seen], axis=1)  # (row, round + 1, bidder, observation)
        columns = [
            {name: np.stack([columns[bidder][name] for columns in said], axis=1) for name in said[0][bidder]}
            for bidder in range(game.num_bidders)
        ]
        return self._episodes(observations, np.stack(rewards, axis=1), columns)

    @torch.no_grad()
    def _policy_bids(self, seen: Tensor, explore: bool) -> PolicyOutput:
        bids, columns = [], []
        for bidder, name in enumerate(self.env.envs[0].possible_agents):
            module = self.module[self._module_of(name)]
            batch = {Columns.OBS: seen[:, bidder]}
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
            columns.append({key: value.cpu().numpy() for key, value in kept.items()})
            columns[-1][WEIGHTS_SEQ_NO] = np.full(self.num_envs, self._weights_seq_no)
            bids.append(self._allowed(columns[-1][Columns.ACTIONS], name))
        return PolicyOutput(torch.from_numpy(np.stack(bids, axis=1).astype(np.float32)), columns)

    def _random_bids(self) -> PolicyOutput:
        names = self.env.envs[0].possible_agents
        bids = [
            np.stack([self.env.single_action_spaces[name].sample() for _ in range(self.num_envs)]) for name in names
        ]
        return PolicyOutput(torch.from_numpy(np.stack(bids, axis=1)), [{Columns.ACTIONS: own} for own in bids])

    def _allowed(self, action: np.ndarray, name: str) -> np.ndarray:
        space = self.env.single_action_spaces[name]
        if self.config.normalize_actions:
            return np.asarray(unsquash_action(action, space))
        if self.config.clip_actions:
            return np.asarray(clip_action(action, space))
        bidder = self.env.envs[0].possible_agents.index(name)
        return bids_in_box(torch.from_numpy(action), self.env.game, bidder).numpy()

    def _episodes(
        self, observations: np.ndarray, rewards: np.ndarray, columns: Sequence[dict[str, np.ndarray]]
    ) -> list[MultiAgentEpisode]:
        """Write each row's arrays into an episode of its own."""
        names, rounds = self.env.envs[0].possible_agents, rewards.shape[1]
        episodes = []
        for row in range(self.num_envs):
            episode = MultiAgentEpisode(
                id_=uuid.uuid4().hex,
                observation_space=self.env.single_observation_spaces,
                action_space=self.env.single_action_spaces,
                agent_to_module_mapping_fn=self.config.policy_mapping_fn,
            )
            for bidder, name in enumerate(names):
                own = {key: np.ascontiguousarray(column[row]) for key, column in columns[bidder].items()}
                episode.agent_episodes[name] = SingleAgentEpisode(
                    agent_id=name,
                    module_id=episode.module_for(name),
                    multi_agent_episode_id=episode.id_,
                    observation_space=self.env.single_observation_spaces[name],
                    action_space=self.env.single_action_spaces[name],
                    observations=np.ascontiguousarray(observations[row, :, bidder]),
                    infos=[{} for _ in range(rounds + 1)],
                    actions=own.pop(Columns.ACTIONS),
                    rewards=np.ascontiguousarray(rewards[row, :, bidder]),
                    terminated=True,
                    extra_model_outputs=own,
                    len_lookback_buffer=0,
                )
                episode.env_t_to_agent_t[name].extend(range(rounds + 1))
            episode.env_t = rounds
            episode.is_terminated = True
            episodes.append(episode)
        return episodes

    def _module_of(self, name: str) -> str:
        module: str = self.config.policy_mapping_fn(name, None)
        return module

    def _log(self, episodes: int, rounds: int) -> None:
        """Log what RLlib's runner logs, in one go."""
        steps = episodes * rounds
        self.metrics.log_value(NUM_ENV_STEPS_SAMPLED, steps, reduce="sum")
        self.metrics.log_value(NUM_ENV_STEPS_SAMPLED_LIFETIME, steps, reduce="lifetime_sum", with_throughput=True)
        self.metrics.log_value(NUM_EPISODES, episodes, reduce="sum")
        self.metrics.log_value(NUM_EPISODES_LIFETIME, episodes, reduce="lifetime_sum")
        self._log_env_steps(metric=self._metrics_num_env_steps_sampled, num_steps=steps)
        for name in self.env.envs[0].possible_agents:
            module = self._module_of(name)
            self.metrics.log_value((NUM_AGENT_STEPS_SAMPLED, name), steps, reduce="sum")
            self.metrics.log_value((NUM_AGENT_STEPS_SAMPLED_LIFETIME, name), steps, reduce="lifetime_sum")
            self.metrics.log_value((NUM_MODULE_STEPS_SAMPLED, module), steps, reduce="sum")
            self.metrics.log_value((NUM_MODULE_STEPS_SAMPLED_LIFETIME, module), steps, reduce="lifetime_sum")
