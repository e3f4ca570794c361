"""Time sharing: the distribution over a list of entries that exposes one bidder most at a capped expected loss."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_finite, checked_number, checked_tensor
from auctionsim.errors import InputError


class TimeSharing(NamedTuple):
    """Shares of time that the entries of a list are in force, and what they give on average.

    Attributes:
        shares: (entry,) probabilities, float64, at most two of them above 0: an allocation of `Randomised`.
        exposure: Expected exposure.
        loss: Expected loss.
    """

    shares: Float[Tensor, " entry"]
    exposure: float
    loss: float


def best_mixture(exposures: Tensor, losses: Tensor, cap: float) -> TimeSharing:
    """Return argmax_q Σ q_k e_k over distributions q with Σ q_k L_k ≤ cap: exact.

    The best expected exposure is the least concave nondecreasing function of the cap that lies above all entries, so
    one entry is used, or two neighbours among that function's corners. What was designed on one replicate is scored on
    another by the same shares: `shares @ values`.

    Args:
        exposures: (entry,) of one bidder, finite.
        losses: (entry,) of one kind, finite, of either sign.
        cap: On the expected loss, in its unit; infinite for none.
    Returns:
        The shares, and what they give; of equally good ones those with the least loss, then with the fewest entries,
        then the first.
    Raises:
        TypeError: Exposures or losses that are no tensors.
        ValueError: Shapes that differ, no entry, a number that is not finite, or a cap below every loss.
    Example:
        >>> sharing = best_mixture(torch.tensor([0.0, 0.5, 0.6]), torch.tensor([0.0, 1.0, 3.0]), 2.0)
        >>> sharing.shares.tolist()
        [0.0, 0.5, 0.5]
    """
    e, loss = (
        checked_finite(checked_tensor(numbers, what).detach().to("cpu", torch.float64), what)
        for numbers, what in ((exposures, "exposures"), (losses, "losses"))
    )
    if e.ndim != 1 or e.shape != loss.shape or not len(e):
        raise InputError(
            f"exposures and losses must be of one shape (entry,), got {tuple(e.shape)} and {tuple(loss.shape)}"
        )
    cap = checked_number(cap, "cap", -math.inf, infinite=True)
    if float(loss.min()) > cap:
        raise InputError(f"the cap must be at least the least loss of an entry, {float(loss.min()):g}, got {cap:g}")
    corners = _corners(e.tolist(), loss.tolist())
    within = [k for k in corners if float(loss[k]) <= cap]
    shares = torch.zeros_like(e)
    shares[within[-1]] = 1.0
    if len(within) < len(corners):
        below, above = within[-1], corners[len(within)]
        share = (cap - float(loss[below])) / (float(loss[above]) - float(loss[below]))
        shares[below], shares[above] = 1 - share, share
    return TimeSharing(shares, float(shares @ e), float(shares @ loss))


def _corners(exposures: list[float], losses: list[float]) -> list[int]:
    """Return the entries on the least concave nondecreasing function above all, by rising loss and exposure."""
    corners: list[int] = []
    for k in sorted(range(len(losses)), key=lambda k: (losses[k], -exposures[k], k)):
        if corners and exposures[k] <= exposures[corners[-1]]:
            continue
        while len(corners) > 1 and _bends_up(*((losses[j], exposures[j]) for j in (*corners[-2:], k))):
            corners.pop()
        corners.append(k)
    return corners


def _bends_up(one: tuple[float, float], middle: tuple[float, float], other: tuple[float, float]) -> bool:
    """Tell whether the middle point, by first coordinate, lies below the line between the other two."""
    return (middle[1] - one[1]) * (other[0] - middle[0]) < (other[1] - middle[1]) * (middle[0] - one[0])
