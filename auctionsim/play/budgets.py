"""Budgets: a bid is lowered until its price fits what the brand may pay for the reply."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.mechanisms import Mechanism

_POINTS, _TURNS, _FINER = 33, 3, 3
SLACK = 1e-9
"""By how much a price may exceed a budget through rounding."""


def bids_within(
    mechanism: Mechanism,
    bids: Float[Tensor, " bidder"],
    budgets: Sequence[float | None],
    context: Tensor,
) -> Float[Tensor, " bidder"]:
    """Return the bids, lowered where a price would exceed its bidder's budget.

    One after the other, each bidder whose price does not fit bids the highest amount that was found to fit, the others'
    bids held. Since that moves the others' prices, it is repeated; who still does not fit after that bids 0. Prices
    that fit only between two of the amounts that are tried are not found.

    Args:
        mechanism: Charges.
        bids: As they were made, float64.
        budgets: The most that each bidder pays; None for no limit.
        context: (1,) the kind of prompt.
    """
    limits = torch.tensor([torch.inf if most is None else most for most in budgets], dtype=torch.float64) + SLACK
    current = bids.clone()
    for turn in range(_TURNS + 1):
        over = (_payments(mechanism, current.unsqueeze(0), context)[0] > limits).nonzero().flatten().tolist()
        if not over:
            break
        for bidder in over:
            lowest = turn == _TURNS
            current[bidder] = 0.0 if lowest else _highest_that_fits(mechanism, current, bidder, limits[bidder], context)
    return current


def last_that_fits(payments: Float[Tensor, " bid"], budget: float | None) -> list[int]:
    """Return for each of ascending bids the index of the highest one up to it whose payment fits the budget.

    Where none fits, the first, lowest bid stands in.
    """
    if budget is None:
        return list(range(len(payments)))
    indices, best = [], 0
    for index, payment in enumerate(payments.tolist()):
        best = index if payment <= budget + SLACK else best
        indices.append(best)
    return indices


def _highest_that_fits(
    mechanism: Mechanism, bids: Float[Tensor, " bidder"], bidder: int, limit: Tensor, context: Tensor
) -> float:
    """Return the highest bid that was found to cost no more than the limit: a grid, then finer ones above it."""
    low, high = 0.0, float(bids[bidder])
    for _ in range(_FINER):
        tried = torch.linspace(low, high, _POINTS, dtype=torch.float64)
        rows = bids.repeat(_POINTS, 1)
        rows[:, bidder] = tried
        fits = (_payments(mechanism, rows, context)[:, bidder] <= limit).nonzero().flatten()
        if not len(fits):
            return 0.0
        last = int(fits[-1])
        if last == _POINTS - 1:
            return high
        low, high = float(tried[last]), float(tried[last + 1])
    return low


def _payments(mechanism: Mechanism, bids: Float[Tensor, "row bidder"], context: Tensor) -> Float[Tensor, "row bidder"]:
    return mechanism(bids.unsqueeze(2), context.expand(len(bids))).payments
