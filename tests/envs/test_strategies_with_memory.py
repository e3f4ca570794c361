"""Opponents with a memory: it runs through a row's episode, begins anew with the next, and no row hears of another."""

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor

from auctionsim.agents import Shading, WinRateShading
from auctionsim.envs import (
    AuctionGame,
    NeuronAuctionEnv,
    NeuronAuctionMultiAgentEnv,
    NeuronAuctionVecEnv,
    NeuronAuctionVectorEnv,
    parallel_env,
    strategy_action,
    strategy_turn,
)
from auctionsim.envs.learner import LearnerSeat, Memories
from auctionsim.mechanisms import PayAsBid, SecondPrice
from auctionsim.priors import Uniform
from auctionsim.strategies import OBSERVED, Memory, Situation, bids_of
from auctionsim.strategy_memory import renewed, turn_of
from auctionsim.substrates import Items
from tests.two_contexts import TwoContexts

PLACE = TwoContexts()
OPTIONS: dict[str, Any] = {
    "mechanism": PayAsBid(PLACE),
    "substrate": PLACE,
    "priors": Uniform(0, 1),
    "budgets": [9.0, 1.0],
    "rounds": 4,
}


class Ledger:
    """Writes down all that it sees, and bids by the sum of it: context, budget left, last outcome."""

    remembers: ClassVar[bool] = True
    observes: ClassVar[tuple[str, ...]] = OBSERVED

    def begin(self, batch: int) -> dict[str, Tensor]:
        return {"sum": torch.zeros(batch, dtype=torch.float64), "turns": torch.zeros(batch, dtype=torch.int64)}

    def next(self, memory: Memory, valuations: Tensor, situation: Situation) -> tuple[Tensor, Memory]:
        assert situation.context is not None and situation.budget_left is not None  # noqa: PT018
        assert situation.last_exposure is not None and situation.last_payment is not None  # noqa: PT018
        assert torch.equal(memory["turns"].clamp_max(3), situation.round)  # type: ignore[arg-type]  # over: the last
        seen = 0.1 * situation.context + 0.01 * situation.budget_left + situation.last_payment
        total = memory["sum"] + seen + 0.5 * situation.last_exposure[:, 0]
        share = (1 - 0.5 / (1 + total)).to(valuations.dtype).unsqueeze(1)
        return share * valuations, {"sum": total, "turns": memory["turns"] + 1}


def bid(round_: int) -> float:
    return float(np.random.default_rng(round_).random(dtype=np.float32) / 4)


def by_hand(seed: int, episodes: int) -> list[list[float]]:
    """Payments of the opponent, episode by episode, from the game and the strategy alone."""
    env = NeuronAuctionEnv(**OPTIONS)
    strategy, paid = Ledger(), []
    for episode in range(episodes):
        env.reset(seed=seed if episode == 0 else None)
        state = env._state
        assert state is not None
        memory: Memory = strategy.begin(1)
        paid.append([])
        for turn in range(4):
            situation = Situation(
                context=env.game.context(state),
                budget_left=(1.0 - state.spent[:, 1]).clamp_min(0),
                round=state.round,
                last_exposure=state.last_exposure[:, 1],
                last_payment=state.last_payment[:, 1],
            )
            bids, memory = strategy.next(memory, env.game.valuations(state)[:, 1], situation)
            state, happened = env.game.step(state, torch.stack([torch.tensor([[bid(turn)]]), bids], dim=1))
            paid[-1].append(float(happened.outcome.payments[0, 1]))
    return paid


def test_the_single_environment_carries_it_through_the_episode_and_begins_anew() -> None:
    env = NeuronAuctionEnv(opponents=Ledger(), **OPTIONS)
    paid = []
    for episode in range(3):
        env.reset(seed=5 if episode == 0 else None)
        paid.append([])
        for turn in range(4):
            info = env.step(np.array([bid(turn)], np.float32))[4]
            paid[-1].append(float(info["revenue"] - info["payment"]))
    assert paid == by_hand(5, 3)
    assert len({tuple(one) for one in paid}) == 3
    env.reset(seed=5)
    env.step(np.array([bid(0)], np.float32))
    env.reset(seed=5)  # in the middle
    info = env.step(np.array([bid(0)], np.float32))[4]
    assert float(info["revenue"] - info["payment"]) == paid[0][0]


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_rows_of_a_vector_have_memories_of_their_own_in_every_autoreset(mode: AutoresetMode) -> None:
    """Each row, cut after a different number of rounds by masks where it can be, plays what it plays alone."""
    env = NeuronAuctionVectorEnv(3, opponents=Ledger(), autoreset_mode=mode, **OPTIONS)
    env.reset(seed=5)
    rows: list[list[float]] = [[], [], []]
    turn = 0
    while len(rows[0]) < 8:
        resting = env._episodes.resting.clone()
        if mode is AutoresetMode.DISABLED and bool(resting.any()):
            env.reset(options={"reset_mask": resting.numpy()})
            turn = 0
        infos = env.step(np.full((3, 1), bid(turn), np.float32))[4]
        numbers = {**infos, **infos.get("final_info", {})}
        played = env.played is not None
        for row in range(3):
            if played:
                rows[row].append(float(numbers["revenue"][row] - numbers["payment"][row]))
        turn = (turn + 1) % 4 if played else 0
    for row in range(3):
        assert rows[row] == [one for episode in by_hand(5 + row, 2) for one in episode]


def test_a_row_that_is_reset_alone_begins_anew_and_leaves_the_others() -> None:
    env = NeuronAuctionVectorEnv(2, opponents=Ledger(), **OPTIONS)
    env.reset(seed=5)
    for turn in range(2):
        env.step(np.full((2, 1), bid(turn), np.float32))
    env.reset(seed=[None, 6], options={"reset_mask": np.array([False, True])})
    infos = env.step(np.array([[bid(2)], [bid(0)]], np.float32))[4]
    paid = infos["revenue"] - infos["payment"]
    assert paid[0] == by_hand(5, 1)[0][2]
    assert paid[1] == by_hand(6, 1)[0][0]


def test_stable_baselines_plays_the_same() -> None:
    env = NeuronAuctionVecEnv(num_envs=1, symmetric=False, opponents=Ledger(), **OPTIONS)
    env.seed(5)
    env.reset()
    paid = []
    for turn in range(4):
        info = env.step(np.array([[bid(turn)]], np.float32))[3][0]
        paid.append(float(info["revenue"] - info["payment"]))
    assert paid == by_hand(5, 1)[0]


@pytest.mark.parametrize("make", [parallel_env, lambda **kw: NeuronAuctionMultiAgentEnv(kw)])
def test_an_agents_part_is_played_from_its_observation(make: Any) -> None:
    shown = ("valuation", "context", "budget", "round", "last_exposure", "last_payment")
    env = make(observe=shown, **OPTIONS)
    strategy, memory = Ledger(), None
    observations, _ = env.reset(seed=5)
    paid = []
    for turn in range(4):
        action, memory = strategy_turn(env.game, strategy, observations["bidder_1"], memory)
        observations, *_, infos = env.step({"bidder_0": np.array([bid(turn)], np.float32), "bidder_1": action})
        paid.append(infos["bidder_1"]["payment"])
    np.testing.assert_allclose(paid, by_hand(5, 1)[0], rtol=1e-5)
    plain = strategy_turn(env.game, Shading(0.5), observations["bidder_1"])
    assert np.array_equal(plain.action, strategy_action(env.game, Shading(0.5), observations["bidder_1"]))
    assert plain.memory == {}


def test_a_bidder_that_steers_its_wins_gets_there() -> None:
    """Against a rival who bids U[0, 1], a share s wins s/2 of the rounds: s = 2 · target; half and a quarter."""
    game = AuctionGame(SecondPrice(), Items(3), Uniform(0, 1), rounds=600, dtype=torch.float64)
    for target, share in ((0.25, 0.5), (0.125, 0.25)):
        seat = LearnerSeat(game, 0, [WinRateShading(target), Shading(0.0)])
        state = game.draw(64, torch.Generator().manual_seed(3))
        memories: Memories = {}
        shares = []
        for _ in range(game.rounds):
            bids, memories = seat.turn(state, game.valuations(state)[:, 0], memories)
            state, _ = game.step(state, bids)
            shares.append(memories[1]["share"].mean())
        assert abs(float(torch.stack(shares[300:]).mean()) - share) < 0.02


def test_evaluators_of_single_rounds_refuse_a_memory() -> None:
    strategy = WinRateShading(0.5)
    with pytest.raises(ValueError, match="WinRateShading carries a memory from round to round"):
        bids_of(strategy, torch.ones(2, 1))


class Forgetful(Ledger):
    """Has a memory of another shape after the first round."""

    observes: ClassVar[tuple[str, ...]] = ()

    def next(self, memory: Memory, valuations: Tensor, situation: Situation | None = None) -> tuple[Tensor, Memory]:
        return valuations, {"sum": torch.zeros(len(valuations), 2)}


def test_what_is_no_memory_is_refused() -> None:
    _, memory = turn_of(Forgetful(), Forgetful().begin(2), torch.ones(2, 1))
    with pytest.raises(ValueError, match="Forgetful must keep its memory's parts"):
        renewed(Forgetful(), memory, torch.tensor([True, False]))

    class Short(Forgetful):
        def next(self, memory: Memory, valuations: Tensor, situation: Situation | None = None) -> tuple[Tensor, Memory]:
            return valuations, {"sum": torch.zeros(1)}

    with pytest.raises(ValueError, match="the memory of Short must have one row an episode"):
        turn_of(Short(), {}, torch.ones(2, 1))

    class Lone(Forgetful):
        def next(self, memory: Memory, valuations: Tensor, situation: Situation | None = None) -> Any:
            return valuations

    with pytest.raises(TypeError, match=r"Lone\.next must return bids and a memory, got Tensor"):
        turn_of(Lone(), {}, torch.ones(2, 1))
