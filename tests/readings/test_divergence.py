"""The loss of a reply has no floor: what bfloat16 rounds away is not charged, and the null loses nothing by rule."""

import copy

import pytest
import torch
from torch import Tensor, nn

from auctionsim.brands import parse_brands
from auctionsim.language_models import LanguageModel, divergence, find_feed_forwards, intervene
from auctionsim.language_models.precision import computed_in_float32
from auctionsim.neurons import BrandNeurons
from auctionsim.prompts import PromptSet
from auctionsim.readings.intent import Lead
from auctionsim.readings.neutral_kl import neutral_kl
from auctionsim.substrates.language_model import LanguageModelSubstrate
from auctionsim.testing import fake_language_model

HALF = fake_language_model(end_gain=2.5, dtype=torch.bfloat16)
PROMPTS = PromptSet(("ask",), (("Which shoes?", "What shoes do you like?"),))
NULL = [0.0, 1.0]


def neurons(model: LanguageModel) -> BrandNeurons:
    total = model.num_layers * model.num_neurons
    return BrandNeurons(
        brands=parse_brands("or,the"),
        ranking=torch.randperm(total, generator=torch.Generator().manual_seed(0))[:64].view(2, 32),
        scores=torch.ones(2, 32),
        attributions=torch.ones(2, model.num_layers, model.num_neurons),
        method="random",
        model=model.identity,
        prompts_digest="0",
    )


def live(model: LanguageModel, positions: str = "reply") -> LanguageModelSubstrate:
    leads = (Lead(". You", ("can",)),)
    return LanguageModelSubstrate(
        model, neurons(model), PROMPTS, num_neurons=32, samples=3, max_new_tokens=8, leads=leads, positions=positions
    )


def in_float64(model: LanguageModel) -> LanguageModel:
    network = copy.deepcopy(model.network).double()
    return LanguageModel(model.name, model.fingerprint, network, model.tokenizer, find_feed_forwards(network))


def slow_loss(model: LanguageModel, prompt: str, ids: list[int], change: Tensor, whole_prompt: bool) -> float:
    """KL, mean over a reply's tokens, by two full passes in float64 with the library's own attention."""
    exact, asked = in_float64(model), model.chat_ids(prompt)
    sequence = torch.tensor([[*asked, *ids[:-1]]])
    first = 0 if whole_prompt else len(asked) - 1
    with torch.inference_mode():
        still = exact.network(sequence).logits
        with intervene(exact, neurons(model).intervention(change[None]), first_position=first):
            moved = exact.network(sequence).logits
    log_p, log_q = (logits[0, len(asked) - 1 :].log_softmax(1) for logits in (moved, still))
    return float((log_p.exp() * (log_p - log_q)).sum(1).mean())


@pytest.mark.parametrize("positions", ["reply", "all"])
def test_losses_are_those_of_exact_arithmetic_and_zero_at_the_null(positions: str) -> None:
    substrate = live(HALF, positions)
    levers = torch.tensor(
        [[NULL, NULL], [[32.0, 1.01], NULL], [[20.0, 1.5], [32.0, 2.0]], [NULL, [32.0, 1.0]]]
    ).double()
    batch = substrate.replies(PROMPTS.prompts[0][0], levers, (0, 0), 3)
    losses = batch.user_loss.view(4, 3)
    assert (losses[[0, 3]] == 0).all()
    for row in (1, 2):
        for sample in range(3):
            expected = slow_loss(
                HALF, PROMPTS.prompts[0][0], batch.token_ids[3 * row + sample], levers[row].float(), positions == "all"
            )
            assert float(losses[row, sample]) == pytest.approx(expected, rel=1e-3, abs=1e-7)
    assert losses[1].max() < 1e-3 < losses[2].min()


def test_a_row_loses_nothing_whatever_stands_beside_it() -> None:
    """Mixed with rows that move, across the blocks in which replies are judged."""
    substrate = live(HALF)
    levers = torch.tensor([[NULL, NULL], [[32.0, 2.0], NULL]]).double().repeat(9, 1, 1)
    loss = substrate.user_loss(levers)
    assert (loss[::2] == 0).all()
    assert (loss[1::2] > 0).all()
    kl = neutral_kl(HALF, neurons(HALF).intervention(levers.float()), ("The river rises in the hills.",))
    assert (kl[::2] == 0).all()
    assert (kl[1::2] > 0).all()


def test_the_copy_has_the_same_weights_and_is_made_once() -> None:
    exact = HALF.in_float32
    assert exact is HALF.in_float32
    assert (exact.dtype, HALF.dtype) == (torch.float32, torch.bfloat16)
    for own, other in zip(HALF.network.parameters(), exact.network.parameters(), strict=True):
        assert torch.equal(own.float(), other)
    assert exact.fingerprint == HALF.fingerprint
    full = fake_language_model()
    assert full.in_float32 is full


def test_a_float32_layer_is_the_same_layer_by_another_library() -> None:
    layer = nn.Linear(7, 5)
    x = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0))
    (twin,) = computed_in_float32(nn.Sequential(layer))
    with torch.inference_mode():
        torch.testing.assert_close(twin(x), layer(x), rtol=1e-5, atol=1e-6)
    wanted = x.clone().requires_grad_()
    twin(wanted).sum().backward()
    torch.testing.assert_close(wanted.grad, layer.weight.detach().sum(0).expand(2, 3, 7))


@pytest.mark.parametrize("size", [1e-1, 1e-3, 1e-5])
def test_divergence_near_nothing_has_no_floor(size: float) -> None:
    """49,152 tokens, as a real vocabulary: the error of the normalising sums would be some 10⁻⁶."""
    generator = torch.Generator().manual_seed(0)
    reference = 3 * torch.randn(20, 49_152, generator=generator)
    logits = reference + size * torch.randn(20, 49_152, generator=generator)
    p, q = (values.double().log_softmax(1) for values in (logits, reference))
    expected = (p.exp() * (p - q)).sum(1)
    torch.testing.assert_close(divergence(logits, reference).double(), expected, rtol=1e-3, atol=2e-8)
