"""Teacher-forced passes over replies: logits in float32, whatever dtype replies are sampled in.

Every model reading of some replies is taken of the same passes: one under the replies' interventions, one untouched.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from auctionsim.language_models.decoding import Prefix, Replies, prefill_together, reply_logits
from auctionsim.language_models.intervention import Intervention, untouched
from auctionsim.language_models.laws import divergence
from auctionsim.language_models.model import LanguageModel

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
        untouched: In float32, without the intervention.
    """

    sampled: Prefix
    judged: Prefix
    untouched: Prefix

    def serving(self, owner: Int[Tensor, " row"]) -> "BegunReplies":
        """Return what rows that go on from these prompts need."""
        return BegunReplies(*(prefix.serving(owner) for prefix in self))

    def repeat(self, times: int) -> "BegunReplies":
        """Return every row `times` times, one after the other; a single row serves all as it is."""
        return BegunReplies(*(prefix.repeat(times) for prefix in self))


def begin(
    model: LanguageModel, prompts: list[list[int]], room: int, change: Intervention | None = None
) -> BegunReplies:
    """Compute prompts for sampling and for judging.

    Args:
        model: The language model.
        prompts: Each prompt's tokens.
        room: Tokens to come.
        change: Touches the whole prompts, a row for each; None leaves them as they are.
    """
    judge = model.in_float32
    sampled = prefill_together(model, prompts, room, change)
    judged = sampled if judge is model else prefill_together(judge, prompts, room, change)
    if change is None:
        return BegunReplies(sampled, judged, judged)
    return BegunReplies(sampled, judged, prefill_together(judge, prompts, room, untouched(model, len(prompts))))


@dataclass(frozen=True)
class TeacherForced:
    """Some replies, with the logits that predict each of their tokens.

    Attributes:
        tokens: (row, position), padded after a reply's end.
        live: (row, position), which positions belong to the reply.
        touched: (row,), whether the reply's intervention is another than the null.
        logits: (row, position, vocabulary) under the interventions, float32; None where no row is touched.
        untouched: The same without interventions.
        law: How the replies were drawn.
    """

    tokens: Int[Tensor, "row position"]
    live: Bool[Tensor, "row position"]
    touched: Bool[Tensor, " row"]
    logits: Float[Tensor, "row position vocabulary"] | None
    untouched: Float[Tensor, "row position vocabulary"]
    law: SamplingLaw

    def divergence(self, temperature: float = 1.0) -> Float[Tensor, "row position"]:
        """Return KL(π_x ‖ π_0) at every token, nats, both laws at a temperature; untouched rows 0 by rule."""
        if self.logits is None:
            return torch.zeros(self.tokens.shape, device=self.tokens.device)
        pair = (self.logits, self.untouched)
        moved, still = pair if temperature == 1 else (part / temperature for part in pair)
        return divergence(moved, still) * self.touched.unsqueeze(1)

    def mean(self, values: Float[Tensor, "row position"]) -> Float[Tensor, " row"]:
        """Return the means over each reply's own tokens."""
        return (values * self.live).sum(1) / self.live.sum(1)

    def sum(self, values: Float[Tensor, "row position"]) -> Float[Tensor, " row"]:
        """Return the sums over each reply's own tokens."""
        return (values * self.live).sum(1)


def teacher_forced(
    model: LanguageModel, replies: Replies, change: Intervention, begun: BegunReplies, law: SamplingLaw
) -> Iterator[TeacherForced]:
    """Yield the passes over replies, a few rows at a time, in order.

    Args:
        model: The language model; it is judged in float32.
        replies: A row each.
        change: Each row's intervention.
        begun: Their prompts, a row each or one that serves all.
        law: How the replies were drawn.
    """
    judge, still = model.in_float32, untouched(model)
    touched = (~change.null).to(replies.tokens.device)
    for start in range(0, change.num_rows, _ROWS):
        rows = slice(start, start + _ROWS)
        tokens, live = replies.tokens[rows], replies.live[rows]
        reference = reply_logits(judge, begun.untouched.select(rows), tokens, still)
        logits = None
        if bool(touched[rows].any()):
            logits = reply_logits(judge, begun.judged.select(rows), tokens, change.select(rows))
        yield TeacherForced(tokens, live, touched[rows], logits, reference, law)
