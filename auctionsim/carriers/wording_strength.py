"""How likely brands' names are in replies to prompts that have text around them: what wordings are ordered by."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.carriers.registry import FittingInputs
from auctionsim.language_models.change import Change
from auctionsim.language_models.framing import Framing, Framings
from auctionsim.readings.slots import SlotScorer

PROMPTS = 2
"""Prompts of each context that are looked at."""
_LEAST = 1e-30  # a probability below it counts as this one


def name_strengths(inputs: FittingInputs, framings: Sequence[Sequence[Framing]]) -> Float[Tensor, "framing brand"]:
    """Return the mean log probability of each brand's name in each of its framings, in nats.

    The mean is over the first `PROMPTS` prompts of each context of the split A, and over its stems: the probability
    that the name follows a stem at which the reply to the framed prompt begins. Nothing is drawn.

    Args:
        inputs: Model, brands and prompts.
        framings: (brand, framing), as many for each.
    Raises:
        ValueError: Text that the model's frame refuses, or a stem that its tokenizer joins with a name.
    """
    return torch.stack([_strengths(inputs, *pair) for pair in zip(inputs.brands, framings, strict=True)], dim=1)


def _strengths(inputs: FittingInputs, brand: Brand, framings: Sequence[Framing]) -> Float[Tensor, " framing"]:
    own = inputs.prompts.split("A")
    scorer = SlotScorer(inputs.model, (brand,), own.stem_texts)
    change = Change(len(framings), before=Framings(tuple(framings)))
    parts = [scorer(prompt, change)[:, :, 0] for prompt in own.first(PROMPTS).everything]
    return torch.stack(parts).clamp_min(_LEAST).log().mean((0, 2))


def weak_to_strong(strengths: Float[Tensor, "framing brand"]) -> list[int]:
    """Return the framings' indices ordered by the mean over brands; of equal ones the earlier first."""
    means = strengths.mean(1).tolist()
    return sorted(range(len(means)), key=lambda index: (means[index], index))
