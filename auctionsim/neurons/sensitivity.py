"""How much each neuron's amplification moves a brand's name, and how much it harms unrelated text.

Both are derivatives with respect to the logarithm of a neuron's scale, taken at the untouched model: with activation
a_k and gradient g_k at a position, d / d log s_k = Σ_positions a_k g_k.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.language_models.decoding import growing_cache
from auctionsim.language_models.hooks import read_neurons
from auctionsim.language_models.loading import LanguageModel


class _SlotRow(NamedTuple):
    """One row of a batch: a brand's name after a stem."""

    brand: int
    stem: list[int]
    name: list[int]


def attribution(
    model: LanguageModel, brands: tuple[Brand, ...], prompts: tuple[str, ...], stems: tuple[str, ...]
) -> Float[Tensor, "brand layer neuron"]:
    """Return each neuron's effect on the log probability of each brand's whole name at a slot.

    A_ik = mean over prompts and stems of d log Σ_names P(name | prompt, stem) / d log s_k, the positions being the
    prompt's last token and the stem's and name's, those that an intervention touches. A first-order estimate of what
    amplifying neuron k does.

    Source:
        Gradient × activation, as in Dai et al. (2022), "Knowledge neurons", without their integral; whole names instead
        of one token.
    """
    rows = [
        _SlotRow(index, model.text_ids(stem), model.continuation_ids(stem, name))
        for index, brand in enumerate(brands)
        for stem in stems
        for name in brand.names
    ]
    slots = [(index, stem) for index, brand in enumerate(brands) for stem in range(len(stems)) for _ in brand.names]
    owner = torch.tensor([row.brand for row in rows])
    total = torch.zeros(len(brands), model.num_layers, model.num_neurons)
    for prompt in prompts:
        total.index_add_(0, owner, _slot_products(model, model.chat_ids(prompt), rows, slots))
    return total / (len(prompts) * len(stems))


def _slot_products(
    model: LanguageModel, prompt_ids: list[int], rows: list[_SlotRow], slots: list[tuple[int, int]]
) -> Float[Tensor, "row layer neuron"]:
    """Return Σ_positions activation × gradient of every row of one prompt, in one backward pass."""
    sequences = [[prompt_ids[-1], *row.stem, *row.name] for row in rows]
    longest = max(len(sequence) for sequence in sequences)
    padded = [sequence + sequence[-1:] * (longest - len(sequence)) for sequence in sequences]  # causal: never looked at
    ids = torch.tensor(padded, device=model.device)
    cache = growing_cache(model, prompt_ids, len(rows))
    with torch.enable_grad(), read_neurons(model, gradients=True) as activations:
        logits = model.network(ids[:, :-1], past_key_values=cache, use_cache=True).logits
        log_p = torch.log_softmax(logits.float(), dim=-1).gather(2, ids[:, 1:, None]).squeeze(2)
        names_of: dict[tuple[int, int], list[Tensor]] = {}
        for k, (row, slot) in enumerate(zip(rows, slots, strict=True)):
            name = log_p[k, len(row.stem) : len(row.stem) + len(row.name)]
            names_of.setdefault(slot, []).append(name.sum())
        objective = torch.stack([torch.stack(names).logsumexp(0) for names in names_of.values()]).sum()
        gradients = torch.autograd.grad(objective, list(activations.values()))
    products = [
        (activation.detach().float() * gradient.float()).sum(1)
        for activation, gradient in zip(activations.values(), gradients, strict=True)
    ]
    return torch.stack(products, dim=1).cpu()


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
    start = model.tokenizer.bos_token_id
    for text in texts:
        text_ids = model.text_ids(text)
        ids = torch.tensor([[start, *text_ids] if start is not None else text_ids], device=model.device)
        for _ in range(samples):
            with torch.enable_grad(), read_neurons(model, gradients=True) as activations:
                log_p = torch.log_softmax(model.network(ids).logits[0].float(), dim=-1)
                drawn = torch.multinomial(log_p.detach().exp().cpu(), 1, generator=generator).to(model.device)
                gradients = torch.autograd.grad(log_p.gather(1, drawn).sum(), list(activations.values()))
            for layer, (activation, gradient) in enumerate(zip(activations.values(), gradients, strict=True)):
                total[layer] += (activation.detach().float() * gradient.float())[0].square().mean(0).cpu()
    return total / (len(texts) * samples)
