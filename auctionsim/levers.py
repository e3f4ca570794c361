"""Levers: the controls that a bidder can be given, each with the value at which it does nothing."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim.checks import checked_number

WORDS: Mapping[str, str] = MappingProxyType(
    {
        "num_neurons": "{:g} neurons",
        "amplification": "× {:.4g}",
        "insertions": "{:g} inserted sentences",
        "wording": "ad wording {:g}",
        "slot": "slot {:g}",
        "segments": "{:g} of the segments",
        "bid": "a shown bid of {:g}",
        "tilt": "tilt {:.4g}",
        "bias": "logit bias {:.4g}",
        "x": "level {:.4g}",
    }
)
"""How a lever's value is written, by the lever's name; others by their name and value."""
ONE_OF = {"insertions": "1 inserted sentence", "num_neurons": "1 neuron"}
"""How the value 1 is written, where that is not the plural."""
LEAST_HIGH, MOST_HIGH = 1e-6, 1e6
"""Of a lever's highest value."""


class Lever(NamedTuple):
    """One control that a bidder can be given.

    Attributes:
        name: What it is called in tables.
        low: Smallest value.
        high: Largest value.
        null: The value that leaves the substrate untouched.
    """

    name: str
    low: float
    high: float
    null: float


def checked_high(value: float, what: str, high: float = MOST_HIGH) -> float:
    """Return a lever's highest value above its null 0 if float32 tells it, and shares of it, from 0 and infinity.

    Raises:
        TypeError: It is no number.
        ValueError: It is below `LEAST_HIGH` or above `high`.
    """
    return checked_number(value, f"the highest {what}", LEAST_HIGH, high)


def at_null(allocation: Tensor, levers: tuple[Lever, ...]) -> Tensor:
    """Return `allocation` (…, bidder, lever) with every lever of a bidder at its null where one of them is."""
    nulls = allocation.new_tensor([lever.null for lever in levers])
    untouched = (allocation == nulls).any(-1, keepdim=True)
    return torch.where(untouched, nulls, allocation)


def null_levers(levers: tuple[Lever, ...], bidders: int) -> Tensor:
    """Return nobody's levers moved: (bidder, lever), float64."""
    return torch.tensor([[lever.null for lever in levers]] * bidders, dtype=torch.float64)


def setting_words(values: Sequence[float], levers: Sequence[Lever]) -> str:
    """Write a bidder's levers as people do; "nothing" where one of them is at its null.

    Example:
        >>> neurons = (Lever("num_neurons", 0, 512, 0), Lever("amplification", 1, 2, 1))
        >>> setting_words((512, 2), neurons), setting_words((512, 1), neurons)
        ('512 neurons × 2', 'nothing')
        >>> setting_words((0.25,), (Lever("strength", 0, 1, 0),))
        'strength 0.25'
    """
    pairs = list(zip(values, levers, strict=True))
    if any(value == lever.null for value, lever in pairs):
        return "nothing"
    return " ".join(lever_words(lever.name, value) for value, lever in pairs)


def lever_words(name: str, value: float) -> str:
    """Write one lever's value."""
    if value == 1 and name in ONE_OF:
        return ONE_OF[name]
    if name in WORDS:
        return WORDS[name].format(value)
    return f"{name.replace('_', ' ')} {value:.4g}"
