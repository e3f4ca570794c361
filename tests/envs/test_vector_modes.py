"""The vector environment is Gymnasium's own vector of single ones: every autoreset, time limits, masks and seeds."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import auctionsim  # noqa: F401  registers the ids
from auctionsim.envs import NeuronAuctionEnv, NeuronAuctionMultiAgentEnv, NeuronAuctionVectorEnv, parallel_env

NAMES = ["auctionsim/FirstPrice-v0", "auctionsim/NeuronPayAsBid-v0"]
ROWS, ROUNDS = 4, 3


def assert_same(mine: Any, theirs: Any) -> None:
    """Compare to the bit, through dicts and arrays of objects."""
    if isinstance(theirs, dict):
        assert mine.keys() == theirs.keys()
        for key in theirs:
            assert_same(mine[key], theirs[key])
    elif theirs.dtype == object:
        assert mine.dtype == object
        for a, b in zip(mine, theirs, strict=True):
            assert (a is None and b is None) or np.array_equal(a, b)
    else:
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


def both(name: str, mode: AutoresetMode, limit: int | None, **options: Any) -> tuple[Any, SyncVectorEnv]:
    """Return our vector, and Gymnasium's vector of our single environments."""
    more = {} if limit is None else {"max_episode_steps": limit}
    vector = gymnasium.make_vec(name, num_envs=ROWS, autoreset_mode=mode, **more, **options)
    singles = SyncVectorEnv([lambda: gymnasium.make(name, **more, **options)] * ROWS, autoreset_mode=mode)
    assert isinstance(vector, NeuronAuctionVectorEnv)
    return vector, singles


@pytest.mark.parametrize("limit", [None, 1, 2, ROUNDS, ROUNDS + 1])
@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("name", NAMES)
def test_every_mode_and_limit_is_gymnasiums_own(name: str, mode: AutoresetMode, limit: int | None) -> None:
    vector, singles = both(name, mode, limit, rounds=ROUNDS)
    assert vector.metadata["autoreset_mode"] is vector.autoreset_mode is mode
    bids = np.random.default_rng(1)
    one, other = vector.reset(seed=2**40), singles.reset(seed=2**40)
    assert_same(one[0], other[0])
    for _ in range(4 * ROUNDS):
        action = bids.random((ROWS, 1), dtype=np.float32)
        one, other = vector.step(action), singles.step(action)
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs)
        ended = other[2] | other[3]
        mask = ended & (bids.random(ROWS) < 0.5) if mode is not AutoresetMode.DISABLED else ended
        if mask.any():  # rows fall out of step, except where they must not rest
            seed = int(bids.integers(9))
            one = vector.reset(seed=seed, options={"reset_mask": mask})
            other = singles.reset(seed=seed, options={"reset_mask": mask.copy()})
            assert_same(one[0], other[0])
            assert_same(one[1], other[1])


def test_rows_out_of_step_agree_too() -> None:
    vector, singles = both(NAMES[0], AutoresetMode.SAME_STEP, 3, rounds=4)
    vector.reset(seed=1), singles.reset(seed=1)
    bids = np.random.default_rng(2)
    for turn in range(12):
        action = bids.random((ROWS, 1), dtype=np.float32)
        assert_same(vector.step(action)[4], singles.step(action)[4])
        mask = np.arange(ROWS) == turn % 7
        if mask.any():
            a, b = (env.reset(options={"reset_mask": mask.copy()})[0] for env in (vector, singles))
            assert_same(a, b)


@pytest.mark.parametrize("mode", [*AutoresetMode, *(m.value for m in AutoresetMode), "SAME_STEP"])
def test_modes_by_member_value_and_name(mode: AutoresetMode | str) -> None:
    env = gymnasium.make_vec(NAMES[0], num_envs=2, autoreset_mode=mode)  # warnings are errors here
    assert env.metadata["autoreset_mode"] in AutoresetMode
    assert NeuronAuctionVectorEnv.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


def test_wrong_modes_limits_and_masks_end_in_one_sentence() -> None:
    for wrong in ("next", "", "same_step"):
        with pytest.raises(ValueError, match="autoreset_mode must be one of"):
            NeuronAuctionVectorEnv(2, "first-price", autoreset_mode=wrong)
    with pytest.raises(ValueError, match="max_episode_steps must be"):
        NeuronAuctionVectorEnv(2, "first-price", max_episode_steps=0)
    env = NeuronAuctionVectorEnv(3, "first-price", autoreset_mode="Disabled", rounds=1)
    some = np.array([True, False, False])
    with pytest.raises(RuntimeError, match="reset all rows first"):
        env.reset(options={"reset_mask": some})
    before = env.reset(seed=0)[0]
    for mask, error, words in [
        ([True, False, False], TypeError, "numpy array of truth values, got list"),
        (np.array([1, 0, 0]), TypeError, "array of int64"),
        (some[:2], ValueError, r"shape \(3,\)"),
        (~some & some, ValueError, "at least one row"),
    ]:
        with pytest.raises(error, match=words):
            env.reset(seed=5, options={"reset_mask": mask})
    env.step(np.zeros((3, 1), np.float32))
    with pytest.raises(RuntimeError, match=r"rows \[0, 1, 2\] are over"):
        env.step(np.zeros((3, 1), np.float32))
    env.reset(seed=5, options={"reset_mask": some, "else": 1})
    with pytest.raises(RuntimeError, match=r"rows \[1, 2\] are over"):
        env.step(np.zeros((3, 1), np.float32))
    np.testing.assert_array_equal(before, env.reset(seed=0, options={"reset_mask": some | ~some})[0])


@pytest.mark.parametrize("seed", [0, 2**32, 2**63 + 1, 2**64 - 1, 2**100])
def test_every_face_takes_numpy_and_huge_seeds(seed: int) -> None:
    given = [seed] if seed >= 2**64 else [seed, np.uint64(seed)]
    seen = []
    for one in given:
        seen.append(NeuronAuctionEnv("crosstalk").reset(seed=one)[0])
        seen.append(gymnasium.make("auctionsim/Crosstalk-v0").reset(seed=one)[0])
        seen.append(NeuronAuctionVectorEnv(2, "crosstalk").reset(seed=one)[0][0])
        seen.append(NeuronAuctionVectorEnv(2, "crosstalk").reset(seed=[None, one])[0][1])
        seen.append(parallel_env("crosstalk").reset(seed=one)[0]["bidder_0"])
        seen.append(NeuronAuctionMultiAgentEnv({"setting": "crosstalk"}).reset(seed=one)[0]["bidder_0"])
    assert all(np.array_equal(seen[0], other) for other in seen)
    assert not np.array_equal(seen[0], NeuronAuctionEnv("crosstalk").reset(seed=seed % 2**32 + 1)[0])


def test_seeds_that_are_none_are_refused_by_every_face() -> None:
    for env in (
        NeuronAuctionEnv("first-price"),
        NeuronAuctionVectorEnv(2, "first-price"),
        parallel_env("first-price"),
        NeuronAuctionMultiAgentEnv({"setting": "first-price"}),
    ):
        with pytest.raises(ValueError, match="whole number >= 0, got -1"):
            env.reset(seed=-1)
        with pytest.raises(TypeError, match="truth value"):
            env.reset(seed=True)


def test_without_a_seed_episodes_go_on_and_begin_anywhere() -> None:
    first = NeuronAuctionVectorEnv(64, "first-price").reset()[0]
    other = NeuronAuctionVectorEnv(64, "first-price").reset()[0]
    assert len(np.unique(np.concatenate([first, other])[:, 0])) == 128
    env, again = NeuronAuctionEnv("first-price"), NeuronAuctionEnv("first-price")
    one = [env.reset(seed=4)[0], env.reset()[0], env.reset()[0]]
    two = [again.reset(seed=4)[0], again.reset()[0], again.reset()[0]]
    np.testing.assert_array_equal(one, two)
    assert len(np.unique(np.array(one)[:, 0])) == 3
    np.testing.assert_array_equal(env.reset(seed=4)[0], one[0])
