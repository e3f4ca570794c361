"""Return targets as a cost: nothing is capped, and reward and cost are what the docs say, to the last bit."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from auctionsim.envs import AuctionGame, build_game
from auctionsim.mechanisms import FirstPrice, SecondPrice
from auctionsim.priors import Uniform
from auctionsim.substrates import Items
from tests.envs.five_faces import BID, FIVE_FACES

TARGETS, WEIGHTS = [1.75, 1.25], [0.3, 0.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_reward_is_utility_less_weight_times_the_growth_of_the_shortfall(dtype: torch.dtype) -> None:
    """In the game's own numbers, with ==: cost = max(0, τΣt − Σve) after − before; reward = (ve − t) − w · cost."""
    game = AuctionGame(
        FirstPrice(), Items(2), Uniform(0, 1), rounds=12, roi_targets=TARGETS, roi_as_cost=WEIGHTS, dtype=dtype
    )
    targets, weights = torch.tensor(TARGETS, dtype=dtype), torch.tensor(WEIGHTS, dtype=dtype)
    generator = torch.Generator().manual_seed(1)
    state = game.draw(64, generator)
    spent, gained = torch.zeros(64, 2, dtype=dtype), torch.zeros(64, 2, dtype=dtype)
    total = torch.zeros(64, 2, dtype=torch.float64)
    signs = set()
    for _ in range(12):
        valuations = game.valuations(state)
        bids = valuations * torch.rand(64, 2, 1, generator=generator, dtype=dtype)
        state, happened = game.step(state, bids)
        assert torch.equal(happened.bids, bids)  # no cap
        value = (valuations * happened.exposure).sum(2)
        payments = happened.outcome.payments
        before = (targets * spent - gained).clamp_min(0)
        spent, gained = spent + payments, gained + value
        cost = (targets * spent - gained).clamp_min(0) - before
        assert happened.cost is not None and torch.equal(happened.cost, cost)  # noqa: PT018
        assert torch.equal(happened.rewards, (value - payments) - weights * cost)
        assert happened.roi_slack is not None and torch.equal(happened.roi_slack, gained - targets * spent)  # noqa: PT018
        total += cost.double()
        signs |= set(cost.sign().flatten().tolist())
    assert signs == {-1.0, 0.0, 1.0}
    torch.testing.assert_close(total, (targets * spent - gained).clamp_min(0).double(), atol=1e-5, rtol=0)
    assert float((gained < targets * spent).double().mean()) > 0.05  # and the cap would have forbidden it


def test_the_cap_and_the_cost_are_two_games() -> None:
    """Under the cap no target is missed; with weight 0 the rewards are those of a game without targets."""
    free, felt = (build_game("first-price", rounds=4, **one) for one in ({}, {"roi_targets": 1.5, "roi_as_cost": 0}))
    capped = build_game("first-price", rounds=4, roi_targets=1.5)
    state = free.draw(32, torch.Generator().manual_seed(0))
    other = felt.draw(32, torch.Generator().manual_seed(0))
    third = capped.draw(32, torch.Generator().manual_seed(0))
    for _ in range(4):
        bids = free.valuations(state)
        state, happened = free.step(state, bids)
        other, reported = felt.step(other, bids)
        third, held = capped.step(third, bids)
        assert torch.equal(happened.rewards, reported.rewards)
        assert happened.cost is None
        assert held.cost is None
        assert reported.cost is not None
        assert bool((held.roi_slack >= 0).all())  # type: ignore[operator]
    assert float(reported.cost.abs().sum()) > 0


def test_every_face_reports_the_cost_and_shows_the_shortfall() -> None:
    options: dict[str, Any] = {"setting": "first-price", "rounds": 5, "roi_targets": 3.0, "roi_as_cost": 0.5}
    first, *others = (face(6, 2, **options) for face in FIVE_FACES)
    costs = np.array([float(info["cost"]) for info in first.infos])
    paid = np.array([float(info["payment"]) for info in first.infos])
    assert costs.max() > 0
    assert set(paid) == {BID}  # it wins the tie, and is charged, though it misses the target
    slack = first.observations[:, 3]
    assert slack.min() < 0
    for other in others:
        np.testing.assert_array_equal(other.observations, first.observations)
        np.testing.assert_allclose(other.rewards, first.rewards, rtol=1e-6)
        np.testing.assert_array_equal([float(info["cost"]) for info in other.infos], costs)


def test_the_environment_is_one_by_gymnasiums_rules() -> None:
    check_env(gymnasium.make("auctionsim/SecondPrice-v0", roi_targets=2.0, roi_as_cost=[1.0, 0.0]).unwrapped)
    made = gymnasium.make("auctionsim/FirstPrice-v0", roi_targets=2.0, roi_as_cost=1.0)
    observation, _ = made.reset(seed=0)
    for _ in range(16):
        assert made.observation_space.contains(observation)
        observation, *_ = made.step(np.ones(1, np.float32))
    assert float(observation[3]) == -16 * 2.0 + float(made.unwrapped._state.gained[0, 0])  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"roi_as_cost": 1.0}, "pass roi_targets too"),
        ({"roi_as_cost": -1.0, "roi_targets": 1.0}, "roi_as_cost must be a number in"),
        ({"roi_as_cost": [1.0, 1.0, 1.0], "roi_targets": 1.0}, "one number or one a bidder"),
        ({"roi_as_cost": [1.0], "roi_targets": 1.0}, "one number or one a bidder"),
        ({"roi_as_cost": float("nan"), "roi_targets": 1.0}, "roi_as_cost must be a number in"),
    ],
)
def test_what_is_no_weight_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        AuctionGame(SecondPrice(), Items(2), Uniform(0, 1), **options)
