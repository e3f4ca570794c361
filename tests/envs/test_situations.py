"""Every face tells an opponent its own situation, row by row; from an observation a strategy bids the same."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from torch import Tensor

import auctionsim  # noqa: F401  registers the ids
from auctionsim.envs import (
    AuctionGame,
    NeuronAuctionMultiAgentEnv,
    NeuronAuctionVectorEnv,
    observation_layout,
    parallel_env,
    situation_of,
    strategy_action,
)
from auctionsim.envs.learner import LearnerSeat
from auctionsim.mechanisms import PayAsBid
from auctionsim.priors import Uniform
from auctionsim.strategies import OBSERVED, Situation
from tests.two_contexts import TwoContexts

PLACE = TwoContexts()
BUDGETS = [50.0, 1.5]
OPTIONS: dict[str, Any] = {
    "mechanism": PayAsBid(PLACE),
    "substrate": PLACE,
    "priors": Uniform(0, 1),
    "budgets": BUDGETS,
    "rounds": 4,
}


class Pacing:
    """Bid what there is to see: in "alone" nothing, else more with more left, later, and after a loss."""

    observes = OBSERVED

    def __init__(self) -> None:
        self.told: list[Situation] = []

    def __call__(self, valuations: Tensor, situation: Situation) -> Tensor:
        self.told.append(situation)
        assert situation.context is not None and situation.budget_left is not None  # noqa: PT018
        assert situation.round is not None and situation.last_exposure is not None  # noqa: PT018
        assert situation.last_payment is not None
        share = 0.1 + 0.05 * situation.round + 0.2 * situation.budget_left.clamp_max(1)
        share = share * situation.context + 0.1 * (situation.last_payment == 0)
        return valuations * share.unsqueeze(1) * (1 - situation.last_exposure / 2)


def test_a_vector_environment_tells_every_row_its_own_situation() -> None:
    """What the rival is told is what the game's state says, and follows from the rounds before."""
    rival = Pacing()
    env = NeuronAuctionVectorEnv(6, opponents=rival, **OPTIONS)
    seen, _ = env.reset(seed=3)
    spent, last, got = np.zeros(6), np.zeros(6), np.zeros((6, 1))
    contexts = []
    for played in range(4):
        state = env._episodes.state
        told_by_state = situation_of(env.game, state, 1)
        _, _, _, _, infos = env.step(np.full((6, 1), 0.25, np.float32))
        told = rival.told[-1]
        for name in OBSERVED:
            assert torch.equal(getattr(told, name), getattr(told_by_state, name)), name
        assert told.round is not None and told.round.tolist() == [played] * 6  # noqa: PT018
        np.testing.assert_allclose(told.budget_left, BUDGETS[1] - spent, atol=1e-6)
        np.testing.assert_allclose(told.last_payment, last, atol=1e-6)
        np.testing.assert_allclose(told.last_exposure, got, atol=1e-6)
        last = infos["revenue"] - infos["payment"]  # the rival's
        spent, got = spent + last, env._episodes.state.last_exposure[:, 1].numpy()
        contexts.append(told.context)
    assert torch.equal(contexts[0], torch.as_tensor(seen[:, 1:3].argmax(1)))
    assert len(set(torch.cat(contexts).tolist())) == 2  # mixed
    assert float(spent.max()) > 0


def test_single_environments_tell_the_same() -> None:
    together, alone = Pacing(), Pacing()
    rows = NeuronAuctionVectorEnv(2, opponents=together, **OPTIONS)
    rows.reset(seed=7)
    one = gymnasium.make("auctionsim/FirstPrice-v0", opponents=[alone], **OPTIONS)
    one.reset(seed=8)
    for _ in range(4):
        rewards = rows.step(np.full((2, 1), 0.5, np.float32))[1]
        assert one.step(np.full(1, 0.5, np.float32))[1] == rewards[1]
    for both, row in zip(together.told, alone.told, strict=True):
        for name in OBSERVED:
            assert torch.equal(getattr(both, name)[1:], getattr(row, name)), name


def test_a_schedule_by_round_never_runs_out_where_episodes_begin_anew() -> None:
    schedule = torch.tensor([0.1, 0.2, 0.3, 0.4])
    rounds = []

    def by_round(valuations: Tensor, situation: Situation) -> Tensor:
        assert situation.round is not None
        rounds.append(situation.round.tolist())
        return valuations * schedule[situation.round].unsqueeze(1)

    by_round.observes = ("round",)  # type: ignore[attr-defined]
    env = NeuronAuctionVectorEnv(2, opponents=by_round, **OPTIONS)
    env.reset(seed=0)
    for _ in range(7):
        env.step(np.zeros((2, 1), np.float32))
    assert rounds == [[k, k] for k in (0, 1, 2, 3, 3, 0, 1)]  # the fifth step begins the next episode


def test_what_a_game_does_not_have_is_said_so() -> None:
    """No budgets: infinitely much is left. No contexts: None."""
    told = []

    def rival(valuations: Tensor, situation: Situation) -> Tensor:
        told.append(situation)
        return valuations

    rival.observes = ("context", "budget_left")  # type: ignore[attr-defined]
    env = gymnasium.make("auctionsim/FirstPrice-v0", opponents=rival)
    env.reset(seed=0)
    env.step(np.full(1, 0.5, np.float32))
    assert told[0].context is None
    assert told[0].budget_left.tolist() == [float("inf")]
    rival.observes = ("weather",)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"rival\.observes must name some of"):
        gymnasium.make("auctionsim/FirstPrice-v0", opponents=rival)


@pytest.mark.parametrize("face", ["pettingzoo", "rllib"])
def test_agents_can_play_strategies_from_what_they_observe(face: str) -> None:
    """The same bids as in the seat of an opponent, which is told the state itself."""
    observe = ("valuation", "round", "context", "last_payment", "budget", "last_exposure")

    def made(**more: Any) -> Any:
        return parallel_env(**more) if face == "pettingzoo" else NeuronAuctionMultiAgentEnv(more)

    env = made(observe=observe, **OPTIONS)
    seen, _ = env.reset(seed=5)
    layout = observation_layout(env.game)
    assert layout.names == observe
    assert sum(layout.widths) == env.observation_spaces["bidder_0"].shape[0]
    strategy = Pacing()
    for _ in range(4):
        direct = LearnerSeat(env.game, 0, strategy).turn(env._state, torch.zeros(1, 1), {}).bids[0, 1]
        own = strategy_action(env.game, strategy, seen["bidder_1"])
        np.testing.assert_allclose(own, direct.numpy(), rtol=1e-5)
        seen, *_ = env.step({"bidder_0": np.full(1, 0.3, np.float32), "bidder_1": own})
    assert strategy_action(env.game, None, seen["bidder_1"])[0] == pytest.approx(seen["bidder_1"][0])
    plain = made(observe=("valuation",), **OPTIONS)
    seen, _ = plain.reset(seed=5)
    with pytest.raises(ValueError, match="this observation shows valuation"):
        strategy_action(plain.game, strategy, seen["bidder_1"])


def test_the_layout_holds_with_a_menu_and_targets_between() -> None:
    from auctionsim.envs import build_game

    observe = ("menu", "valuation", "roi_slack", "context", "budget")
    game = build_game("neuron-menu", observe=observe, budgets=2.0, roi_targets=1.5)
    state = game.draw(5, torch.Generator().manual_seed(0))
    layout, seen = observation_layout(game), game.observe(state)
    for bidder in range(2):
        told = layout.situation(seen[:, bidder])
        expected = situation_of(game, state, bidder)
        assert torch.equal(layout.valuations(seen[:, bidder]), game.valuations(state)[:, bidder])
        assert torch.equal(told.context, expected.context)  # type: ignore[arg-type]
        assert torch.equal(told.budget_left, expected.budget_left)  # type: ignore[arg-type]
    assert isinstance(game, AuctionGame)
