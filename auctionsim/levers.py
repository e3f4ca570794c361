"""Levers: the controls that a bidder can be given, each with the value at which it does nothing."""

from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim.checks import checked_number

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
