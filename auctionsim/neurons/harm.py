"""How much each neuron's amplification harms the user: on neutral text, and in replies to what users ask.

Both are diagonal Fisher informations of log amplification, F_k = mean over positions of (a_k · d log p(y) / d a_k)²,
with every next token y drawn from the model itself. To second order, KL(untouched ‖ scaled) ≈ ½ Σ_k F_k (log s_k)² if
neurons act apart; the terms between positions are left out.

Source:
    The Fisher information with sampled labels, as in Martens (2020), "New insights and perspectives on the natural
    gradient method".
"""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.language_models.change import untouched
from auctionsim.language_models.decoding import sample_replies
from auctionsim.language_models.hooks import read_neurons
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.prefixes import growing_cache, prefill
from auctionsim.readings.neutral_kl import text_tokens


def harm(
    model: LanguageModel, texts: tuple[str, ...], generator: torch.Generator, *, samples: int = 2
) -> Float[Tensor, "layer neuron"]:
    """Return each neuron's harm to the user, F_k on neutral text: all positions of a text touched, mean over texts."""
    total = torch.zeros(model.num_layers, model.num_neurons)
    for text in texts:
        ids = text_tokens(model, text)
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
    sampled = sample_replies(model, prefill(model, ids, tokens), null, uniforms)
    first = torch.full((replies, 1), ids[-1], device=model.device)
    sequence = torch.cat((first, sampled.tokens[:, :-1]), dim=1)
    return _fisher(model, sequence, growing_cache(model, ids, replies), sampled.live, generator)


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
