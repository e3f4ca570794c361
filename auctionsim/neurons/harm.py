"""How much each neuron's amplification harms text that has nothing to do with any brand."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.language_models.decoding import divergence
from auctionsim.language_models.hooks import intervene, read_neurons
from auctionsim.language_models.intervention import Intervention
from auctionsim.language_models.loading import LanguageModel

_ROWS = 16  # rows whose logits over the vocabulary are held at once


def harm(
    model: LanguageModel, texts: tuple[str, ...], generator: torch.Generator, *, samples: int = 2
) -> Float[Tensor, "layer neuron"]:
    """Return each neuron's diagonal Fisher information of log amplification on neutral text.

    F_k = mean over positions of (a_k · d log p(y) / d a_k)², with every next token y drawn from the model itself at its
    position. To second order, KL(untouched ‖ scaled) ≈ ½ Σ_k F_k (log s_k)² if neurons act apart; the terms between
    positions are left out.

    Source:
        The empirical Fisher with sampled labels, as in Martens (2020), "New insights and perspectives on the natural
        gradient method".
    """
    total = torch.zeros(model.num_layers, model.num_neurons)
    for text in texts:
        ids = _text_ids(model, text)
        for _ in range(samples):
            with torch.enable_grad(), read_neurons(model, gradients=True) as activations:
                log_p = torch.log_softmax(model.network(ids).logits[0].float(), dim=-1)
                drawn = torch.multinomial(log_p.detach().exp().cpu(), 1, generator=generator).to(model.device)
                gradients = torch.autograd.grad(log_p.gather(1, drawn).sum(), list(activations.values()))
            for layer, (activation, gradient) in enumerate(zip(activations.values(), gradients, strict=True)):
                total[layer] += (activation.detach().float() * gradient.float())[0].square().mean(0).cpu()
    return total / (len(texts) * samples)


@torch.inference_mode()
def neutral_kl(model: LanguageModel, change: Intervention, texts: Sequence[str]) -> Float[Tensor, "row text"]:
    """Return what interventions do to neutral text: KL(π_x ‖ π_0), exact over the vocabulary, in nats a token.

    Teacher-forced, every position of the text touched, averaged over the text's tokens. It ranks neurons; it is not
    the auction's user loss.
    """
    values = torch.zeros(change.num_rows, len(texts))
    for column, text in enumerate(texts):
        ids = _text_ids(model, text)
        reference = model.network(ids).logits
        for start in range(0, change.num_rows, _ROWS):
            rows = slice(start, min(start + _ROWS, change.num_rows))
            with intervene(model, change.select(rows)):
                logits = model.network(ids.expand(rows.stop - start, -1)).logits
            values[rows, column] = divergence(logits, reference).mean(1).cpu()
    return values


def _text_ids(model: LanguageModel, text: str) -> Tensor:
    start = model.tokenizer.bos_token_id
    text_ids = model.text_ids(text)
    return torch.tensor([[start, *text_ids] if start is not None else text_ids], device=model.device)
