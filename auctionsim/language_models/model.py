"""The record of a language model: network, tokenizer and the feed-forward layers whose neurons can be scaled."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from auctionsim.errors import InputError
from auctionsim.language_models.architecture import FeedForward, find_feed_forwards
from auctionsim.language_models.chat import end_ids, framed_ids, plain_ids
from auctionsim.language_models.precision import computed_in_float32


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model with its tokenizer and the feed-forward layers whose neurons can be scaled.

    Attributes:
        name: What it was loaded as: "smollm2", a hub id or a folder's name.
        fingerprint: Hex digest of the weights' names and shapes and of a sample of them rounded to bfloat16, so that it
            is the same in float32 and bfloat16 and on every device (float16 rounds twice and has its own).
        network: The transformers model, in eval mode, its parameters frozen.
        tokenizer: Its transformers tokenizer.
        feed_forwards: One a layer, outermost first.
        thinking: A reasoning model thinks before it answers; off, it is framed so that it answers at once.
        system: What a system message says before every prompt; None leaves it out, or to the chat template.
    """

    name: str
    fingerprint: str
    network: nn.Module
    tokenizer: Any
    feed_forwards: tuple[FeedForward, ...]
    thinking: bool = False
    system: str | None = None

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.network.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The parameters' dtype."""
        return next(self.network.parameters()).dtype

    @property
    def num_layers(self) -> int:
        """Number of feed-forward layers."""
        return len(self.feed_forwards)

    @property
    def num_neurons(self) -> int:
        """Neurons a layer, all layers alike."""
        return self.feed_forwards[0].num_neurons

    @property
    def vocabulary_size(self) -> int:
        """Length of the logits, padding included."""
        return int(self.network.get_output_embeddings().weight.shape[0])  # type: ignore[operator]

    @property
    def context_length(self) -> int | None:
        """Positions that the network has, None where its configuration names no number."""
        config: Any = getattr(self.network, "config", None)
        text = config.get_text_config() if hasattr(config, "get_text_config") else config
        positions = getattr(text, "max_position_embeddings", None)
        return positions if isinstance(positions, int) and positions > 0 else None

    @cached_property
    def in_float32(self) -> "LanguageModel":
        """The same weights, computed in float32: a copy, made once; this model itself where it is no less exact.

        It takes four bytes a parameter. See `auctionsim.language_models.precision`.
        """
        if self.dtype in (torch.float32, torch.float64):
            return self
        network = computed_in_float32(self.network)
        pairs = zip(find_feed_forwards(network), self.feed_forwards, strict=True)
        ffns = tuple(replace(new, flattened=old.flattened) for new, old in pairs)
        return replace(self, network=network, feed_forwards=ffns)

    @property
    def identity(self) -> str:
        """Name and fingerprint in one string, for provenance; with how prompts are framed where that was chosen."""
        thinking = "+thinking" if self.thinking else ""
        system = "" if self.system is None else f"+system-{hashlib.sha256(self.system.encode()).hexdigest()[:8]}"
        return f"{self.name}:{self.fingerprint}{thinking}{system}"

    def chat_ids(self, prompt: str) -> list[int]:
        """Return the token ids of a user's prompt, ready for the reply's first token.

        The chat template frames it; a model without one gets a plain question-and-answer frame, behind its tokenizer's
        start token if it puts one before text.

        Raises:
            ValueError: The prompt contains control tokens or what ends its turn.
        """
        return framed_ids(self.tokenizer, prompt, thinking=self.thinking, system=self.system)

    def text_ids(self, text: str) -> list[int]:
        """Return the token ids of a piece of text, without special tokens.

        Raises:
            ValueError: The text contains control tokens.
        """
        return plain_ids(self.tokenizer, text)

    def continuation_ids(self, text: str, word: str) -> list[int]:
        """Return the token ids of `word` where it follows `text` and a space.

        Raises:
            ValueError: The tokenizer joins the end of the text with the word.
        """
        before, joint = self.text_ids(text), self.text_ids(f"{text} {word}")
        if joint[: len(before)] != before or len(joint) == len(before):
            raise InputError(f"this tokenizer has no boundary between {text!r} and {word!r}: choose another stem")
        return joint[len(before) :]

    def text(self, ids: Tensor | list[int]) -> str:
        """Return the text of token ids, without special tokens."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))

    @property
    def end_ids(self) -> tuple[int, ...]:
        """The tokens that end a reply: the generation config's, the tokenizer's, the chat template's end of a turn."""
        return end_ids(self.tokenizer, self.network)


def fingerprint(network: nn.Module) -> str:
    """Return 16 hex digits that tell one set of weights from another, alike in float32 and bfloat16, on any device."""
    digest = hashlib.sha256()
    for name, parameter in network.state_dict().items():
        flat = parameter.detach().reshape(-1)
        if not flat.is_floating_point():
            continue
        sample = flat[:: max(1, flat.numel() // 1024)].to(torch.bfloat16).float().cpu()
        digest.update(f"{name}{tuple(parameter.shape)}".encode())
        digest.update(sample.numpy().tobytes())
    return digest.hexdigest()[:16]
