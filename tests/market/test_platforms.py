"""Platforms that choose rules: regret within the bounds, the better rule found, and an adversary that starves UCB1."""

import math
from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np
import pytest

from auctionsim.errors import InputError
from auctionsim.market import Actors, DayNews, Market, Platform, Simulation, State
from auctionsim.market.platforms import (
    Bandit,
    Exp3,
    FixedRule,
    PlatformReward,
    RewardScale,
    ScheduledRules,
    ThompsonSampling,
    UpperConfidenceBound,
    exploration_for,
    platform,
    platform_names,
)
from auctionsim.mechanisms import SecondPrice
from tests.market_fakes import FixedMultiplier, item_market

UNIT = RewardScale(0.0, 1.0)
ROUNDS = 700
BETTER, WORSE = 0.8, 0.4


def news(day: int, rule: str, revenue: float, **columns: object) -> DayNews:
    return DayNews(day, rule, revenue, 10.0, {"kl": 2.0}, 4.0, 1.0, 1.0)._replace(**columns)  # type: ignore[arg-type]


def played(one: Platform, rewards: Callable[[int, int], float], days: int, arms: int = 2) -> list[int]:
    """Return the arms that a platform plays, whose rewards on a day are given."""
    rules = [str(arm) for arm in range(arms)]
    generator, state, choices = np.random.default_rng(8), one.begin(rules, ["kl"]), []
    for day in range(days):
        rule = one.rule(state, rules, day, generator)
        choices.append(int(rule))
        state = one.learn(state, rules, news(day, rule, rewards(day, int(rule))))
    return choices


def stationary(seed: int) -> np.ndarray:
    """Return rewards (round, arm) in {0, 1}, drawn independently: the second arm is the better one."""
    return (np.random.default_rng(seed).random((ROUNDS, 2)) < (WORSE, BETTER)).astype(float)


def bandits(seed: int = 0) -> dict[str, Bandit]:
    return {
        "ucb": UpperConfidenceBound(UNIT, seed=seed),
        "thompson": ThompsonSampling(UNIT, seed=seed),
        "exp3": Exp3(UNIT, seed=seed, exploration=exploration_for(2, ROUNDS)),
    }


def test_mean_regret_lies_below_the_bounds_of_the_theorems() -> None:
    """Pseudo-regret over 4 seeds; to play at random would cost 140."""
    gap = BETTER - WORSE
    regret: dict[str, list[float]] = {"ucb": [], "exp3": []}
    for seed in range(4):
        rewards = stationary(seed)
        for name, costs in regret.items():
            choices = played(bandits(seed)[name], lambda day, arm, table=rewards: table[day, arm], ROUNDS)  # type: ignore[misc]
            costs.append(gap * choices.count(0))
    ucb = 8 * math.log(ROUNDS) / gap + (1 + math.pi**2 / 3) * gap
    exp3 = 2 * math.sqrt(math.e - 1) * math.sqrt(ROUNDS * 2 * math.log(2))
    assert ucb < gap * ROUNDS / 2
    assert exp3 < gap * ROUNDS / 2
    assert 0 < np.mean(regret["ucb"]) <= ucb
    assert 0 < np.mean(regret["exp3"]) <= exp3


@pytest.mark.parametrize("name", ["ucb", "thompson", "exp3"])
def test_the_better_rule_is_found_in_every_seed(name: str) -> None:
    for seed in range(5):
        rewards = stationary(100 + seed)
        choices = played(bandits(seed)[name], lambda day, arm, table=rewards: table[day, arm], 600)  # type: ignore[misc]
        assert np.mean(choices[-200:]) > 0.7, (name, seed)


def test_an_adversary_starves_ucb_and_not_exp3() -> None:
    """UCB1 draws nothing, so its choices are known beforehand: whatever it plays brings 0, the other rule 1."""
    starved = played(bandits()["ucb"], lambda day, arm: 0.0, ROUNDS)
    rewards = np.ones((ROUNDS, 2))
    rewards[np.arange(ROUNDS), starved] = 0.0
    best = rewards.sum(0).max()
    assert best >= ROUNDS / 2
    again = played(bandits()["ucb"], lambda day, arm: rewards[day, arm], ROUNDS)
    assert rewards[np.arange(ROUNDS), again].sum() == 0
    earned = []
    for seed in range(4):
        choices = played(bandits(seed)["exp3"], lambda day, arm: rewards[day, arm], ROUNDS)
        earned.append(rewards[np.arange(ROUNDS), choices].sum())
    assert best - np.mean(earned) <= 2 * math.sqrt(math.e - 1) * math.sqrt(best * 2 * math.log(2))


def test_exp3_estimates_rewards_without_bias() -> None:
    """The mean over the draw of what a weight's logarithm moves by is γ x / K, whatever the rule's probability."""
    one = Exp3(UNIT, exploration=0.2)
    state = {**one.begin(["a", "b", "c"], []), "log_weights": np.log([0.7, 0.2, 0.1])}
    chances, moves = one.probabilities(state), []
    assert chances == pytest.approx(0.8 * np.array([0.7, 0.2, 0.1]) + 0.2 / 3)
    for rule, reward in enumerate((0.3, 0.9, 0.5)):
        after = one.after_round(state, rule, reward)["log_weights"]
        others = [k for k in range(3) if k != rule]
        moves.append(after[rule] - after[others[0]] - (state["log_weights"][rule] - state["log_weights"][others[0]]))
    assert chances * moves == pytest.approx(0.2 * np.array([0.3, 0.9, 0.5]) / 3)


def test_ucb_plays_its_upper_bound() -> None:
    one = UpperConfidenceBound(UNIT)
    state = {**one.begin(["a", "b"], []), "rounds": np.array([90.0, 10.0]), "total": np.array([54.0, 4.0])}
    bounds = [54 / 90 + math.sqrt(2 * math.log(100) / 90), 4 / 10 + math.sqrt(2 * math.log(100) / 10)]
    assert one.choice(state, np.random.default_rng(0)) == int(np.argmax(bounds)) == 1


def test_a_rule_is_held_and_judged_by_the_mean_of_its_days() -> None:
    one = UpperConfidenceBound(RewardScale(0.0, 10.0), hold=3)
    rules, state, generator = ["a", "b"], one.begin(["a", "b"], []), np.random.default_rng(0)
    chosen = []
    for day in range(6):
        chosen.append(one.rule(state, rules, day, generator))
        state = one.learn(state, rules, news(day, chosen[-1], float(day)))
    assert chosen == ["a"] * 3 + ["b"] * 3
    assert state["rounds"].tolist() == [1.0, 1.0]
    assert state["total"] == pytest.approx([0.1, 0.4])
    assert state["switches"].tolist() == [3]
    assert one.numbers(state) == {"switches": 1.0, "cut": 0.0}


def test_a_switch_costs_and_what_is_cut_off_is_counted() -> None:
    one = UpperConfidenceBound(RewardScale(0.0, 10.0), switching_cost=3.0)
    state = one.begin(["a", "b"], [])
    for day, (rule, revenue) in enumerate((("a", 4.0), ("b", 9.0), ("b", 12.0))):
        state = one.learn(state, ["a", "b"], news(day, rule, revenue))
    assert state["total"] == pytest.approx([0.4, 0.6 + 1.0])
    assert one.numbers(state) == {"switches": 1.0, "cut": 1.0}


def test_rewards_by_hand() -> None:
    day = news(0, "a", 7.0, traffic=0.8, returning=0.7)
    assert PlatformReward().of(day) == 7.0
    assert PlatformReward({"kl": 1.5}).of(day) == 4.0
    assert PlatformReward(user_price=20.0).of(day) == pytest.approx(5.0)
    assert PlatformReward({"kl": 1.5}, 20.0, per_traffic=True).of(day) == pytest.approx(2.5)
    assert PlatformReward(per_traffic=True).of(day._replace(traffic=0.0)) == 0.0
    with pytest.raises(InputError, match="the platform weighs the loss 'reply_kl'; all placements of the market read"):
        UpperConfidenceBound(UNIT, PlatformReward({"reply_kl": 1.0})).begin(["a"], ["kl"])


def test_a_state_tells_all_that_is_needed_to_go_on() -> None:
    """A bandit is pure: the same state and generator give the same choices, and no state is changed in place."""
    rules = ["a", "b", "c"]
    for one in bandits().values():
        states: list[State] = [one.begin(rules, [])]
        for day in range(12):
            before = {name: value.copy() for name, value in states[-1].items()}
            rule = one.rule(states[-1], rules, day, np.random.default_rng(day))
            assert one.rule(states[-1], rules, day, np.random.default_rng(day)) == rule
            states.append(one.learn(states[-1], rules, news(day, rule, day / 12)))
            assert all((states[-2][name] == value).all() for name, value in before.items())


def test_seeds_of_a_bandit_are_its_own() -> None:
    def choices(seed: int) -> list[int]:
        return played(ThompsonSampling(UNIT, seed=seed), lambda day, arm: 0.5, 40)

    assert choices(0) == choices(0)
    assert choices(0) != choices(1)


def reserve_market(reserves: Sequence[float] = (0.0, 0.5)) -> Market:
    rules = {f"reserve {price:g}": SecondPrice(reserve=price) for price in reserves}
    return item_market(rules=rules, types=64, ticks_per_day=1)


def test_a_platform_finds_the_reserve_that_earns_more() -> None:
    """Two U[0, 1] bidders: about 1/3 per query without a reserve, 5/12 at 1/2."""
    market, scale = reserve_market(), RewardScale(0.2 * 64 * 24, 0.6 * 64 * 24)
    learner = Exp3(scale, exploration=0.3)
    days = list(islice(Simulation(market, Actors({"fixed": FixedMultiplier()}, None, learner)).days(), 200))
    rules = [one.news.rule for one in days]
    assert rules[-50:].count("reserve 0.5") >= 35
    switched = [day for day in range(1, 200) if rules[day] != rules[day - 1]]
    assert days[-1].state.platform["switches"].tolist() == switched


def test_fixed_and_scheduled_rules() -> None:
    market, controllers = reserve_market(), {"fixed": FixedMultiplier()}

    def rules(one: Platform) -> list[str]:
        return [day.news.rule for day in islice(Simulation(market, Actors(controllers, None, one)).days(), 4)]

    assert rules(FixedRule()) == ["reserve 0"] * 4
    assert rules(FixedRule("reserve 0.5")) == ["reserve 0.5"] * 4
    assert rules(ScheduledRules({0: "reserve 0.5", 2: "reserve 0"})) == ["reserve 0.5"] * 2 + ["reserve 0"] * 2
    for one in (FixedRule("vcg"), ScheduledRules({0: "reserve 0", 3: "vcg"})):
        with pytest.raises(InputError, match=r"must choose one of reserve 0, reserve 0\.5, got 'vcg'"):
            rules(one)
    with pytest.raises(InputError, match=r"must have day 0, got the days \[2\]"):
        ScheduledRules({2: "reserve 0"})


def test_platforms_are_made_by_name_from_what_a_file_holds() -> None:
    assert platform_names() == ("exp3", "fixed", "scheduled", "thompson", "ucb")
    scale = {"low": 0.0, "high": 5.0}
    for name in ("exp3", "thompson", "ucb"):
        learner = platform(name, {"scale": scale, "reward": {"loss_weights": {"kl": 1.0}}, "hold": 2, "seed": 3})
        assert isinstance(learner, Bandit)
        assert (learner.scale, learner.reward.loss_weights, learner.hold, learner.seed) == (
            RewardScale(0, 5),
            {"kl": 1.0},
            2,
            3,
        )
    assert platform("fixed") == FixedRule()
    made = platform("scheduled", {"changes": {"0": "a", "7": "b"}})
    assert isinstance(made, ScheduledRules)
    assert made.days() == {0: "a", 7: "b"}


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("greedy", {}, "platform must be one of exp3, fixed, scheduled, thompson, ucb, got 'greedy'"),
        ("ucb", {}, "ucb needs the setting 'scale'"),
        ("ucb", {"scale": {"low": 1.0}}, "scale of ucb needs the setting 'high'"),
        ("ucb", {"scale": {"low": 1.0, "high": 1.0}}, "needs low < high, got 1 and 1"),
        ("ucb", {"scale": 3}, "scale of ucb must be a mapping, got 3"),
        ("ucb", {"scale": {"low": 0, "high": 1}, "colour": 1}, "got 'colour'"),
        ("exp3", {"scale": {"low": 0, "high": 1}, "exploration": 0.0}, "exploration must lie in"),
        ("thompson", {"scale": {"low": 0, "high": 1}, "spread": 0.0}, "spread must be finite and > 0"),
        ("scheduled", {"changes": {"monday": "a"}}, "must be scheduled by whole days"),
    ],
)
def test_what_is_no_platform_is_refused(name: str, settings: dict[str, object], words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        platform(name, settings)
