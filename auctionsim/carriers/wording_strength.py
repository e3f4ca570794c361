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


def evenly_spread(strengths: Float[Tensor, " wording"], count: int) -> list[int]:
    """Return `count` indices, from weak to strong: the weakest, the strongest, and between them equal steps.

    For each of `count` equally spaced strengths, from the weakest up, the nearest wording that is left is taken; of
    two as near the earlier one. All are taken where there are no more.
    """
    left, kept = list(range(len(strengths))), []
    count = min(count, len(left))
    for target in torch.linspace(float(strengths.min()), float(strengths.max()), count).tolist():
        kept.append(min(left, key=lambda index: (abs(float(strengths[index]) - target), index)))
        left.remove(kept[-1])
    return sorted(kept, key=lambda index: (float(strengths[index]), index))
