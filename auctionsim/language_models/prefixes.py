"""Prompts, computed up to their last tokens and kept once for all rows that go on from them.

The tokens before a prompt's last are touched by no change inside the model unless the prefix is made with one. Where a
change puts text around the prompt, or listens to companion prompts, each of these is a prompt of its own.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.language_models.attention import Grouping, KeyValueStore, attending
from auctionsim.language_models.change import Change, InForce, Inside, as_change
from auctionsim.language_models.model import LanguageModel


@dataclass(frozen=True)
class Prefix:
    """Prompts, computed up to their last tokens, and which row of a batch goes on from which.

    Attributes:
        keys: A (prompt, head, position, width) tensor a call of attention, short prompts padded on the right.
        values: The same of the values.
        lengths: (prompt,) tokens before the last.
        last_tokens: (prompt,) each prompt's last token, the first that interventions touch.
        owner: (voice, row) the prompt of each row: the first voice is the reply's own, others are companions that are
            decoded beside it. A single row serves any number.
        room: Tokens that fit after the prompts.
    """

    keys: list[Tensor]
    values: list[Tensor]
    lengths: Int[Tensor, " prompt"]
    last_tokens: Int[Tensor, " prompt"]
    owner: Int[Tensor, "voice row"]
    room: int

    @property
    def num_rows(self) -> int:
        """Rows; 1 serves all."""
        return self.owner.shape[1]

    def select(self, rows: slice) -> "Prefix":
        """Return some rows; a single row that serves all stays as it is."""
        return self if self.num_rows == 1 else self.serving(self.owner[:, rows])

    def repeat(self, times: int) -> "Prefix":
        """Return every row `times` times, one after the other; a single row serves all as it is."""
        return self if self.num_rows == 1 else self.serving(self.owner.repeat_interleave(times, dim=1))

    def alone(self, rows: Int[Tensor, " row"]) -> "Prefix":
        """Return some rows by index, without companions, and no longer than their own prompts."""
        owner = self.owner[:1] if self.num_rows == 1 else self.owner[:1, rows.to(self.owner.device)]
        own = self.serving(owner)
        longest = int(own.lengths.max())
        keys, values = ([part[:, :, :longest] for part in parts] for parts in (own.keys, own.values))
        return Prefix(keys, values, own.lengths, own.last_tokens, own.owner, own.room)

    def serving(self, owner: Int[Tensor, "voice row"]) -> "Prefix":
        """Return the prefix of rows that go on from these prompts, without the prompts that none goes on from."""
        used = torch.bincount(owner.flatten(), minlength=len(self.lengths)) > 0
        owner = (used.cumsum(0) - 1)[owner]
        if bool(used.all()):
            return Prefix(self.keys, self.values, self.lengths, self.last_tokens, owner, self.room)
        keys, values = [k[used] for k in self.keys], [v[used] for v in self.values]
        return Prefix(keys, values, self.lengths[used], self.last_tokens[used], owner, self.room)


@torch.inference_mode()
def prefill(model: LanguageModel, prompt_ids: list[int], room: int, change: Change | Inside | None = None) -> Prefix:
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
    model: LanguageModel, prompts: list[list[int]], room: int, change: Change | Inside | None = None
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


def _prefilled(model: LanguageModel, prompts: list[list[int]], room: int, change: Change | Inside | None) -> Prefix:
    longest = max(map(len, prompts)) - 1
    if model.context_length is not None and longest + 1 + room > model.context_length:
        raise InputError(
            f"a prompt of {longest + 1} tokens and {room} after it exceed the model's context of {model.context_length}"
        )
    padded = [ids[:-1] + ids[-1:] * (longest + 1 - len(ids)) for ids in prompts]
    ids = torch.tensor(padded, device=model.device)
    every = torch.arange(len(prompts), device=model.device)
    store = KeyValueStore([], [], torch.zeros_like(every), Grouping.of(every, len(prompts)), longest)
    with attending(model, store), in_force(model, None if change is None else as_change(change)):
        forward_pass(model, ids, store, keep=torch.empty(0, dtype=torch.int64, device=model.device))
    keys, values = store.own()
    return Prefix(
        keys=keys,
        values=values,
        lengths=torch.tensor([len(ids) - 1 for ids in prompts], device=model.device),
        last_tokens=torch.tensor([ids[-1] for ids in prompts], device=model.device),
        owner=every.unsqueeze(0),
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
        owner=torch.cat([p.owner + start for p, start in zip(prefixes, [0, *offsets[:-1]], strict=True)], dim=1),
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
def prefill_under(
    model: LanguageModel, prompts: Sequence[str], room: int, change: Change, *, whole_prompt: bool = False
) -> Prefix:
    """Compute what each row of a change goes on from: its prompt in its own framing, and in the companions'.

    Plain prompts are computed by themselves, so that what stands beside them leaves their numbers as they are.

    Args:
        model: The language model.
        prompts: What users ask, one a row, or one for all rows.
        room: Tokens to come.
        change: A row for each prompt, or any number of rows for one.
        whole_prompt: What is changed inside the model is changed at every token of the prompt, not its last alone.
    Returns:
        A row for each row of the change; a single one where all go on from the same prompt.
    Raises:
        ValueError: Prompts and rows that do not fit, or a prompt in its framing that is longer than the context.
    """
    rows = max(len(prompts), change.num_rows)
    if len(prompts) not in (1, rows) or change.num_rows not in (1, rows):
        raise InputError(f"{len(prompts)} prompts for a change of {change.num_rows} rows")
    asked = [prompts[k if len(prompts) > 1 else 0] for k in range(rows)]
    own = [change.framing(k if change.num_rows > 1 else 0) for k in range(rows)]
    if whole_prompt and change.inside is not None:
        every = [framing.ids(model, prompt) for framing, prompt in zip(own, asked, strict=True)]
        return prefill_together(model, every, room, change)
    voices = [list(zip(own, asked, strict=True))]
    voices += [[(companion, prompt) for prompt in asked] for companion in change.companions]
    distinct = list(dict.fromkeys(place for voice in voices for place in voice))
    distinct.sort(key=lambda place: not place[0].null)  # plain prompts first, in order
    number = {place: k for k, place in enumerate(distinct)}
    owner = torch.tensor([[number[place] for place in voice] for voice in voices], device=model.device)
    if bool((owner == owner[:, :1]).all()):
        owner = owner[:, :1]
    plain = sum(framing.null for framing, _ in distinct)
    groups = [some for some in (distinct[:plain], distinct[plain:]) if some]
    parts = [prefill_together(model, [f.ids(model, prompt) for f, prompt in some], room) for some in groups]
    return (parts[0] if len(parts) == 1 else join(parts)).serving(owner)


class _Nothing:
    """No change inside a model, in force."""

    def keep(self, rows: Tensor) -> None:
        """Drop nothing: there is nothing."""


@contextmanager
def in_force(model: LanguageModel, change: Change | None) -> Iterator[InForce]:
    """Change the model's forward passes as the door inside says; on leaving every hook is gone."""
    if change is None or change.inside is None:
        yield _Nothing()
        return
    with change.inside.applied(model) as applied:
        yield applied


def forward_pass(model: LanguageModel, ids: Tensor, store: KeyValueStore, keep: int | Tensor) -> Tensor:
    """Run one pass and return the logits of the positions in `keep`, 0 means all: each costs a product."""
    positions = store.positions(ids.shape[1])
    out: Tensor = model.network(ids, position_ids=positions, use_cache=False, logits_to_keep=keep).logits
    store.advance(ids.shape[1])
    return out
