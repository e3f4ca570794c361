"""Which models the check runs on: SmolLM2's weights where they are, random ones of well-known shapes elsewhere."""

import copy
import os
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from auctionsim.errors import ModelUnavailableError
from auctionsim.language_models.architecture import find_feed_forwards
from auctionsim.language_models.loading import load_model
from auctionsim.language_models.model import LanguageModel, fingerprint
from auctionsim.testing.fake_language_model import fake_tokenizer


class Shape(NamedTuple):
    """Sizes of a decoder, from its published configuration.

    Attributes:
        family: transformers' model type.
        sizes: Arguments of its configuration.
    """

    family: str
    sizes: dict[str, Any]


SHAPES = {
    "smollm2": Shape(  # huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct/blob/main/config.json
        "llama",
        {
            "hidden_size": 576,
            "intermediate_size": 1536,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "vocab_size": 49152,
            "tie_word_embeddings": True,
        },
    ),
    "qwen3-4b": Shape(  # huggingface.co/Qwen/Qwen3-4B/blob/main/config.json
        "qwen3",
        {
            "hidden_size": 2560,
            "intermediate_size": 9728,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "vocab_size": 151936,
            "tie_word_embeddings": True,
        },
    ),
    "llama-3-8b": Shape(  # huggingface.co/meta-llama/Meta-Llama-3-8B/blob/main/config.json
        "llama",
        {
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "vocab_size": 128256,
            "tie_word_embeddings": False,
        },
    ),
    "tiny": Shape(
        "llama",
        {
            "hidden_size": 64,
            "intermediate_size": 160,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": 640,
            "tie_word_embeddings": True,
        },
    ),
}


def random_model(name: str, device: torch.device, dtype: torch.dtype) -> LanguageModel:
    """Return a model of one of `SHAPES` with random weights, made on the device, and the tests' tokenizer."""
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    shape = SHAPES[name]
    config = CONFIG_MAPPING[shape.family](**shape.sizes, max_position_embeddings=2048)
    before = torch.get_default_dtype()
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    try:
        with device:
            network = AutoModelForCausalLM.from_config(config, dtype=dtype)
    finally:
        torch.set_default_dtype(before)
    network = network.eval().requires_grad_(False)
    ffns = find_feed_forwards(network)
    return LanguageModel(f"random {name}", fingerprint(network), network, fake_tokenizer(), ffns)


def smollm2(device: str, dtype: str) -> LanguageModel:
    """Return SmolLM2 from $MODEL or its package; random weights of its shape, named so, where it is not there."""
    try:
        return load_model(os.environ.get("MODEL", "smollm2"), device, dtype)
    except ModelUnavailableError:
        where = torch.device(device)
        kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16}
        return random_model("smollm2", where, kinds.get(dtype, torch.bfloat16))


def moved(model: LanguageModel, device: torch.device) -> LanguageModel:
    """Return a copy of a model on another device, the same weights in the same dtype."""
    network = copy.deepcopy(model.network).to(device)
    pairs = zip(find_feed_forwards(network), model.feed_forwards, strict=True)
    return replace(
        model, network=network, feed_forwards=tuple(replace(new, flattened=old.flattened) for new, old in pairs)
    )
