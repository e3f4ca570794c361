"""One prompt, answered untouched and with brands' neurons amplified."""

import re
from typing import NamedTuple

import torch

from auctionsim.brands import Brand
from auctionsim.language_models import load_model
from auctionsim.neurons import identify
from auctionsim.prompts import PromptSet, build_prompts
from auctionsim.substrates.language_model import LanguageModelSubstrate


class Boost(NamedTuple):
    """How many of a brand's neurons are amplified, and by how much."""

    brand: Brand
    num_neurons: float
    amplification: float


class Said(NamedTuple):
    """Two replies from the same random numbers."""

    untouched: str
    boosted: str
    hits_untouched: list[int]
    hits_boosted: list[int]
    user_loss: float


def parse_boosts(texts: list[str]) -> tuple[Boost, ...]:
    """Read "Nike=64x2", one a brand.

    Raises:
        ValueError: Another form, or one brand twice.
    """
    boosts = []
    for text in texts:
        found = re.fullmatch(r"(.+)=(\d+(?:\.\d+)?)[x×](\d+(?:\.\d+)?)", text.strip())
        if found is None:
            raise ValueError(f"a boost is written BRAND=NEURONSxFACTOR, as in Nike=64x2, got {text!r}")
        boosts.append(Boost(Brand.read([found[1].strip()]), float(found[2]), float(found[3])))
    names = [boost.brand.name.lower() for boost in boosts]
    if not boosts or len(set(names)) < len(names):
        raise ValueError(f"each brand is boosted once, got {', '.join(texts) or 'none'}")
    return tuple(boosts)


def say_twice(
    prompt: str,
    boosts: tuple[Boost, ...],
    category: str,
    *,
    load: tuple[str, str, str],
    seed: int,
    tokens: int,
    heat: float,
) -> Said:
    """Identify the brands' neurons on the category's prompts, then answer the prompt twice.

    Args:
        prompt: What the user asks.
        boosts: Interventions, at once in the same reply.
        category: What the brands sell.
        load: Name, device and dtype of the model.
        seed: Of the reply.
        tokens: Longest reply.
        heat: Temperature of sampling.
    """
    if not prompt.strip():
        raise ValueError("the prompt is blank")
    model = load_model(*load)
    brands = tuple(boost.brand for boost in boosts)
    most = max(1, *(int(-(-boost.num_neurons // 1)) for boost in boosts))
    neurons = identify(model, brands, build_prompts(category).split("identify"), num_neurons=most, seed=seed)
    substrate = LanguageModelSubstrate(
        model,
        neurons,
        PromptSet(("asked",), ((prompt,),)),
        num_neurons=most,
        amplification=max(1.0, *(boost.amplification for boost in boosts)),
        max_new_tokens=tokens,
        temperature=heat,
        seed=seed,
    )
    allocation = substrate.null_allocation(2)
    allocation[1] = torch.tensor([[boost.num_neurons, boost.amplification] for boost in boosts])
    batch = substrate.replies(prompt, allocation, (0, 0), 1)
    untouched, boosted = batch.texts
    before, after = batch.hits.tolist()
    return Said(untouched, boosted, before, after, float(batch.user_loss[1]))
