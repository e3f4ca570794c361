"""One box for all bidders: one policy plays every seat of every neuron setting."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from auctionsim.envs import SETTINGS, NeuronAuctionEnvRunner, build_game, parallel_env, register_envs
from auctionsim.envs.game import AuctionGame
from auctionsim.mechanisms import VCG, FirstPrice, PayAsBid
from auctionsim.priors import Exponential, Uniform
from auctionsim.substrates import Items, QuadraticSubstrate

NEURONS = sorted(name for name in SETTINGS if name.startswith("neuron-"))


@pytest.mark.parametrize("setting", sorted(SETTINGS))
@pytest.mark.parametrize("more", [{}, {"budgets": [0.5, 2.0], "roi_targets": [1.0, 3.0]}])
def test_the_box_of_all_holds_every_bidders_own(setting: str, more: dict[str, Any]) -> None:
    own, shared = parallel_env(setting, **more), parallel_env(setting, shared_box=True, **more)
    names = own.possible_agents
    assert len({str(shared.observation_space(name)) for name in names}) == 1
    assert len({str(shared.action_space(name)) for name in names}) == 1
    for bound, union in (("low", np.minimum), ("high", np.maximum)):
        boxes = [getattr(own.observation_space(name), bound) for name in names]
        np.testing.assert_array_equal(getattr(shared.observation_space(names[0]), bound), union(*boxes))
    one, other = own.reset(seed=3)[0], shared.reset(seed=3)[0]
    for _ in range(16):
        for name in names:
            np.testing.assert_array_equal(one[name], other[name])  # nothing is rescaled
            assert shared.observation_space(name).contains(other[name])
        bids = {name: one[name][:1] / 2 for name in names}
        (one, *mine), (other, *theirs) = own.step(bids), shared.step(bids)
        assert mine[0] == theirs[0]


def test_some_neuron_setting_needs_it() -> None:
    assert any(len({str(box) for box in parallel_env(setting).observation_spaces.values()}) > 1 for setting in NEURONS)


def test_priors_that_differ_share_the_higher_box() -> None:
    priors = [[Uniform(0, 1), Uniform(0, 5)], [Uniform(0, 2), Uniform(0, 3)]]
    game = AuctionGame(FirstPrice(), Items(2, 2), priors, shared_box=True)
    assert game.bid_high.tolist() == [[2.0, 5.0], [2.0, 5.0]]
    assert AuctionGame(FirstPrice(), Items(2, 2), priors).bid_high.tolist() == [[1.0, 5.0], [2.0, 3.0]]
    env = parallel_env(mechanism=FirstPrice(), substrate=Items(2, 2), priors=priors, shared_box=True)
    env.reset(seed=0)
    for name in env.possible_agents:
        np.testing.assert_array_equal(env.action_space(name).high, [2, 5])
    outcome = env.step({"bidder_0": np.array([2, 0], np.float32), "bidder_1": np.array([1.5, 5], np.float32)})
    assert outcome[4]["bidder_0"]["payment"] == 2.0
    assert outcome[4]["bidder_1"]["payment"] == 5.0
    long = AuctionGame(VCG(Items(2)), Items(2), [Uniform(0, 1), Exponential(2.0)], shared_box=True)
    state = long.draw(500, torch.Generator().manual_seed(0))
    assert bool((long.observe(state) <= long.observation_high).all())


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    from auctionsim.agents.ray_session import global_state_kept, ray_running

    with ray_running(None, cpus=1), global_state_kept():
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
@pytest.mark.filterwarnings("default")  # ray's own
@pytest.mark.parametrize("setting", [*NEURONS, "three bidders"])
def test_one_policy_plays_and_learns_every_neuron_setting(setting: str) -> None:
    """RLlib's own PPO, a shared policy, one iteration in this process; and it really moves its weights."""
    from ray.rllib.algorithms.ppo import PPOConfig

    env: dict[str, Any] = {"setting": setting, "rounds": 4, "shared_box": True}
    if setting == "three bidders":
        rule = PayAsBid(QuadraticSubstrate(3, 0.25), 0.5)
        env = {"mechanism": rule, "priors": [Uniform(0, 1), Uniform(0, 2), Uniform(1, 3)], **env, "setting": None}
    for runner in (None, NeuronAuctionEnvRunner) if setting == NEURONS[0] else (NeuronAuctionEnvRunner,):
        config = (
            PPOConfig()
            .environment(register_envs(), env_config=env)
            .env_runners(num_env_runners=0, num_envs_per_env_runner=4, env_runner_cls=runner)
            .multi_agent(policies={"all"}, policy_mapping_fn=lambda *_, **__: "all")
            .training(train_batch_size_per_learner=32, minibatch_size=32, num_epochs=1, gamma=0.0)
            .debugging(seed=0, log_level="ERROR")
        )
        algorithm = config.build_algo()
        try:
            before = [weight.detach().clone() for weight in algorithm.get_module("all").parameters()]
            result = algorithm.train()
            after = list(algorithm.get_module("all").parameters())
        finally:
            algorithm.stop()
        assert any(bool((a != b).any()) for a, b in zip(after, before, strict=True))
        steps = result["env_runners"]["num_module_steps_sampled"]["all"]
        assert steps == build_game(**env).num_bidders * result["env_runners"]["num_env_steps_sampled"]
