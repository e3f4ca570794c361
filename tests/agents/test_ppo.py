"""PPO bidders on RLlib: they learn, they come back from a checkpoint, and no phantom row is learned from."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from gymnasium.spaces import Box
from torch import Tensor

from auctionsim.agents import Shading, load_strategies, save_strategies
from auctionsim.agents.ppo import (
    Policies,
    PPOSettings,
    Running,
    TrainedBidders,
    bidder_config,
    load_bidders,
    train_ppo,
)
from auctionsim.agents.ray_session import global_state_kept, ray_running
from auctionsim.envs import NeuronAuctionEnvRunner, build_game, observation_layout, register_envs, situation_of
from auctionsim.errors import UntrustedError
from auctionsim.mechanisms import FirstPrice, SecondPrice
from auctionsim.regret import exploitability
from auctionsim.strategies import Situation, bids_of, observed_by
from auctionsim.substrates import Items

pytestmark = [
    pytest.mark.slow,  # ray starts, bidders learn for half a minute
    pytest.mark.filterwarnings("default"),  # ray's own
]
HIGHS = [[1.0], [1.0]]


@pytest.fixture(scope="module", autouse=True)
def _one_ray_for_all() -> Iterator[None]:
    with ray_running():
        yield


def trained(setting: str, **options: Any) -> TrainedBidders:
    env_config = {"setting": setting, "with_user_loss": False}
    runner = options.pop("env_runner", NeuronAuctionEnvRunner)
    return train_ppo(register_envs(), env_config, HIGHS, running=Running(env_runner=runner), **options)


def lost_against_truth(strategy: Any, bidder: int) -> float:
    """Return the share of its truthful utility that a bidder loses by its strategy, the other telling the truth."""
    valuations = torch.rand(100_000, 2, 1, generator=torch.Generator().manual_seed(5))

    def utility(own: Tensor) -> float:
        bids = valuations.clone()
        bids[:, bidder] = own
        outcome = SecondPrice()(bids)
        value = valuations * Items(2).exposure(outcome.allocation)
        return float((value.sum(2) - outcome.payments)[:, bidder].mean())

    return 1 - utility(strategy(valuations[:, bidder])) / utility(valuations[:, bidder])


def test_second_price_bidders_come_to_tell_the_truth_and_are_kept(tmp_path: Path) -> None:
    before, strict = torch.random.get_rng_state(), torch.are_deterministic_algorithms_enabled()
    steps = []
    result = trained("second-price", seed=0, iterations=60, progress=steps.append, checkpoint=tmp_path / "bidders")
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.are_deterministic_algorithms_enabled() is strict
    assert steps == result.curve
    assert all(ratio == pytest.approx(0.5, abs=0.02) for ratio in result.curve[0].bid_ratio)
    for bidder, strategy in enumerate(result.strategies):
        assert lost_against_truth(strategy, bidder) < 0.02
    v = torch.rand(50, 1)
    loaded = load_bidders(tmp_path / "bidders", 2)
    for strategy, again in zip(result.strategies, loaded, strict=True):
        assert torch.equal(strategy(v), again(v))
    with pytest.raises(ValueError, match=r"has no policy 'bidder_2'"):
        load_bidders(tmp_path / "bidders", 3)
    with pytest.raises(UntrustedError, match="would be unpickled"):
        load_bidders(tmp_path, 2)
    with pytest.raises(ValueError, match="no PPO checkpoint"):
        load_bidders(tmp_path / "bidders" / "learner_group", 2, trust_pickles=True)
    (pickled,) = (tmp_path / "bidders").glob("learner_group/learner/rl_module/class_and_ctor_args.*")
    pickled.write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(UntrustedError, match=pickled.name):
        load_bidders(tmp_path / "bidders", 2)


def test_first_price_bidders_come_to_bid_half_with_a_shared_policy() -> None:
    result = trained(
        "first-price", seed=0, iterations=45, policies=Policies(shared=True), settings=PPOSettings(start=1.0)
    )
    v = torch.linspace(0, 1, 1001).unsqueeze(1)
    assert float((result.strategies[0](v) - v / 2).abs().mean()) < 0.03  # .010 to .016 at seeds 0 to 3
    assert torch.equal(result.strategies[0](v), result.strategies[1](v))


def test_an_exploiter_answers_frozen_bidders() -> None:
    """Against a rival that bids a quarter of U[0, 1], a first price is best won with min(v/2, 1/4)."""
    result = trained("first-price", seed=0, iterations=25, policies=Policies(frozen={1: Shading(0.25)}))
    v = torch.linspace(0, 1, 1001).unsqueeze(1)
    assert float((result.strategies[0](v) - (v / 2).clamp_max(0.25)).abs().mean()) < 0.04
    assert torch.equal(result.strategies[1](v), v / 4)
    assert result.curve[0].bid_ratio[1] == pytest.approx(0.25, abs=1e-4)
    with pytest.raises(ValueError, match="leave one"):
        trained("first-price", seed=0, policies=Policies(frozen={0: None, 1: None}))


def test_bids_above_the_highest_can_only_come_down() -> None:
    """Where all bids are clipped to the same, a mean that is pushed further up would never come back."""
    from auctionsim.agents.ppo_rllib import BiddingModule

    module = BiddingModule(
        observation_space=Box(0, 1, (1,)),
        action_space=Box(0, 1, (1,)),
        model_config={
            "high": [1.0],
            "hidden": 4,
            "start": 2.0,
            "spread": 0.1,
            "last_spread": 0.1,
            "rows": 1,
            "seed": 0,
        },
    )
    v = torch.tensor([[0.9], [0.1]])  # at first the bids are about 1.8 and .2
    for sign, moved in ((1, [True, True]), (-1, [False, True])):
        mean = module.forward_train({"obs": v})["action_dist_inputs"][:, 0]
        assert mean[0].item() == 1.0  # in RLlib's units: the highest bid
        for row in range(2):
            module.zero_grad()
            (sign * mean[row]).backward(retain_graph=True)
            gradients = [p.grad for p in module.bidding.parameters() if p.grad is not None]
            assert any(bool((gradient != 0).any()) for gradient in gradients) == moved[row]
    with pytest.raises(ValueError, match="annealed is a share"):
        trained("first-price", seed=0, settings=PPOSettings(annealed=0.0))


def test_both_runners_sample_the_same_kind_of_episode_and_the_learner_drops_the_phantom_row() -> None:
    """The batch a learner sees has one row a round, and advantages standardised over just these rows."""
    from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
    from ray.rllib.evaluation.postprocessing import Postprocessing

    seen: dict[str, list[dict[str, Any]]] = {}
    with global_state_kept():
        for runner in (MultiAgentEnvRunner, NeuronAuctionEnvRunner):
            config = bidder_config(
                register_envs(),
                {"setting": "first-price", "rounds": 4},
                HIGHS,
                seed=3,
                iterations=1,
                running=Running(env_runner=runner),
                settings=PPOSettings(episodes=8, steps=32, minibatch=32, epochs=1),
            )
            algorithm = config.build_algo()
            learner = algorithm.learner_group._learner
            episodes = algorithm.env_runner.sample()
            assert sum(len(episode) for episode in episodes) == 32
            batch = learner._learner_connector(
                rl_module=learner.module, batch={}, episodes=episodes, shared_data={}, metrics=learner.metrics
            )
            assert set(batch) == {"bidder_0", "bidder_1"}
            for columns in batch.values():
                assert len(columns["obs"]) == len(columns["actions"]) == len(columns["action_logp"]) == 32
                advantages = columns[Postprocessing.ADVANTAGES]
                assert float(advantages.mean()) == pytest.approx(0, abs=1e-5)
                assert float(advantages.std(correction=0)) == pytest.approx(1, abs=1e-4)
            seen[runner.__name__] = [batch["bidder_0"]]
            algorithm.stop()
    plain, batched = (seen[name][0] for name in ("MultiAgentEnvRunner", "NeuronAuctionEnvRunner"))
    assert plain.keys() == batched.keys()
    assert all(plain[name].shape == batched[name].shape for name in plain)
    torch.testing.assert_close(plain["obs"].sort(0).values, batched["obs"].sort(0).values)  # the same seeds, so draws


def test_plain_rllib_trains_on_the_registered_env_too() -> None:
    result = trained(
        "first-price",
        seed=0,
        iterations=2,
        env_runner=None,
        settings=PPOSettings(episodes=8, steps=128, minibatch=64, epochs=1),
    )
    assert len(result.curve) == 2
    assert FirstPrice()(torch.ones(1, 2, 1)).payments.sum() == 1


LEARN = """
import torch
from auctionsim.agents.ppo import PPOSettings, Running, train_ppo
from auctionsim.envs import NeuronAuctionEnvRunner, build_game, observation_layout, register_envs, situation_of
torch.set_num_threads(1)
small = PPOSettings(episodes=64, steps=1024, minibatch=1024, epochs=4)
config = {"setting": "second-price", "with_user_loss": False}
learned = train_ppo(
    register_envs(), config, [[1.0], [1.0]], seed=0, iterations=3, settings=small,
    running=Running(env_runner=NeuronAuctionEnvRunner)
)
valuations = torch.linspace(0, 1, 9).unsqueeze(1)
print("bids", [strategy(valuations).flatten().tolist() for strategy in learned.strategies])
"""


def test_a_seed_gives_the_same_bidders_however_python_hashes() -> None:
    told = []
    for number in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": number, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", LEARN]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        told.append([line for line in done.stdout.splitlines() if line.startswith("bids")])
    assert told[0]
    assert told[0] == told[1]


def test_policies_that_see_more_become_strategies_that_observe_it(tmp_path: Path) -> None:
    """Context, budget and round, beside a frozen rival that paces: what is learned bids alike from state and sight."""
    observe = ("valuation", "context", "budget", "round", "last_payment")
    env_config = {"setting": "neuron-pay-as-bid", "with_user_loss": False, "budgets": [1.0, 0.5], "rounds": 4}
    game = build_game(**env_config, observe=observe)
    layout = observation_layout(game)
    result = train_ppo(
        register_envs(),
        env_config,
        HIGHS,
        seed=0,
        iterations=1,
        running=Running(env_runner=NeuronAuctionEnvRunner),
        policies=Policies(layout=layout, frozen={1: Pacing()}),
        settings=PPOSettings(episodes=32, steps=256, minibatch=256, epochs=4),
        checkpoint=tmp_path / "bidders",
    )
    learned, paced = result.strategies
    assert observed_by(learned) == ("context", "budget_left", "round", "last_payment")
    assert observed_by(paced) == ("budget_left",)
    for strategies in (result.strategies, load_bidders(tmp_path / "bidders", 2)):
        state, each = game.draw(16, torch.Generator().manual_seed(1)), list(enumerate(strategies))
        for _ in range(3):
            seen = game.observe(state).to(torch.float32)
            bids = [bids_of(s, game.valuations(state)[:, i], situation_of(game, state, i)) for i, s in each]
            torch.testing.assert_close(bids[0], layout.bids(learned, seen[:, 0]))
            assert torch.equal(bids[1], layout.bids(Pacing(), seen[:, 1]))
            state, _ = game.step(state, torch.stack(bids, 1))
    assert all(0 < ratio < 1.5 for step in result.curve for ratio in step.bid_ratio)
    save_strategies(tmp_path / "b.safetensors", [learned], {})
    again = load_strategies(tmp_path / "b.safetensors").strategies[0]
    own = game.valuations(state)[:, 0]
    assert torch.equal(
        bids_of(again, own, situation_of(game, state, 0)), bids_of(learned, own, situation_of(game, state, 0))
    )
    with pytest.raises(ValueError, match="observes budget_left, round, last_payment, which a single round"):
        exploitability(game.mechanism, game.substrate, game.prior, strategies=learned)


def test_layouts_that_nobody_can_learn_from_are_refused() -> None:
    layout = observation_layout(build_game("neuron-pay-as-bid", observe=("context", "valuation")))
    fine = observation_layout(build_game("neuron-menu", observe=("valuation", "menu")))
    plain = observation_layout(build_game("first-price", observe=("valuation",), budgets=1.0))
    for shown, frozen, said in (
        (layout, None, "the valuation first"),
        (fine, None, "the valuation first"),
        (plain, {1: Pacing()}, "Pacing bids on valuation, budget_left; this observation shows valuation"),
    ):
        with pytest.raises(ValueError, match=said):
            bidder_config(
                "env",
                {},
                HIGHS,
                seed=0,
                iterations=1,
                settings=PPOSettings(),
                policies=Policies(layout=shown, frozen=frozen),
            )


class Pacing:
    """Bid a share that falls with the budget."""

    observes = ("budget_left",)

    def __call__(self, valuations: Tensor, situation: Situation) -> Tensor:
        assert situation.budget_left is not None
        return valuations * situation.budget_left.clamp_max(1).unsqueeze(1) / 2
