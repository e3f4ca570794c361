"""Token by token, replies are those that `sample_replies` returns: one loop makes both."""

import threading

import pytest
import torch

from auctionsim.language_models import Intervention, LanguageModel, prefill, sample_replies, token_steps
from auctionsim.language_models.attention import _ACTIVE
from auctionsim.testing import fake_language_model

LONG, ENDING = fake_language_model(), fake_language_model(end_gain=3.0)


def drawn(model: LanguageModel, rows: int = 5, longest: int = 12) -> tuple[torch.Tensor, Intervention]:
    generator = torch.Generator().manual_seed(1)
    scales = 1 + torch.rand(rows, model.num_layers, model.num_neurons, generator=generator)
    scales[0] = 1.0
    return torch.rand(rows, longest, generator=generator), Intervention(scales)


@pytest.mark.parametrize("model", [LONG, ENDING], ids=["long", "ending"])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_steps_are_the_tokens_of_the_whole(model: LanguageModel, temperature: float) -> None:
    uniforms, change = drawn(model)
    prefix = prefill(model, model.chat_ids("Which shoes?"), uniforms.shape[1])
    whole = sample_replies(model, prefix, change, uniforms, temperature=temperature)
    said: list[list[int]] = [[] for _ in uniforms]
    ended = [False] * len(uniforms)
    for step in token_steps(model, prefix, change, uniforms, temperature=temperature):
        for row, token, live, ends in zip(*(part.tolist() for part in step[:4]), strict=True):
            if live:
                said[row].append(token)
                ended[row] |= ends
    for row, (tokens, length) in enumerate(zip(whole.tokens, whole.lengths.tolist(), strict=True)):
        assert said[row] == tokens[:length].tolist()
        assert ended[row] == (said[row][-1] in model.end_ids)
    assert (len({len(tokens) for tokens in said}) > 1) == (model is ENDING)


def test_who_stops_between_two_tokens_leaves_the_model_as_it_was() -> None:
    uniforms, change = drawn(LONG)
    prefix = prefill(LONG, LONG.chat_ids("Which shoes?"), uniforms.shape[1])
    expected = sample_replies(LONG, prefix, change, uniforms)
    hooks = sum(len(module._forward_pre_hooks) + len(module._forward_hooks) for module in LONG.network.modules())
    steps = token_steps(LONG, prefix, change, uniforms)
    next(steps)
    next(steps)
    steps.close()
    after = sum(len(module._forward_pre_hooks) + len(module._forward_hooks) for module in LONG.network.modules())
    assert after == hooks
    assert _ACTIVE.get(None) is None
    assert not torch.is_inference_mode_enabled()
    assert torch.equal(sample_replies(LONG, prefix, change, uniforms).tokens, expected.tokens)


def test_steps_may_be_taken_in_another_thread() -> None:
    uniforms, change = drawn(LONG)
    prefix = prefill(LONG, LONG.chat_ids("Which shoes?"), uniforms.shape[1])
    found: list[int] = []

    def take() -> None:
        found.extend(int(step.tokens[0]) for step in token_steps(LONG, prefix, change, uniforms))

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    assert found == sample_replies(LONG, prefix, change, uniforms).tokens[0].tolist()
