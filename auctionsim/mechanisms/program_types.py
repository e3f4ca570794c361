"""Bidders of finitely many types, and what the program of the best honest mechanism is about."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class CellInside(NamedTuple):
    """What exposure and utility do inside a cell, for a program about cells of types (`honest_bound`).

    Attributes:
        corners: (type, feature) each cell's lower corner.
        tops: (type, feature) its upper corner.
        gains: (type, feature), k_f in: the mean utility is at least that of the corner + top_f E_f − worth_f + k_f.
        marks: (line, type, feature), numbers c in: worth_f ≤ c E_f + beyond · E_f(next) − short · E_f(previous).
        beyond: (line, type, feature), E[(v_f − c)₊] in the cell.
        short: (line, type, feature), E[(c − v_f)₊] in the cell.
        following: (type, feature), the cell after this one along a feature; −1 after the last.
        previous: (type, feature), the one before; −1 before the first.
        least: (feature,), the least exposure there is, which stands for E(previous) before the first.
        most: (feature,), the greatest, which stands for E(next) after the last.
    """

    corners: Tensor
    tops: Tensor
    gains: Tensor
    marks: Tensor
    beyond: Tensor
    short: Tensor
    following: Tensor
    previous: Tensor
    least: Tensor
    most: Tensor


class ProgramTypes(NamedTuple):
    """One bidder's types as the program sees them.

    Attributes:
        chances: (type,).
        steps: Δ (type, type', feature).
        values: (type, feature): the worth of exposure is value · E for types that are points, and no more for cells.
        near: (pair, 2), pairs τ, τ' whose constraints are there from the start.
        inside: What goes on inside a cell; None for types that are points.
    """

    chances: Tensor
    steps: Tensor
    values: Tensor
    near: Tensor
    inside: CellInside | None = None


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
    return ProgramTypes(chances, values.unsqueeze(1) - values.unsqueeze(0), values, near)
