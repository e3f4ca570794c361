"""How a batch of replies attends: prompts are kept once for all rows that share them, each row keeps its own tokens.

transformers lets a model's attention be replaced by a registered function. Ours reads the keys and values from a
`KeyValueStore` instead of a cache of the library's: queries of all rows that share a prompt meet its keys in one
matrix product, and a step appends one token a row without copying what is there. A row's own tokens lie position by
position, all rows of one beside each other: rows one after the other would lie a power of two apart and push each other
out of the processor's cache. It computes in float32 on a CPU, where one query a row in bfloat16 is several times
slower, and in the model's dtype elsewhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from auctionsim.errors import InputError
from auctionsim.language_models.model import LanguageModel

_NAME = "auctionsim_shared_prompts"
_UNSCORED = ("position", "logits_to_keep")  # in names of arguments that every layer gets and that leave scores alone
_LAYERS = {"full_attention", "sliding_attention"}  # what `KeyValueStore.attend` knows how to mask


@dataclass(frozen=True)
class Grouping:
    """Which rows share which prompt, as a rectangle (prompt, place) that pads short groups.

    Attributes:
        owner: (row,) the prompt of each row.
        rows: (prompt, place) a row in each place; padding repeats row 0.
        place: (row,) each row's place within its prompt's group.
        regular: No padding, and rows in order: the rectangle is a view of the batch.
    """

    owner: Int[Tensor, " row"]
    rows: Int[Tensor, "prompt place"]
    place: Int[Tensor, " row"]
    regular: bool

    @classmethod
    def of(cls, owner: Int[Tensor, " row"], prompts: int) -> "Grouping":
        """Group rows by owner."""
        counts = torch.bincount(owner, minlength=prompts)
        order = owner.argsort(stable=True)
        starts = counts.cumsum(0) - counts
        place = torch.empty_like(owner)
        place[order] = torch.arange(len(owner), device=owner.device) - starts[owner[order]]
        rows = torch.zeros(prompts, int(counts.max()), dtype=torch.int64, device=owner.device)
        rows[owner, place] = torch.arange(len(owner), device=owner.device)
        regular = bool((counts == counts[0]).all() and (owner[1:] >= owner[:-1]).all())
        return cls(owner, rows, place, regular)

    def gather(self, values: Tensor) -> Tensor:
        """Bring (row, head, query, width) into (prompt · head, place · query, width)."""
        if self.rows.shape[0] == 1 and self.regular:
            grouped = values.unsqueeze(0)
        else:
            grouped = values.view(*self.rows.shape, *values.shape[1:]) if self.regular else values[self.rows]
        prompts, places, heads, queries, width = grouped.shape
        return grouped.transpose(1, 2).reshape(prompts * heads, places * queries, width)

    def scatter(self, values: Tensor, heads: int) -> Tensor:
        """Undo `gather`: (prompt · head, place · query, width) to (row, head, query, width)."""
        prompts, places = self.rows.shape
        grouped = values.view(prompts, heads, places, -1, values.shape[-1]).transpose(1, 2)
        return grouped.flatten(0, 1) if self.regular else grouped[self.owner, self.place]


@dataclass
class KeyValueStore:
    """Keys and values of one batch, of every call of attention: a living state, appended to by forward passes.

    Calls are told apart by their order in a pass, not by their layer: a layer may attend twice.

    Attributes:
        prompt_keys: A (prompt, head, position, width) tensor a call, short prompts padded on the right.
        prompt_values: The same of the values.
        lengths: (prompt,) tokens of each prompt.
        grouping: Which rows share which prompt.
        room: Tokens a row may append.
        filled: Tokens that each row has appended.
        calls: Calls of attention in the pass under way.
        own_keys: A (position, row, head, width) tensor a call, of which `filled` positions hold something.
        own_values: The same of the values.
    """

    prompt_keys: list[Tensor]
    prompt_values: list[Tensor]
    lengths: Int[Tensor, " prompt"]
    grouping: Grouping
    room: int
    filled: int = 0
    calls: int = 0
    own_keys: dict[int, Tensor] = field(default_factory=dict)
    own_values: dict[int, Tensor] = field(default_factory=dict)
    _masks: dict[int | None, Tensor | None] = field(default_factory=dict)

    def positions(self, count: int) -> Int[Tensor, "row position"]:
        """Return the positions of the next `count` tokens of each row."""
        device = self.lengths.device
        start = self.lengths[self.grouping.owner] + self.filled
        return start.unsqueeze(1) + torch.arange(count, device=device)

    def advance(self, count: int) -> None:
        """Count the tokens that a finished pass has appended in every call.

        Raises:
            ValueError: The pass made more or fewer calls of attention than the ones before it.
        """
        before = len(self.prompt_keys or self.own_keys)
        if self.calls != before:
            raise InputError(f"a pass called attention {self.calls} times, the ones before it {before} times")
        self.filled += count
        self.calls = 0
        self._masks.clear()

    def keep(self, rows: Tensor) -> None:
        """Drop every row that `rows`, a mask or indices, does not name."""
        for buffers in (self.own_keys, self.own_values):
            for layer, old in buffers.items():
                kept = old[: self.filled, rows]
                buffers[layer] = old.new_empty(len(old), *kept.shape[1:])
                buffers[layer][: self.filled] = kept
        self.grouping = Grouping.of(self.grouping.owner[rows], len(self.lengths))
        self._masks.clear()

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scaling: float,
        window: int | None = None,
        softcap: float | None = None,
    ) -> Tensor:
        """Append one call's new keys and values and return what the new tokens read.

        Args:
            query: (row, query head, token, width).
            key: (row, head, token, width); query heads share them in consecutive groups.
            value: (row, head, token, width).
            scaling: Multiplies the scores.
            window: A token sees itself and the window − 1 tokens before it; None sees all.
            softcap: Scores s become softcap · tanh(s / softcap); None leaves them.
        Returns:
            (row, token, query head, width), in the query's dtype.
        """
        rows, query_heads, tokens, width = query.shape
        heads, call = key.shape[1], self.calls
        self.calls += 1
        keys, values = self._append(call, key, value)
        wide = (query.to(keys.dtype) * scaling).reshape(rows, heads, -1, width)  # (row, head, group · token, width)
        scores = self._scores(call, wide, keys)
        if softcap is not None:
            scores = (scores / softcap).tanh_() * softcap
        mask = self._mask(tokens, window)
        if mask is not None:
            scores.view(rows, heads, -1, tokens, scores.shape[-1]).add_(mask)
        exact = torch.promote_types(scores.dtype, torch.float32)
        weights = torch.softmax(scores, dim=-1, dtype=exact).to(keys.dtype)
        read = self._read(call, weights, values).reshape(rows, query_heads, tokens, -1)
        return read.transpose(1, 2).contiguous().to(query.dtype)

    def own(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return the appended keys and values as prompts are kept, (row, head, position, width) a call."""
        return _by_row(self.own_keys, self.filled), _by_row(self.own_values, self.filled)

    def _append(self, call: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add one call's new keys and values and return all of them, (row, head, position, width)."""
        rows, heads, tokens, width = key.shape
        kind = torch.float32 if key.device.type == "cpu" and key.dtype != torch.float64 else key.dtype
        if call not in self.own_keys:
            self.own_keys[call] = torch.empty(self.room, rows, heads, width, dtype=kind, device=key.device)
            self.own_values[call] = torch.empty(self.room, rows, heads, value.shape[-1], dtype=kind, device=key.device)
        keys, values, end = self.own_keys[call], self.own_values[call], self.filled + tokens
        keys[self.filled : end] = key.permute(2, 0, 1, 3)
        values[self.filled : end] = value.permute(2, 0, 1, 3)
        return keys[:end].permute(1, 2, 0, 3), values[:end].permute(1, 2, 0, 3)

    def _scores(self, call: int, query: Tensor, keys: Tensor) -> Tensor:
        """Return (row, head, group · token, prompt position + own position)."""
        own = torch.matmul(query, keys.transpose(2, 3))
        if not self.prompt_keys:
            return own
        shared = self.prompt_keys[call].flatten(0, 1).transpose(1, 2)
        prompt = self.grouping.scatter(torch.bmm(self.grouping.gather(query), shared), query.shape[1])
        return torch.cat((prompt, own), dim=3)

    def _read(self, call: int, weights: Tensor, values: Tensor) -> Tensor:
        """Return (row, head, group · token, width)."""
        own = torch.matmul(weights[..., weights.shape[3] - values.shape[2] :], values)
        if not self.prompt_values:
            return own
        shared = self.prompt_values[call].flatten(0, 1)
        grouped = self.grouping.gather(weights[..., : shared.shape[1]])
        return own + self.grouping.scatter(torch.bmm(grouped, shared), weights.shape[1])

    def _mask(self, tokens: int, window: int | None) -> Tensor | None:
        """Return what is added to scores, 0 or −∞: (row, 1, 1, token, position); None where every key is seen."""
        if window not in self._masks:
            self._masks[window] = self._new_mask(tokens, window)
        return self._masks[window]

    def _new_mask(self, tokens: int, window: int | None) -> Tensor | None:
        lengths, device = self.lengths, self.lengths.device
        padded = self.prompt_keys[0].shape[2] if self.prompt_keys else 0
        last = int(lengths.max()) + self.filled + tokens - 1
        if tokens == 1 and bool((lengths == padded).all()) and (window is None or last < window):
            return None
        starts = lengths[self.grouping.owner].unsqueeze(1)
        place = torch.arange(padded, device=device).expand(len(starts), -1)
        own = starts + torch.arange(self.filled + tokens, device=device)
        keys = torch.cat((place, own), dim=1).unsqueeze(1)  # positions, (row, 1, key)
        there = torch.cat((place < starts, torch.ones_like(own, dtype=torch.bool)), dim=1).unsqueeze(1)
        queries = self.positions(tokens).unsqueeze(2)
        seen = there & (keys <= queries)
        if window is not None:
            seen &= queries - keys < window
        mask = torch.zeros(seen.shape, device=device).masked_fill_(~seen, -torch.inf)
        return mask[:, None, None]


def _by_row(buffers: dict[int, Tensor], filled: int) -> list[Tensor]:
    return [buffers[call][:filled].permute(1, 2, 0, 3).contiguous() for call in range(len(buffers))]


_ACTIVE: ContextVar[KeyValueStore] = ContextVar("active key-value store")


@contextmanager
def attending(model: LanguageModel, store: KeyValueStore) -> Iterator[None]:
    """Let the model's forward passes run inside attend through `store`; its own attention is back afterwards.

    The passes must give `position_ids=store.positions(…)` and `use_cache=False`, and `store.advance(…)` follows each.

    Raises:
        ValueError: The model's attention cannot be replaced, or has layers of another kind than full and sliding.
    """
    from transformers import AttentionInterface

    AttentionInterface.register(_NAME, _attention)
    configs = _replaceable_configs(model.network)
    before = [config._attn_implementation for config in configs]
    token = _ACTIVE.set(store)
    try:
        for config in configs:
            config._attn_implementation = _NAME
        yield
    finally:
        _ACTIVE.reset(token)
        for config, name in zip(configs, before, strict=True):
            config._attn_implementation = name


def check_attention(network: nn.Module) -> None:
    """Refuse a network whose attention cannot be replaced by ours.

    Raises:
        ValueError: The reason, in one line.
    """
    _replaceable_configs(network)


def _replaceable_configs(network: nn.Module) -> list[Any]:
    kind = type(network).__name__
    if not getattr(network, "_supports_attention_backend", False):
        raise InputError(f"{kind} cannot be decoded here: transformers does not let its attention be replaced")
    configs = list({id(found): found for m in network.modules() if (found := getattr(m, "config", None))}.values())
    for config in configs:
        other = set(getattr(config, "layer_types", None) or ()) - _LAYERS
        if other:
            raise InputError(f"{kind} cannot be decoded here: it has {', '.join(sorted(other))} layers")
    return configs


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **more: object,
) -> tuple[Tensor, None]:
    """Attend as transformers' attention functions do; what would change the scores and is not known is refused.

    Raises:
        ValueError: A mask, dropout, or a tensor argument such as attention sinks.
    """
    scored = {name for name in more if not any(part in name for part in _UNSCORED)}
    unknown = [name for name, given in more.items() if isinstance(given, Tensor) and name in scored]
    if attention_mask is not None or dropout or unknown:
        what = ", ".join(unknown) or "a mask or dropout"
        raise InputError(f"{type(module).__name__} cannot be decoded here: its attention takes {what}")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return _ACTIVE.get().attend(query, key, value, scale, sliding_window, softcap), None
