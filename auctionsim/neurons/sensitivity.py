"""How much each neuron moves a brand's name at a slot, to first order, in the untouched model or in an amplified one.

A slot is a place after a prompt and a stem where a name may stand. With s_k the scale of neuron k, a_k its activation
and g_k the gradient there, d / d s_k = Σ_positions a_k g_k / s_k; at the untouched model that is d / d log s_k.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.language_models.hooks import intervene, read_neurons
from auctionsim.language_models.intervention import Intervention
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.prefixes import growing_cache

_LEAST_MISSING = 0.05  # 1 − P is not taken for less: log odds would follow a name that is sure already


class SlotSensitivity(NamedTuple):
    """Means over prompts and stems, each brand in the model as its own row of an intervention left it.

    Attributes:
        effects: (brand, layer, neuron) d score_i / d s_k, the score being log P_i or the log odds of P_i.
        gradients: (brand, layer, neuron) d score_i / d a_k, summed over the positions that an intervention touches.
        activations: (brand, layer, neuron) mean activation at the positions that predict the name's tokens.
        log_probability: (brand,) mean of log Σ_names P(name | prompt, stem).
    """

    effects: Float[Tensor, "brand layer neuron"]
    gradients: Float[Tensor, "brand layer neuron"]
    activations: Float[Tensor, "brand layer neuron"]
    log_probability: Float[Tensor, " brand"]


class _SlotRow(NamedTuple):
    """One row of a batch: one of a brand's names after a stem."""

    brand: int
    stem_index: int
    stem: list[int]
    name: list[int]


def slot_sensitivity(
    model: LanguageModel,
    brands: tuple[Brand, ...],
    prompt: str,
    stems: tuple[str, ...],
    change: Intervention | None = None,
    *,
    log_odds: bool = False,
) -> SlotSensitivity:
    """Differentiate every brand's name after one prompt, all brands and stems in one backward pass.

    Args:
        model: The language model.
        brands: Each is looked at in its own row of `change`.
        prompt: What the user asks; its last token and all that follows are what an intervention touches.
        stems: Beginnings of a reply that call for a name.
        change: One row a brand, or one for all; None leaves the model untouched.
        log_odds: Differentiate log P − log(1 − P) instead of log P, with 1 − P taken as .05 where it is less: near
            P = 1 the first no longer vanishes.
    """
    rows = [
        _SlotRow(index, number, model.text_ids(stem), model.continuation_ids(stem, name))
        for index, brand in enumerate(brands)
        for number, stem in enumerate(stems)
        for name in brand.names
    ]
    owner = torch.tensor([row.brand for row in rows])
    prompt_ids = model.chat_ids(prompt)
    sequences = [[prompt_ids[-1], *row.stem, *row.name] for row in rows]
    longest = max(len(sequence) for sequence in sequences)
    padded = [sequence + sequence[-1:] * (longest - len(sequence)) for sequence in sequences]  # causal: never looked at
    ids = torch.tensor(padded, device=model.device)
    changed = (change or Intervention(torch.ones(1, model.num_layers, model.num_neurons))).select(owner)
    cache = growing_cache(model, prompt_ids, len(rows))
    with torch.enable_grad(), intervene(model, changed), read_neurons(model, gradients=True) as read:
        logits = model.network(ids[:, :-1], past_key_values=cache, use_cache=True).logits
        log_p = torch.log_softmax(logits.float(), dim=-1).gather(2, ids[:, 1:, None]).squeeze(2)
        names = torch.stack([_name_positions(log_p[k], row).sum() for k, row in enumerate(rows)])
        log_probability = torch.stack(
            [
                names[[k for k, row in enumerate(rows) if (row.brand, row.stem_index) == (index, number)]].logsumexp(0)
                for index in range(len(brands))
                for number in range(len(stems))
            ]
        ).view(len(brands), len(stems))
        weight = torch.ones_like(log_probability)
        if log_odds:
            weight = 1 / (1 - log_probability.detach().exp()).clamp_min(_LEAST_MISSING)
        gradients = torch.autograd.grad((log_probability * weight).sum(), list(read.values()))
    pairs = [(a.detach().float(), g.float()) for a, g in zip(read.values(), gradients, strict=True)]
    effects = torch.stack([(a * g).sum(1) for a, g in pairs], dim=1).cpu() / changed.scale.clamp_min(1e-6)
    slopes = torch.stack([g.sum(1) for _, g in pairs], dim=1).cpu()
    seen = [torch.stack([_name_positions(a[k], row).mean(0) for k, row in enumerate(rows)]) for a, _ in pairs]
    sums = torch.zeros(3, len(brands), model.num_layers, model.num_neurons)
    for total, values in zip(sums, (effects, slopes, torch.stack(seen, dim=1).cpu()), strict=True):
        total.index_add_(0, owner, values)
    alike = torch.tensor([len(brand.names) * len(stems) for brand in brands]).view(-1, 1, 1)
    return SlotSensitivity(
        sums[0] / len(stems), sums[1] / len(stems), sums[2] / alike, log_probability.detach().mean(1).cpu()
    )


def attribution(
    model: LanguageModel, brands: tuple[Brand, ...], prompts: tuple[str, ...], stems: tuple[str, ...]
) -> Float[Tensor, "brand layer neuron"]:
    """Return each neuron's effect on the log probability of each brand's whole name at a slot.

    A_ik = mean over prompts and stems of d log Σ_names P(name | prompt, stem) / d log s_k in the untouched model. A
    first-order estimate of what amplifying neuron k does.

    Source:
        Gradient × activation, as in Dai et al. (2022), "Knowledge neurons in pretrained transformers", without their
        integral; whole names instead of one token.
    """
    return torch.stack([slot_sensitivity(model, brands, prompt, stems).effects for prompt in prompts]).mean(0)


def _name_positions(values: Tensor, row: _SlotRow) -> Tensor:
    """Return what a row has (position, …) at the positions that predict the name's tokens."""
    return values[len(row.stem) : len(row.stem) + len(row.name)]
