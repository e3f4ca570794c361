"""Held-out populations: kept apart, scored on the same episodes, with intervals that hold what is known."""

from typing import Any

import numpy as np
import pytest

from auctionsim.agents import Shading, Truthful, WinRateShading
from auctionsim.envs import AuctionGame, NeuronAuctionEnv, build_game
from auctionsim.envs.populations import Population, Populations, score, split_populations
from auctionsim.mechanisms import FirstPrice
from auctionsim.priors import Uniform
from auctionsim.substrates import Items
from tests.envs.five_faces import BID

LOW, HALF, TRUTH = (Population(name, Shading(k)) for name, k in (("low", 0.25), ("half", 0.5), ("truth", 1.0)))


def test_scores_hold_the_closed_form_against_each_population() -> None:
    """First price, U[0, 1]: bidding v/2 against s·v, s ≥ ½, earns E[v/2 · v/(2s)] = 1/(12 s); against ¼: all but
    where v/2 < u/4: E[v/2 · min(1, 2v)] = ¼ − ∫₀^½ v/2 (1 − 2v) dv = ¼ − 1/48."""
    game = build_game("first-price", rounds=4)
    result = score(game, Shading(0.5), Populations((HALF,), (TRUTH, LOW)), episodes=2000, seed=7, confidence=0.999)
    known = {"half": 1 / 6, "truth": 1 / 12, "low": 0.25 - 1 / 48}
    assert [one.population for one in result.scores] == ["half", "truth", "low"]
    assert [one.held_out for one in result.scores] == [False, True, True]
    for one in result.scores:
        assert one.interval.low < known[one.population] < one.interval.high
        assert one.interval.low < one.reward < one.interval.high
        assert one.interval.high - one.interval.low < 0.03
        assert one.cost is None
        assert one.cost_interval is None
    assert result.gap is not None
    assert result.gap_interval is not None
    assert result.gap == pytest.approx(
        (result.scores[1].reward + result.scores[2].reward) / 2 - result.scores[0].reward
    )
    assert result.gap_interval.low < (1 / 12 + 0.25 - 1 / 48) / 2 - 1 / 6 < result.gap_interval.high
    unpaired = sum((one.interval.high - one.interval.low) ** 2 * w for one, w in zip(result.scores, (1, 0.25, 0.25)))  # noqa: B905
    assert result.gap_interval.high - result.gap_interval.low < unpaired**0.5  # the same episodes, so it is narrower


@pytest.mark.parametrize("learner", [0, 1])
def test_the_episodes_are_those_of_environments_of_these_seeds(learner: int) -> None:
    game = build_game("second-price", rounds=3)
    rewards = []
    for seed in (4, 5):
        env = NeuronAuctionEnv("second-price", rounds=3, learner=learner, opponents=Shading(0.5))
        env.reset(seed=seed)
        rewards.append(sum(env.step(np.full(1, BID, np.float32))[1] for _ in range(3)) / 3)
    constant = score(game, lambda v: v * 0 + BID, Populations((), (HALF,)), learner=learner, episodes=2, seed=4)
    assert constant.scores[0].reward == pytest.approx(np.mean(rewards), rel=1e-6)
    assert constant.gap is None


def test_strategies_with_memories_and_costs_are_scored() -> None:
    game = AuctionGame(FirstPrice(), Items(3), Uniform(0, 1), rounds=6, roi_targets=3.0, roi_as_cost=0.0)
    rivals = Population("mixed", [WinRateShading(0.3), None])
    result = score(game, WinRateShading(0.5), Populations((), (rivals,)), episodes=64)
    (only,) = result.scores
    assert only.cost is not None
    assert only.cost > 0
    assert only.cost_interval is not None
    assert only.cost_interval.low < only.cost < only.cost_interval.high
    free = score(game, Shading(0.1), Populations((), (rivals,)), episodes=64)
    assert free.scores[0].cost == 0  # who pays a tenth of its value is never behind


def test_a_split_keeps_populations_apart_by_its_seed() -> None:
    several = [Population(f"p{k}", Shading(0.1 * k)) for k in range(1, 9)]
    splits = [split_populations(several, 3, seed) for seed in range(8)]
    for split in splits:
        names = [one.name for one in (*split.training, *split.held_out)]
        assert len(split.held_out) == 3
        assert sorted(names) == [one.name for one in several]
    assert len({tuple(one.name for one in split.held_out) for split in splits}) > 1
    again = split_populations(several, 3, 0)
    assert [one.name for one in again.held_out] == [one.name for one in splits[0].held_out]
    with pytest.raises(ValueError, match="held_out must be at least 1 and fewer than all 8, got 8"):
        split_populations(several, 8, 0)


def test_what_is_on_both_sides_is_refused() -> None:
    cases: list[tuple[Any, Any, str]] = [
        ((LOW,), (), "at least one population must be held out"),
        ((LOW,), (Population("low", Truthful()),), "two called 'low'"),
        ((LOW,), (Population("again", [LOW.opponents, Truthful()]),), "'again' has opponents of 'low'"),
        ((LOW,), (Population("equal", Shading(0.25)),), "'equal' has opponents of 'low'"),
        ((Population("a"),), (Population("b"),), "'b' has opponents of 'a'"),
    ]
    for training, held_out, sentence in cases:
        with pytest.raises(ValueError, match=sentence):
            Populations(training, held_out)
    with pytest.raises(ValueError, match="a population needs a name"):
        Population(" ")
    with pytest.raises(ValueError, match="episodes must be at least 2"):
        score(build_game("first-price"), None, Populations((), (LOW,)), episodes=1)
