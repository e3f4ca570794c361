"""Other bids, regret in the info, and what a round looks like."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from auctionsim.envs import NeuronAuctionEnv
from auctionsim.envs.wrappers import DiscretisedBids, NormalisedBids, RegretInInfo
from auctionsim.mechanisms import FirstPrice, PayAsBid
from auctionsim.priors import Uniform
from auctionsim.substrates import Items


def wide(**options: Any) -> NeuronAuctionEnv:
    return NeuronAuctionEnv(mechanism=PayAsBid(Items(2)), priors=Uniform(0, 4), rounds=3, **options)


def test_normalised_and_discretised_bids_are_the_plain_ones() -> None:
    plain, shares, steps = wide(), NormalisedBids(wide()), DiscretisedBids(wide(), levels=9)
    for env in (plain, shares, steps):
        env.reset(seed=0)
    assert shares.action_space == gymnasium.spaces.Box(0, 1, (1,), np.float32)
    for share in (0.25, 1.0, 0.0):
        one = plain.step(np.array([4 * share], np.float32))
        two = shares.step(np.array([share], np.float32))
        three = steps.step(np.array([round(8 * share)]))
        assert one[1] == two[1] == three[1]
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[0], three[0])
    with pytest.raises(TypeError, match="NeuronAuctionEnv inside"):
        NormalisedBids(gymnasium.make("CartPole-v1"))


@pytest.mark.parametrize("outer", [NormalisedBids, lambda env: DiscretisedBids(env, levels=3)])
@pytest.mark.parametrize(
    "inner",
    [
        NormalisedBids,
        gymnasium.wrappers.ClipAction,  # which takes any number
        lambda env: gymnasium.wrappers.RescaleAction(env, -1, 1),
        lambda env: gymnasium.wrappers.ClipAction(gymnasium.wrappers.RescaleAction(env, -1, 1)),
    ],
)
def test_shares_are_of_the_box_inside(inner: Any, outer: Any) -> None:
    """Around a wrapper that has a box of its own the shares are of that box, not of the auction's once more."""
    env = outer(inner(wide()))
    env.reset(seed=0)
    half, whole = (1, 2) if isinstance(env, DiscretisedBids) else (0.5, 1.0)
    bids = [env.step(np.array([action]))[4]["bid"].item() for action in (0, half, whole)]
    assert bids == [0, 2, 4]
    with pytest.raises(TypeError, match="bids in a box inside, got MultiDiscrete"):
        outer(DiscretisedBids(wide()))


def test_wrapped_environments_are_made_again_from_their_spec() -> None:
    made = gymnasium.make("auctionsim/FirstPrice-v0", rounds=2)
    for env in (NormalisedBids(made, symmetric=True), DiscretisedBids(made, levels=7), RegretInInfo(made, budget=8)):
        again = gymnasium.make(env.spec)
        assert type(again) is type(env)
        assert again.action_space == env.action_space


def test_regret_in_info_is_first_prices() -> None:
    """Against a rival's bid r, the best bid is just above r: regret (v − r)₊ − utility, up to the search's grid."""
    env = RegretInInfo(NeuronAuctionEnv("first-price", rounds=8), budget=256)
    observation, _ = env.reset(seed=3)
    inner = env.unwrapped
    for bid in np.linspace(0, 1, 8, dtype=np.float32):
        valuation = float(observation[0])
        observation, reward, _, _, info = env.step(np.array([bid]))
        rival = float(inner.played.round.bids[0, 1, 0])
        best = max(valuation - rival, 0.0)
        assert info["regret"] <= best - reward + 1e-6
        assert info["regret"] == pytest.approx(max(best - reward, 0), abs=0.02)
    truthful = RegretInInfo(NeuronAuctionEnv("second-price"))
    observation, _ = truthful.reset(seed=0)
    assert truthful.step(observation[:1])[4]["regret"] == 0
    with pytest.raises(ValueError, match="without budgets"):
        RegretInInfo(wide(budgets=1.0))
    drawn = FirstPrice(ties="random", generator=torch.Generator())
    with pytest.raises(ValueError, match="FirstPrice says that it draws"):
        RegretInInfo(NeuronAuctionEnv(mechanism=drawn, substrate=Items(2)))


def test_rendering_shows_the_round() -> None:
    for mode in ("ansi", "rgb_array"):
        env = gymnasium.make("auctionsim/Crosstalk-v0", render_mode=mode, rounds=2).unwrapped
        assert isinstance(env, NeuronAuctionEnv)
        check_env(env)  # which renders in both modes, too
        env.reset(seed=0)
        before = env.render()
        env.step(np.array([0.5], np.float32))
        after = env.render()
        if mode == "ansi":
            assert before.startswith("round 0 of 2")
            assert "bid 0.5" in after
            assert after.count("bidder") == 2
        else:
            assert before.shape == after.shape == (134, 500, 3)
            assert (before != after).any()
            assert after.dtype == np.uint8
            blue = (after == (0, 114, 178)).all(2).any(0)
            assert blue.sum() == pytest.approx(300 * float(env.game.valuations(env.played.before).max()), abs=1)
            assert (after[:, :180] < 128).any()  # the labels
    assert NeuronAuctionEnv("crosstalk").render() is None
    with pytest.raises(ValueError, match="render_mode"):
        NeuronAuctionEnv("crosstalk", render_mode="human")
