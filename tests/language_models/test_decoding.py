"""Replies are the model's own: greedy as `generate` writes them, sampled from the exact distribution, row by row."""

import copy
import warnings
from typing import Any

import pytest
import scipy.stats
import torch
import transformers
from test_architecture import FAMILIES, random_network
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.language_models import (
    Intervention,
    LanguageModel,
    divergence,
    join,
    load_model,
    prefill,
    prefill_together,
    reply_logits,
    sample_replies,
    scale_neurons,
    untouched,
)
from auctionsim.language_models.attention import Grouping, KeyValueStore
from auctionsim.prompts import build_prompts
from auctionsim.readings.slots import SlotScorer
from auctionsim.testing import fake_language_model

MODEL = fake_language_model()
ENDING = fake_language_model(end_gain=3.0)
PROMPT = "Which running shoes would you choose?"


def scales_of(model: LanguageModel, rows: int, seed: int = 0, spread: float = 0.5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 1 + spread * torch.rand(rows, model.num_layers, model.num_neurons, generator=generator)


def uniforms_of(rows: int, positions: int, seed: int = 1) -> Tensor:
    return torch.rand(rows, positions, generator=torch.Generator().manual_seed(seed))


def full_pass(model: LanguageModel, prompt_ids: list[int], tokens: Tensor, scales: Tensor) -> Tensor:
    """The definition: one pass over prompt and reply, interventions from the prompt's last token on."""
    prompt = torch.tensor([prompt_ids]).expand(len(tokens), -1)
    with scale_neurons(model, scales, first_position=len(prompt_ids) - 1):
        logits: Tensor = model.network(torch.cat([prompt, tokens[:, :-1]], 1), use_cache=False).logits
    return logits[:, len(prompt_ids) - 1 :]


def generated(model: LanguageModel, prompt_ids: list[int], longest: int, **more: Any) -> Tensor:
    """The library's own greedy reply; what follows an end token is cut off."""
    ids = torch.tensor([prompt_ids])
    settings = {"do_sample": False, "max_new_tokens": longest, "pad_token_id": 0, **more}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        out = model.network.generate(ids, attention_mask=torch.ones_like(ids), **settings)  # type: ignore[operator]
    reply: Tensor = out[0, len(prompt_ids) :]
    return reply


@pytest.mark.parametrize("model", [MODEL, ENDING], ids=["long", "ending"])
@pytest.mark.parametrize("seed", range(4))
def test_greedy_replies_are_those_of_generate(model: LanguageModel, seed: int) -> None:
    ids = model.chat_ids(f"{PROMPT} {seed}")
    expected = generated(model, ids, 24)
    null = torch.ones(1, model.num_layers, model.num_neurons)
    reply = sample_replies(model, prefill(model, ids, 24), null, torch.zeros(2, 24), temperature=0.0)
    for row in range(2):
        assert reply.tokens[row, : reply.lengths[row]].tolist() == expected.tolist()


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_replies_are_those_of_generate_in_every_family(family: str) -> None:
    """Token for token, past the sliding window of 8, in a batch over prompts of different lengths."""
    network: Any = random_network(family)
    head = torch.nn.Linear(32, 512, bias=False).requires_grad_(False)  # tied heads repeat a token again and again
    order = torch.randperm(512, generator=torch.Generator().manual_seed(2))
    head.weight.copy_(network.get_input_embeddings().weight[order])
    network.set_output_embeddings(head)
    model = fake_language_model(network=network)
    prompts = [model.chat_ids(PROMPT)[:length] for length in (20, 7, 13)]
    prefix = join([prefill(model, ids, 16) for ids in prompts])
    replies = sample_replies(model, prefix, untouched(model), torch.zeros(3, 16), temperature=0.0)
    for row, ids in enumerate(prompts):
        expected = generated(model, ids, 16)
        assert replies.tokens[row, : replies.lengths[row]].tolist() == expected.tolist()
    assert len(set(replies.tokens.flatten().tolist())) > 4


@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_prefilled_together_are_those_prefilled_apart(family: str) -> None:
    """In every family, padding on the right is never seen: untouched, and under an intervention of each own."""
    model = fake_language_model(network=random_network(family))
    prompts = [model.chat_ids(PROMPT)[:length] for length in (20, 7, 13)]
    scales, tokens = scales_of(model, 3), torch.randint(5, 200, (3, 5), generator=torch.Generator().manual_seed(3))
    for change in (None, Intervention(scales)):
        together = prefill_together(model, prompts, 9, change)
        found = reply_logits(model, together, tokens, scales)
        for row, ids in enumerate(prompts):
            own = slice(row, row + 1)
            alone = prefill(model, ids, 9, None if change is None else change.select(own))
            expected = reply_logits(model, alone, tokens[own], scales[own])
            torch.testing.assert_close(found[own], expected, rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="at least 2 tokens each, got \\[20, 1\\]"):
        prefill_together(model, [prompts[0], [5]], 9)


@pytest.mark.parametrize("family", FAMILIES)
def test_reply_logits_are_those_of_one_full_pass(family: str) -> None:
    """Interventions act from the prompt's last token on, whatever the family's attention and cache (sliding too)."""
    model = fake_language_model(network=random_network(family))
    ids = model.chat_ids(PROMPT)[:20]
    scales = scales_of(model, 3)
    tokens = torch.randint(5, 200, (3, 6), generator=torch.Generator().manual_seed(3))
    prefix = prefill(model, ids, 9)
    found = reply_logits(model, prefix, tokens, scales)
    torch.testing.assert_close(found, full_pass(model, ids, tokens, scales), rtol=1e-3, atol=1e-4)
    assert torch.equal(reply_logits(model, prefix, tokens, scales), found)  # a prefix is not used up
    one = reply_logits(model, prefix, tokens[:1, :4], scales[:1])
    torch.testing.assert_close(one[0], found[0, :4], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_stepwise_decoding_agrees_with_scoring(family: str) -> None:
    """Greedy replies under interventions take the most probable token of the full pass at every step."""
    model = fake_language_model(network=random_network(family))
    ids = model.chat_ids(PROMPT)[:20]
    scales = scales_of(model, 3)
    replies = sample_replies(model, prefill(model, ids, 12), scales, torch.zeros(3, 12), temperature=0.0)
    logits = full_pass(model, ids, replies.tokens, scales)
    chosen = logits.gather(2, replies.tokens.unsqueeze(2)).squeeze(2)
    behind = logits.max(-1).values - chosen
    assert behind[replies.live].max() < 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_names_are_scored_in_every_family(family: str) -> None:
    """P(name's one token) · P(a word's end | name) after a stem, by one pass with the library's attention."""
    model = fake_language_model(network=random_network(family))
    score, scales = SlotScorer(model, (Brand("Nike"),), ("I would recommend",)), scales_of(model, 3)
    prompt, (name,) = model.chat_ids(PROMPT), model.text_ids(" Nike")
    ids = torch.tensor([[*prompt, *model.text_ids("I would recommend"), name]]).expand(3, -1)
    with scale_neurons(model, scales, first_position=len(prompt) - 1):
        probabilities = torch.softmax(model.network(ids, use_cache=False).logits[:, -2:].double(), -1)
    expected = probabilities[:, 0, name] * probabilities[:, 1, score.word_ends].sum(1)
    torch.testing.assert_close(score(PROMPT, scales)[:, 0, 0], expected, rtol=2e-3, atol=1e-12)


def test_a_batch_over_prompts_gives_each_row_what_its_prompt_alone_gives() -> None:
    """Groups of different sizes, out of order, prompts of different lengths, rows that end and are dropped."""
    prompts = [ENDING.chat_ids(text) for text in (PROMPT, "Shoes?", "Tell me of shoes, please, and be brief.")]
    prefixes = [prefill(ENDING, ids, 20) for ids in prompts]
    places = [2, 0, 1, 0, 2, 2, 0, 2, 1, 2, 2]
    rows = len(places)
    change, uniforms = scales_of(ENDING, rows), uniforms_of(rows, 20)
    replies = sample_replies(ENDING, join([prefixes[place] for place in places]), change, uniforms)
    assert len(set(replies.lengths.tolist())) > 3
    scored = reply_logits(ENDING, join([prefixes[place] for place in places]), replies.tokens, change)
    for row, place in enumerate(places):
        one = slice(row, row + 1)
        alone = sample_replies(ENDING, prefixes[place], change[one], uniforms[one])
        assert torch.equal(alone.tokens[0], replies.tokens[row])
        expected = full_pass(ENDING, prompts[place], replies.tokens[one], change[one])
        torch.testing.assert_close(scored[one], expected, rtol=1e-3, atol=1e-4)
    many = join([prefixes[0], prefixes[1]]).repeat(3)  # prompts in equal groups, in order: another way through
    assert many.num_rows == 6
    regular = sample_replies(ENDING, many, change[:6], uniforms[:6])
    for row in range(6):
        one = slice(row, row + 1)
        alone = sample_replies(ENDING, prefixes[row // 3], change[one], uniforms[one])
        assert torch.equal(alone.tokens[0], regular.tokens[row])
    assert torch.equal(
        sample_replies(ENDING, many.select(slice(2, 5)), change[2:5], uniforms[2:5]).tokens, regular.tokens[2:5]
    )


def test_the_models_own_attention_is_back_even_after_an_exception() -> None:
    config: Any = MODEL.network.config
    before = config._attn_implementation
    ids = MODEL.chat_ids(PROMPT)
    prefix = prefill(MODEL, ids, 4)
    assert config._attn_implementation == before
    with pytest.raises(ValueError, match="rows of interventions"):
        sample_replies(MODEL, prefix, scales_of(MODEL, 2), uniforms_of(3, 4))
    assert config._attn_implementation == before
    assert all(not module._forward_pre_hooks for module in MODEL.network.modules())


def test_attention_that_cannot_be_replaced_is_refused() -> None:
    network: Any = random_network("Llama")
    model = fake_language_model(network=network)
    network._supports_attention_backend = False
    with pytest.raises(ValueError, match="LlamaForCausalLM cannot be decoded here: transformers does not let"):
        prefill(model, model.chat_ids(PROMPT), 4)
    network._supports_attention_backend = True
    network.config.layer_types = ["full_attention", "chunked_attention"]
    with pytest.raises(ValueError, match="LlamaForCausalLM cannot be decoded here: it has chunked_attention layers"):
        prefill(model, model.chat_ids(PROMPT), 4)
    network.config.layer_types = None
    attention = network.model.layers[0].self_attn
    plain = attention.forward
    attention.forward = lambda *a, **k: plain(*a, **k, s_aux=torch.zeros(4))
    with pytest.raises(ValueError, match="LlamaAttention cannot be decoded here: its attention takes s_aux"):
        prefill(model, model.chat_ids(PROMPT), 4)


def test_the_first_token_has_the_exact_distribution() -> None:
    rows, ids = 6000, MODEL.chat_ids(PROMPT)
    scales = scales_of(MODEL, 1)
    prefix = prefill(MODEL, ids, 1)
    for temperature in (1.0, 0.7):
        replies = sample_replies(MODEL, prefix, scales, uniforms_of(rows, 1), temperature=temperature)
        exact = full_pass(MODEL, ids, torch.zeros(1, 1, dtype=torch.int64), scales)[0, 0].double() / temperature
        expected = torch.softmax(exact, -1) * rows
        counts = torch.bincount(replies.tokens[:, 0], minlength=MODEL.vocabulary_size).double()
        rare = expected < 5
        observed = torch.cat([counts[~rare], counts[rare].sum().view(1)])
        wanted = torch.cat([expected[~rare], expected[rare].sum().view(1)])
        assert len(observed) > 20
        assert scipy.stats.chisquare(observed.numpy(), wanted.numpy()).pvalue > 1e-3
        wrong = torch.softmax(exact * 1.3, -1) * rows  # the test has power: another temperature is found out
        wrong = torch.cat([wrong[~rare], wrong[rare].sum().view(1)])
        assert scipy.stats.chisquare(observed.numpy(), wrong.numpy()).pvalue < 1e-3


def test_later_tokens_invert_the_distribution_function() -> None:
    """Token t is the first whose cumulative probability exceeds the row's uniform number."""
    ids, rows = MODEL.chat_ids(PROMPT), 16
    scales, uniforms = scales_of(MODEL, rows), uniforms_of(rows, 10)
    replies = sample_replies(MODEL, prefill(MODEL, ids, 10), scales, uniforms, temperature=0.7)
    probabilities = torch.softmax(full_pass(MODEL, ids, replies.tokens, scales).double() / 0.7, -1)
    above = probabilities.cumsum(-1).gather(2, replies.tokens.unsqueeze(2)).squeeze(2)
    below = above - probabilities.gather(2, replies.tokens.unsqueeze(2)).squeeze(2)
    live = replies.live
    assert (below[live] <= uniforms[live] + 1e-4).all()
    assert (above[live] >= uniforms[live] - 1e-4).all()
    assert (probabilities.gather(2, replies.tokens.unsqueeze(2)).squeeze(2)[live] > 0).all()


def test_extreme_uniforms_never_pick_an_impossible_token() -> None:
    """Neither 0 nor the largest float32 below 1, with impossible tokens first, last and between."""
    network = random_network("Llama")
    head = network.get_output_embeddings()  # type: ignore[operator]
    impossible = torch.nn.Linear(32, 512, bias=True).requires_grad_(False)
    impossible.weight.copy_(head.weight)
    impossible.bias.zero_()
    impossible.bias[[0, 300, 510, 511]] = -1e4
    network.set_output_embeddings(impossible)  # type: ignore[operator]
    model = fake_language_model(network=network)
    last = 1 - 2**-24
    uniforms = torch.tensor([[0.0], [last]]).repeat(40, 1)
    prompts = [model.chat_ids(f"{PROMPT} {k}") for k in range(8)]
    for ids in prompts:
        replies = sample_replies(model, prefill(model, ids, 1), torch.ones(1, 2, 48), uniforms, temperature=0.7)
        assert not torch.isin(replies.tokens, torch.tensor([0, 300, 510, 511])).any()


def test_a_row_does_not_depend_on_its_batch() -> None:
    ids, rows = ENDING.chat_ids(PROMPT), 12
    scales, uniforms = scales_of(ENDING, rows), uniforms_of(rows, 20)
    prefix = prefill(ENDING, ids, 20)
    together = sample_replies(ENDING, prefix, scales, uniforms)
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(5))
    shuffled = sample_replies(ENDING, prefix, scales[order], uniforms[order])
    assert torch.equal(shuffled.tokens, together.tokens[order])
    for row in range(rows):
        alone = sample_replies(ENDING, prefix, scales[row : row + 1], uniforms[row : row + 1])
        assert torch.equal(alone.tokens[0], together.tokens[row])
        assert alone.lengths[0] == together.lengths[row]
        shorter = sample_replies(ENDING, prefix, scales[row : row + 1], uniforms[row : row + 1, :7])
        assert torch.equal(shorter.tokens[0], together.tokens[row, :7])


def test_rows_that_end_are_dropped_and_padded() -> None:
    ids, end = ENDING.chat_ids(PROMPT), ENDING.end_ids[0]
    replies = sample_replies(ENDING, prefill(ENDING, ids, 24), scales_of(ENDING, 24), uniforms_of(24, 24))
    assert len(set(replies.lengths.tolist())) > 4  # rows end at different times: they are dropped more than once
    assert replies.lengths.min() < 24
    for tokens, length in zip(replies.tokens.tolist(), replies.lengths.tolist(), strict=True):
        assert end not in tokens[: length - 1]
        assert length == 24 or tokens[length - 1] == end
        assert all(token == end for token in tokens[length:])
    assert replies.live.sum(1).tolist() == replies.lengths.tolist()
    one_scale = sample_replies(ENDING, prefill(ENDING, ids, 24), scales_of(ENDING, 1), uniforms_of(9, 24))
    nine = sample_replies(ENDING, prefill(ENDING, ids, 24), scales_of(ENDING, 1).expand(9, -1, -1), uniforms_of(9, 24))
    assert torch.equal(one_scale.tokens, nine.tokens)  # one row of scales serves all, while rows drop out, too


def test_several_end_tokens_end() -> None:
    model = fake_language_model()
    model.network.generation_config.eos_token_id = [1, *range(100, 200)]  # type: ignore[union-attr,assignment]
    replies = sample_replies(
        model, prefill(model, model.chat_ids(PROMPT), 16), scales_of(model, 16), uniforms_of(16, 16)
    )
    ends = torch.tensor(model.end_ids)
    for tokens, length in zip(replies.tokens, replies.lengths.tolist(), strict=True):
        assert not torch.isin(tokens[: length - 1], ends).any()
        assert length == 16 or torch.isin(tokens[length - 1], ends)
    assert replies.lengths.min() < 16


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="a prompt needs at least 2 tokens, got 1"):
        prefill(MODEL, [5], 4)
    for family in ("GPT2", "Llama"):  # learned positions and rotated ones
        model = fake_language_model(network=random_network(family))
        context = {"GPT2": 1024, "Llama": 2048}[family]
        prefill(model, [5] * (context - 4), 4)
        with pytest.raises(
            ValueError, match=f"a prompt of {context - 3} tokens and 4 after it exceed the model's context"
        ):
            prefill(model, [5] * (context - 3), 4)
    prefix = prefill(MODEL, MODEL.chat_ids(PROMPT), 4)
    with pytest.raises(ValueError, match="a reply of 5 tokens does not fit: the prefix has room for 4"):
        sample_replies(MODEL, prefix, scales_of(MODEL, 1), uniforms_of(1, 5))
    with pytest.raises(ValueError, match="a reply of 5 tokens does not fit: the prefix has room for 4"):
        reply_logits(MODEL, prefix, torch.zeros(1, 5, dtype=torch.int64), scales_of(MODEL, 1))
    with pytest.raises(ValueError, match="a prefix of 2 rows for 3 replies"):
        sample_replies(MODEL, join([prefix, prefix]), scales_of(MODEL, 1), uniforms_of(3, 4))
    with pytest.raises(ValueError, match=r"prefixes to join need one room for tokens, got \[4, 5\]"):
        join([prefix, prefill(MODEL, MODEL.chat_ids(PROMPT), 5)])
    for top_p in (0.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match=r"top_p must lie in \(0, 1\], got"):
            sample_replies(MODEL, prefix, scales_of(MODEL, 1), uniforms_of(3, 4), top_p=top_p)
    with pytest.raises(ValueError, match="2 rows of interventions for a forward pass of 3 rows"):
        sample_replies(MODEL, prefix, scales_of(MODEL, 2), uniforms_of(3, 4))


def test_divergence_is_the_formula(generator: torch.Generator) -> None:
    logits = 3 * torch.randn(5, 30, 17, generator=generator, dtype=torch.float64)  # more rows than one slice takes
    reference = 3 * torch.randn(5, 30, 17, generator=generator, dtype=torch.float64)
    p, q = torch.softmax(logits, -1), torch.softmax(reference, -1)
    expected = (p * (p / q).log()).sum(-1)
    torch.testing.assert_close(divergence(logits, reference).double(), expected, rtol=1e-5, atol=1e-6)
    one = divergence(logits, reference[:1])
    torch.testing.assert_close(one[0].double(), expected[0], rtol=1e-5, atol=1e-6)
    assert torch.equal(divergence(logits, logits), torch.zeros(5, 30))
    assert (divergence(logits, logits + 1e-4) >= 0).all()
    bernoulli = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
    assert divergence(*bernoulli).item() == pytest.approx(0.368064, abs=1e-6)  # .9 ln 1.8 + .1 ln .2: of p from q
    assert divergence(*bernoulli[::-1]).item() == pytest.approx(0.510826, abs=1e-6)


@pytest.mark.model
def test_smollm2_greedy_is_generate_and_replies_end() -> None:
    transformers.logging.set_verbosity_error()
    model: Any = load_model("smollm2", device="cpu", dtype="float32")
    null = torch.ones(1, model.num_layers, model.num_neurons)
    for prompt in ("Can you recommend some running shoes?", "Reply with one word: what is the capital of France?"):
        ids = model.chat_ids(prompt)
        expected = generated(model, ids, 20)
        reply = sample_replies(model, prefill(model, ids, 20), null, torch.zeros(1, 20), temperature=0.0)
        assert reply.tokens[0, : reply.lengths[0]].tolist() == expected.tolist()
    assert reply.lengths[0] < 20
    assert "Paris" in model.text(reply.tokens[0])
    assert "<|" not in model.text(reply.tokens[0])


@pytest.mark.model
def test_smollm2_in_bfloat16_leaves_generate_only_at_near_ties() -> None:
    """Where a greedy reply first differs from the library's, both tokens are within rounding of the most probable one.

    The margin is that of the arithmetic, measured on the very prefix: a computation whose logits are off by at most e
    chooses a token that is at most 2 e below the most probable one. e is the largest difference of the library's
    bfloat16 logits, and of ours, from those of the same weights in float32.
    """
    transformers.logging.set_verbosity_error()
    model = load_model("smollm2", device="cpu", dtype="bfloat16")
    exact = copy.deepcopy(model.network).float()
    prompts = build_prompts("running shoes").everything[:12]
    prefix = join([prefill(model, model.chat_ids(prompt), 32) for prompt in prompts])
    replies = sample_replies(model, prefix, untouched(model), torch.zeros(len(prompts), 32), temperature=0.0)
    ours = reply_logits(model, prefix, replies.tokens, untouched(model)).float()
    agreed = 0
    for row, prompt in enumerate(prompts):
        ids = model.chat_ids(prompt)
        expected = generated(model, ids, 32).tolist()
        found = replies.tokens[row, : replies.lengths[row]].tolist()
        differing = [k for k, (one, two) in enumerate(zip(expected, found, strict=False)) if one != two]
        first = differing[0] if differing else min(len(expected), len(found))
        agreed += first
        if not differing:
            assert len(expected) == len(found)
            continue
        before = torch.tensor([[*ids, *expected[:first]]])
        reference = exact(before).logits[0, -1]
        theirs = model.network(before).logits[0, -1].float()
        error = max(float((logits - reference).abs().max()) for logits in (theirs, ours[row, first]))
        behind = reference.max() - reference[[expected[first], found[first]]]
        assert error < 0.05 * (reference.max() - reference.mean()), (prompt, first, error)  # rounding, not a mistake
        assert behind.max() <= 2 * error, (prompt, first, behind, error)
    assert agreed > 12 * 8  # they go together for long


def test_a_prompt_computes_no_logits() -> None:
    """Nobody reads them: the vocabulary's product would be the dearest of a prompt's pass."""
    positions = []

    def note(_: object, inputs: tuple[Tensor, ...]) -> None:
        positions.append(inputs[0].shape[1])

    head: Any = MODEL.network.get_output_embeddings()  # type: ignore[operator]
    handle = head.register_forward_pre_hook(note)
    try:
        prefill(MODEL, MODEL.chat_ids(PROMPT), 4)
        assert positions == [0]
        prefill_together(MODEL, [MODEL.chat_ids(PROMPT)] * 2, 4)
        assert positions == [0, 0]
    finally:
        handle.remove()


def test_rows_dropped_on_the_way_leave_the_others_as_they_are() -> None:
    """What a row has appended goes with it when rows that have ended are dropped from the batch."""
    store = KeyValueStore([], [], torch.tensor([0]), Grouping.of(torch.zeros(3, dtype=torch.int64), 1), room=4)
    parts = torch.randn(3, 2, 3, 8, generator=torch.Generator().manual_seed(0)).split(1, dim=2)
    for part in parts[:2]:
        store.attend(part, part, -part, 1.0)
        store.advance(1)
    store.keep(torch.tensor([True, False, True]))
    kept = torch.cat(parts, 2)[[0, 2]]
    store.attend(kept[:, :, 2:], kept[:, :, 2:], -kept[:, :, 2:], 1.0)
    store.advance(1)
    (keys,), (values,) = store.own()
    assert torch.equal(keys, kept)
    assert torch.equal(values, -kept)
