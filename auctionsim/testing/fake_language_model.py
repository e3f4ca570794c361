"""What a language model is in tests: a tiny random Llama with a real tokenizer, made in memory in milliseconds."""

from typing import Any

import torch
from torch import nn

from auctionsim.language_models.loading import assembled
from auctionsim.language_models.model import LanguageModel
from auctionsim.prompts import TEMPLATES

END = "<|im_end|>"
WHOLE_NAMES = ("Nike", "Puma")
"""Words that are one token after a space; any other name, such as Adidas, takes several."""

_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_BEGINNINGS = ("I would recommend", "The best choice is", "My first pick would be", "A name you can trust is")
_WIDTH = 32


def fake_tokenizer(vocabulary: int = 512) -> Any:
    """Return a byte-level BPE tokenizer with leading spaces and a chat template, trained on the prompt templates.

    Any text goes through it and comes back the same.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|im_start|>", END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    names = [f" {name}" * 100 for name in WHOLE_NAMES]
    corpus = [*names, *_BEGINNINGS, *(text for templates in TEMPLATES.values() for text in templates)]
    tokenizer.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token=END,
        pad_token=END,
        chat_template=_CHAT,
        clean_up_tokenization_spaces=False,
    )


def fake_language_model(
    seed: int = 0,
    *,
    num_layers: int = 3,
    num_neurons: int = 48,
    end_gain: float = 0.0,
    dtype: torch.dtype = torch.float32,
    network: nn.Module | None = None,
) -> LanguageModel:
    """Return a random language model of width 32 that babbles bytes and a few hundred word pieces.

    Its weights are large enough that every neuron moves the logits and that replies differ. The residual stream's
    first direction is positive at every position, so that a neuron can be planted that always fires.

    Args:
        seed: Of the weights; torch's global generator is left as it was.
        num_layers: Blocks.
        num_neurons: Feed-forward neurons a block.
        end_gain: Length of the end token's output vector against the others'. 0 makes replies end rarely (its logit is
            always 0), 3 makes them end after a few tokens, at different lengths.
        dtype: Of the weights.
        network: A causal transformers model to wrap instead; its vocabulary must cover the tokenizer's.
    Raises:
        ValueError: A network that cannot be decoded here.
    """
    tokenizer = fake_tokenizer()
    if network is None:
        network = _random_llama(seed, len(tokenizer), num_layers, num_neurons, tokenizer.eos_token_id)
        network.get_output_embeddings().weight.data[tokenizer.eos_token_id] *= end_gain  # type: ignore[operator]
    return assembled("fake", network.to(dtype), tokenizer)


def _random_llama(seed: int, vocabulary: int, num_layers: int, num_neurons: int, end: int) -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=_WIDTH,
        intermediate_size=num_neurons,
        num_hidden_layers=num_layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=end,
        pad_token_id=end,
    )
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        network = LlamaForCausalLM(config)
    for name, parameter in network.named_parameters():
        if parameter.ndim == 2:
            spread = 0.4 if "lm_head" in name else 1.0 if "embed" in name else 1.2 / parameter.shape[1] ** 0.5
            parameter.data.normal_(0.0, spread, generator=generator)
    network.get_input_embeddings().weight.data[:, 0] = 3.0
    return network  # type: ignore[no-any-return]
