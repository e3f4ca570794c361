"""One rule in every face: what may be bid, what an info says, how a round is shown, what the whole state is."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest

from auctionsim.envs import (
    NeuronAuctionEnv,
    NeuronAuctionMultiAgentEnv,
    NeuronAuctionVectorEnv,
    build_game,
    parallel_env,
)
from auctionsim.envs.rllib_env import NeuronAuctionVectorMultiAgentEnv
from auctionsim.envs.wrappers import NormalisedBids
from auctionsim.mechanisms import SecondPrice
from auctionsim.priors import Uniform
from auctionsim.substrates import Items

Face = Callable[..., Any]


def _named(env: Any, bid: float, features: int = 1) -> dict[str, np.ndarray]:
    return {name: np.full(features, bid, np.float32) for name in env.possible_agents}


def play_single(bid: float, **options: Any) -> Any:
    env = NeuronAuctionEnv(**options)
    env.reset(seed=0)
    return env.step(np.full(env.action_space.shape, bid, np.float32))[4]


def play_vector(bid: float, **options: Any) -> Any:
    env = NeuronAuctionVectorEnv(2, **options)
    env.reset(seed=0)
    info = env.step(np.full(env.action_space.shape, bid, np.float32))[4]
    return {name: rows[0] for name, rows in info.items() if not name.startswith("_")}


def play_pettingzoo(bid: float, **options: Any) -> Any:
    env = parallel_env(**options)
    env.reset(seed=0)
    return env.step(_named(env, bid, env.game.num_features))[4]["bidder_0"]


def play_rllib(bid: float, **options: Any) -> Any:
    env = NeuronAuctionMultiAgentEnv(options)
    env.reset(seed=0)
    return env.step(_named(env, bid, env.game.num_features))[4]["bidder_0"]


def play_rllib_vector(bid: float, **options: Any) -> Any:
    env = NeuronAuctionVectorMultiAgentEnv(2, options)
    env.reset(seed=0)
    return env.step([_named(env.envs[0], bid, env.game.num_features)] * 2)[4][0]["bidder_0"]


FACES = [play_single, play_vector, play_pettingzoo, play_rllib, play_rllib_vector]


@pytest.mark.parametrize("face", FACES)
def test_a_bid_outside_the_box_is_refused(face: Face) -> None:
    wide: dict[str, Any] = {
        "mechanism": SecondPrice(),
        "substrate": Items(2, 2),
        "priors": [[Uniform(0, 1), Uniform(0, 1)], [Uniform(0, 4), Uniform(0, 1)]],
    }
    for bid, setting, highest in ((2.0, {"setting": "first-price"}, "1"), (1.5, wide, "1")):
        with pytest.raises(ValueError, match=rf"action box, >= 0 and <= {highest}: got {bid:g} from bidder 0"):
            face(bid, **setting)
    for bid in (-0.25, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="action box"):
            face(bid, setting="first-price")
    above = float(np.nextafter(np.float32(1), np.float32(2)))
    info = face(above, setting="first-price")  # a rounding above the end is the end
    assert info["asked"] == info["bid"] == 1.0
    with pytest.raises(ValueError, match="action box"):
        face(1.00001, setting="first-price")


def test_everybody_has_a_box_of_its_own() -> None:
    zoo = parallel_env(mechanism=SecondPrice(), substrate=Items(2), priors=[Uniform(0, 1), Uniform(0, 4)])
    zoo.reset(seed=0)
    zoo.step({"bidder_0": np.ones(1, np.float32), "bidder_1": np.full(1, 4, np.float32)})
    with pytest.raises(ValueError, match="<= 4: got 5 from bidder 1"):
        zoo.step({"bidder_0": np.ones(1, np.float32), "bidder_1": np.full(1, 5, np.float32)})


def test_rows_that_begin_anew_do_not_bid() -> None:
    env = NeuronAuctionVectorEnv(2, "first-price", rounds=1)
    env.reset(seed=0)
    env.step(np.ones((2, 1), np.float32))
    observation, rewards, *_ = env.step(np.full((2, 1), 9.0, np.float32))
    assert rewards.tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="action box"):
        env.step(np.full((2, 1), 9.0, np.float32))
    env.step(observation[:, :1])


def test_wrappers_stay_in_the_box_and_shares_above_one_do_not() -> None:
    env = NormalisedBids(NeuronAuctionEnv(mechanism=SecondPrice(), substrate=Items(2), priors=Uniform(0, 0.3)))
    env.reset(seed=0)
    for share in np.linspace(0, 1, 9, dtype=np.float32):
        env.step(np.array([share]))
    with pytest.raises(ValueError, match=r"got 0\.6 "):
        env.step(np.array([2.0], np.float32))


def test_the_game_itself_takes_any_bid() -> None:
    """Evaluators ask what a rule does with bids that an environment does not allow."""
    import torch

    game = build_game("first-price")
    state = game.draw(1, torch.Generator().manual_seed(0))
    _, played = game.step(state, torch.tensor([[[3.0], [0.5]]]))
    assert float(played.outcome.payments[0, 0]) == 3.0


@pytest.mark.parametrize("face", FACES)
def test_an_info_says_what_was_asked_and_what_is_left(face: Face) -> None:
    plain = face(0.875, setting="first-price")
    assert plain["asked"] == plain["bid"] == 0.875
    assert plain["throttled"] is False or plain["throttled"].dtype == bool
    assert not plain["throttled"]
    assert not {"budget_left", "roi_slack"} & set(plain)
    info = face(0.875, setting="first-price", budgets=[0.25, 9.0], roi_targets=[0.5, 1e-3])
    assert info["asked"] == 0.875
    assert info["bid"] == pytest.approx(0.25, abs=1e-5)
    assert info["throttled"]
    assert info["budget_left"] == pytest.approx(0.25 - info["payment"])
    assert info["roi_slack"] >= 0
    assert isinstance(info["payment"], float)


def test_single_and_vector_infos_are_alike() -> None:
    options: dict[str, Any] = {"setting": "second-price", "budgets": 0.75, "roi_targets": 1.25, "rounds": 4}
    vector = NeuronAuctionVectorEnv(3, **options)
    singles = gymnasium.vector.SyncVectorEnv(
        [lambda: NeuronAuctionEnv(**options)] * 3, autoreset_mode=gymnasium.vector.AutoresetMode.NEXT_STEP
    )
    for env in (vector, singles):
        env.reset(seed=5)
    for _ in range(9):
        one, other = (env.step(np.ones((3, 1), np.float32))[4] for env in (vector, singles))
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])
            assert one[key].dtype == other[key].dtype


MAKERS: list[Callable[..., Any]] = [
    lambda mode: NeuronAuctionEnv("crosstalk", render_mode=mode, rounds=2),
    lambda mode: NeuronAuctionVectorEnv(2, "crosstalk", render_mode=mode, rounds=2),
    lambda mode: parallel_env("crosstalk", render_mode=mode, rounds=2),
    lambda mode: NeuronAuctionMultiAgentEnv({"setting": "crosstalk", "render_mode": mode, "rounds": 2}),
    lambda mode: NeuronAuctionVectorMultiAgentEnv(2, {"setting": "crosstalk", "render_mode": mode, "rounds": 2}),
]


@pytest.mark.parametrize("make", MAKERS)
def test_every_face_renders_what_it_says_it_renders(make: Callable[..., Any]) -> None:
    modes = make(None).metadata["render_modes"]
    assert modes == ["ansi", "rgb_array"]
    with pytest.raises(ValueError, match=r"render_mode must be one of \['ansi', 'rgb_array'\] or None, got 'human'"):
        make("human")
    silent = make(None)
    silent.reset(seed=0)
    assert silent.render() is None
    for mode in modes:
        env = make(mode)
        env.reset(seed=0)
        frames = [env.render(), *(advance(env) for _ in range(2))]
        rows = [frame if isinstance(frame, tuple) else (frame,) for frame in frames]
        assert {len(row) for row in rows} == {getattr(env, "num_envs", 1)}
        for shown in zip(*rows, strict=True):
            if mode == "ansi":
                assert [text.splitlines()[0].split(",")[0] for text in shown] == [f"round {k} of 2" for k in range(3)]
            else:
                assert all(picture.shape == (134, 500, 3) for picture in shown)
                assert (shown[0] != shown[1]).any()
                assert (shown[1] != shown[2]).any()


def advance(env: Any) -> Any:
    """Play a round of half the highest bid, and show it."""
    if isinstance(env, NeuronAuctionVectorMultiAgentEnv):
        env.step([_named(env.envs[0], 0.5)] * 2)
    elif hasattr(env, "possible_agents"):
        env.step(_named(env, 0.5))
    else:
        env.step(np.full(env.action_space.shape, 0.5, np.float32))
    return env.render()


def test_a_vector_shows_each_row_as_the_single_environment_does() -> None:
    vector = gymnasium.make_vec("auctionsim/SecondPrice-v0", num_envs=3, rounds=2, render_mode="ansi")
    singles = [NeuronAuctionEnv("second-price", rounds=2, render_mode="ansi") for _ in range(3)]
    vector.reset(seed=2)
    for row, env in enumerate(singles):
        env.reset(seed=2 + row)
    bids = np.array([[0.25], [0.5], [1.0]], np.float32)
    vector.step(bids)
    for row, env in enumerate(singles):
        env.step(bids[row])
    assert vector.render() == tuple(env.render() for env in singles)
    vector.reset(seed=[None, 9, None], options={"reset_mask": np.array([False, True, False])})
    singles[1].reset(seed=9)
    assert vector.render() == tuple(env.render() for env in singles)
    vector.step(bids)  # rows 0 and 2 end
    vector.step(bids)  # and begin anew, while row 1 plays its second round
    shown = vector.render()
    assert [text.split("\n")[0] for text in shown] == ["round 0 of 2", "round 2 of 2, user loss 0.000", "round 0 of 2"]


def test_a_lowered_bid_is_shown_with_what_was_asked() -> None:
    env = NeuronAuctionEnv("first-price", budgets=[0.25, 9.0], render_mode="ansi")
    env.reset(seed=0)
    env.step(np.ones(1, np.float32))
    assert "bid 0.25 (asked 1)" in env.render()
    assert env.render().count("asked") == 1


def test_the_state_is_what_all_see() -> None:
    zoo = parallel_env("neuron-pay-as-bid", rounds=2)
    with pytest.raises(RuntimeError, match="reset"):
        zoo.state()
    seen, _ = zoo.reset(seed=1)
    for _ in range(2):
        state = zoo.state()
        np.testing.assert_array_equal(state, np.concatenate([seen["bidder_0"], seen["bidder_1"]]))
        assert zoo.state_space.contains(state)
        assert state.dtype == zoo.state_space.dtype == np.float32
        seen = zoo.step({name: own[:1] for name, own in seen.items()})[0]
    assert zoo.state_space.contains(zoo.state())  # after the end, too
    assert zoo.state_space.shape == (2 * zoo.observation_space("bidder_0").shape[0],)
