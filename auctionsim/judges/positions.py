"""Positions in a pairwise verdict: the margin of a reply, and what the first place is worth to the judge.

A judge that adds b to the log odds of whichever reply stands first says Δ + b when the reply stands first and Δ − b
when it stands second. The mean of the two is Δ for any b. Averaging the two probabilities instead does not give σ(Δ).
"""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class SwapAveraged(NamedTuple):
    """A reply's margin over another one, freed of the position.

    Attributes:
        margin: Log odds that the reply is the better one, mean over both orders.
        position: Log odds that the first place alone is worth; below 0 where the second place is preferred.
    """

    margin: Float[Tensor, " pair"]
    position: Float[Tensor, " pair"]


def swap_averaged(stands_first: Float[Tensor, " pair"], stands_second: Float[Tensor, " pair"]) -> SwapAveraged:
    """Return margins and what positions are worth.

    Args:
        stands_first: Log odds that the reply wins where it stands first.
        stands_second: The same where it stands second.
    Example:
        >>> import torch
        >>> pair = swap_averaged(torch.tensor([1.0 + 2.0]), torch.tensor([1.0 - 2.0]))
        >>> round(float(torch.sigmoid(pair.margin)), 6), float(pair.position)
        (0.731059, 2.0)
    """
    return SwapAveraged((stands_first + stands_second) / 2, (stands_first - stands_second) / 2)
