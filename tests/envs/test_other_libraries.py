"""What other libraries make of the environments: Stable-Baselines3 and torchrl get the very auctions of the vector."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from auctionsim.envs import NeuronAuctionEnv, NeuronAuctionVectorEnv
from auctionsim.envs.wrappers import NormalisedBids
from auctionsim.mechanisms import FirstPrice
from auctionsim.priors import Uniform
from auctionsim.substrates import Items

ROWS, ROUNDS = 3, 4
TWO_ITEMS: dict[str, Any] = {
    "mechanism": FirstPrice(),
    "substrate": Items(2, 2),
    "priors": [[Uniform(0, 1), Uniform(0, 5)], [Uniform(0, 2), Uniform(0, 3)]],
    "rounds": ROUNDS,
}


@pytest.mark.parametrize(("symmetric", "low"), [(False, 0.0), (True, -1.0)])
def test_shares_of_the_highest_bid(symmetric: bool, low: float) -> None:
    env = NormalisedBids(NeuronAuctionEnv(**TWO_ITEMS), symmetric=symmetric)
    assert env.action_space == gymnasium.spaces.Box(low, 1.0, (2,), np.float32)
    env.reset(seed=0)
    for share in (0.0, 0.25, 1.0):
        action = np.array([share, 1 - share], np.float32) * (1 - low) + low
        np.testing.assert_allclose(env.action(action), [share, 5 * (1 - share)])
        np.testing.assert_allclose(env.step(action)[4]["bid"], [share, 5 * (1 - share)])
    with pytest.raises(ValueError, match=">= 0"):
        env.step(np.array([low - 0.1, 0.5], np.float32))


class TestStableBaselines3:
    """The `VecEnv` and the wrapper."""

    sb3 = pytest.importorskip("stable_baselines3", reason="its faces are tested where it is installed")

    @pytest.mark.parametrize("rows", [1, ROWS])
    def test_every_row_has_its_picture(self, rows: int) -> None:
        from auctionsim.envs import NeuronAuctionVecEnv

        env = NeuronAuctionVecEnv("crosstalk", rows, render_mode="rgb_array")
        env.seed(2)
        env.reset()
        env.step(np.zeros((rows, 1)))
        pictures, whole = env.get_images(), env.render()
        alone = NormalisedBids(NeuronAuctionEnv("crosstalk", render_mode="rgb_array"), symmetric=True)
        for row, picture in enumerate(pictures):
            alone.reset(seed=2 + row)
            alone.step(np.zeros(1, np.float32))
            np.testing.assert_array_equal(picture, alone.render())
        np.testing.assert_array_equal(whole[: pictures[0].shape[0], : pictures[0].shape[1]], pictures[0])
        assert NeuronAuctionVecEnv("crosstalk", rows).get_images() == [None] * rows

    @pytest.mark.parametrize("limit", [None, 3, ROUNDS])
    @pytest.mark.parametrize("symmetric", [False, True])
    @pytest.mark.parametrize("options", [TWO_ITEMS, {"setting": "crosstalk", "learner": 1, "rounds": ROUNDS}])
    def test_rows_are_its_own_vector_of_single_ones(
        self, options: dict[str, Any], symmetric: bool, limit: int | None
    ) -> None:
        from stable_baselines3.common.vec_env import DummyVecEnv

        from auctionsim.envs import NeuronAuctionVecEnv

        def single() -> Any:
            env: Any = NeuronAuctionEnv(**options)
            env = env if limit is None else gymnasium.wrappers.TimeLimit(env, limit)
            return NormalisedBids(env, symmetric=symmetric)

        more = {} if limit is None else {"max_episode_steps": limit}
        ours = NeuronAuctionVecEnv(num_envs=ROWS, symmetric=symmetric, **options, **more)
        theirs = DummyVecEnv([single] * ROWS)
        assert ours.action_space == theirs.action_space
        assert ours.observation_space == theirs.observation_space
        assert ours.seed(7) == theirs.seed(7) == [7, 8, 9]
        np.testing.assert_array_equal(ours.reset(), theirs.reset())
        ours.action_space.seed(0)
        for _ in range(3 * ROUNDS):
            actions = np.stack([ours.action_space.sample() for _ in range(ROWS)])
            mine, other = ours.step(actions), theirs.step(actions)
            for a, b in zip(mine[:3], other[:3], strict=True):
                np.testing.assert_array_equal(a, b)
                assert a.dtype == b.dtype
            for a, b in zip(mine[3], other[3], strict=True):
                assert a.keys() == b.keys()
                for key, number in b.items():
                    np.testing.assert_array_equal(a[key], number)
        assert [row["TimeLimit.truncated"] for row in mine[3]] == [limit == 3] * ROWS
        np.testing.assert_array_equal(ours.reset(), theirs.reset())  # seeds are used once

    def test_what_is_asked_of_rows(self) -> None:
        from auctionsim.envs import NeuronAuctionVecEnv

        env = NeuronAuctionVecEnv("first-price", 3, rounds=2)
        assert env.get_attr("num_envs") == [3, 3, 3]
        assert env.get_attr("render_mode", indices=[0, 2]) == [None, None]
        assert env.has_attr("seat")
        assert not env.has_attr("wheels")
        env.set_attr("mark", 5)
        assert env.get_attr("mark", indices=1) == [5]
        with pytest.raises(ValueError, match="all of them only"):
            env.set_attr("mark", 5, indices=[0, 1])
        assert env.env_method("close") == [None] * 3
        assert env.env_is_wrapped(NormalisedBids) == [False] * 3
        with pytest.raises(RuntimeError, match="step_async"):
            env.step_wait()
        env.close()

    def test_rows_that_end_apart_keep_their_own_numbers(self) -> None:
        from auctionsim.envs import NeuronAuctionVecEnv

        env = NeuronAuctionVecEnv("first-price", 2, rounds=2)
        env.seed(3)
        env.reset()
        env.step(np.full((2, 1), 0.5, np.float32))
        env.env.reset(options={"reset_mask": np.array([False, True])})
        _, rewards, over, infos = env.step(np.ones((2, 1), np.float32))
        assert over.tolist() == [True, False]
        assert [row["payment"] for row in infos] == [1.0, 1.0]  # the highest bid wins, and is paid, in either row
        assert [row["bid"].item() for row in infos] == [1.0, 1.0]
        assert "terminal_observation" in infos[0]
        assert "terminal_observation" not in infos[1]
        assert (rewards < 0).all()

    def test_its_wrappers_and_checker(self) -> None:
        from stable_baselines3.common.env_checker import check_env
        from stable_baselines3.common.env_util import make_vec_env
        from stable_baselines3.common.evaluation import evaluate_policy
        from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

        from auctionsim.envs import NeuronAuctionVecEnv

        for name in ("auctionsim/FirstPrice-v0", "auctionsim/NeuronAuction-v0"):
            check_env(NormalisedBids(gymnasium.make(name), symmetric=True))  # warnings are errors here
        plain = make_vec_env(
            "auctionsim/FirstPrice-v0",
            n_envs=2,
            wrapper_class=NormalisedBids,
            wrapper_kwargs={"symmetric": True},
            env_kwargs={"rounds": 2},
        )
        assert plain.action_space.low[0] == -1
        env = VecMonitor(VecNormalize(NeuronAuctionVecEnv("first-price", 4, rounds=2)))
        model = self.sb3.PPO("MlpPolicy", env, n_steps=4, batch_size=16, n_epochs=1, device="cpu").learn(16)
        means, lengths = evaluate_policy(model, env, n_eval_episodes=8, return_episode_rewards=True)
        assert len(means) == 8
        assert set(lengths) == {2}


class TestTorchRL:
    """`GymWrapper` around the vector environment."""

    gym_library = pytest.importorskip("torchrl.envs.libs.gym", reason="its face is tested where it is installed")

    @pytest.mark.filterwarnings("default")  # torchrl's own
    @pytest.mark.parametrize("limit", [None, 3])
    @pytest.mark.parametrize("mode", [AutoresetMode.DISABLED, AutoresetMode.SAME_STEP])
    def test_rollouts_are_the_plain_vectors(self, mode: AutoresetMode, limit: int | None) -> None:
        def vector() -> Any:
            return gymnasium.make_vec(
                "auctionsim/FirstPrice-v0", num_envs=ROWS, rounds=ROUNDS, autoreset_mode=mode, max_episode_steps=limit
            )

        env = self.gym_library.GymWrapper(vector())
        assert env.batch_size == (ROWS,)
        env.set_seed(3)
        torch.manual_seed(0)
        steps = 3 * ROUNDS
        out = env.rollout(steps, break_when_any_done=False)
        assert out["action"].shape == (ROWS, steps, 1)
        assert out["next", "reward"].shape == out["next", "done"].shape == (ROWS, steps, 1)
        plain = vector()
        plain.reset(seed=3)  # torchrl's set_seed resets, and its rollout once more
        seen, _ = plain.reset()
        for step in range(steps):
            np.testing.assert_array_equal(out["observation"][:, step], seen)
            seen, rewards, over, cut, infos = plain.step(out["action"][:, step].numpy())
            last = np.stack(infos["final_obs"]) if "final_obs" in infos else seen
            np.testing.assert_array_equal(out["next", "observation"][:, step], last)
            np.testing.assert_array_equal(out["next", "reward"][:, step, 0], rewards.astype(np.float32))
            np.testing.assert_array_equal(out["next", "terminated"][:, step, 0], over)
            np.testing.assert_array_equal(out["next", "truncated"][:, step, 0], cut)
            if (over | cut).all():  # rows end together, and torchrl resets once more even after an autoreset
                seen, _ = plain.reset()
        assert int(out["next", "done"].sum()) == ROWS * (steps // (limit or ROUNDS))

    def test_next_step_is_refused_by_its_own_sentence(self) -> None:
        with pytest.raises(RuntimeError, match="SAME_STEP or DISABLED"):
            self.gym_library.GymWrapper(NeuronAuctionVectorEnv(2, "first-price"))
