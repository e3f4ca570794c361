"""Tiny random networks of every causal architecture that the installed transformers has, made in milliseconds.

A configuration is the architecture's own with its sizes made small, and its kinds of layers in turn, so that four
layers hold each kind. Weights are large enough that every part moves the logits.
"""

from typing import Any, NamedTuple

import torch
from torch import nn

LAYERS = 4
_POSITIONS = 128
_LENGTHS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "model_max_length")
_SIZES: dict[str, int] = {
    **dict.fromkeys(("vocab_size", "vocab_size_per_layer_input"), 512),
    **dict.fromkeys(
        ("hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embed_dim", "embedding_size", "word_embed_proj_dim"), 32
    ),
    **dict.fromkeys(
        ("input_embedding_size", "output_embedding_size", "lru_width", "hidden_size_global", "out_hidden_size"), 32
    ),
    **dict.fromkeys(
        ("intermediate_size", "n_inner", "ffn_dim", "d_ff", "dff", "d_inner", "decoder_ffn_dim", "encoder_ffn_dim"), 48
    ),
    **dict.fromkeys(("ffn_hidden_size", "feed_forward_size", "dim_ff", "dense_intermediate_size"), 48),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"), LAYERS),
    **dict.fromkeys(("num_decoder_layers", "num_encoder_layers", "encoder_layers"), LAYERS),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_decoder_attention_heads"), 4),
    **dict.fromkeys(("decoder_attention_heads", "encoder_attention_heads", "num_encoder_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_global_key_value_heads", "mamba_n_groups", "n_groups"), 2),
    **dict.fromkeys(("head_dim", "global_head_dim", "dim_head", "rotary_dim", "linear_head_dim", "swa_head_dim"), 8),
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim", "attention_hidden_size_per_head"), 8),
    **dict.fromkeys(("linear_num_key_heads", "linear_num_value_heads", "linear_num_heads"), 4),
    **dict.fromkeys(("sliding_window", "attention_window_size", "window_size", "attention_chunk_size"), 8),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size", "expert_ffn_hidden_size"), 24),
    **dict.fromkeys(("shared_intermediate_size", "moe_shared_expert_intermediate_size"), 24),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k"), 2),
    **dict.fromkeys(("n_shared_experts", "num_shared_experts", "n_group", "topk_group", "num_expert_group"), 1),
    **dict.fromkeys(_LENGTHS, _POSITIONS),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "swa_kv_lora_rank"), 16),
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim"), 8),
    **dict.fromkeys(("hidden_size_per_layer_input", "laurel_rank", "mamba_d_state", "state_size", "ssm_state_size"), 8),
    **dict.fromkeys(("mamba_d_head", "mamba_head_dim", "mamba_n_heads", "mamba_num_heads"), 8),
    **dict.fromkeys(("pronunciation_vocab_size", "shape_vocab_size", "encoder_hash_byte_group_vocab"), 16),
    **dict.fromkeys(("pad_token_id", "bos_token_id"), 0),
    **dict.fromkeys(("eos_token_id", "sep_token_id"), 1),
}
_OPTIONAL = ("num_key_value_heads", "head_dim", "pad_token_id", "bos_token_id", "eos_token_id", "sliding_window")
_LISTS = ("intermediate_size", "eos_token_id")  # one a layer, or several


class _NestedConfig(NamedTuple):
    """A part of a configuration that is made small by itself, and what is set in it beside its sizes."""

    kind: str
    more: dict[str, Any]


_LAYER_TYPES = ("layer_types", "layers_block_type")
_EVERY_HEAD = {"num_key_value_heads": 4}  # latent attention
_ROTATION = {"rope_type": "default", "rope_theta": 1e4}
_LATENT = [
    "axk1", "axk2", "bailing_hybrid", "deepseek_v3", "deepseek_v32", "dots3_note_text", "glm4_moe_lite", "glm_moe_dsa",
    "kimi_linear", "longcat_flash", "minicpm3", "youtu",
]  # fmt: skip
_SHARED = {"num_kv_shared_layers": 2, "layer_types": ["sliding_attention", "full_attention"] * 2}
_NO_LAYER_INPUT = {"hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 0}
_INDEXER = {
    "indexer_n_heads": 4, "indexer_kv_heads": 1, "indexer_head_dim": 8, "indexer_budget": 8,
    "indexer_compress_ratio": 2, "hc_lowrank": 8, "ngram_vocab_size_base": 64,
    "split_ngram_parts": 2, "ple_embed_dim": 32,
}  # fmt: skip
_MORE: dict[str, dict[str, Any]] = {
    **dict.fromkeys(_LATENT, _EVERY_HEAD),
    "cohere_compass_text": {"rope_parameters": dict.fromkeys(("full_attention", "sliding_attention"), _ROTATION)},
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "clip_qkv": 8.0, "rope_theta": 1e4},
        "ffn_config": {"ffn_hidden_size": 48, "hidden_size": 32},
    },
    "deepseek_v2": {**_EVERY_HEAD, "first_k_dense_replace": 1, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1},
    "dots1": {"first_k_dense_replace": 1, "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "dots3_note": {"text_config": _NestedConfig("dots3_note_text", _EVERY_HEAD)},
    "falcon_h1": {"mamba_d_ssm": 64},
    "gemma3n_text": {**_SHARED, "activation_sparsity_pattern": [0.5, 0.0] * 2},
    "gemma4_assistant": {"text_config": _NestedConfig("gemma4_text", _NO_LAYER_INPUT)},
    "gemma4_unified_assistant": {"text_config": _NestedConfig("gemma4_unified_text", _NO_LAYER_INPUT)},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "lfm2": {"layer_types": ["full_attention", "conv"] * 2},
    "lfm2_moe": {"layer_types": ["full_attention", "conv"] * 2},
    "mamba2": {"num_heads": 8},
    "qwen4_exp": {"text_config": _NestedConfig("qwen4_exp_text", _INDEXER)},
    "qwen4_exp_text": _INDEXER,
    "reformer": {
        "axial_pos_embds_dim": [16, 16], "axial_pos_shape": [8, 16], "attn_layers": ["local", "lsh"] * 2,
        "num_buckets": 4,
    },
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    "zaya": {"num_experts_per_tok": 1},
}  # fmt: skip
"""Settings that an architecture needs beside the sizes."""


def causal_architectures() -> dict[str, str]:
    """Return the model types that `AutoModelForCausalLM` knows, with the name of the class of each."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return {
        kind: name if isinstance(name, str) else name[0] for kind, name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items()
    }


def tiny_network(kind: str, seed: int = 0, *, positions: int = _POSITIONS) -> nn.Module:
    """Return a random network of one architecture, some 100,000 parameters in four layers, in float32 and eval mode.

    Args:
        kind: A key of `causal_architectures()`, as "llama".
        seed: Of the weights; torch's global generator is left as it was.
        positions: Tokens that it takes.
    Raises:
        Exception: Whatever transformers raises where it cannot build the architecture by itself.
    """
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    family = CONFIG_MAPPING[kind]
    longer = {} if positions == _POSITIONS else {name: positions for name in _LENGTHS if name in family().to_dict()}
    config = _small(family, {**longer, **_MORE.get(kind, {})})
    if hasattr(config, "is_decoder") and not config.is_encoder_decoder:
        config.is_decoder = True
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: nn.Module = AutoModelForCausalLM.from_config(config)
    _randomise(network, torch.Generator().manual_seed(seed))
    return network.eval().requires_grad_(False)


def _small(family: Any, more: dict[str, Any], default: Any = None) -> Any:
    """Return a configuration with small sizes, `more` set beside them; a part may be named with settings of its own."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    parts = {
        name: _small(CONFIG_MAPPING[value.kind], value.more).to_dict()
        for name, value in more.items()
        if isinstance(value, _NestedConfig)
    }
    plain = {name: value for name, value in more.items() if name not in parts}
    if default is None:
        try:
            default = family()
        except ValueError:  # its own default part does not fit
            default = family(**parts)
    given = default.to_dict()
    sizes: dict[str, Any] = {
        name: size for name, size in _SIZES.items() if name in given and _is_size(name, given[name])
    }
    for name in family.sub_configs:
        part = getattr(default, name, None)
        if hasattr(part, "to_dict") and name not in parts:
            sizes[name] = _small(type(part), {}, part).to_dict()
    sizes |= parts
    for name in _LAYER_TYPES:
        kinds = list(dict.fromkeys(given.get(name) or ()))
        if len(kinds) > 1 and name not in plain:
            try:
                return family(**{**sizes, name: [kinds[k % len(kinds)] for k in range(LAYERS)], **plain})
            except (ValueError, TypeError, KeyError, IndexError, AttributeError):
                continue  # the architecture chooses the kinds itself
    return family(**{**sizes, **plain})


def _is_size(name: str, value: object) -> bool:
    listed = isinstance(value, list) and name in _LISTS
    return type(value) is int or listed or (value is None and name in _OPTIONAL)


def _randomise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw weights that move what comes after them; norms stay near 1."""
    for name, parameter in network.named_parameters():
        if not parameter.is_floating_point():
            continue
        if parameter.ndim >= 2:
            spread = 1.0 if "embed" in name or "wte" in name else 0.2
            parameter.data.normal_(0.0, spread, generator=generator)
        elif "bias" in name:
            parameter.data.normal_(0.0, 0.1, generator=generator)
