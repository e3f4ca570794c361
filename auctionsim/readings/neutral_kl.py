"""KL on neutral text: how far an intervention moves the law of text that has nothing to do with any brand.

It ranks neurons and limits levers; it is never the auction's user loss.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.language_models.change import Change, Inside, as_change
from auctionsim.language_models.laws import divergence
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.prefixes import in_force

UNIT = "nats a token"
"""Of KL on neutral text."""
_ROWS = 16  # rows whose logits over the vocabulary are held at once


@torch.inference_mode()
def neutral_kl(model: LanguageModel, change: Change | Inside, texts: Sequence[str]) -> Float[Tensor, "row text"]:
    """Return what interventions do to neutral text: KL(π_x ‖ π_0), exact over the vocabulary, in nats a token.

    Teacher-forced, every position of the text touched, averaged over the text's tokens; computed in float32, and
    exactly 0 at the null. Other doors than inside move no text that is given. It
    ranks neurons; it is not the auction's user loss.
    """
    model, change = model.in_float32, as_change(change)
    values = torch.zeros(change.num_rows, len(texts))
    moved = (~change.null).nonzero().squeeze(1)
    if not len(moved):
        return values
    for column, text in enumerate(texts):
        ids = text_tokens(model, text)
        reference = model.network(ids).logits
        for rows in moved.split(_ROWS):  # type: ignore[no-untyped-call]
            with in_force(model, change.select(rows)):
                logits = model.network(ids.expand(len(rows), -1)).logits
            values[rows, column] = divergence(logits, reference).mean(1).cpu()
    return values


def text_tokens(model: LanguageModel, text: str) -> Int[Tensor, "1 position"]:
    """Return a text as one row of tokens, after the token that begins a text where the model has one."""
    start = model.tokenizer.bos_token_id
    text_ids = model.text_ids(text)
    return torch.tensor([[start, *text_ids] if start is not None else text_ids], device=model.device)
