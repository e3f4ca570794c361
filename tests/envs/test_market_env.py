"""The market as an environment: what the simulation does, seeded by row, seen and earned by one of its actors."""

import json
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import auctionsim  # noqa: F401  registers the ids
from auctionsim.envs.market_env import MarketEnv, MarketVectorEnv, market_seed
from auctionsim.envs.market_settings import SteadyMultiplier, packaged_actors, packaged_market
from auctionsim.envs.row_seeds import RowStreams, seeded_rows
from auctionsim.gymnasium_ids import MARKET_OPTIONS_OF_ID
from auctionsim.market import Actors, Campaigns, Market, Placement, QueryTypes, Simulation
from auctionsim.mechanisms import SecondPrice
from auctionsim.substrates import Items


def first_market(seed: int) -> Market:
    """Return the packaged market that an environment's first episode at this seed plays."""
    streams = RowStreams(1)
    streams.seed([0], seeded_rows([seed]))
    return replace(packaged_market(), seed=market_seed(streams.begin([0])))


def known(target: float = 0.0, leaves: float = np.inf) -> dict[str, Any]:
    """Return a market of one item, two campaigns and two ticks a day, 12 queries a tick, valuations 1 and ½."""
    place = Placement("p", ("a", "b"), Items(2), {"second": SecondPrice()})
    campaigns = Campaigns(
        ("x", "y"), ("c", "c"), ("a", "b"), np.array([9.0, np.inf]), np.array([target, 0.0]), ("uniform:0,1",) * 2,
        np.ones(2), np.zeros(2), np.array([leaves, np.inf]), ("steady",) * 2,
    )  # fmt: skip
    queries = QueryTypes(("q",), ("c",), ("p",), ("",), np.ones(1), np.ones(1), np.ones((1, 24)))
    market = Market(
        campaigns, queries, {"p": place}, ticks_per_day=2, known={"c": np.array([[[1.0, 0.5]]])}
    )  # fmt: skip
    return {"market": market, "actors": Actors({"steady": SteadyMultiplier()}), "days": 2}


@pytest.mark.parametrize("name", MARKET_OPTIONS_OF_ID)
def test_gymnasium_finds_nothing_to_say(name: str) -> None:
    env = gymnasium.make(name)
    check_env(env.unwrapped)  # warnings are errors here
    json.loads(gymnasium.spec(name).to_json())
    assert isinstance(env.unwrapped, MarketEnv)
    assert isinstance(gymnasium.make_vec(name, num_envs=2), MarketVectorEnv)


def test_a_campaign_earns_what_the_simulation_says() -> None:
    """A learner that bids .6 in every tick is a campaign whose controller does, budget and pipeline included."""
    env = MarketEnv("campaign", days=2)
    observation, _ = env.reset(seed=11)
    market = first_market(11)
    names = ["half", *market.campaigns.controller[1:]]
    market = replace(market, campaigns=replace(market.campaigns, controller=tuple(names)))
    actors = packaged_actors()
    others = {**actors.controllers, "half": SteadyMultiplier(0.6, "half")}
    days = Simulation(market, replace(actors, controllers=others)).days()
    over = False
    for day in range(2):
        record = next(days)
        for tick in range(24):
            assert not over
            assert observation[1] == np.float32(tick / 24)
            assert observation[2] == np.float32(day / 2)
            observation, reward, over, cut, info = env.step(np.array([0.6]))
            won = record.ticks[tick].won
            assert (info["spend"], info["value"]) == (won.spend[0], won.value[0])
            assert reward == won.value[0] - won.spend[0]
            assert info["budget_left"] == record.ticks[tick].budget_left[0]
            assert not cut
        assert sum(record.ticks[tick].won.spend[0] for tick in range(24)) <= market.campaigns.budget[0] + 1e-9
    assert over
    assert observation[:3].tolist() == pytest.approx(
        [record.ticks[-1].budget_left[0] / market.campaigns.budget[0], 1, 1]
    )


def test_a_market_that_is_known_by_hand() -> None:
    """12 queries a tick at ½ each cost 6, bring 12; the budget of 9 ends in the middle of the second tick."""
    env = MarketEnv("campaign", **known())
    seen, _ = env.reset(seed=0)
    assert dict(zip(env.seat.names, seen.tolist(), strict=True)) == {
        "budget_left": 1, "time": 0, "day": 0, "present": 1, "last_spend": 0, "last_value": 0, "last_price": 0,
    }  # fmt: skip
    seen, reward, _, _, info = env.step(np.ones(1))
    assert (reward, info["spend"], info["value"], info["price"]) == (6.0, 6.0, 12.0, 0.5)
    assert seen.tolist() == pytest.approx([3 / 9, 0.5, 0, 1, 6, 12, 0.5])
    seen, reward, over, _, info = env.step(np.ones(1))
    assert (reward, info["spend"], info["value"], info["budget_left"]) == (3.0, 3.0, 6.0, 0.0)
    assert not over
    assert seen[:3].tolist() == [1, 0, 0.5]  # the next day's budget
    assert env.step(np.array([0.4]))[1] == 0.0  # below the rival's bid
    assert env.step(np.ones(1))[2]
    with pytest.raises(RuntimeError, match="no episode is running"):
        env.step(np.ones(1))


def test_a_target_is_a_cost_and_an_exit_is_seen() -> None:
    """At target 3 a tick that spends 6 for 12 is 6 short, the half tick 3 more, and a tick of nothing no more."""
    env = MarketEnv("campaign", **known(target=3.0))
    env.reset(seed=0)
    assert [env.step(np.ones(1))[4]["cost"] for _ in range(2)] == [6.0, 3.0]
    assert env.step(np.zeros(1))[4]["cost"] == 0.0
    gone = MarketEnv("campaign", **known(leaves=0.5))
    seen, _ = gone.reset(seed=0)
    assert seen[3] == 1
    seen, *_ = gone.step(np.ones(1))
    assert seen[3] == 0
    assert gone.step(np.ones(1))[1] == 0.0


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_rows_are_single_environments_of_their_seeds(mode: AutoresetMode) -> None:
    """Row k with seed s + k plays two episodes of the environment of that seed, to the last bit."""
    options = {**known(), "days": 1, "sampled": True}
    options["market"] = replace(options["market"], known={}, signals=3, ticks_per_day=6)
    env = MarketVectorEnv(3, "campaign", autoreset_mode=mode, **options)
    seen, _ = env.reset(seed=20)
    singles = [MarketEnv("campaign", **options) for _ in range(3)]
    alone = np.stack([one.reset(seed=20 + k)[0] for k, one in enumerate(singles)])
    for turn in range(9):
        assert np.array_equal(seen, alone)
        actions = np.random.default_rng(turn).random((3, 1), dtype=np.float32)
        seen, rewards, over, _, _ = env.step(actions)
        stepped = [one.step(action) for one, action in zip(singles, actions, strict=True)]
        assert rewards.tolist() == [one[1] for one in stepped]
        alone = np.stack([one[0] for one in stepped])
        assert all(env.single_observation_space.contains(row) for row in alone)
        if over.any():
            assert over.all()
            alone = np.stack([one.reset()[0] for one in singles])
            if mode is AutoresetMode.NEXT_STEP:
                seen, rewards, over, _, _ = env.step(actions)
                assert not rewards.any()
            elif mode is AutoresetMode.DISABLED:
                seen, _ = env.reset(options={"reset_mask": np.ones(3, dtype=bool)})


def test_seeds_begin_markets_of_their_own_and_again() -> None:
    def course(seed: int | None, env: MarketEnv) -> list[float]:
        env.reset(seed=seed)
        return [env.step(np.array([0.7]))[1] for _ in range(3)]

    env = MarketEnv("campaign")
    first, following = course(5, env), course(None, env)
    assert course(5, env) == first
    assert course(None, env) == following
    assert len({tuple(one) for one in (first, following, course(6, env), course(None, MarketEnv("campaign")))}) == 4
    with pytest.raises(ValueError, match="a seed must be a whole number"):
        env.reset(seed=-1)


def test_the_platform_earns_what_its_rules_bring() -> None:
    """Revenue less weighted losses of each day under the day's rule, users leaving meanwhile."""
    env = MarketEnv("platform", days=3, loss_weights={"reply_kl": 0.001})
    seen, _ = env.reset(seed=2)
    names = env.seat.names
    assert seen[names.index("traffic")] == 1.0
    assert not seen[names.index("rule_0") :].any()
    simulation = Simulation(first_market(2), packaged_actors())
    state, over = simulation.begin(), False
    for arm in (2, 2, 0):
        assert not over
        now = simulation.dawn(state, simulation.market.rules[arm])
        for _ in range(24):
            now = simulation.tick(now)
        record = simulation.dusk(now)
        state = record.state
        seen, reward, over, _, info = env.step(arm)
        assert reward == record.news.revenue - 0.001 * record.news.losses["reply_kl"]
        assert info["revenue"] == record.news.revenue
        assert info["returning"] == record.news.returning
        assert seen[names.index(f"rule_{arm}")] == 1.0
        assert seen[names.index("loss_reply_kl")] == np.float32(record.news.losses["reply_kl"] / record.news.arrivals)
    assert over
    assert record.news.traffic < 1  # a rule without a user weight drives users away


def test_pacing_is_worth_learning_in_the_packaged_market() -> None:
    """On the same markets a steady half earns more than truth, whose budget is gone too early."""

    def earned(multiplier: float) -> np.ndarray:
        env = MarketVectorEnv(2, "campaign")
        env.reset(seed=100)
        return sum(env.step(np.full((2, 1), multiplier, np.float32))[1] for _ in range(24))  # type: ignore[return-value]

    assert (earned(0.5) > earned(1.0)).all()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: MarketEnv("user"), "learner must be one of campaign, platform, got 'user'"),
        (lambda: MarketEnv(campaign="nobody"), "campaign must be one of .*, got 'nobody'"),
        (lambda: MarketEnv(days=0), "days must be an integer >= 1, got 0"),
        (lambda: MarketEnv(multiplier_high=0.0), "multiplier_high must be finite and > 0"),
        (lambda: MarketEnv("platform", loss_weights={"boredom": 1.0}).reset(), "got one of 'boredom'"),
    ],
)
def test_what_is_no_setting_is_refused(call: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()


def test_what_is_no_action_is_refused() -> None:
    campaign, platform = MarketEnv("campaign"), MarketEnv("platform")
    for env in (campaign, platform):
        with pytest.raises(RuntimeError, match="call reset"):
            env.step(0)
        env.reset(seed=0)
    for action in (np.array([1.5]), np.array([-0.1]), np.array([np.nan]), np.ones(2), 1.0):
        with pytest.raises(ValueError, match="a multiplier must be one number >= 0 and <= 1"):
            campaign.step(action)
    for action in (6, -1, 1.5, np.ones(1)):
        with pytest.raises(ValueError, match=r"a rule must be one of 0 … 5"):
            platform.step(action)
