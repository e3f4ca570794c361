"""Every RL convention met, and all of them the same game: Gymnasium, its vectors, PettingZoo, RLlib."""

import inspect
import json
import pickle
import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from pettingzoo.test import parallel_api_test, parallel_seed_test

import auctionsim
from auctionsim.envs import NeuronAuctionEnv, NeuronAuctionVectorEnv, build_game, parallel_env
from auctionsim.envs.game import AuctionGame
from auctionsim.envs.game_settings import AuctionParts, GameSettings
from auctionsim.envs.learner import LearnerSeat
from auctionsim.gymnasium_ids import SETTING_OF_ID, register_ids
from auctionsim.mechanisms import VCG, MenuAuction, MenuNetwork, PayAsBid
from auctionsim.priors import Uniform
from auctionsim.strategies import bids_of
from auctionsim.substrates import Items, QuadraticSubstrate

IDS = [name for name, setting in SETTING_OF_ID.items() if not setting.endswith("-live")]  # those are in test_live.py
ROUNDS = 3


def actions(seed: int, steps: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).random((steps, *shape), dtype=np.float32)


@pytest.mark.parametrize("name", IDS)
def test_gymnasium_finds_nothing_to_say(name: str) -> None:
    env = gymnasium.make(name)
    check_env(env.unwrapped)  # warnings are errors here
    assert isinstance(env.unwrapped, NeuronAuctionEnv)


def test_ids_are_registered_once_and_usable_with_the_module_prefix() -> None:
    before = dict(gymnasium.registry)
    register_ids()
    assert dict(gymnasium.registry) == before
    for name in SETTING_OF_ID:
        assert name in gymnasium.registry
        json.loads(gymnasium.spec(name).to_json())
    assert gymnasium.make(f"auctionsim:{IDS[0]}").spec is not None
    assert auctionsim.__version__


def test_another_mechanism_under_the_same_id() -> None:
    env = gymnasium.make("auctionsim/NeuronAuction-v0", mechanism=VCG(QuadraticSubstrate(3, 0.25), 1.0), rounds=2)
    observation, _ = env.reset(seed=0)
    assert observation.shape == (3,)
    env.step(env.action_space.sample())
    assert env.step(env.action_space.sample())[2]


@pytest.mark.parametrize("name", IDS)
def test_a_row_of_the_vector_is_the_single_environment(name: str) -> None:
    vector = gymnasium.make_vec(name, num_envs=4, rounds=ROUNDS)
    assert isinstance(vector.unwrapped, NeuronAuctionVectorEnv)
    singles = SyncVectorEnv([lambda: gymnasium.make(name, rounds=ROUNDS)] * 4, autoreset_mode=AutoresetMode.NEXT_STEP)
    one, _ = vector.reset(seed=11)
    other, _ = singles.reset(seed=11)
    np.testing.assert_array_equal(one, other)
    for action in actions(0, 3 * (ROUNDS + 1), (4, 1)):  # three episodes, so two autoresets
        a, b = vector.step(action), singles.step(action)
        for mine, theirs in zip(a[:4], b[:4], strict=True):
            np.testing.assert_array_equal(mine, theirs)
            assert mine.dtype == theirs.dtype
        assert a[4].keys() == b[4].keys()
        for key in a[4]:
            np.testing.assert_array_equal(a[4][key], b[4][key])


@pytest.mark.parametrize("setting", ["crosstalk", "neuron-menu", "neuron-affine"])
def test_pettingzoo_and_rllib_play_the_same_game_as_gymnasium(setting: str) -> None:
    from auctionsim.envs import NeuronAuctionMultiAgentEnv

    bids = actions(1, ROUNDS, (1,))
    options: dict[str, Any] = {"setting": setting, "rounds": ROUNDS}
    single = NeuronAuctionEnv(**options)
    zoo, rllib = parallel_env(**options), NeuronAuctionMultiAgentEnv(options)
    first, _ = single.reset(seed=5)
    seen_zoo, seen_rllib = zoo.reset(seed=5)[0], rllib.reset(seed=5)[0]
    np.testing.assert_array_equal(first, seen_zoo["bidder_0"])
    for bid in bids:
        both = {"bidder_0": bid, "bidder_1": seen_zoo["bidder_1"][:1]}  # the opponent tells the truth
        one, many, ray = single.step(bid), zoo.step(both), rllib.step(both)
        np.testing.assert_array_equal(one[0], many[0]["bidder_0"])
        assert one[1] == many[1]["bidder_0"] == ray[1]["bidder_0"]
        assert one[2] == many[2]["bidder_0"] == ray[2]["bidder_0"] == ray[2]["__all__"]
        assert one[4]["payment"] == many[4]["bidder_0"]["payment"] == ray[4]["bidder_0"]["payment"]
        seen_zoo = many[0]
        np.testing.assert_array_equal(seen_zoo["bidder_1"], ray[0]["bidder_1"])
    assert zoo.agents == []
    assert rllib.agents == ["bidder_0", "bidder_1"]
    assert seen_rllib.keys() == {"bidder_0", "bidder_1"}


def test_menus_written_by_a_network_are_the_same_to_rounding() -> None:
    substrate = QuadraticSubstrate(3)
    mechanism = MenuAuction(substrate, MenuNetwork(substrate, entries=4, hidden=8, seed=1))
    vector = NeuronAuctionVectorEnv(5, mechanism=mechanism, rounds=ROUNDS)
    singles = [NeuronAuctionEnv(mechanism=mechanism, rounds=ROUNDS) for _ in range(5)]
    seen, _ = vector.reset(seed=2)
    for row, env in enumerate(singles):
        np.testing.assert_array_equal(seen[row], env.reset(seed=2 + row)[0])
    for bids in actions(4, ROUNDS, (5, 1)):
        seen, rewards, *_ = vector.step(bids)
        for row, env in enumerate(singles):
            one = env.step(bids[row])
            np.testing.assert_allclose(seen[row], one[0], atol=1e-5)
            assert rewards[row] == pytest.approx(one[1], abs=1e-5)


def test_the_batched_rllib_env_is_the_single_one() -> None:
    from ray.rllib.env.vector.sync_vector_multi_agent_env import SyncVectorMultiAgentEnv

    from auctionsim.envs.rllib_env import NeuronAuctionMultiAgentEnv, NeuronAuctionVectorMultiAgentEnv

    config = {"setting": "crosstalk", "rounds": ROUNDS}
    batched = NeuronAuctionVectorMultiAgentEnv(3, config)
    plain = SyncVectorMultiAgentEnv([lambda: NeuronAuctionMultiAgentEnv(config)] * 3)
    one, other = batched.reset(seed=4)[0], plain.reset(seed=4)[0]
    for bids in actions(2, 2 * ROUNDS + 2, (3, 2, 1)):
        for row in range(3):
            np.testing.assert_array_equal(one[row]["bidder_1"], other[row]["bidder_1"])
        named = [{"bidder_0": row[0], "bidder_1": row[1]} for row in bids]
        a, b = batched.step(named), plain.step(named)
        one, other = a[0], b[0]
        assert list(a[1]) == list(b[1])
        assert list(a[2]) == list(b[2])
        assert list(a[3]) == list(b[3])


@pytest.mark.parametrize("setting", ["second-price", "neuron-menu"])
def test_pettingzoo_finds_nothing_to_say(setting: str) -> None:
    parallel_api_test(parallel_env(setting), num_cycles=40)
    parallel_seed_test(lambda: parallel_env(setting), num_cycles=20)


def test_pettingzoo_knows_the_ids() -> None:
    from pettingzoo.env_registry.registration import make, parallel_registry

    from auctionsim.envs.pettingzoo_env import register_parallel_ids

    register_parallel_ids()  # a second time: no warning
    assert set(SETTING_OF_ID) <= set(parallel_registry)
    made, plain = make("parallel", "auctionsim/Crosstalk-v0", rounds=2), parallel_env("crosstalk", rounds=2)
    for env in (made, plain):
        env.reset(seed=3)
    bids = {name: np.full(1, 0.5, np.float32) for name in plain.possible_agents}
    assert made.step(bids)[1] == plain.step(bids)[1]


@pytest.mark.parametrize("setting", ["second-price", "neuron-menu"])
def test_rllib_finds_nothing_to_say(setting: str) -> None:
    from ray.rllib.utils.pre_checks.env import check_multiagent_environments

    from auctionsim.envs import NeuronAuctionMultiAgentEnv

    check_multiagent_environments(NeuronAuctionMultiAgentEnv({"setting": setting}))


def test_a_masked_reset_touches_only_its_rows() -> None:
    env = NeuronAuctionVectorEnv(3, "second-price", rounds=ROUNDS)
    env.reset(seed=0)
    action = np.full((3, 1), 0.5, dtype=np.float32)
    before = env.step(action)[0]
    after, _ = env.reset(seed=[None, 1, None], options={"reset_mask": np.array([False, True, False])})
    np.testing.assert_array_equal(before[[0, 2]], after[[0, 2]])
    np.testing.assert_array_equal(after[1], NeuronAuctionEnv("second-price", rounds=ROUNDS).reset(seed=1)[0])
    env.step(action)
    _, rewards, over, _, infos = env.step(action)
    assert over.tolist() == [True, False, True]
    observation, rewards, over, _, infos = env.step(action)  # rows 0 and 2 begin anew, row 1 ends
    assert over.tolist() == [False, True, False]
    assert rewards[[0, 2]].tolist() == [0.0, 0.0]
    assert infos["_payment"].tolist() == [False, True, False]
    assert observation.shape == (3, 3)


def test_opponents_are_strategies_passed_in() -> None:
    env = NeuronAuctionEnv("first-price", opponents=lambda v: v / 2, learner=1, rounds=1)
    observation, _ = env.reset(seed=3)
    rival = float(parallel_env("first-price", rounds=1).reset(seed=3)[0]["bidder_0"][0])
    bid = np.float32(rival / 2 + 0.01)
    _, reward, over, _, info = env.step(np.array([bid]))
    assert reward == pytest.approx(float(observation[0]) - float(bid), abs=1e-6)
    assert info["revenue"] == info["payment"] == pytest.approx(float(bid))
    assert over
    with pytest.raises(RuntimeError, match="reset"):
        env.step(np.array([bid]))
    with pytest.raises(ValueError, match="opponents must be"):
        NeuronAuctionEnv("first-price", opponents=[None, None])


def test_bad_calls_end_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="setting must be one of"):
        build_game("third-party")
    with pytest.raises(ValueError, match="needs its mechanism"):
        build_game(substrate=Items(2))
    for learner in (2, -1, True):
        with pytest.raises(ValueError, match="learner must be"):
            NeuronAuctionEnv("first-price", learner=learner)
    for face in (NeuronAuctionEnv, parallel_env):
        with pytest.raises(TypeError, match=r"no option max_cycles of \w+: it takes setting, .*, rounds, observe"):
            face("first-price", max_cycles=4)
    summed = parallel_env("first-price", utility=lambda value, payment: (value - payment).sum())
    summed.reset(seed=0)
    with pytest.raises(ValueError, match="utility must be elementwise"):
        summed.step({name: np.zeros(1, np.float32) for name in summed.agents})
    env = NeuronAuctionEnv("first-price")
    with pytest.raises(RuntimeError, match="reset"):
        env.step(np.zeros(1, np.float32))
    env.reset(seed=0)
    with pytest.raises(ValueError, match="shape"):
        env.step(np.zeros(2, np.float32))
    with pytest.raises(ValueError, match=">= 0"):
        env.step(np.full(1, -0.5, np.float32))
    zoo = parallel_env("first-price")
    zoo.reset(seed=0)
    with pytest.raises(ValueError, match="every bidder must bid"):
        zoo.step({"bidder_0": np.zeros(1, np.float32)})


def unchecked(record: Any, **changes: Any) -> Any:
    """The record with other values, past the check of types, not past its own."""
    other = object.__new__(type(record))
    for name, value in {**vars(record), **changes}.items():
        object.__setattr__(other, name, value)
    other.__post_init__()
    return other


def test_what_is_of_another_type_ends_in_one_sentence_too() -> None:
    """Tests check types at run time, users do not: these calls go past that check."""
    game = build_game("first-price")
    seat, plays = object.__new__(LearnerSeat), inspect.unwrap(LearnerSeat.__init__)
    wrong: list[Any] = [1.0, "0", None]
    for learner in wrong:
        with pytest.raises(ValueError, match="learner must be a bidder"):
            plays(seat, game, learner)
    plays(seat, game, np.int64(1))
    assert type(seat.learner) is int
    wrong = ["truth", 3, [0.5]]
    for opponents in wrong:
        with pytest.raises(TypeError, match="an opponent must be a strategy"):
            plays(seat, game, 0, opponents)
    wrong = [lambda v: v.numpy(), lambda v: v.tolist()]
    for strategy in wrong:
        with pytest.raises(TypeError, match="strategies must answer with a tensor, got"):
            inspect.unwrap(bids_of)(strategy, torch.ones(2, 1))
    makes, made = inspect.unwrap(AuctionGame.__init__), object.__new__(AuctionGame)
    with pytest.raises(TypeError, match="mechanism must be callable"):
        makes(made, 3, Items(2), Uniform(0, 1), settings=GameSettings())
    with pytest.raises(TypeError, match="utility must be callable"):
        unchecked(GameSettings(), utility=3)
    odd = unchecked(GameSettings(), observe="valuation")
    with pytest.raises(ValueError, match="once each, got 'valuation'"):
        makes(made, PayAsBid(Items(2)), Items(2), Uniform(0, 1), settings=odd)
    with pytest.raises(TypeError, match="a rule, not a name"):
        unchecked(AuctionParts(), mechanism="second-price")


def test_a_pickled_environment_goes_on_where_it_was() -> None:
    env = NeuronAuctionEnv(mechanism=PayAsBid(Items(2)), priors=[Uniform(0, 1), Uniform(0, 2)], rounds=ROUNDS)
    env.reset(seed=8)
    copy = pickle.loads(pickle.dumps(env))
    for bid in actions(3, ROUNDS, (1,)):
        np.testing.assert_array_equal(env.step(bid)[0], copy.step(bid)[0])
    np.testing.assert_array_equal(env.reset()[0], copy.reset()[0])


def test_two_processes_see_the_same_episode() -> None:
    code = (
        "import gymnasium, auctionsim; e = gymnasium.make_vec('auctionsim/Crosstalk-v0', num_envs=2);"
        "o = [e.reset(seed=1)[0].tolist()];"
        "o += [e.step(e.action_space.sample() * 0 + .5)[0].tolist() for _ in range(20)]; print(o)"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in "ab"]
    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout) > 500
