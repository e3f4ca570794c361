"""SAC bidders on RLlib: what they bid is a strategy like PPO's, the replay is of whole episodes, and they learn."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from auctionsim.agents import load_strategies, save_strategies
from auctionsim.agents.ppo_checkpoints import PPOCheckpoint
from auctionsim.agents.ppo_config import Running
from auctionsim.agents.ray_session import ray_running
from auctionsim.agents.sac import SACSettings, train_sac
from auctionsim.envs import build_game, observation_layout
from auctionsim.strategies import Situation, observed_by


def test_a_state_to_go_on_from_is_refused(tmp_path: Path) -> None:
    going_on = Running(going_on=PPOCheckpoint(tmp_path, {}, 1.0))
    with pytest.raises(NotImplementedError, match="SAC bidders are trained in one go"):
        train_sac("env", {"rounds": 2}, [[1.0], [1.0]], seed=0, running=going_on)


@pytest.mark.deep
def test_strategies_see_the_context_and_come_back_from_a_file(tmp_path: Path) -> None:
    from auctionsim.envs import NeuronAuctionEnvRunner, register_envs

    auction: dict[str, Any] = {"setting": "neuron-pay-as-bid", "rounds": 4}
    game = build_game(**auction, observe=("valuation", "context"))
    with ray_running():
        trained = train_sac(
            register_envs(),
            {**auction, "with_user_loss": False},
            game.bid_high.tolist(),
            seed=0,
            iterations=3,
            layout=observation_layout(game),
            settings=SACSettings(start=1.0, episodes=8, batch=32, updates=2),
            running=Running(env_runner=NeuronAuctionEnvRunner),
        )
    assert [step.iteration for step in trained.curve] == [1, 2, 3]
    assert trained.curve[0].bid_ratio == pytest.approx((1.0, 1.0), abs=0.1)
    save_strategies(tmp_path / "bidders.safetensors", trained.strategies, {})
    again = load_strategies(tmp_path / "bidders.safetensors").strategies
    values, context = torch.linspace(0, 1, 12).unsqueeze(1), Situation(context=torch.arange(12) % 3)
    for one, other in zip(trained.strategies, again, strict=True):
        assert observed_by(one) == ("context",)
        bids = one(values, context)
        assert torch.equal(bids, other(values, context))
        assert bool(((bids >= 0) & (bids <= 1)).all())
        assert not torch.allclose(bids, one(values, Situation(context=(torch.arange(12) + 1) % 3)), atol=1e-7)


@pytest.mark.deep
def test_the_replay_holds_whole_episodes_and_gives_up_the_oldest() -> None:
    from auctionsim.agents.sac_rllib import WholeEpisodes

    class FourRounds:
        """An episode of four rounds in which nobody plays."""

        agent_episodes: ClassVar[dict[str, Any]] = {}

        def __len__(self) -> int:
            return 4

    replay, episodes = WholeEpisodes(10, 0), [FourRounds() for _ in range(4)]
    replay.add(episodes)
    assert [id(one) for one in replay.episodes] == [id(one) for one in episodes[2:]]
    drawn = replay.sample(5)
    assert {id(one) for one in drawn} == {id(one) for one in episodes[2:]}
    assert len(replay.sample(4)) == 1
    assert len(replay.sample(100)) == 2
