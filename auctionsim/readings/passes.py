"""Teacher-forced passes over replies: logits in float32, whatever dtype replies are sampled in.

Every model reading of some replies is taken of the same passes: one under the replies' changes, one untouched.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from auctionsim.language_models.change import Change, untouched
from auctionsim.language_models.decoding import Replies, law_logits, reply_logits, voice_logits
from auctionsim.language_models.laws import divergence
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.prefixes import Prefix, prefill_together, prefill_under

_ROWS = 16  # replies whose whole logits are held at once


class SamplingLaw(NamedTuple):
    """How each token of a reply is drawn.

    Attributes:
        temperature: ≥ 0; 0 takes the most probable token.
        top_p: In (0, 1]; 1 leaves every token in.
    """

    temperature: float
    top_p: float


class BegunReplies(NamedTuple):
    """Prompts up to their last tokens: as replies are sampled from them, and as they are judged in float32.

    Attributes:
        sampled: In the model's dtype.
        judged: In float32.
        untouched: In float32, the plain prompt and nothing changed.
    """

    sampled: Prefix
    judged: Prefix
    untouched: Prefix

    def select_rows(self, rows: Int[Tensor, " row"]) -> "BegunReplies":
        """Return some rows by index; a single row serves all as it is."""
        pairs = (prefix if prefix.num_rows == 1 else prefix.serving(prefix.owner[:, rows]) for prefix in self)
        return BegunReplies(*pairs)

    def repeat(self, times: int) -> "BegunReplies":
        """Return every row `times` times, one after the other; a single row serves all as it is."""
        return BegunReplies(*(prefix.repeat(times) for prefix in self))


def begin(
    model: LanguageModel, prompts: Sequence[str], room: int, change: Change, *, whole_prompt: bool = False
) -> BegunReplies:
    """Compute prompts for sampling and for judging.

    Args:
        model: The language model.
        prompts: What users ask, one a row of the change, or one for all.
        room: Tokens to come.
        change: What is done to the replies.
        whole_prompt: What is changed inside the model is changed at every token of the prompt, not its last alone.
    """
    judge, change = model.in_float32, change.reply
    sampled = prefill_under(model, prompts, room, change, whole_prompt=whole_prompt)
    judged = sampled
    if judge is not model:
        judged = prefill_under(judge, prompts, room, change, whole_prompt=whole_prompt)
    if whole_prompt and change.inside is not None:
        rows = max(len(prompts), change.num_rows)
        plain = [judge.chat_ids(prompts[k if len(prompts) > 1 else 0]) for k in range(rows)]
        return BegunReplies(sampled, judged, prefill_together(judge, plain, room))
    if change.before is None and not change.companions:
        return BegunReplies(sampled, judged, judged)
    return BegunReplies(sampled, judged, prefill_under(judge, prompts, room, Change(1)))


@dataclass(frozen=True)
class TeacherForced:
    """Some replies, with the logits that predict each of their tokens.

    Attributes:
        tokens: (row, position), padded after a reply's end.
        live: (row, position), which positions belong to the reply.
        touched: (row,), whether the law of the reply's tokens is another than the untouched one.
        change: What was done to each reply.
        voices: (voice, row, position, vocabulary) after the reply's own prompt and its companions', under the change,
            float32; None where no row is touched.
        untouched: (row, position, vocabulary) after the plain prompt, nothing changed, float32.
        law: How the replies were drawn.
        chosen: (row,) nats a reply of replies that were chosen among several, NaN of others; see `ShownPage`.
    """

    tokens: Int[Tensor, "row position"]
    live: Bool[Tensor, "row position"]
    touched: Bool[Tensor, " row"]
    change: Change
    voices: Float[Tensor, "voice row position vocabulary"] | None
    untouched: Float[Tensor, "row position vocabulary"]
    law: SamplingLaw
    chosen: Float[Tensor, " row"]

    @property
    def logits(self) -> Float[Tensor, "row position vocabulary"] | None:
        """The logits of the law that replies were drawn from, at temperature 1; None where no row is touched."""
        return None if self.voices is None else law_logits(self.change, self.voices, self.tokens, 1.0)

    def divergence(self, temperature: float = 1.0) -> Float[Tensor, "row position"]:
        """Return KL(π_x ‖ π_0) at every token, nats, both laws at a temperature; untouched rows 0 by rule."""
        if self.voices is None:
            return torch.zeros(self.tokens.shape, device=self.tokens.device)
        pair = (law_logits(self.change, self.voices, self.tokens, temperature), self.untouched)
        moved, still = pair if temperature == 1 else (part / temperature for part in pair)
        return divergence(moved, still) * self.touched.unsqueeze(1)

    def mean(self, values: Float[Tensor, "row position"]) -> Float[Tensor, " row"]:
        """Return the means over each reply's own tokens."""
        return (values * self.live).sum(1) / self.live.sum(1)

    def sum(self, values: Float[Tensor, "row position"]) -> Float[Tensor, " row"]:
        """Return the sums over each reply's own tokens."""
        return (values * self.live).sum(1)


def teacher_forced(
    model: LanguageModel,
    replies: Replies,
    change: Change,
    begun: BegunReplies,
    law: SamplingLaw,
    chosen: Float[Tensor, " row"] | None = None,
) -> Iterator[TeacherForced]:
    """Yield the passes over replies, a few rows at a time, in order.

    Args:
        model: The language model; it is judged in float32.
        replies: A row each.
        change: What was done to each.
        begun: Their prompts, a row each or one that serves all.
        law: How the replies were drawn.
        chosen: Nats a reply of those that were chosen among several, NaN of others; None: none was.
    """
    judge, still, change = model.in_float32, untouched(model), change.reply
    device, rows = replies.tokens.device, len(replies.tokens)
    touched = (~change.null).to(device).expand(rows)
    chosen = torch.full((rows,), torch.nan) if chosen is None else chosen
    for start in range(0, rows, _ROWS):
        own = slice(start, start + _ROWS)
        tokens, live, some = replies.tokens[own], replies.live[own], change.select(own)
        reference = reply_logits(judge, begun.untouched.select(own), tokens, still)
        voices = None
        if bool(touched[own].any()):
            voices = voice_logits(judge, begun.judged.select(own), tokens, some)
        yield TeacherForced(tokens, live, touched[own], some, voices, reference, law, chosen[own].to(device))
