"""One episode of a game through every face: the observations, rewards and infos of bidder 0, round by round."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv

from auctionsim.envs import (
    NeuronAuctionEnv,
    NeuronAuctionMultiAgentEnv,
    NeuronAuctionVecEnv,
    NeuronAuctionVectorEnv,
    parallel_env,
)
from auctionsim.envs.rllib_env import NeuronAuctionVectorMultiAgentEnv

BID = 0.375


class Seen(NamedTuple):
    """Bidder 0's episodes: observations before each round, rewards and infos after it, episode after episode."""

    observations: np.ndarray
    rewards: list[float]
    infos: list[dict[str, Any]]


def by_single(seed: int, episodes: int, **options: Any) -> Seen:
    """Play by the Gymnasium environment."""
    env = NeuronAuctionEnv(opponents=constant, **options)
    seen, rewards, infos = [], [], []
    for episode in range(episodes):
        observation, _ = env.reset(seed=seed if episode == 0 else None)
        over = False
        while not over:
            seen.append(observation)
            observation, reward, over, _, info = env.step(np.full(env.action_space.shape or (), BID, np.float32))
            rewards.append(reward)
            infos.append(info)
    return Seen(np.stack(seen), rewards, infos)


def by_vector(seed: int, episodes: int, **options: Any) -> Seen:
    """Play by row 1 of a vector."""
    env = NeuronAuctionVectorEnv(3, opponents=constant, autoreset_mode=AutoresetMode.DISABLED, **options)
    seen, rewards, infos = [], [], []
    for episode in range(episodes):
        observation, _ = env.reset(seed=seed - 1 if episode == 0 else None)
        for _ in range(env.game.rounds):
            seen.append(observation[1])
            observation, reward, _, _, info = env.step(np.full(env.action_space.shape or (), BID, np.float32))
            rewards.append(float(reward[1]))
            infos.append({name: rows[1] for name, rows in info.items() if not name.startswith("_")})
    return Seen(np.stack(seen), rewards, infos)


def by_pettingzoo(seed: int, episodes: int, **options: Any) -> Seen:
    """Play by the PettingZoo environment."""
    return _named(parallel_env(**options), seed, episodes)


def by_rllib(seed: int, episodes: int, **options: Any) -> Seen:
    """Play by RLlib's multi-agent environment."""
    return _named(NeuronAuctionMultiAgentEnv(options), seed, episodes)


def by_rllib_vector(seed: int, episodes: int, **options: Any) -> Seen:
    """Play by row 1 of RLlib's vector."""
    env = NeuronAuctionVectorMultiAgentEnv(2, options)
    bids = {name: np.full(env.game.num_features, BID, np.float32) for name in env.envs[0].possible_agents}
    seen, rewards, infos = [], [], []
    for episode in range(episodes):
        observations, _ = env.reset(seed=seed - 1 if episode == 0 else None)
        for _ in range(env.game.rounds):
            seen.append(observations[1]["bidder_0"])
            observations, reward, _, _, info = env.step([bids] * 2)
            rewards.append(reward[1]["bidder_0"])
            infos.append(info[1]["bidder_0"])
    return Seen(np.stack(seen), rewards, infos)


def by_sb3(seed: int, episodes: int, **options: Any) -> Seen:
    """Play by the only row of Stable-Baselines3's vector."""
    env: VecEnv = NeuronAuctionVecEnv(num_envs=1, symmetric=False, opponents=constant, **options)
    env.seed(seed)
    observation = env.reset()
    high = env.get_attr("game")[0].bid_high[0].numpy()
    seen, rewards, infos = [], [], []
    for _ in range(episodes * env.get_attr("game")[0].rounds):
        seen.append(observation[0])
        observation, reward, _, info = env.step((BID / high)[None])
        rewards.append(float(reward[0]))
        infos.append(info[0])
    return Seen(np.stack(seen), rewards, infos)


def constant(valuations: Any) -> Any:
    """Bid the same whatever the valuation."""
    return valuations * 0 + BID


def _named(env: Any, seed: int, episodes: int) -> Seen:
    bids = {name: np.full(env.game.num_features, BID, np.float32) for name in env.possible_agents}
    seen, rewards, infos = [], [], []
    for episode in range(episodes):
        observations, _ = env.reset(seed=seed if episode == 0 else None)
        for _ in range(env.game.rounds):
            seen.append(observations["bidder_0"])
            observations, reward, _, _, info = env.step(bids)
            rewards.append(reward["bidder_0"])
            infos.append(info["bidder_0"])
    return Seen(np.stack(seen), rewards, infos)


FIVE_FACES: list[Callable[..., Seen]] = [by_single, by_vector, by_pettingzoo, by_rllib, by_rllib_vector, by_sb3]
