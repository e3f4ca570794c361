"""How much each neuron's amplification harms the user: on neutral text, and in replies to what users ask.

Both are diagonal Fisher informations of log amplification, F_k = mean over positions of (a_k · d log p(y) / d a_k)²,
with every next token y drawn from the model itself. To second order, KL(untouched ‖ scaled) ≈ ½ Σ_k F_k (log s_k)² if
neurons act apart; the terms between positions are left out.

Source:
    The Fisher information with sampled labels, as in Martens (2020), "New insights and perspectives on the natural
    gradient method".
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.language_models.decoding import divergence, growing_cache, prefill, sample_replies
from auctionsim.language_models.hooks import intervene, read_neurons
from auctionsim.language_models.intervention import Intervention, untouched
from auctionsim.language_models.model import LanguageModel

_ROWS = 16  # rows whose logits over the vocabulary are held at once


def harm(
    model: LanguageModel, texts: tuple[str, ...], generator: torch.Generator, *, samples: int = 2
) -> Float[Tensor, "layer neuron"]:
    """Return each neuron's harm to the user, F_k on neutral text: all positions of a text touched, mean over texts."""
    total = torch.zeros(model.num_layers, model.num_neurons)
    for text in texts:
        ids = _text_ids(model, text)
        live = torch.ones_like(ids, dtype=torch.bool)
        for _ in range(samples):
            total += _fisher(model, ids, None, live, generator)
    return total / (len(texts) * samples)


def reply_harm(
    model: LanguageModel, prompt: str, generator: torch.Generator, *, replies: int = 2, tokens: int = 48
) -> Float[Tensor, "layer neuron"]:
    """Return each neuron's F_k in replies that the untouched model gives to a prompt.

    Touched are the positions that an intervention touches: the prompt's last token and the reply's.

    Args:
        model: The language model.
        prompt: What the user asks.
        generator: Of the replies and of the next tokens.
        replies: Sampled at temperature 1.
        tokens: A reply's longest length.
    """
    ids, null = model.chat_ids(prompt), untouched(model)
    uniforms = torch.rand(replies, tokens, generator=generator)
    said = sample_replies(model, prefill(model, ids, tokens), null, uniforms)
    first = torch.full((replies, 1), ids[-1], device=model.device)
    sequence = torch.cat((first, said.tokens[:, :-1]), dim=1)
    return _fisher(model, sequence, growing_cache(model, ids, replies), said.live, generator)


def _fisher(
    model: LanguageModel, ids: Tensor, cache: object | None, live: Tensor, generator: torch.Generator
) -> Float[Tensor, "layer neuron"]:
    """Return F_k over the live positions of one batch (row, position)."""
    with torch.enable_grad(), read_neurons(model, gradients=True) as activations:
        logits = model.network(ids, past_key_values=cache, use_cache=cache is not None).logits
        log_p = torch.log_softmax(logits.float(), dim=-1)
        flat = log_p.detach().exp().flatten(0, 1).cpu()
        drawn = torch.multinomial(flat, 1, generator=generator).view(*ids.shape, 1).to(model.device)
        score = (log_p.gather(2, drawn).squeeze(2) * live).sum()
        gradients = torch.autograd.grad(score, list(activations.values()))
    products = [a.detach().float() * g.float() for a, g in zip(activations.values(), gradients, strict=True)]
    return torch.stack([p.square().flatten(0, 1)[live.flatten()].mean(0) for p in products]).cpu()


@torch.inference_mode()
def neutral_kl(model: LanguageModel, change: Intervention, texts: Sequence[str]) -> Float[Tensor, "row text"]:
    """Return what interventions do to neutral text: KL(π_x ‖ π_0), exact over the vocabulary, in nats a token.

    Teacher-forced, every position of the text touched, averaged over the text's tokens; computed in float32, and
    exactly 0 at the null. It ranks neurons; it is not the auction's user loss.
    """
    model = model.in_float32
    values = torch.zeros(change.num_rows, len(texts))
    moved = (~change.null).nonzero().squeeze(1)
    if not len(moved):
        return values
    for column, text in enumerate(texts):
        ids = _text_ids(model, text)
        reference = model.network(ids).logits
        for rows in moved.split(_ROWS):  # type: ignore[no-untyped-call]
            with intervene(model, change.select(rows)):
                logits = model.network(ids.expand(len(rows), -1)).logits
            values[rows, column] = divergence(logits, reference).mean(1).cpu()
    return values


def _text_ids(model: LanguageModel, text: str) -> Tensor:
    start = model.tokenizer.bos_token_id
    text_ids = model.text_ids(text)
    return torch.tensor([[start, *text_ids] if start is not None else text_ids], device=model.device)
