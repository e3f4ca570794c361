"""How replies are sampled and scored under interventions: one batch, one prompt, a different intervention a row.

The tokens before the prompt's last are touched by no intervention unless a prefix is made with one, so they are
computed once for all rows. From the prompt's last token on, every forward pass carries each row's own intervention.
"""

import copy
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.language_models.hooks import intervene
from auctionsim.language_models.intervention import Intervention, as_intervention
from auctionsim.language_models.loading import LanguageModel

_ROWS = 64  # distributions compared at once


@dataclass(frozen=True)
class Prefix:
    """A prompt, computed up to its last token.

    Attributes:
        last_token: The prompt's last token, the first that interventions touch.
        length: Number of tokens before it.
        room: Tokens that fit after them.
        cache: A static key-value cache of one row that serves all, or of a row for each row of the replies.
    """

    last_token: int
    length: int
    room: int
    cache: object

    def select(self, rows: slice) -> "Prefix":
        """Return some rows; a single row that serves all stays as it is."""
        if self.num_rows == 1:
            return self
        return replace(self, cache=_mapped(self.cache, lambda values: values[rows]))

    def repeat(self, times: int) -> "Prefix":
        """Return every row `times` times, one after the other; a single row serves all as it is."""
        if self.num_rows == 1:
            return self
        return replace(self, cache=_mapped(self.cache, lambda values: values.repeat_interleave(times, dim=0)))

    @property
    def num_rows(self) -> int:
        """Rows of the cache; 1 serves all."""
        return int(self.cache.layers[0].keys.shape[0])  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Replies:
    """Sampled replies.

    Attributes:
        tokens: (row, position); after a reply's end, the end token repeats.
        lengths: (row,) tokens of each reply, its end token included where it came.
    """

    tokens: Int[Tensor, "row position"]
    lengths: Int[Tensor, " row"]

    @property
    def live(self) -> Tensor:
        """Which positions belong to the reply: (row, position) bool."""
        return torch.arange(self.tokens.shape[1], device=self.tokens.device) < self.lengths.unsqueeze(1)


@torch.inference_mode()
def prefill(model: LanguageModel, prompt_ids: list[int], room: int, change: Intervention | None = None) -> Prefix:
    """Compute a prompt up to its last token, with room for `room` more tokens.

    Args:
        model: The language model.
        prompt_ids: The prompt's tokens.
        room: Tokens to come.
        change: Touches the whole prompt, a row of the prefix for each of its rows; None leaves it as it is, and one row
            serves all.
    Raises:
        ValueError: Fewer than two prompt tokens.
    """
    from transformers import StaticCache

    if len(prompt_ids) < 2:
        raise ValueError(f"a prompt needs at least 2 tokens, got {len(prompt_ids)}")
    length = len(prompt_ids) - 1
    cache = StaticCache(config=model.network.config, max_cache_len=length + room)
    rows = 1 if change is None else change.num_rows
    ids = torch.tensor([prompt_ids[:-1]], device=model.device).expand(rows, -1)
    with nullcontext() if change is None else intervene(model, change):
        model.network(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return Prefix(prompt_ids[-1], length, room, cache)


@torch.no_grad()
def growing_cache(model: LanguageModel, prompt_ids: list[int], rows: int) -> object:
    """Return a key-value cache of `rows` copies of a prompt without its last token, fit for a pass with gradients."""
    from transformers import DynamicCache

    cache = DynamicCache(config=model.network.config)
    ids = torch.tensor([prompt_ids[:-1]], device=model.device)
    model.network(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    cache.batch_repeat_interleave(rows)
    return cache


@torch.inference_mode()
def sample_replies(
    model: LanguageModel,
    prefix: Prefix,
    change: Intervention | Tensor,
    uniforms: Float[Tensor, "row position"],
    *,
    temperature: float = 1.0,
) -> Replies:
    """Sample one reply a row by inverting the distribution function at the given uniform numbers.

    A row's reply depends on its own intervention and uniforms only (up to the rounding of the batch's matrix products).

    Args:
        model: The language model.
        prefix: The prompt, with room for the reply.
        change: What is done to the neurons; a tensor (row, layer, neuron) means factors alone; one row serves all.
        uniforms: (row, position) in [0, 1), one a token; their number is the longest reply's length.
        temperature: > 0 divides the logits; 0 takes the most probable token.
    Returns:
        The replies.
    """
    rows, longest = uniforms.shape
    _check_room(prefix, longest)
    ends = torch.tensor(model.end_ids, device=model.device)
    filler = model.end_ids[0] if model.end_ids else 0
    tokens = torch.full((rows, longest), filler, device=model.device)
    lengths = torch.full((rows,), longest, device=model.device)
    alive = torch.arange(rows, device=model.device)
    cache = _expanded(prefix, rows)
    step_ids = torch.full((rows, 1), prefix.last_token, device=model.device)
    uniforms = uniforms.to(model.device)
    row_change = as_intervention(change)
    position = 0
    while position < longest and len(alive):
        with intervene(model, row_change):
            compact = False
            while position < longest and not compact:
                logits = _next_logits(model, step_ids, cache, prefix.length + position)
                chosen = _choose(logits, uniforms[alive, position], temperature)
                tokens[alive, position] = chosen
                position += 1
                ended = torch.isin(chosen, ends)
                lengths[alive[ended]] = torch.minimum(lengths[alive[ended]], torch.tensor(position))
                step_ids = chosen.unsqueeze(1)
                compact = bool(ended.any())
        if compact:
            keep = ~ended
            alive, step_ids, row_change = alive[keep], step_ids[keep], row_change.select(keep)
            _select_rows(cache, keep)
    return Replies(tokens, lengths)


@torch.inference_mode()
def reply_logits(
    model: LanguageModel,
    prefix: Prefix,
    tokens: Int[Tensor, "row position"],
    change: Intervention | Tensor,
) -> Float[Tensor, "row position vocabulary"]:
    """Return the logits that predict each of `tokens` in turn, all positions in one pass, in the model's dtype.

    `change` is an intervention or a tensor (row, layer, neuron) of factors; one row serves all.
    """
    rows, longest = tokens.shape
    _check_room(prefix, longest)
    first = torch.full((rows, 1), prefix.last_token, device=model.device)
    ids = torch.cat((first, tokens[:, :-1].to(model.device)), dim=1)
    with intervene(model, as_intervention(change)):
        return _logits(model, ids, _expanded(prefix, rows), prefix.length)


def divergence(logits: Tensor, reference: Tensor) -> Tensor:
    """Return KL(softmax(logits) ‖ softmax(reference)) over the last axis, exact over the vocabulary, in nats.

    Computed in float32, a few rows at a time: a batch's float32 probabilities would take gigabytes.
    """
    flat = logits.flatten(0, -2)
    other = reference.expand_as(logits).flatten(0, -2)
    parts = [_divergence(flat[k : k + _ROWS], other[k : k + _ROWS]) for k in range(0, len(flat), _ROWS)]
    return torch.cat(parts).view(logits.shape[:-1])


def _divergence(logits: Tensor, reference: Tensor) -> Tensor:
    log_p = torch.log_softmax(logits.float(), dim=-1)
    log_q = torch.log_softmax(reference.float(), dim=-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1).clamp_min(0)  # negative only by rounding


def _next_logits(model: LanguageModel, ids: Tensor, cache: object, start: int) -> Tensor:
    return _logits(model, ids, cache, start)[:, -1]


def _logits(model: LanguageModel, ids: Tensor, cache: object, start: int) -> Tensor:
    positions = torch.arange(start, start + ids.shape[1], device=ids.device).unsqueeze(0)
    out: Tensor = model.network(ids, past_key_values=cache, use_cache=True, position_ids=positions).logits
    return out


def _choose(logits: Tensor, uniforms: Tensor, temperature: float) -> Tensor:
    if temperature == 0:
        return logits.argmax(-1)
    cumulative = torch.softmax(logits.float() / temperature, dim=-1).cumsum_(-1)
    target = uniforms.unsqueeze(1) * cumulative[:, -1:]  # rounding leaves the total near, not at, 1
    return torch.searchsorted(cumulative, target, right=True).squeeze(1).clamp_max_(logits.shape[-1] - 1)


def _expanded(prefix: Prefix, rows: int) -> object:
    if prefix.num_rows not in (1, rows):
        raise ValueError(f"a prefix of {prefix.num_rows} rows for {rows} replies")
    return _mapped(prefix.cache, lambda values: values.expand(rows, -1, -1, -1).contiguous())


def _mapped(cache: object, function: Callable[[Tensor], Tensor]) -> object:
    """Return a copy of a cache, every layer's keys and values (row, head, position, width) put through `function`."""
    copied = copy.deepcopy(cache)
    for layer in copied.layers:  # type: ignore[attr-defined]
        layer.keys, layer.values = function(layer.keys), function(layer.values)
        layer.batch_size = len(layer.keys)
    return copied


def _select_rows(cache: object, keep: Tensor) -> None:
    for layer in cache.layers:  # type: ignore[attr-defined]
        layer.keys, layer.values = layer.keys[keep], layer.values[keep]
        layer.batch_size = len(layer.keys)


def _check_room(prefix: Prefix, longest: int) -> None:
    if longest > prefix.room:
        raise ValueError(f"a reply of {longest} tokens does not fit: the prefix has room for {prefix.room}")
