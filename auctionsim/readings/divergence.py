"""How far replies are from the untouched model's: computed in float32 whatever they are sampled in, 0 at the null."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.language_models.decoding import Prefix, Replies, prefill_together, reply_logits
from auctionsim.language_models.intervention import Intervention, untouched
from auctionsim.language_models.laws import divergence
from auctionsim.language_models.model import LanguageModel

_ROWS = 16  # replies whose whole logits are held at once


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


def reply_losses(
    model: LanguageModel, replies: Replies, change: Intervention, begun: BegunReplies
) -> tuple[Float[Tensor, " row"], Float[Tensor, " row"]]:
    """Return each reply's mean KL(π_x ‖ π_0) and mean −log π_0 over its tokens, both in nats a token.

    Both laws are taken at temperature 1. A reply at the null loses exactly 0 by rule, not by equal rounding.
    """
    judge, still = model.in_float32, untouched(model)
    touched = (~change.null).to(replies.tokens.device)
    losses, surprises = [], []
    for start in range(0, change.num_rows, _ROWS):
        rows = slice(start, start + _ROWS)
        tokens, live = replies.tokens[rows], replies.live[rows]
        reference = reply_logits(judge, begun.untouched.select(rows), tokens, still)
        surprise = -torch.log_softmax(reference.float(), -1).gather(2, tokens.unsqueeze(2)).squeeze(2)
        loss = torch.zeros_like(surprise)
        if bool(touched[rows].any()):
            logits = reply_logits(judge, begun.judged.select(rows), tokens, change.select(rows))
            loss = divergence(logits, reference) * touched[rows].unsqueeze(1)
        count = live.sum(1)
        losses.append((loss * live).sum(1) / count)
        surprises.append((surprise * live).sum(1) / count)
    return torch.cat(losses).cpu(), torch.cat(surprises).cpu()
