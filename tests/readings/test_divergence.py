"""The loss of a reply has no floor: what bfloat16 rounds away is not charged, and the null loses nothing by rule."""

import copy

import pytest
import torch
from torch import Tensor, nn

from auctionsim.brands import parse_brands
from auctionsim.carriers.neurons import Neurons
from auctionsim.language_models import (
    Change,
    Intervention,
    LanguageModel,
    divergence,
    find_feed_forwards,
    intervene,
    prefill,
    reply_logits,
    untouched,
)
from auctionsim.language_models.precision import computed_in_float32
from auctionsim.measurement import MeasurementSettings
from auctionsim.neurons import BrandNeurons
from auctionsim.prompts import PromptSet
from auctionsim.readings.intent import Lead
from auctionsim.readings.neutral_kl import neutral_kl
from auctionsim.readings.passes import begin
from auctionsim.substrates.language_model import LanguageModelSubstrate
from auctionsim.substrates.manner import Manner
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
    manner = Manner(positions=positions, leads=(Lead(". You", ("can",)),), readings=("reply_kl",))
    return LanguageModelSubstrate(
        model, Neurons(neurons(model), num_neurons=32), PROMPTS, samples=3, max_new_tokens=8, manner=manner
    )


def in_float64(model: LanguageModel) -> LanguageModel:
    network = copy.deepcopy(model.network).double()
    return LanguageModel(model.name, model.fingerprint, network, model.tokenizer, find_feed_forwards(network))


def slow_losses(
    model: LanguageModel, prompt: str, ids: list[int], change: Tensor, whole_prompt: bool
) -> tuple[float, float]:
    """KL, mean over tokens at temperature 1, and summed at .7, by two full passes of the library in float64."""
    exact, asked = in_float64(model), model.chat_ids(prompt)
    sequence = torch.tensor([[*asked, *ids[:-1]]])
    first = 0 if whole_prompt else len(asked) - 1
    with torch.inference_mode():
        still = exact.network(sequence).logits
        with intervene(exact, neurons(model).intervention(change[None]), first_position=first):
            moved = exact.network(sequence).logits
    found = []
    for temperature in (1.0, 0.7):
        log_p, log_q = ((logits[0, len(asked) - 1 :] / temperature).log_softmax(1) for logits in (moved, still))
        found.append((log_p.exp() * (log_p - log_q)).sum(1))
    return float(found[0].mean()), float(found[1].sum())


@pytest.mark.parametrize("positions", ["reply", "all"])
def test_losses_are_those_of_exact_arithmetic_and_zero_at_the_null(positions: str) -> None:
    substrate = live(HALF, positions)
    levers = torch.tensor(
        [[NULL, NULL], [[32.0, 1.01], NULL], [[20.0, 1.5], [32.0, 2.0]], [NULL, [32.0, 1.0]]]
    ).double()
    batch = substrate.replies(PROMPTS.prompts[0][0], levers, (0, 0), 3)
    losses, whole = (batch.numbers(name).view(4, 3) for name in ("kl", "reply_kl"))
    assert (losses[[0, 3]] == 0).all()
    assert (whole[[0, 3]] == 0).all()
    for row in (1, 2):
        for sample in range(3):
            ids = batch.replies[3 * row + sample].token_ids
            by_token, by_reply = slow_losses(HALF, PROMPTS.prompts[0][0], ids, levers[row].float(), positions == "all")
            assert float(losses[row, sample]) == pytest.approx(by_token, rel=1e-3, abs=1e-7)
            assert float(whole[row, sample]) == pytest.approx(by_reply, rel=1e-3, abs=1e-6)
    assert losses[1].max() < 1e-3 < losses[2].min()


def test_reply_kl_is_the_divergence_of_the_laws_of_whole_replies() -> None:
    """With y drawn under x, E log π_x(y) − log π_0(y) is the same number, told by the sampled tokens' probabilities."""
    substrate, prompt = live(fake_language_model(end_gain=2.5)), PROMPTS.prompts[0][0]
    levers = torch.tensor([[[32.0, 2.0], [32.0, 1.5]]])
    batch = substrate.replies(prompt, levers, (0, 0), 400)
    model, change = substrate.model, neurons(substrate.model).intervention(levers).repeat(400)
    longest = int(batch.lengths.max())
    ids = torch.tensor([[*r.token_ids, *[0] * (longest - r.length)] for r in batch.replies])
    live_tokens = torch.arange(longest) < batch.lengths.unsqueeze(1)
    prefix = prefill(model, model.chat_ids(prompt), longest)
    ratio = torch.zeros(400)
    for sign, scales in ((1, change), (-1, untouched(model))):
        log_p = (reply_logits(model, prefix, ids, scales) / 0.7).log_softmax(2)
        ratio += sign * (log_p.gather(2, ids.unsqueeze(2)).squeeze(2) * live_tokens).sum(1)
    difference = ratio.double() - batch.numbers("reply_kl")
    assert abs(float(difference.mean())) < 4 * float(difference.std()) / 20
    assert float(batch.numbers("reply_kl").mean()) > 20 * float(difference.std()) / 20


def test_reply_kl_is_refused_where_the_law_is_cut() -> None:
    own = (fake_language_model(), Neurons(neurons(fake_language_model()), num_neurons=32), PROMPTS)
    cut = Manner(top_p=0.9, readings=("reply_kl",))
    with pytest.raises(ValueError, match=r"reply_kl is about the whole law .* got top_p 0.9 at temperature 0.7"):
        LanguageModelSubstrate(*own, manner=cut)
    with pytest.raises(ValueError, match="temperature 0 makes certain"):
        LanguageModelSubstrate(*own, temperature=0.0, manner=Manner(readings=("reply_kl",)))
    with pytest.raises(ValueError, match="reply_kl is about the whole law"):
        MeasurementSettings(top_p=0.9, readings=("reply_kl",))


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


def test_one_change_for_several_prompts_is_held_against_each_untouched_prompt() -> None:
    model = fake_language_model()
    change = Change(1, inside=Intervention(torch.full((1, model.num_layers, model.num_neurons), 2.0)))
    prompts = PROMPTS.prompts[0]
    begun = begin(model, prompts, 3, change, whole_prompt=True)
    plain = begin(model, prompts, 3, Change(1)).untouched
    assert (begun.judged.num_rows, begun.untouched.num_rows) == (2, 2)
    assert begun.untouched.lengths.tolist() == plain.lengths.tolist()
    for mine, theirs in zip(begun.untouched.keys, plain.keys, strict=True):
        torch.testing.assert_close(mine, theirs)
