"""The live model behind an environment: asked once a step, paid by the rule, earned by what really happened."""

from importlib import resources
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from torch import Tensor

from auctionsim import Outcome
from auctionsim.agents.ppo import Running
from auctionsim.brands import parse_brands
from auctionsim.carriers import Neurons
from auctionsim.envs import NeuronAuctionEnv, NeuronAuctionVectorEnv, build_game
from auctionsim.experiments.studies.shipped_mechanisms import WITH_NEURONS
from auctionsim.gymnasium_ids import SETTING_OF_ID
from auctionsim.neurons import BrandNeurons
from auctionsim.priors import Uniform
from auctionsim.prompts import PromptSet
from auctionsim.substrates import ResponseSurface, View
from auctionsim.substrates.language_model import LanguageModelSubstrate
from auctionsim.testing import fake_language_model

MODEL = fake_language_model(end_gain=2.5)
PROMPTS = PromptSet(("ask", "tell"), (("Which shoes?",), ("Tell me of shoes.",)))


class Counted(LanguageModelSubstrate):
    """Counts how often it is asked."""

    asked = 0

    def observe(self, allocation: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self.asked += 1
        return super().observe(allocation, context)


def counted() -> Counted:
    ranking = torch.randperm(MODEL.num_layers * MODEL.num_neurons, generator=torch.Generator().manual_seed(0))[:64]
    neurons = BrandNeurons(
        brands=parse_brands("or,the|to"),
        ranking=ranking.view(2, 32),
        scores=torch.ones(2, 32),
        attributions=torch.ones(2, MODEL.num_layers, MODEL.num_neurons),
        method="random",
        model=MODEL.identity,
        prompts_digest="0",
    )
    carrier = Neurons(neurons, num_neurons=32, amplification=4.0)
    return Counted(MODEL, carrier, PROMPTS, samples=2, max_new_tokens=6)


def quarter_of_the_bid(bids: Tensor, context: Tensor | None) -> Outcome:
    """Bids decide the levers; everybody pays a quarter of its bid."""
    del context
    share = bids.squeeze(2).clamp(0, 1)
    return Outcome(torch.stack([32 * share, 1 + 3 * share], dim=2), bids.squeeze(2) / 4)


def options(live: Counted) -> dict[str, Any]:
    return {
        "mechanism": quarter_of_the_bid,
        "substrate": View(live, ["slot_probability"]),
        "priors": Uniform(0, 1),
        "rounds": 3,
    }


@pytest.mark.parametrize("with_user_loss", [True, False])
@pytest.mark.parametrize("rows", [1, 7])
def test_a_vector_step_asks_the_model_once(rows: int, with_user_loss: bool, forward_passes: Any) -> None:
    """One call of the substrate, one batch of the model: all rows' replies begin together, whatever their contexts."""
    live = counted()
    env = NeuronAuctionVectorEnv(rows, **options(live), with_user_loss=with_user_loss)
    env.reset(seed=0)
    for _ in range(3):
        before = live.asked
        with forward_passes(MODEL.network) as seen:
            env.step(np.full((rows, 1), 0.5, np.float32))
        assert live.asked == before + 1
        decoding = [batch for batch, positions in seen if positions == 1]
        assert decoding[0] == rows * live.samples
        assert len(decoding) <= live.max_new_tokens
    before = live.asked
    env.step(np.full((rows, 1), 0.5, np.float32))  # every row begins anew
    assert live.asked == before


def test_reward_is_the_realised_exposure_less_the_rules_payment() -> None:
    live = counted()
    env = NeuronAuctionEnv(**options(live))
    env.reset(seed=4)
    for bid in (0.75, 0.25):
        valuation, rival = (float(v) for v in env.game.valuations(env._state)[0, :, 0])
        context = env.game.context(env._state)
        _, reward, _, _, info = env.step(np.array([bid], np.float32))
        allocation = quarter_of_the_bid(torch.tensor([[[bid], [rival]]]), None).allocation
        exposure, losses = live.observe(allocation, context)
        assert info["payment"] == bid / 4
        assert info["exposure"][0] == pytest.approx(float(exposure[0, 0, 0]), abs=1e-6)
        assert info["user_loss"] == pytest.approx(float(losses["kl"][0]), abs=1e-5)
        assert reward == pytest.approx(valuation * float(exposure[0, 0, 0]) - bid / 4, abs=1e-6)


def test_scalar_and_vector_agree_on_a_network() -> None:
    live = counted()
    vector = NeuronAuctionVectorEnv(3, **options(live))
    singles = [NeuronAuctionEnv(**options(live)) for _ in range(3)]
    vector.reset(seed=9)
    for row, env in enumerate(singles):
        env.reset(seed=9 + row)
    bids = np.array([[0.2], [0.9], [0.5]], np.float32)
    observation, rewards, *_ = vector.step(bids)
    for row, env in enumerate(singles):
        one = env.step(bids[row])
        np.testing.assert_allclose(observation[row], one[0], atol=1e-5)
        assert rewards[row] == pytest.approx(one[1], abs=1e-5)


def test_rendering_shows_the_reply() -> None:
    live = counted()
    for mode in ("ansi", "rgb_array"):
        env = NeuronAuctionEnv(**options(live), render_mode=mode)
        env.reset(seed=1)
        empty = env.render()
        env.step(np.array([0.5], np.float32))
        shown = env.render()
        if mode == "ansi":
            assert "shoes" in shown
            context = int(env.played.before.contexts[0, 0])
            allocation = env.played.round.outcome.allocation
            reply = live.replies(PROMPTS.everything[context], allocation, (context, 0), 1)
            assert reply.texts[0] in shown
        else:
            assert shown.shape == empty.shape
            bars = shown.shape[0] - 12 * 13 - 10
            assert (shown[bars:] < 128).any()
            assert not (empty[bars:] < 128).any()


def test_live_options_belong_to_live_settings() -> None:
    with pytest.raises(ValueError, match="for settings on a model"):
        build_game("neuron-auction", live={"samples": 1})
    with pytest.raises(ValueError, match="its own substrate"):
        build_game(**options(counted()), live={"samples": 1})


@pytest.mark.model
@pytest.mark.slow
def test_the_packaged_model_plays_every_rule() -> None:
    """One round of each live id on SmolLM2: payments are the rule's on its surface, value is the model's."""
    live = {"max_new_tokens": 4, "dtype": "float32"}
    for name in (name for name, setting in SETTING_OF_ID.items() if setting.endswith("-live")):
        env = gymnasium.make(name, rounds=1, live=live)
        observation, _ = env.reset(seed=0)
        game = env.unwrapped.game
        _, reward, over, _, info = env.step(np.array([0.9], np.float32))
        assert over
        played = env.unwrapped.played
        on_surface = game.mechanism(played.round.bids, game.context(played.before))
        assert torch.equal(played.round.outcome.payments, on_surface.payments)
        assert reward == pytest.approx(float(observation[0]) * info["exposure"][0] - info["payment"], abs=1e-6)
    check_env(gymnasium.make("auctionsim/NeuronMenuLive-v0", rounds=1, live=live).unwrapped, skip_render_check=True)


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # ray's own
def test_bidders_train_on_the_packaged_model() -> None:
    from auctionsim.agents.ppo import PPOSettings, train_ppo
    from auctionsim.envs import NeuronAuctionEnvRunner, register_envs

    trained = train_ppo(
        register_envs(),
        {"setting": "neuron-auction-live", "rounds": 2, "with_user_loss": False, "live": {"max_new_tokens": 4}},
        [[1.0], [1.0]],
        seed=0,
        iterations=2,
        running=Running(env_runner=NeuronAuctionEnvRunner),
        settings=PPOSettings(episodes=2, steps=4, minibatch=4, epochs=2),
    )
    assert [step.iteration for step in trained.curve] == [1, 2]
    assert all(np.isfinite(step.utility).all() for step in trained.curve)


@pytest.mark.parametrize("name", WITH_NEURONS)
def test_the_neurons_that_ship_are_those_that_were_measured(name: str) -> None:
    surface = ResponseSurface.packaged(name)
    with resources.as_file(resources.files("auctionsim.data") / "neurons" / f"{name}.safetensors") as path:
        neurons = BrandNeurons.load(path)
    assert neurons.digest == surface.provenance["neurons"]
    assert [list(brand.names) for brand in neurons.brands] == surface.provenance["brands"]
    surface.require_model(neurons.model)
