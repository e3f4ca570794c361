"""Return targets as a cost: the growth of what a bidder is behind its target, felt in the reward or reported beside it.

This is the form of constrained reinforcement learning: a cost a round beside the reward, whose sum over the episode a
learner keeps below a limit. Here the sum is what the target is missed by at the end, so the limit 0 means that it is
met. A round in which a bidder catches up has a cost below 0.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_number
from auctionsim.errors import InputError


class TargetCost:
    """The cost of missing return targets.

    shortfall = max(0, target · payments so far − value so far); a round's cost is the shortfall after it less the
    shortfall before it, and the reward is utility − weight · cost.

    Args:
        targets: (bidder,), the least value per money spent.
        weights: (bidder,), what a unit of cost takes from the reward; 0 reports it only.
    """

    def __init__(self, targets: Float[Tensor, " bidder"], weights: Float[Tensor, " bidder"]) -> None:
        self.targets, self.weights = targets, weights

    def shortfall(
        self, gained: Float[Tensor, "row bidder"], spent: Float[Tensor, "row bidder"]
    ) -> Float[Tensor, "row bidder"]:
        """Return by how much value so far is behind target times payments so far, ≥ 0."""
        return (self.targets * spent - gained).clamp_min(0)

    def reward(
        self, utility: Float[Tensor, "row bidder"], cost: Float[Tensor, "row bidder"]
    ) -> Float[Tensor, "row bidder"]:
        """Return what the learner gets: utility less weight times cost."""
        return utility - self.weights * cost


def target_cost(
    weight: float | Sequence[float] | None, targets: Float[Tensor, " bidder"] | None, dtype: torch.dtype
) -> TargetCost | None:
    """Return the cost of a game's targets, or None where they are a cap.

    Args:
        weight: One number ≥ 0, or one a bidder; None: the targets are a cap.
        targets: (bidder,), None where the game has none.
        dtype: Of the game.
    Raises:
        ValueError: A weight without targets, not one number or one a bidder, or one that is not finite and ≥ 0.
        TypeError: No number.
    """
    if weight is None:
        return None
    if targets is None:
        raise InputError(f"roi_as_cost weighs what roi_targets are missed by: pass roi_targets too, got {weight!r:.60}")
    several = isinstance(weight, Sequence | np.ndarray | Tensor) and np.ndim(weight) == 1
    each: list[Any] = list(weight) if several else [weight] * len(targets)  # type: ignore[arg-type]
    numbers = [checked_number(one, "roi_as_cost") for one in each]
    if len(numbers) != len(targets):
        raise InputError(f"roi_as_cost must be one number or one a bidder ({len(targets)}), got {weight!r:.60}")
    return TargetCost(targets, torch.tensor(numbers, dtype=dtype))
