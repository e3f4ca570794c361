"""How replies are sampled and scored under interventions: one batch, several prompts, a different intervention a row.

The tokens before a prompt's last are touched by no intervention unless the prefix is made with one, so they are
computed and kept once for all rows that share them. From the prompt's last token on, every forward pass carries each
row's own intervention.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.language_models.attention import Grouping, KeyValueStore, attending
from auctionsim.language_models.hooks import intervene
from auctionsim.language_models.intervention import Intervention, as_intervention
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.sampling import choose_tokens

_DROPPED_SHARE = 1 / 8  # of the rows must have ended before they are dropped: dropping copies what stays


@dataclass(frozen=True)
class Prefix:
    """Prompts, computed up to their last tokens, and which row of a batch goes on from which.

    Attributes:
        keys: A (prompt, head, position, width) tensor a call of attention, short prompts padded on the right.
        values: The same of the values.
        lengths: (prompt,) tokens before the last.
        last_tokens: (prompt,) each prompt's last token, the first that interventions touch.
        owner: (row,) the prompt of each row; a single row serves any number.
        room: Tokens that fit after the prompts.
    """

    keys: list[Tensor]
    values: list[Tensor]
    lengths: Int[Tensor, " prompt"]
    last_tokens: Int[Tensor, " prompt"]
    owner: Int[Tensor, " row"]
    room: int

    @property
    def num_rows(self) -> int:
        """Rows; 1 serves all."""
        return len(self.owner)

    def select(self, rows: slice) -> "Prefix":
        """Return some rows; a single row that serves all stays as it is."""
        return self if self.num_rows == 1 else self.serving(self.owner[rows])

    def repeat(self, times: int) -> "Prefix":
        """Return every row `times` times, one after the other; a single row serves all as it is."""
        return self if self.num_rows == 1 else self.serving(self.owner.repeat_interleave(times))

    def serving(self, owner: Int[Tensor, " row"]) -> "Prefix":
        """Return the prefix of rows that go on from these prompts, without the prompts that none goes on from."""
        used = torch.bincount(owner, minlength=len(self.lengths)) > 0
        owner = (used.cumsum(0) - 1)[owner]
        if bool(used.all()):
            return Prefix(self.keys, self.values, self.lengths, self.last_tokens, owner, self.room)
        keys, values = [k[used] for k in self.keys], [v[used] for v in self.values]
        return Prefix(keys, values, self.lengths[used], self.last_tokens[used], owner, self.room)


@dataclass(frozen=True)
class Replies:
    """Sampled replies.

    Attributes:
        tokens: (row, position); after a reply's end, the end token repeats.
        lengths: (row,) tokens of each reply, its end token included where it came.
        finite: (row,) whether every token was drawn from finite logits; looked at in float16 only, whose range a model
            can leave where float32's holds.
    """

    tokens: Int[Tensor, "row position"]
    lengths: Int[Tensor, " row"]
    finite: Bool[Tensor, " row"]

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
        ValueError: Fewer than two prompt tokens, more than the model's context holds, or a model whose attention cannot
            be replaced.
    """
    if len(prompt_ids) < 2:
        raise InputError(f"a prompt needs at least 2 tokens, got {len(prompt_ids)}")
    rows = 1 if change is None else change.num_rows
    return _prefilled(model, [prompt_ids] * rows, room, change)


@torch.inference_mode()
def prefill_together(
    model: LanguageModel, prompts: list[list[int]], room: int, change: Intervention | None = None
) -> Prefix:
    """Compute several prompts up to their last tokens in one pass, a row of the prefix for each.

    Shorter prompts are padded on the right: what is causal never looks there, and `KeyValueStore` masks it later. A
    model whose attention is of another kind is refused, as it is by `prefill`.

    Args:
        model: The language model.
        prompts: Each prompt's tokens.
        room: Tokens to come.
        change: Touches the whole prompts, a row for each; None leaves them as they are.
    Raises:
        ValueError: No prompt, fewer than two tokens in one, more than the model's context holds, or a model whose
            attention cannot be replaced.
    """
    if not prompts or min(map(len, prompts)) < 2:
        raise InputError(f"prompts need at least 2 tokens each, got {[len(ids) for ids in prompts]}")
    return _prefilled(model, prompts, room, change)


def _prefilled(model: LanguageModel, prompts: list[list[int]], room: int, change: Intervention | None) -> Prefix:
    longest = max(map(len, prompts)) - 1
    if model.context_length is not None and longest + 1 + room > model.context_length:
        raise InputError(
            f"a prompt of {longest + 1} tokens and {room} after it exceed the model's context of {model.context_length}"
        )
    padded = [ids[:-1] + ids[-1:] * (longest + 1 - len(ids)) for ids in prompts]
    ids = torch.tensor(padded, device=model.device)
    every = torch.arange(len(prompts), device=model.device)
    store = KeyValueStore([], [], torch.zeros_like(every), Grouping.of(every, len(prompts)), longest)
    with attending(model, store), nullcontext() if change is None else intervene(model, change):
        _pass(model, ids, store, keep=torch.empty(0, dtype=torch.int64, device=model.device))
    keys, values = store.own()
    return Prefix(
        keys=keys,
        values=values,
        lengths=torch.tensor([len(ids) - 1 for ids in prompts], device=model.device),
        last_tokens=torch.tensor([ids[-1] for ids in prompts], device=model.device),
        owner=every,
        room=room,
    )


def join(prefixes: list[Prefix]) -> Prefix:
    """Return one prefix of all the rows of several, in order, for a batch over several prompts.

    Raises:
        ValueError: No prefix, or rooms that differ.
    """
    rooms = {prefix.room for prefix in prefixes}
    if len(rooms) != 1:
        raise InputError(f"prefixes to join need one room for tokens, got {sorted(rooms)}")
    longest = max(int(prefix.lengths.max()) for prefix in prefixes)
    offsets = torch.tensor([len(prefix.lengths) for prefix in prefixes]).cumsum(0).tolist()
    return Prefix(
        keys=_stacked([prefix.keys for prefix in prefixes], longest),
        values=_stacked([prefix.values for prefix in prefixes], longest),
        lengths=torch.cat([prefix.lengths for prefix in prefixes]),
        last_tokens=torch.cat([prefix.last_tokens for prefix in prefixes]),
        owner=torch.cat([p.owner + start for p, start in zip(prefixes, [0, *offsets[:-1]], strict=True)]),
        room=rooms.pop(),
    )


def _stacked(parts: list[list[Tensor]], longest: int) -> list[Tensor]:
    pad = torch.nn.functional.pad
    return [
        torch.cat([pad(layer, (0, 0, 0, longest - layer.shape[2])) for layer in layers])
        for layers in zip(*parts, strict=True)
    ]


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
    top_p: float = 1.0,
) -> Replies:
    """Sample one reply a row by inverting the distribution function at the given uniform numbers.

    A row's reply depends on its own prompt, intervention and uniforms only (up to the rounding of the batch's matrix
    products).

    Args:
        model: The language model.
        prefix: The prompts, with room for the replies: a row for each, or one that serves all.
        change: What is done to the neurons; a tensor (row, layer, neuron) means factors alone; one row serves all.
        uniforms: (row, position) in [0, 1), one a token; their number is the longest reply's length.
        temperature: > 0 divides the logits; 0 takes the most probable token.
        top_p: In (0, 1]: tokens are drawn from the smallest set of most probable ones that reaches this probability.
    Returns:
        The replies.
    Raises:
        ValueError: Replies that do not fit, or top_p out of range.
    """
    if not 0 < top_p <= 1:
        raise InputError(f"top_p must lie in (0, 1], got {top_p}")
    rows, longest = uniforms.shape
    store, ids = _begin(prefix, rows, longest)
    ends = torch.tensor(model.end_ids, device=model.device)
    tokens = torch.full((rows, longest), model.end_ids[0] if model.end_ids else 0, device=model.device)
    lengths = torch.full((rows,), longest, device=model.device)
    batch = torch.arange(rows, device=model.device)  # the rows still computed; some may have ended
    ended = torch.zeros(rows, dtype=torch.bool, device=model.device)
    finite = torch.ones(rows, dtype=torch.bool, device=model.device)
    uniforms = uniforms.to(model.device)
    with attending(model, store), intervene(model, as_intervention(change)) as applied:
        for position in range(longest):
            logits = _logits(model, ids, store)[:, -1]
            if logits.dtype == torch.float16:
                finite[batch] &= logits.amax(1).isfinite() | ended
            chosen = choose_tokens(logits, uniforms[batch, position], temperature, top_p)
            tokens[batch, position] = torch.where(ended, tokens[batch, position], chosen)
            now = torch.isin(chosen, ends) & ~ended
            lengths[batch[now]] = position + 1
            ended |= now
            ids = chosen.unsqueeze(1)
            if int(ended.sum()) >= max(1, _DROPPED_SHARE * len(batch)):
                keep = ~ended
                batch, ids, ended = batch[keep], ids[keep], ended[keep]
                if len(batch) == 0:
                    break
                store.keep(keep)
                applied.keep(keep)
    return Replies(tokens, lengths, finite)


@torch.inference_mode()
def reply_logits(
    model: LanguageModel,
    prefix: Prefix,
    tokens: Int[Tensor, "row position"],
    change: Intervention | Tensor,
    *,
    pieces: Sequence[int] | None = None,
) -> Float[Tensor, "row position vocabulary"]:
    """Return the logits that predict each of `tokens` in turn, in the model's dtype.

    `change` is an intervention or a tensor (row, layer, neuron) of factors; one row serves all. All positions go
    through one pass; `pieces` cuts them into passes of so many tokens each.
    """
    store, first = _begin(prefix, *tokens.shape)
    ids = torch.cat((first, tokens[:, :-1].to(model.device)), dim=1)
    with attending(model, store), intervene(model, as_intervention(change)):
        if pieces is None:
            return _logits(model, ids, store)
        return torch.cat([_logits(model, piece, store) for piece in torch.split(ids, list(pieces), dim=1)], dim=1)


def _begin(prefix: Prefix, rows: int, longest: int) -> tuple[KeyValueStore, Int[Tensor, "row 1"]]:
    """Return an empty store behind the prompts, and each row's first token."""
    if longest > prefix.room:
        raise InputError(f"a reply of {longest} tokens does not fit: the prefix has room for {prefix.room}")
    if prefix.num_rows not in (1, rows):
        raise InputError(f"a prefix of {prefix.num_rows} rows for {rows} replies")
    owner = prefix.owner.expand(rows)
    grouping = Grouping.of(owner, len(prefix.lengths))
    store = KeyValueStore(prefix.keys, prefix.values, prefix.lengths, grouping, longest)
    return store, prefix.last_tokens[owner].unsqueeze(1)


def _logits(model: LanguageModel, ids: Tensor, store: KeyValueStore) -> Tensor:
    """Run one pass and return the logits of all its positions."""
    return _pass(model, ids, store, keep=0)


def _pass(model: LanguageModel, ids: Tensor, store: KeyValueStore, keep: int | Tensor) -> Tensor:
    """Run one pass; the positions in `keep` get logits, 0 means all: each costs a product with the vocabulary."""
    positions = store.positions(ids.shape[1])
    out: Tensor = model.network(ids, position_ids=positions, use_cache=False, logits_to_keep=keep).logits
    store.advance(ids.shape[1])
    return out
