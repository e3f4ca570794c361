"""Refinement of the best misreport so far: along the gradient where there is one, and by pattern search.

Both move every row and bidder at once, score every iterate through the deployed mechanism and keep the best, so neither
can lower the result. A gradient through a hard mechanism may be wrong (an argmax has none); then its iterates simply
lose.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Score = Callable[
    [Tensor], Tensor
]  # (misreport, batch, bidder, feature) misreports to (misreport, batch, bidder) utility

LEARNING_RATE = 0.03  # of the box's side, decaying to 0 along the way
GOLDEN = (5**0.5 - 1) / 2


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
    return _gradient(score, bids.unsqueeze(0)) is not None


def climb(
    score: Score,
    best: Best,
    starts: Float[Tensor, "start batch bidder feature"],
    high: Float[Tensor, "batch bidder feature"],
    steps: int,
    planned: int,
) -> Best:
    """Follow the gradient by Adam from every start, projected into [0, high], for the first `steps` of `planned`."""
    position = torch.where(high > 0, starts / high, 0.0)
    sides = torch.where(high > 0, high / high.amax(2, keepdim=True), 0.0)
    first, second = torch.zeros_like(position), torch.zeros_like(position)
    for step in range(1, steps + 1):
        scored = _gradient(score, position * high)
        if scored is None:
            return best
        utility, gradient = scored
        best = better_of(best, position * high, utility)
        slope = gradient * sides  # per unit of `position`, in units of exposure: no currency is left in it
        first, second = 0.9 * first + 0.1 * slope, 0.99 * second + 0.01 * slope.square()
        size = (second / (1 - 0.99**step)).sqrt()
        direction = torch.where(size > 0, (first / (1 - 0.9**step)) / size, 0.0)
        rate = LEARNING_RATE * (1 - (step - 1) / planned)
        position = (position + rate * direction).clamp(0, 1)
    return best


def pattern_search(
    score: Score,
    best: Best,
    high: Float[Tensor, "batch bidder feature"],
    first_step: float,
    evaluations: int,
    *,
    first_turn: int = 0,
) -> Best:
    """Try a step both ways along turning axes, and twice the last move; go to the best, or halve a row's step.

    The axes turn by the golden angle each time: on the ridges of piecewise-linear mechanisms a fixed cross finds no way
    up, though there is one. Every third time one of them goes up in all features at once; its step is kept apart, for a
    bid may have to move in all or not at all.

    Args:
        score: What a misreport brings.
        best: Where to begin.
        high: Upper ends of the boxes.
        first_step: Share of a box's side.
        evaluations: Misreports to score at most.
        first_turn: Where in the turning of the axes to begin; 1 goes up in all features first.
    """
    m = high.shape[2]
    steps = torch.full_like(best.utility, first_step).unsqueeze(2).repeat(2, 1, 1, 1)  # of turned and of mirrored axes
    last_move = torch.zeros_like(best.bids)
    for turn in range(first_turn, first_turn + evaluations // pattern_size(m)):
        mirrored = turn % 3 == 1 and m > 1
        axes, step = _axes(m, turn, mirrored=mirrored).to(high), steps[int(mirrored)]
        cross = torch.cat([axes, -axes]).view(2 * m, 1, 1, m) * step * high
        moves = torch.cat([cross, 2 * last_move.unsqueeze(0)])
        around = torch.minimum((best.bids + moves).clamp_min(0), torch.maximum(high, best.bids))
        with torch.no_grad():
            nearby = better_of(best, around, score(around))
        improved = (nearby.utility > best.utility).unsqueeze(2)
        steps[int(mirrored)] = torch.where(improved, step, step / 2)
        last_move = torch.where(improved, nearby.bids - best.bids, 0.0)
        best = nearby
    return best


def pattern_size(num_features: int) -> int:
    """Return how many misreports one round of the pattern search tries."""
    return 2 * num_features + 1


def _axes(num_features: int, turn: int, *, mirrored: bool) -> Float[Tensor, "feature feature"]:
    """Return orthonormal axes, turned by `turn` golden angles in the plane of each two neighbouring features.

    Mirrored ones have the diagonal for their first axis.
    """
    axes = torch.eye(num_features, dtype=torch.float64)
    if mirrored:
        normal = axes[0] - num_features**-0.5
        reflected: Tensor = axes - 2 * torch.outer(normal, normal) / normal.square().sum()
        return reflected
    angle = math.pi / 2 * ((turn * GOLDEN) % 1)
    for k in range(num_features - 1):
        plane = torch.eye(num_features, dtype=torch.float64)
        plane[k, k] = plane[k + 1, k + 1] = math.cos(angle)
        plane[k, k + 1], plane[k + 1, k] = math.sin(angle), -math.sin(angle)
        axes = axes @ plane
    return axes


def _gradient(score: Score, bids: Tensor) -> tuple[Float[Tensor, "misreport batch bidder"], Tensor] | None:
    """Return each bidder's utility from each of its bids and the gradients, or None where there are none.

    Bids are (misreport, batch, bidder, feature), and no misreport touches another.
    """
    with torch.enable_grad():
        variable = bids.detach().clone().requires_grad_(True)
        try:
            utility = score(variable)
            if not utility.requires_grad:
                return None
            (gradient,) = torch.autograd.grad(utility.sum(), variable, allow_unused=True)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:  # torch has one class of errors for all: what fails without a gradient too is the rule's
            with torch.no_grad():
                score(bids)
            return None
    return None if gradient is None else (utility.detach(), gradient.nan_to_num(0.0, 0.0, 0.0))
