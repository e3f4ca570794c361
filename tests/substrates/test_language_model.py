"""The live model as a substrate: the same numbers as its parts, the null untouched, a row its own."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from auctionsim.brands import parse_brands
from auctionsim.carriers.neurons import Neurons
from auctionsim.language_models import intervene, prefill, reply_logits, sample_replies
from auctionsim.neurons import BrandNeurons
from auctionsim.prompts import PromptSet
from auctionsim.readings.intent import Lead
from auctionsim.readings.repetition import repetition_rate
from auctionsim.stems import STEMS
from auctionsim.substrates import Substrate
from auctionsim.substrates.language_model import LanguageModelSubstrate
from auctionsim.substrates.manner import Manner
from auctionsim.substrates.protocol import allocation_shape, contexts_of, is_separable
from auctionsim.testing import check_substrate, fake_language_model

MODEL = fake_language_model(end_gain=2.5)
LEADS = (Lead(". You", ("can",)),)
FOUR = tuple(stem for stem in STEMS if stem.split == "A")
PROMPTS = PromptSet(("ask", "tell"), (("Which shoes?", "What shoes do you like?"), ("Tell me of shoes.",)), FOUR)


def some_neurons() -> BrandNeurons:
    generator = torch.Generator().manual_seed(3)
    ranking = torch.randperm(MODEL.num_layers * MODEL.num_neurons, generator=torch.Generator().manual_seed(0))[:64]
    return BrandNeurons(
        brands=parse_brands("or,the|to"),
        ranking=ranking.view(2, 32),
        scores=torch.ones(2, 32),
        attributions=torch.ones(2, MODEL.num_layers, MODEL.num_neurons),
        method="random",
        model=MODEL.identity,
        prompts_digest="0",
        signs=torch.where(torch.rand(2, 32, generator=generator) < 0.5, -1.0, 1.0),
        references=torch.randn(2, 32, generator=generator),
    )


def substrate(**more: object) -> LanguageModelSubstrate:
    own = {"leads": LEADS, **{name: more.pop(name) for name in list(more) if name in Manner.__dataclass_fields__}}
    levers = {name: more.pop(name) for name in ("num_neurons", "amplification", "mode") if name in more}
    carrier = Neurons(some_neurons(), **{"num_neurons": 32, "amplification": 4.0, **levers})  # type: ignore[arg-type]
    settings = {"samples": 3, "max_new_tokens": 8, **more}
    return LanguageModelSubstrate(MODEL, carrier, PROMPTS, manner=Manner(**own), **settings)  # type: ignore[arg-type]


LIVE = substrate()
LEVERS = torch.tensor([[[0.0, 1.0], [0.0, 1.0]], [[32.0, 4.0], [0.0, 1.0]], [[5.5, 2.0], [20.0, 3.0]]]).double()


def test_it_passes_the_kit_of_substrates() -> None:
    check_substrate(substrate(samples=1, max_new_tokens=2), examples=1, tolerance=1e-5)


def test_it_is_a_substrate() -> None:
    assert isinstance(LIVE, Substrate)
    assert allocation_shape(LIVE) == (2, 2)
    assert contexts_of(LIVE) == ("ask", "tell")
    assert not is_separable(LIVE)
    assert LIVE.features == ("slot_probability", "mention_probability", "hits", "intent")
    assert [(lever.name, lever.low, lever.high, lever.null) for lever in LIVE.levers] == [
        ("num_neurons", 0.0, 32.0, 0.0),
        ("amplification", 1.0, 4.0, 1.0),
    ]
    assert LIVE.null_allocation(3, dtype=torch.float64).dtype == torch.float64
    outside = torch.tensor([[[33.0, 1.0], [0.0, 1.0]], [[0.0, 0.5], [0.0, 1.0]]]).double()
    assert LIVE.feasible(torch.cat([LEVERS, outside])).tolist() == [True, True, True, False, False]
    with pytest.raises(NotImplementedError, match="LanguageModelSubstrate has no exact argmax"):
        LIVE.maximise(torch.ones(1, 2, 3), 1.0)


def observed(live: LanguageModelSubstrate, allocation: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return exposure and the only loss."""
    observation = live.observe(allocation, context)
    return observation.exposure, observation.losses["kl"]


def test_observing_averages_prompts_and_contexts() -> None:
    exposure, loss = observed(LIVE, LEVERS)
    assert exposure.shape == (3, 2, 4)
    assert exposure.dtype == loss.dtype == torch.float64
    apart = [observed(LIVE, LEVERS, torch.full((3,), context)) for context in (0, 1)]
    torch.testing.assert_close(exposure, (apart[0][0] + apart[1][0]) / 2)
    torch.testing.assert_close(loss, (apart[0][1] + apart[1][1]) / 2)
    mixed = observed(LIVE, LEVERS, torch.tensor([1, 0, 1]))
    for row, context in enumerate((1, 0, 1)):
        torch.testing.assert_close(mixed[0][row], apart[context][0][row], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(mixed[1][row], apart[context][1][row], rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(LIVE.exposure(LEVERS), exposure)
    torch.testing.assert_close(LIVE.user_loss(LEVERS), loss)


@pytest.mark.parametrize("positions", ["reply", "all"])
def test_one_batch_over_all_prompts_is_a_batch_a_prompt(positions: str) -> None:
    """The same numbers as `replies` and `scores` give prompt by prompt, to float32, however the batch is cut."""
    live = substrate(positions=positions)
    exposure, loss = observed(live, LEVERS)
    slow, slow_loss = torch.zeros(3, 2, 4, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    for context, prompts in enumerate(PROMPTS.prompts):
        for number, prompt in enumerate(prompts):
            part = 1 / 2 / len(prompts)
            batch = live.replies(prompt, LEVERS, (context, number), 3)
            hits = batch.numbers("hits").view(3, 3, 2)
            slot, intent = (values.mean(1) for values in live.scores(prompt, LEVERS).values())
            values = (slot, (hits > 0).double().mean(1), hits.double().mean(1), intent)
            slow += part * torch.stack(values, 2)
            slow_loss += part * batch.numbers("kl").view(3, 3).mean(1)
    torch.testing.assert_close(exposure, slow, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(loss, slow_loss, rtol=1e-3, atol=1e-6)
    assert loss[0] == 0
    for rows in (1, 7):  # one question a batch, or two
        parts = observed(substrate(positions=positions, rows=rows), LEVERS)
        torch.testing.assert_close(parts[0], exposure, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(parts[1], loss, rtol=1e-3, atol=1e-6)


def test_without_leads_intent_is_no_feature_and_the_rest_is_the_same() -> None:
    without = substrate(leads=())
    assert without.features == ("slot_probability", "mention_probability", "hits")
    exposure, loss = observed(without, LEVERS)
    every, same_loss = observed(LIVE, LEVERS)
    torch.testing.assert_close(exposure, every[..., :3], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(loss, same_loss, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("positions", ["reply", "all"])
def test_all_prompts_of_all_rows_are_decoded_in_one_batch(positions: str, forward_passes: Any) -> None:
    """Counted on the network: 3 rows × 3 prompts × 3 samples begin together and end with the longest reply."""
    live = substrate(positions=positions)
    longest = max(
        int(live.replies(prompt, LEVERS, (context, number), 3).lengths.max())
        for context, prompts in enumerate(PROMPTS.prompts)
        for number, prompt in enumerate(prompts)
    )
    with forward_passes(MODEL.network) as seen:
        live.observe(LEVERS)
    decoding = [rows for rows, positions in seen if positions == 1]
    assert decoding[0] == 27
    assert len(decoding) == longest
    prefills = 1 if positions == "reply" else 2  # with the intervention and without
    assert [rows for rows, _ in seen[:prefills]] == [3 if positions == "reply" else 9] * prefills
    assert seen[prefills][1] == 1
    with forward_passes(MODEL.network) as seen:
        substrate(positions=positions, rows=9).observe(LEVERS)  # three batches of nine replies
    assert [rows for rows, positions in seen if positions == 1].count(9) >= 3


def test_the_null_loses_nothing_and_amplifying_does() -> None:
    loss = LIVE.user_loss(LEVERS)
    assert loss[0] == 0  # exactly, though its batch is amplified elsewhere
    assert LIVE.user_loss(LEVERS[:1])[0] == 0
    assert (loss[1:] > 0.01).all()
    same = LEVERS[:1].repeat(3, 1, 1)
    same[1, 0, 1], same[2, 1, 0] = 4.0, 20.0  # no neurons, or a factor of 1
    exposure, none = observed(LIVE, same)
    assert (none == 0).all()
    assert (exposure == exposure[0]).all()


@pytest.mark.parametrize("mode", ["multiply", "add", "clamp"])
@pytest.mark.parametrize("positions", ["reply", "all"])
def test_modes_and_positions_are_those_of_one_full_pass(mode: str, positions: str) -> None:
    """Loss and slots by one pass over prompt and reply, hooked from the prompt's last token or from its first."""
    live = substrate(mode=mode, positions=positions)
    prompt = PROMPTS.prompts[0][1]
    ids = MODEL.chat_ids(prompt)
    first = len(ids) - 1 if positions == "reply" else 0
    change = live.carrier.neurons.intervention(LEVERS.float(), mode)
    batch = live.replies(prompt, LEVERS, (0, 1), 2)
    assert (batch.numbers("kl")[:2] == 0).all()
    prefix = prefill(MODEL, ids, 8, change if positions == "all" else None).repeat(2)
    draws = [np.random.default_rng([0, 0, 1, k]).random(8, dtype=np.float32) for k in range(2)]
    uniforms = torch.from_numpy(np.stack(draws)).repeat(3, 1)
    replies = sample_replies(MODEL, prefix, change.repeat(2), uniforms, temperature=0.7)
    for row in range(6):
        tokens = replies.tokens[row, : replies.lengths[row]].tolist()
        assert MODEL.text(tokens) == batch.texts[row]
        whole = torch.tensor([[*ids, *tokens]])
        still = torch.log_softmax(MODEL.network(whole).logits[0, len(ids) - 1 : -1].double(), -1)
        with intervene(MODEL, change.select(slice(row // 2, row // 2 + 1)), first_position=first):
            moved = torch.log_softmax(MODEL.network(whole).logits[0, len(ids) - 1 : -1].double(), -1)
        loss = (moved.exp() * (moved - still)).sum(-1).mean()
        assert batch.numbers("kl")[row].item() == pytest.approx(loss.item(), rel=1e-3, abs=1e-5)
    slots = live.slot_probability(prompt, LEVERS)
    other = substrate(mode=mode, positions="all" if positions == "reply" else "reply").slot_probability(prompt, LEVERS)
    assert torch.equal(slots[0], other[0]) or torch.allclose(slots[0], other[0], rtol=1e-4)
    assert not torch.allclose(slots[1:], other[1:], rtol=1e-3)
    for row in range(3):
        torch.testing.assert_close(
            live.slot_probability(prompt, LEVERS[row : row + 1])[0], slots[row], rtol=1e-4, atol=0
        )


def test_what_a_reply_is_worth() -> None:
    """Texts, hits and repetition from the sampled tokens; loss and surprise by the formulas, token by token."""
    batch = LIVE.replies(PROMPTS.prompts[0][0], LEVERS, (0, 0), 3)
    scales = LIVE.carrier.neurons.scales(LEVERS.float()).repeat_interleave(3, 0)
    prefix = prefill(MODEL, MODEL.chat_ids(PROMPTS.prompts[0][0]), 8)
    draws = [np.random.default_rng([0, 0, 0, k]).random(8, dtype=np.float32) for k in range(3)]
    uniforms = torch.from_numpy(np.stack(draws)).repeat(3, 1)
    replies = sample_replies(MODEL, prefix, scales, uniforms, temperature=0.7)
    moved = torch.log_softmax(reply_logits(MODEL, prefix, replies.tokens, scales).double(), -1)
    still = torch.log_softmax(reply_logits(MODEL, prefix, replies.tokens, torch.ones_like(scales)).double(), -1)
    assert len(set(batch.lengths.tolist())) > 1
    for row in range(9):
        length = int(replies.lengths[row])
        text = MODEL.text(replies.tokens[row, :length])
        assert (batch.texts[row], int(batch.lengths[row])) == (text, length)
        assert batch.numbers("hits")[row].tolist() == [brand.hits(text) for brand in LIVE.carrier.neurons.brands]
        assert batch.numbers("repetition_rate")[row].item() == pytest.approx(repetition_rate(text))
        kl, surprise = 0.0, 0.0
        for position in range(length):
            p, q = moved[row, position], still[row, position]
            kl += float((p.exp() * (p - q)).sum())
            surprise -= float(q[replies.tokens[row, position]])
        assert batch.numbers("kl")[row].item() == pytest.approx(kl / length, rel=1e-3, abs=1e-5)
        assert batch.numbers("surprise")[row].item() == pytest.approx(surprise / length, rel=1e-4)


def test_samples_are_keyed_by_seed_place_and_number() -> None:
    prompt = PROMPTS.prompts[0][0]

    def texts(live: LanguageModelSubstrate, place: tuple[int, ...], samples: int, first: int = 0) -> list[str]:
        return live.replies(prompt, LEVERS[:1], place, samples, first).texts

    five = texts(LIVE, (0, 0), 5)
    assert texts(LIVE, (0, 0), 2, first=3) == five[3:]
    assert len({tuple(t) for t in (five, texts(LIVE, (0, 1), 5), texts(LIVE, (1, 0), 5))}) == 3
    assert texts(substrate(seed=1), (0, 0), 5) != five
    rows = LIVE.replies(prompt, LEVERS, (0, 0), 2).texts
    for row in range(3):
        assert LIVE.replies(prompt, LEVERS[row : row + 1], (0, 0), 2).texts == rows[2 * row : 2 * row + 2]


def test_a_tiny_nucleus_leaves_the_most_probable_token() -> None:
    prompt = PROMPTS.prompts[0][0]
    greedy = substrate(temperature=0.0).replies(prompt, LEVERS, (0, 0), 2).texts
    assert substrate(top_p=1e-6).replies(prompt, LEVERS, (0, 0), 2).texts == greedy
    assert LIVE.replies(prompt, LEVERS, (0, 0), 2).texts != greedy


def test_overflow_is_refused() -> None:
    half = fake_language_model(end_gain=2.5, dtype=torch.float16)
    neurons = BrandNeurons(**{**vars(some_neurons()), "model": half.identity})
    live = LanguageModelSubstrate(half, Neurons(neurons, num_neurons=32, amplification=1e5), PROMPTS, max_new_tokens=4)
    with pytest.raises(ValueError, match=r"logits are not finite in torch\.float16 at levers \[\[32\.0, "):
        live.replies("Which shoes?", torch.tensor([[[0.0, 1.0]] * 2, [[32.0, 6e4]] * 2]), (0, 0), 2)


def test_bad_input_is_refused() -> None:
    other = BrandNeurons(**{**vars(some_neurons()), "model": "other:0"})
    with pytest.raises(ValueError, match=r"identified on other:0, not on fake:"):
        LanguageModelSubstrate(MODEL, Neurons(other, num_neurons=32), PROMPTS)
    for change, message in (
        ({"num_neurons": 33}, r"num_neurons must lie in \[1, 32\], got 33"),
        ({"amplification": 0.5}, "amplification must be a number in"),
        ({"samples": 0}, "samples must be an integer"),
        ({"temperature": -0.1}, "temperature must be a number"),
        ({"top_p": 0.0}, r"top_p must lie in \(0, 1\], got 0.0"),
        ({"mode": "freeze"}, "mode must be one of multiply, add, clamp, got 'freeze'"),
        ({"positions": "prompt"}, "positions must be one of reply, all, got 'prompt'"),
    ):
        with pytest.raises(ValueError, match=message):
            substrate(**change)
    ignorant = BrandNeurons(**{**vars(some_neurons()), "signs": None})
    with pytest.raises(ValueError, match="mode 'add' needs the neurons' signs"):
        Neurons(ignorant, num_neurons=32, mode="add")
    with pytest.raises(ValueError, match="was it made for another substrate"):
        LIVE.exposure(torch.zeros(1, 3, 2))
    with pytest.raises(ValueError, match="context must index"):
        LIVE.exposure(LEVERS, torch.tensor([0, 1, 2]))


@pytest.mark.parametrize(
    ("text", "rate"),
    [("", 0.0), ("one two", 0.0), ("a b c d", 0.0), ("a b c A B C a b c", 1 - 3 / 7), ("la la la la la", 1 - 1 / 3)],
)
def test_repetition_rate(text: str, rate: float) -> None:
    assert repetition_rate(text) == pytest.approx(rate)


def test_stems_are_scored_each() -> None:
    slots: Tensor = LIVE.slot_probability(PROMPTS.prompts[0][0], LEVERS)
    assert slots.shape == (3, len(FOUR), 2)
    assert ((slots > 0) & (slots < 1)).all()


def test_a_reading_is_named_once() -> None:
    with pytest.raises(ValueError, match="named once, got"):
        Manner(readings=("length", "length"))
