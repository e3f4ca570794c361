"""What RLlib's workers play: auctions of their own, by policies that are mapped once an agent and episode."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.env.env_context import EnvContext
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode

from auctionsim.envs import NeuronAuctionEnvRunner, NeuronAuctionMultiAgentEnv, register_envs
from auctionsim.mechanisms import PayAsBid
from auctionsim.substrates import QuadraticSubstrate

pytestmark = pytest.mark.filterwarnings("default")  # ray's own
ROUNDS = 4
Runner = type[MultiAgentEnvRunner]
OWN = lambda agent, *_, **__: agent  # noqa: E731


def sampler(
    runner: Runner,
    worker: int,
    *,
    rows: int = 8,
    seed: Any = 0,
    mapping: Callable[..., str] = OWN,
    policies: tuple[str, ...] = ("bidder_0", "bidder_1"),
    evaluation: bool = False,
    **env: Any,
) -> MultiAgentEnvRunner:
    config = (
        PPOConfig()
        .environment(register_envs(), env_config={"setting": "first-price", "rounds": ROUNDS, **env})
        .env_runners(num_env_runners=3 if worker else 0, num_envs_per_env_runner=rows, env_runner_cls=runner)
        .debugging(seed=seed)
        .multi_agent(policies=set(policies), policy_mapping_fn=mapping)
    )
    config.in_evaluation = evaluation
    return runner(config, worker_index=worker, num_workers=3)


def first_values(episodes: list[MultiAgentEpisode]) -> list[float]:
    """Return both bidders' first valuations of each episode."""
    return [
        float(np.asarray(one.get_observations())[0, 0])
        for episode in episodes
        for _, one in sorted(episode.agent_episodes.items())
    ]


def test_512_rows_of_two_workers_play_512_episodes() -> None:
    first = []
    for worker in (1, 2):
        episodes = sampler(NeuronAuctionEnvRunner, worker, rows=256).sample(num_episodes=256, random_actions=True)
        first += first_values(episodes)
    assert len(set(first)) == 2 * 512


def test_workers_seeds_and_evaluation_share_nothing() -> None:
    seen: list[float] = []
    for seed in (0, 1, np.int64(2)):
        for worker in (0, 1, 2):
            for evaluation in (False, True):
                one = sampler(NeuronAuctionEnvRunner, worker, rows=3, seed=seed, evaluation=evaluation)
                seen += first_values(one.sample(num_episodes=6, random_actions=True))  # two batches
    assert len(seen) == len(set(seen)) == 3 * 3 * 2 * 6 * 2


def test_a_runner_that_goes_on_plays_new_auctions() -> None:
    """RLlib tells a restored or restarted runner how many steps were taken; an evaluator plays its own again."""
    for evaluation in (False, True):
        seen = []
        for steps in (0, 64, 64, 128):
            runner = sampler(NeuronAuctionEnvRunner, 1, rows=2, evaluation=evaluation)
            runner.set_state({"num_env_steps_sampled_lifetime": steps})
            seen.append(first_values(runner.sample(num_episodes=2, random_actions=True)))
        assert seen[1] == seen[2]
        assert len({value for values in seen for value in values}) == (4 if evaluation else 12)


def test_rllibs_own_runner_plays_what_ours_plays() -> None:
    """The single environment knows its worker and its place: it begins the rows that the native batch begins."""
    together: list[float] = []
    for seed in (0, 1):
        for worker in (0, 1, 2):
            own, ours = (sampler(r, worker, rows=3, seed=seed) for r in (MultiAgentEnvRunner, NeuronAuctionEnvRunner))
            theirs = own.sample(num_episodes=3, random_actions=True)
            mine = ours.sample(num_episodes=3, random_actions=True)
            assert first_values(mine) == first_values(theirs)
            together += first_values(mine)
    assert len(set(together)) == len(together) == 2 * 3 * 3 * 2


def test_an_env_context_has_a_place_and_a_dict_has_none() -> None:
    context = EnvContext({"setting": "first-price"}, worker_index=2, vector_index=5)
    several = [NeuronAuctionMultiAgentEnv(context) for _ in range(3)]
    assert context.vector_index == 8
    first = [env.reset(seed=1)[0]["bidder_0"][0] for env in several]
    assert len(set(first)) == 3
    again = NeuronAuctionMultiAgentEnv(EnvContext({"setting": "first-price"}, worker_index=2, vector_index=6))
    assert again.reset(seed=1)[0]["bidder_0"][0] == first[1]


def test_a_mapping_is_asked_once_an_agent_and_episode() -> None:
    asked: Counter[tuple[str, str]] = Counter()

    def mapping(agent: str, episode: MultiAgentEpisode, **_: Any) -> str:
        asked[agent, episode.id_] += 1
        return "old" if (hash(episode.id_) + int(agent[-1])) % 2 else "new"

    runner = sampler(NeuronAuctionEnvRunner, 0, rows=16, mapping=mapping, policies=("new", "old"))
    episodes = runner.sample(num_episodes=48, explore=True)
    assert set(asked.values()) == {1}
    assert set(asked) == {(agent, one.id_) for one in episodes for agent in one.agent_episodes}
    assert len(asked) == 96
    for one in episodes:
        for agent, played in one.agent_episodes.items():
            assert played.module_id == one.module_for(agent) == mapping(agent, one)
    assert {one.module_for("bidder_0") for one in episodes} == {"new", "old"}
    for _ in range(2):  # random actions map too, so that an episode says whose it is
        assert len(runner.sample(num_episodes=16, explore=False, random_actions=True)) == 16


@pytest.mark.parametrize("explore", [True, False])
def test_each_seat_is_played_by_its_own_module(explore: bool) -> None:
    """Module "high" bids about the highest, module "low" about nothing, whichever bidder and row it plays."""

    def mapping(agent: str, episode: MultiAgentEpisode, **_: Any) -> str:
        return "high" if (int(episode.id_, 16) + int(agent[-1])) % 3 == 0 else "low"

    runner = sampler(NeuronAuctionEnvRunner, 0, rows=12, mapping=mapping, policies=("high", "low"))
    for name, bias in (("high", 5.0), ("low", -5.0)):
        with torch.no_grad():
            head = runner.module[name].pi
            last = [layer for layer in head.modules() if isinstance(layer, torch.nn.Linear)][-1]
            last.weight.zero_()
            last.bias.copy_(torch.tensor([bias, -6.0]))
    episodes = runner.sample(num_episodes=12, explore=explore)
    kinds = Counter()
    for one in episodes:
        for agent, played in one.agent_episodes.items():
            means = np.asarray(played.get_extra_model_outputs("action_dist_inputs"))[:, 0]
            bias = 5.0 if played.module_id == "high" else -5.0
            np.testing.assert_allclose(means, bias)
            np.testing.assert_allclose(np.asarray(played.get_actions())[:, 0], bias, atol=0.1)
            kinds[agent, played.module_id] += 1
        won = {agent: np.asarray(played.get_observations())[1:, 1] for agent, played in one.agent_episodes.items()}
        modules = {agent: played.module_id for agent, played in one.agent_episodes.items()}
        if modules == {"bidder_0": "low", "bidder_1": "high"}:
            assert (won["bidder_1"] == 1).all()
    assert len(kinds) >= 3
    metrics = runner.get_metrics()
    steps = {name: value.peek() for name, value in metrics["num_module_steps_sampled"].items()}
    counts = Counter(one.module_for(agent) for one in episodes for agent in one.agent_episodes)
    assert steps == {name: count * ROUNDS for name, count in counts.items()}


def test_what_an_episode_keeps_is_its_own() -> None:
    """Each bidder's outputs are its module's on what it saw, and its rewards are those of both bidders' actions."""

    def mapping(agent: str, episode: MultiAgentEpisode, **_: Any) -> str:
        return "old" if (int(episode.id_, 16) + int(agent[-1])) % 3 == 0 else "new"

    runner = sampler(NeuronAuctionEnvRunner, 0, rows=12, mapping=mapping, policies=("new", "old"))
    for one in runner.sample(num_episodes=12, explore=True):
        values, bids, rewards = [], [], []
        for _, played in sorted(one.agent_episodes.items()):
            seen = torch.from_numpy(np.asarray(played.get_observations())[:-1])
            with torch.no_grad():
                inputs = runner.module[played.module_id].forward_exploration({"obs": seen})["action_dist_inputs"]
            kept = np.asarray(played.get_extra_model_outputs("action_dist_inputs"))
            np.testing.assert_allclose(kept, inputs.numpy(), atol=1e-5)
            assert kept.std(0).max() > 0
            values.append(seen[:, 0].numpy())
            bids.append(np.clip((np.asarray(played.get_actions())[:, 0] + 1) / 2, 0, 1))  # RLlib stretches [−1, 1]
            rewards.append(np.asarray(played.get_rewards()))
        wins = np.stack([bids[0] >= bids[1], bids[0] < bids[1]])
        np.testing.assert_allclose(np.stack(rewards), wins * (np.stack(values) - np.stack(bids)), atol=1e-5)


def test_a_mapping_to_nowhere_is_refused() -> None:
    runner = sampler(NeuronAuctionEnvRunner, 0, mapping=lambda agent, episode, **_: "nobody")
    with pytest.raises(ValueError, match=r"one of \['bidder_0', 'bidder_1'\], got 'nobody' for bidder_0"):
        runner.sample(num_episodes=1, explore=True)


def test_three_bidders_share_one_module() -> None:
    substrate = QuadraticSubstrate(3, 0.25)
    runner = sampler(
        NeuronAuctionEnvRunner,
        1,
        mapping=lambda *_, **__: "all",
        policies=("all",),
        setting=None,
        mechanism=PayAsBid(substrate),
        substrate=substrate,
        priors=None,
    )
    episodes = runner.sample(num_episodes=8, explore=True)
    assert len({*first_values(episodes)}) == 24
    for one in episodes:
        for played in one.agent_episodes.values():
            assert np.asarray(played.get_extra_model_outputs("action_logp")).shape == (ROUNDS,)
            assert len(played) == ROUNDS
