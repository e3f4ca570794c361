"""How replies are sampled and scored under changes: one batch, several prompts, a different change a row.

From the prompt's last token on, every forward pass carries each row's own change. Where a change listens to companion
prompts, they are rows of the same batch, voice after voice, and hear the same tokens.
"""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.language_models.attention import Grouping, KeyValueStore, attending
from auctionsim.language_models.change import Change, Inside, as_change
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.prefixes import Prefix, forward_pass, in_force
from auctionsim.language_models.sampling import choose_tokens

_DROPPED_SHARE = 1 / 8  # of the rows must have ended before they are dropped: dropping copies what stays


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


class TokenStep(NamedTuple):
    """One more token of the replies that are still computed.

    Attributes:
        rows: (computed,) which replies.
        tokens: (computed,) what was drawn; of no meaning for a reply that had ended.
        live: (computed,) whether the token belongs to the reply, which had not ended before it.
        ends: (computed,) whether the reply ends with this token.
        finite: (computed,) whether it was drawn from finite logits; looked at in float16 only.
    """

    rows: Int[Tensor, " computed"]
    tokens: Int[Tensor, " computed"]
    live: Bool[Tensor, " computed"]
    ends: Bool[Tensor, " computed"]
    finite: Bool[Tensor, " computed"]


@torch.inference_mode()
def sample_replies(
    model: LanguageModel,
    prefix: Prefix,
    change: Change | Inside | Tensor,
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
        change: What is done to the replies, what happens after them left out; an intervention or a tensor (row, layer,
            neuron) of factors enters by the door inside; one row serves all.
        uniforms: (row, position) in [0, 1), one a token; their number is the longest reply's length.
        temperature: > 0 divides the logits; 0 takes the most probable token.
        top_p: In (0, 1]: tokens are drawn from the smallest set of most probable ones that reaches this probability.
    Returns:
        The replies.
    Raises:
        ValueError: Replies that do not fit, or top_p out of range.
    """
    rows, longest = uniforms.shape
    tokens = torch.full((rows, longest), model.end_ids[0] if model.end_ids else 0, device=model.device)
    lengths = torch.full((rows,), longest, device=model.device)
    finite = torch.ones(rows, dtype=torch.bool, device=model.device)
    with closing(token_steps(model, prefix, change, uniforms, temperature=temperature, top_p=top_p)) as steps:
        for position, step in enumerate(steps):
            tokens[step.rows, position] = torch.where(step.live, step.tokens, tokens[step.rows, position])
            lengths[step.rows[step.ends]] = position + 1
            finite[step.rows] &= step.finite
    return Replies(tokens, lengths, finite)


@torch.inference_mode()
def token_steps(
    model: LanguageModel,
    prefix: Prefix,
    change: Change | Inside | Tensor,
    uniforms: Float[Tensor, "row position"],
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> Generator[TokenStep, None, None]:
    """Sample replies as `sample_replies` does, token by token: the same tokens, each as soon as it is drawn.

    The model is changed until the last step, or until the generator is closed; run nothing else on it in between, and
    take every step in one thread.

    Args:
        model: The language model.
        prefix: The prompts, with room for the replies.
        change: What is done to the replies.
        uniforms: (row, position) in [0, 1), one a token.
        temperature: Of sampling.
        top_p: In (0, 1].
    Yields:
        One step a position, until every reply has ended.
    Raises:
        ValueError: Replies that do not fit, or top_p out of range.
    """
    if not 0 < top_p <= 1:
        raise InputError(f"top_p must lie in (0, 1], got {top_p}")
    rows, longest = uniforms.shape
    change = as_change(change).reply
    law = change.at
    voices = 1 + len(change.companions)
    store, ids = _begin(prefix, rows, longest, voices)
    ends = torch.tensor(model.end_ids, device=model.device)
    batch = torch.arange(rows, device=model.device)  # the rows still computed; some may have ended
    ended = torch.zeros(rows, dtype=torch.bool, device=model.device)
    uniforms = uniforms.to(model.device)
    seen = torch.zeros(voices, rows, 1, device=model.device)
    with attending(model, store), in_force(model, change) as applied:
        for position in range(longest):
            heard = _logits(model, ids, store)[:, -1]
            finite = torch.ones_like(ended)
            if heard.dtype == torch.float16:
                finite = heard.view(voices, len(batch), -1).amax((0, 2)).isfinite() | ended
            logits = heard
            if law is not None:
                spoken = heard.view(voices, len(batch), 1, -1)
                logits = law.logits(spoken[0], spoken[1:], temperature, seen if law.remembers else None)[:, 0]
            chosen = choose_tokens(logits, uniforms[batch, position], temperature, top_p)
            if law is not None and law.remembers:
                seen = seen + _likelihood(spoken, chosen.unsqueeze(1), temperature)
            now = torch.isin(chosen, ends) & ~ended
            yield TokenStep(batch, chosen, ~ended, now, finite)
            ended |= now
            ids = chosen.repeat(voices).unsqueeze(1)
            if int(ended.sum()) >= max(1, _DROPPED_SHARE * len(batch)):
                keep = ~ended
                batch, ids, ended, seen = batch[keep], ids[keep.repeat(voices)], ended[keep], seen[:, keep]
                if len(batch) == 0:
                    break
                store.keep(keep.repeat(voices))
                applied.keep(keep)
                law = None if law is None else law.select(keep)


@torch.inference_mode()
def reply_logits(
    model: LanguageModel,
    prefix: Prefix,
    tokens: Int[Tensor, "row position"],
    change: Change | Inside | Tensor,
    *,
    pieces: Sequence[int] | None = None,
    temperature: float = 1.0,
) -> Float[Tensor, "row position vocabulary"]:
    """Return logits that predict each of `tokens` in turn: softmax(logits / temperature) is the law of the next one.

    `change` is a change, an intervention or a tensor (row, layer, neuron) of factors; one row serves all. All positions
    go through one pass; `pieces` cuts them into passes of so many tokens each. The temperature matters to changes of
    the next token's law alone.
    """
    change = as_change(change)
    return law_logits(change, voice_logits(model, prefix, tokens, change, pieces=pieces), tokens, temperature)


@torch.inference_mode()
def voice_logits(
    model: LanguageModel,
    prefix: Prefix,
    tokens: Int[Tensor, "row position"],
    change: Change,
    *,
    pieces: Sequence[int] | None = None,
) -> Float[Tensor, "voice row position vocabulary"]:
    """Return the logits that predict each of `tokens` in turn after the reply's own prompt and its companions'."""
    voices = 1 + len(change.companions)
    rows, longest = tokens.shape
    store, first = _begin(prefix, rows, longest, voices)
    ids = torch.cat((first, tokens[:, :-1].to(model.device).repeat(voices, 1)), dim=1)
    with attending(model, store), in_force(model, change):
        if pieces is None:
            logits = _logits(model, ids, store)
        else:
            parts = [_logits(model, piece, store) for piece in torch.split(ids, list(pieces), dim=1)]
            logits = torch.cat(parts, dim=1)
    return logits.view(voices, rows, *logits.shape[1:])


def law_logits(
    change: Change,
    voices: Float[Tensor, "voice row position vocabulary"],
    tokens: Int[Tensor, "row position"],
    temperature: float,
) -> Float[Tensor, "row position vocabulary"]:
    """Return logits such that softmax(logits / temperature) is the law of each token under a change.

    Args:
        change: A row for each of the tokens', or one.
        voices: As `voice_logits` has them.
        tokens: What was said: a law that remembers depends on those before.
        temperature: Of sampling.
    """
    law = change.at
    if law is None:
        return voices[0]
    seen = None
    if law.remembers:
        each = _likelihood(voices, tokens.to(voices.device), temperature)
        seen = each.cumsum(2) - each
    return law.logits(voices[0], voices[1:], temperature, seen)


def _likelihood(
    voices: Float[Tensor, "voice row position vocabulary"], tokens: Int[Tensor, "row position"], temperature: float
) -> Float[Tensor, "voice row position"]:
    """Return the log likelihood of each token to each voice, at a temperature."""
    log_p = torch.log_softmax(voices.float() / temperature, dim=-1)
    index = tokens.expand(len(voices), -1, -1).unsqueeze(3)
    return log_p.gather(3, index).squeeze(3)


def _begin(prefix: Prefix, rows: int, longest: int, voices: int) -> tuple[KeyValueStore, Int[Tensor, "row 1"]]:
    """Return an empty store behind the prompts, voice after voice, and each row's first token."""
    if longest > prefix.room:
        raise InputError(f"a reply of {longest} tokens does not fit: the prefix has room for {prefix.room}")
    if prefix.num_rows not in (1, rows):
        raise InputError(f"a prefix of {prefix.num_rows} rows for {rows} replies")
    if len(prefix.owner) != voices:
        raise InputError(f"a prefix of {len(prefix.owner)} voices for a change of {voices}: make it with prefill_under")
    owner = prefix.owner.expand(voices, rows).flatten()
    grouping = Grouping.of(owner, len(prefix.lengths))
    store = KeyValueStore(prefix.keys, prefix.values, prefix.lengths, grouping, longest)
    return store, prefix.last_tokens[owner].unsqueeze(1)


def _logits(model: LanguageModel, ids: Tensor, store: KeyValueStore) -> Tensor:
    """Run one pass and return the logits of all its positions."""
    return forward_pass(model, ids, store, keep=0)
