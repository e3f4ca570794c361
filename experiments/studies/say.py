"""One prompt, answered untouched and with brands' neurons amplified."""

import re
import time
from pathlib import Path
from typing import NamedTuple

import torch

from auctionsim.brands import Brand
from auctionsim.caching import cache_folder
from auctionsim.carriers.neurons import Neurons
from auctionsim.errors import InputError
from auctionsim.experiments.running.kept_neurons import HIGHEST, Place, neurons_key
from auctionsim.experiments.running.reply_losses import paired_losses, readings_besides
from auctionsim.kept import key_digest
from auctionsim.language_models import LanguageModel, load_model
from auctionsim.neurons import BrandNeurons, identify
from auctionsim.neurons.brand_neurons import package_versions
from auctionsim.neurons.methods import DEFAULT_METHOD
from auctionsim.prompts import PromptSet, build_prompts
from auctionsim.substrates import Manner, Offer, View
from auctionsim.substrates.language_model import LanguageModelSubstrate
from auctionsim.substrates.quantities import DEFAULT_LOSS


class Boost(NamedTuple):
    """How many of a brand's neurons are amplified, and by how much."""

    brand: Brand
    num_neurons: float
    amplification: float


class Said(NamedTuple):
    """Two replies from the same random numbers.

    Attributes:
        untouched: The reply of the model as it is.
        boosted: The other.
        hits_untouched: Of each brand.
        hits_boosted: Of each brand.
        user_loss: Of the boosted reply, beside the untouched one; NaN where it is unscored.
        loss: Its name and unit.
        neurons: Where the brands' neurons are kept.
        were_kept: Whether an earlier call found them.
    """

    untouched: str
    boosted: str
    hits_untouched: list[int]
    hits_boosted: list[int]
    user_loss: float
    loss: str
    neurons: Path
    were_kept: bool


def parse_boosts(texts: list[str]) -> tuple[Boost, ...]:
    """Read "Nike=64x2", one a brand.

    Raises:
        ValueError: Another form, or one brand twice.
    """
    boosts = []
    for text in texts:
        match = re.fullmatch(r"(.+)=(\d+(?:\.\d+)?)[x×](\d+(?:\.\d+)?)", text.strip())
        if match is None:
            raise InputError(f"a boost is written BRAND=NEURONSxFACTOR, as in Nike=64x2, got {text!r}")
        boosts.append(Boost(Brand.read([match[1].strip()]), float(match[2]), float(match[3])))
    names = [boost.brand.name.lower() for boost in boosts]
    if not boosts or len(set(names)) < len(names):
        raise InputError(f"each brand is boosted once, got {', '.join(texts) or 'none'}")
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
    loss: str = DEFAULT_LOSS,
) -> Said:
    """Identify the brands' neurons on the category's prompts, then answer the prompt twice.

    The neurons are kept in the user's cache folder, under all that they depend on, and taken up again.

    Args:
        prompt: What the user asks.
        boosts: Interventions, at once in the same reply.
        category: What the brands sell.
        load: Name, device and dtype of the model.
        seed: Of the reply.
        tokens: Longest reply, in tokens.
        heat: Temperature of sampling.
        loss: Of the user, that is printed: a name, or weights such as "kl-.5*length".
    Raises:
        ValueError: A blank prompt, or a loss that is made of what is none.
    """
    offer = Offer(("hits",), loss)
    manner = Manner(leads=(), readings=readings_besides(offer))  # intent is not sold, and some stems have no leads
    if not prompt.strip():
        raise InputError("the prompt is blank")
    model = load_model(*load)
    brands = tuple(boost.brand for boost in boosts)
    most = max(1, *(int(-(-boost.num_neurons // 1)) for boost in boosts))
    model.chat_ids(prompt)  # refused before neurons are looked for
    neurons, place, were_kept = _neurons(model, brands, category, most, seed)
    strongest = max(1.0, *(boost.amplification for boost in boosts))
    substrate = LanguageModelSubstrate(
        model,
        Neurons(neurons, num_neurons=most, amplification=strongest),
        PromptSet(("asked",), ((prompt,),)),
        max_new_tokens=tokens,
        temperature=heat,
        seed=seed,
        manner=manner,
    )
    allocation = substrate.null_allocation(2)
    allocation[1] = torch.tensor([[boost.num_neurons, boost.amplification] for boost in boosts])
    batch = substrate.replies(prompt, allocation, (0, 0), 1)
    untouched, boosted = batch.texts
    before, after = batch.numbers("hits").long().tolist()
    lost, charged = float(paired_losses(batch, offer)), View(substrate, offer).charged_loss
    return Said(untouched, boosted, before, after, lost, str(charged), place.file, were_kept)


def _neurons(
    model: LanguageModel, brands: tuple[Brand, ...], category: str, count: int, seed: int
) -> tuple[BrandNeurons, Place, bool]:
    """Return the brands' neurons, where they are kept, and whether they were kept already."""
    own_prompts = build_prompts(category).split("identify")
    key = {**neurons_key(model, brands, own_prompts, DEFAULT_METHOD, count, seed), "versions": package_versions()}
    place = Place(cache_folder() / "neurons" / key_digest(key))
    kept = place.taken(key)
    if kept is not None:
        return kept.neurons, place, True
    began = time.perf_counter()
    neurons = identify(model, brands, own_prompts, DEFAULT_METHOD, num_neurons=count, amplification=HIGHEST, seed=seed)
    place.keep(neurons, key, None, time.perf_counter() - began)
    return neurons, place, False
