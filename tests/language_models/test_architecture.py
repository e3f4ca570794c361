"""The neurons are found from the structure of the modules, in every family that the paper's readers use."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import transformers
from torch import nn

from auctionsim.language_models import find_feed_forwards, scale_neurons
from auctionsim.testing import fake_language_model

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "vocab_size": 512,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
GPT2: dict[str, Any] = {
    "n_embd": 32, "n_layer": 2, "n_head": 4, "n_inner": 48, "vocab_size": 512, "bos_token_id": 0, "eos_token_id": 1
}  # fmt: skip
WIDE_HEADS = {"head_dim": 16}  # heads whose total width is not the residual's
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama": ("model.layers.{}.mlp.down_proj", {}),
    "Qwen2": ("model.layers.{}.mlp.down_proj", {}),
    "Qwen3": ("model.layers.{}.mlp.down_proj", WIDE_HEADS),
    "Mistral": ("model.layers.{}.mlp.down_proj", {"sliding_window": 8}),
    "Gemma2": ("model.layers.{}.mlp.down_proj", {"sliding_window": 8, **WIDE_HEADS}),
    "Gemma3Text": ("model.layers.{}.mlp.down_proj", {"sliding_window": 8, **WIDE_HEADS}),
    "Phi": ("model.layers.{}.mlp.fc2", {}),
    "Phi3": ("model.layers.{}.mlp.down_proj", {"sliding_window": 8}),
    "Olmo": ("model.layers.{}.mlp.down_proj", {}),
    "Olmo2": ("model.layers.{}.mlp.down_proj", {}),
    "SmolLM3": ("model.layers.{}.mlp.down_proj", {}),
    "GPTNeoX": ("gpt_neox.layers.{}.mlp.dense_4h_to_h", {}),
    "GPT2": ("transformer.h.{}.mlp.c_proj", {}),
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


def random_network(family: str, seed: int = 0, **more: Any) -> nn.Module:
    settings = GPT2 if family == "GPT2" else {**SMALL, **FAMILIES[family][1]}
    config = getattr(transformers, f"{family}Config")(**{**settings, **more})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = transformers.AutoModelForCausalLM.from_config(config)
        for parameter in network.parameters():
            if parameter.ndim == 2:
                parameter.data.normal_(0, 0.3)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_down_projection_is_found(family: str) -> None:
    network = random_network(family)
    found = find_feed_forwards(network)
    names = {module: name for name, module in network.named_modules()}
    assert [names[ffn.down_projection] for ffn in found] == [FAMILIES[family][0].format(layer) for layer in (0, 1)]
    assert [(ffn.layer, ffn.num_neurons, ffn.width) for ffn in found] == [(0, 48, 32), (1, 48, 32)]
    assert [ffn.hook_point for ffn in found] == ["blocks.0.mlp.hook_post", "blocks.1.mlp.hook_post"]


@pytest.mark.parametrize("family", FAMILIES)
def test_write_vectors_are_what_a_neuron_adds(family: str) -> None:
    for ffn in find_feed_forwards(random_network(family)):
        down, vectors = ffn.down_projection, ffn.write_vectors()
        assert vectors.shape == (48, 32)
        unit = torch.zeros(1, 48)
        unit[0, 5] = 1.0
        torch.testing.assert_close(down(unit) - down(torch.zeros(1, 48)), vectors[5:6])


@pytest.mark.parametrize("family", FAMILIES)
def test_ablating_a_whole_layer_silences_its_feed_forward_network(family: str) -> None:
    """All neurons at factor 0 leave what the down projection gives for zero, whatever the family's gate."""
    model = fake_language_model(network=random_network(family))
    ids = torch.arange(3, 12).unsqueeze(0)
    scales = torch.ones(1, 2, 48)
    scales[0, 1] = 0
    seen: list[torch.Tensor] = []
    down = model.feed_forwards[1].down_projection
    handle = down.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with scale_neurons(model, scales):
        changed = model.network(ids).logits
    handle.remove()
    rest = down(torch.zeros(1, 9, 48))
    assert torch.equal(seen[0], rest)
    assert not torch.allclose(changed, model.network(ids).logits)


class _Mute(nn.Module):
    """Blocks of attention only."""

    def __init__(self, embedding: bool, blocks: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 8) if embedding else None
        self.layers = nn.ModuleList([nn.ModuleDict({"query": nn.Linear(8, 8), "out": nn.Linear(8, 8)})] * 2 * blocks)

    def get_input_embeddings(self) -> nn.Module | None:
        return self.embedding


@pytest.mark.parametrize(
    ("embedding", "blocks", "message"),
    [
        (True, True, r"no feed-forward layer recognised in block 0 \(ModuleDict\) of _Mute: expected one projection"),
        (True, False, "_Mute has no list of transformer blocks"),
        (False, True, "_Mute has no token embedding"),
    ],
)
def test_what_is_not_recognised_is_said(embedding: bool, blocks: bool, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_feed_forwards(_Mute(embedding, blocks))


def test_layers_of_different_widths_are_refused() -> None:
    network = random_network("Llama")
    network.get_submodule("model.layers.1.mlp").down_proj = nn.Linear(40, 32)
    for name in ("gate_proj", "up_proj"):
        setattr(network.get_submodule("model.layers.1.mlp"), name, nn.Linear(32, 40))
    with pytest.raises(ValueError, match=r"different widths are not supported, found \{48: 1, 40: 1\}"):
        find_feed_forwards(network)
