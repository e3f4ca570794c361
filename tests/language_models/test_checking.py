"""What does not decode right is refused when it is loaded, in every dtype; what does is not, on any processor."""

import copy
from typing import Any

import pytest
import torch
import transformers
from test_architecture import random_network
from torch import nn

from auctionsim.language_models import LanguageModel, assembled, load_model, prefill, read_neurons
from auctionsim.language_models.checking import checked
from auctionsim.testing import fake_language_model, fake_tokenizer
from auctionsim.testing.decoding import decoding_error
from auctionsim.testing.tiny_networks import tiny_network

TOKENIZER = fake_tokenizer()


class _PositionBlind(nn.Module):
    """Rotations counted from the beginning of each pass, whatever positions are given."""

    def __init__(self, rotation: Any) -> None:
        super().__init__()
        self.rotation = rotation

    def forward(self, x: torch.Tensor, position_ids: torch.Tensor) -> Any:
        return self.rotation(x, torch.arange(x.shape[1]).expand(x.shape[0], -1))


class _Convolution(nn.Module):
    """A feed-forward layer that also reads the position before."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x + 0.2 * nn.functional.pad(x, (0, 0, 1, 0))[:, :-1])


class _Reordered(nn.Module):
    """A feed-forward layer that flattens positions before rows."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.transpose(0, 1).flatten(0, 1)
        return self.inner(flat).view(x.shape[1], x.shape[0], -1).transpose(0, 1)


class _Chosen(nn.Module):
    """An expert that every other token passes."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = torch.zeros_like(x).flatten(0, 1)
        out[::2] = self.inner(x.flatten(0, 1)[::2])
        return out.view_as(x)


def blind(network: Any) -> None:
    network.model.rotary_emb = _PositionBlind(network.model.rotary_emb)


def convolved(network: Any) -> None:
    for layer in network.model.layers[1::2]:
        layer.mlp = _Convolution(layer.mlp)


def reordered(network: Any) -> None:
    for layer in network.model.layers:
        layer.mlp = _Reordered(layer.mlp)


def chosen(network: Any) -> None:
    network.model.layers[1].mlp = _Chosen(network.model.layers[1].mlp)


def looped(network: Any) -> None:
    network.model.layers[1].mlp = network.model.layers[0].mlp


def skipped(network: Any) -> None:
    network.model.layers[1].mlp.forward = lambda x: x


def two_way(network: Any) -> None:
    for layer in network.model.layers:
        layer.self_attn.is_causal = False
    network.config.is_causal = False


def unbounded(network: Any) -> None:
    network.lm_head.weight.data.fill_(torch.nan)


def with_sinks(network: Any) -> None:
    attention = network.model.layers[0].self_attn
    plain = attention.forward
    attention.forward = lambda *a, **k: plain(*a, **k, s_aux=torch.zeros(4))


def not_replaceable(network: Any) -> None:
    network._supports_attention_backend = False


def chunked(network: Any) -> None:
    network.config.layer_types = ["full_attention", "chunked_attention"]


REASONS = {
    blind: r"its logits are not those of a full pass \(\d+ times what rounding does\)",
    convolved: r"its logits are not those of a full pass",
    reordered: r"its logits are not those of a full pass",
    chosen: r"the feed-forward layer of block 1 gets activations of shape \(2, 48\) for \(2, 2\) tokens",
    looped: r"the feed-forward layer of block 0 runs 2 times in a pass",
    skipped: r"the feed-forward layer of block 1 runs 0 times in a pass",
    two_way: r"its logits are not those of a full pass",
    unbounded: r"its logits are not finite",
    with_sinks: r"its attention takes s_aux",
    not_replaceable: r"transformers does not let its attention be replaced",
    chunked: r"it has chunked_attention layers",
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("damage", REASONS)
def test_what_does_not_decode_right_is_refused(damage: Any, dtype: torch.dtype) -> None:
    network: Any = random_network("Llama").to(dtype)
    assembled("fine", network, TOKENIZER)
    damage(network)
    with pytest.raises(ValueError, match=f"^LlamaForCausalLM cannot be decoded here: {REASONS[damage]}") as told:
        assembled("damaged", network, TOKENIZER)
    assert "\n" not in str(told.value)
    assert network.config._attn_implementation != "auctionsim_shared_prompts"
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_a_window_of_another_width_is_found_beyond_its_width() -> None:
    """Attention that sees beyond 4,096 masked tokens differs in long texts only: windows are narrowed to find it."""
    network: Any = random_network("Mistral", sliding_window=4096)
    assembled("fine", network, TOKENIZER)
    assert network.config.sliding_window == 4096
    for layer in network.model.layers:
        layer.self_attn.config = copy.copy(network.config)
        layer.self_attn.config.sliding_window = None
    with pytest.raises(ValueError, match="its logits are not those of a full pass"):
        assembled("damaged", network, TOKENIZER)
    assert network.config.sliding_window == 4096


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_what_decodes_right_is_not_refused(dtype: torch.dtype) -> None:
    """Several random models; in float32 they are exact too."""
    for seed in range(3):
        for family in ("Llama", "GPT2", "Gemma2"):
            model = assembled(family, random_network(family, seed).to(dtype), TOKENIZER)
            if dtype == torch.float32:
                assert decoding_error(model).worst < 1e-4


def test_layers_that_flatten_rows_and_positions_are_read_and_changed_row_by_row() -> None:
    model = assembled("opt", tiny_network("opt"), TOKENIZER)
    assert all(ffn.flattened for ffn in model.feed_forwards)
    ids = torch.arange(10, 30).view(4, 5)
    with read_neurons(model) as together:
        model.network(ids)
    assert {tuple(values.shape) for values in together.values()} == {(4, 5, model.num_neurons)}
    for row in range(4):
        with read_neurons(model) as alone:
            model.network(ids[row : row + 1])
        for name, values in alone.items():
            torch.testing.assert_close(values[0], together[name][row], rtol=1e-4, atol=1e-5)
    assert decoding_error(model).worst < 1e-5


def test_a_layer_that_attends_twice_is_decoded() -> None:
    model = assembled("diffllama", tiny_network("diffllama"), TOKENIZER)
    prefix = prefill(model, list(range(10, 20)), 4)
    assert len(prefix.keys) == 2 * model.num_layers
    assert decoding_error(model).worst < 1e-5


@pytest.mark.model
def test_smollm2_is_checked_and_damage_to_it_is_found_in_bfloat16() -> None:
    """A trained model of thirty layers, in the arithmetic where rounding is largest."""
    transformers.logging.set_verbosity_error()
    model = load_model("smollm2", device="cpu", dtype="bfloat16")
    for damage in (blind, convolved):
        network = copy.deepcopy(model.network)
        damage(network)
        with pytest.raises(ValueError, match="its logits are not those of a full pass"):
            checked(LanguageModel("damaged", "", network, model.tokenizer, _same_layers(network, model)))


def _same_layers(network: nn.Module, model: LanguageModel) -> Any:
    from dataclasses import replace

    names = {module: name for name, module in model.network.named_modules()}
    found = [names[ffn.down_projection].replace("mlp.down_proj", "mlp") for ffn in model.feed_forwards]
    ffns = []
    for ffn, name in zip(model.feed_forwards, found, strict=True):
        mlp: Any = network.get_submodule(name)
        ffns.append(replace(ffn, down_projection=getattr(mlp, "inner", mlp).down_proj))
    return tuple(ffns)


def test_fakes_are_checked_as_models_are() -> None:
    network: Any = random_network("Llama")
    network._supports_attention_backend = False
    with pytest.raises(ValueError, match="LlamaForCausalLM cannot be decoded here"):
        fake_language_model(network=network)
