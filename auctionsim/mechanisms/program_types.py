"""Bidders of finitely many types, and what the program of the best honest mechanism is about."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class ProgramTypes(NamedTuple):
    """One bidder's types as the program sees them.

    Attributes:
        chances: (type,).
        steps: Δ (type, type', feature).
        slopes: (line, type, feature) of lines in the exposure; the worth is the sum over features of the least of them.
        intercepts: (line, type, feature).
        near: (pair, 2), pairs τ, τ' whose constraints are there from the start.
    """

    chances: Tensor
    steps: Tensor
    slopes: Tensor
    intercepts: Tensor
    near: Tensor


class Program(NamedTuple):
    """What is to be maximised.

    Attributes:
        bidders: Their types.
        exposures: (entry, bidder, feature).
        user_losses: (entry,).
        user_weight: λ ≥ 0.
        bayesian: Honest on average over the others' types instead of whatever they are.
    """

    bidders: Sequence[ProgramTypes]
    exposures: Tensor
    user_losses: Tensor
    user_weight: float
    bayesian: bool


def own_types(values: Float[Tensor, "type feature"], chances: Float[Tensor, " type"], near: Tensor) -> ProgramTypes:
    """Return bidders of exactly these types: worth τ · E, Δ(τ, τ') = τ − τ'."""
    lines = values.unsqueeze(0)
    return ProgramTypes(chances, values.unsqueeze(1) - values.unsqueeze(0), lines, torch.zeros_like(lines), near)
