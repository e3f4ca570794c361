"""How the best misreport found so far is improved: along the gradient where there is one, and by pattern search.

Both move every row and bidder at once, score every iterate through the deployed mechanism and keep the best, so neither
can lower the result. A gradient through a hard mechanism may be wrong (an argmax has none); then its iterates simply
lose.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Score = Callable[
    [Tensor], Tensor
]  # (misreport, batch, bidder, feature) misreports to (misreport, batch, bidder) utility

LEARNING_RATE = 0.03  # of the box's side, decaying to 0 along the way
NO_GRADIENT = ("requires grad", "inplace operation", "in-place operation", "derivative")
"""What torch says where a mechanism leaves it, overwrites its numbers, or uses what has no derivative."""
PATTERN_STEP = 1 / 16  # of the box's side, halved whenever no neighbour is better


class Best(NamedTuple):
    """The best bids so far.

    Attributes:
        utility: (batch, bidder).
        bids: (batch, bidder, feature).
    """

    utility: Tensor
    bids: Tensor


def better_of(best: Best, misreports: Float[Tensor, "misreport batch bidder feature"], utility: Tensor) -> Best:
    """Return the best of what was known and new misreports with their (misreport, batch, bidder) utilities.

    A NaN utility never wins; the first of equals does.
    """
    top, index = utility.nan_to_num(nan=-torch.inf).max(0)
    chosen = misreports.gather(0, index[None, ..., None].expand(1, *misreports.shape[1:]))[0]
    wins = top > best.utility
    return Best(torch.where(wins, top, best.utility), torch.where(wins.unsqueeze(2), chosen, best.bids))


def is_differentiable(score: Score, bids: Tensor) -> bool:
    """Tell whether a bidder's utility carries a gradient back to its bid."""
    return _gradient(score, bids) is not None


def climb(score: Score, best: Best, high: Float[Tensor, "batch bidder feature"], steps: int, planned: int) -> Best:
    """Follow the gradient by Adam from the best bids, projected into [0, high], for the first `steps` of `planned`."""
    position = best.bids / high
    first, second = torch.zeros_like(position), torch.zeros_like(position)
    for step in range(1, steps + 1):
        scored = _gradient(score, position * high)
        if scored is None:
            return best
        utility, gradient = scored
        best = better_of(best, (position * high).unsqueeze(0), utility.unsqueeze(0))
        slope = gradient * high  # per unit of `position`
        first, second = 0.9 * first + 0.1 * slope, 0.99 * second + 0.01 * slope.square()
        direction = (first / (1 - 0.9**step)) / ((second / (1 - 0.99**step)).sqrt() + 1e-12)
        rate = LEARNING_RATE * (1 - (step - 1) / planned)
        position = (position + rate * direction).clamp(0, 1)
    return best


def pattern_search(score: Score, best: Best, high: Float[Tensor, "batch bidder feature"], evaluations: int) -> Best:
    """Try one step up and down in each feature, move to the best, and halve a row's step where none is better."""
    m = high.shape[2]
    directions = torch.cat([torch.eye(m), -torch.eye(m)]).to(high).view(2 * m, 1, 1, m)
    step = torch.full_like(best.utility, PATTERN_STEP).unsqueeze(2)
    for _ in range(evaluations // (2 * m)):
        around = torch.minimum((best.bids + directions * step * high).clamp_min(0), torch.maximum(high, best.bids))
        with torch.no_grad():
            found = better_of(best, around, score(around))
        improved = (found.utility > best.utility).unsqueeze(2)
        step = torch.where(improved, step, step / 2)
        best = found
    return best


def _gradient(score: Score, bids: Tensor) -> tuple[Float[Tensor, "batch bidder"], Tensor] | None:
    """Return each bidder's utility from its bid and the gradient, or None where the mechanism carries none."""
    with torch.enable_grad():
        variable = bids.detach().clone().requires_grad_(True)
        try:
            utility = score(variable.unsqueeze(0))[0]
            if not utility.requires_grad:
                return None
            (gradient,) = torch.autograd.grad(utility.sum(), variable, allow_unused=True)
        except RuntimeError as error:
            if any(sign in str(error) for sign in NO_GRADIENT):
                return None
            raise
    return None if gradient is None else (utility.detach(), gradient.nan_to_num(0.0, 0.0, 0.0))
