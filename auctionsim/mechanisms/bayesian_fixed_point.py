"""The expected exposures of all bidders at once: a fixed point, by damped iteration and then by a root-finder."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.errors import FailedRunError

ITERATIONS = 200  # of the damped kind
DAMPING = 0.5
GOAL, TOLERANCE = 1e-14, 1e-9  # largest error aimed at and accepted, as shares of the largest exposure
STARTS = 8  # of the root-finder


def fixed_point(
    answer: Callable[[Float[Tensor, "bidder entry"]], Float[Tensor, "bidder entry"]],
    start: Float[Tensor, "bidder entry"],
    scale: float,
) -> Float[Tensor, "bidder entry"]:
    """Return numbers that the picks which they lead to bear out, to `TOLERANCE` of the scale.

    Damped iteration may circle around a fixed point that exists, so Powell's hybrid method follows, from where the
    iteration was nearest and then from points between its start and its last.

    Args:
        answer: From numbers to the expected exposures where everybody picks by them; piecewise smooth.
        start: Expected exposures where nobody picks anything.
        scale: The largest exposure.
    Raises:
        RuntimeError: None was found; the message says how near the numbers came.
    """
    from scipy.optimize import root

    def gap(flat: Any) -> Any:
        numbers = torch.as_tensor(flat, dtype=torch.float64).view(start.shape)
        return (answer(numbers) - numbers).flatten().numpy()

    best, error = start, _error(answer, start)
    now = start
    for _ in range(ITERATIONS):
        now = torch.lerp(now, answer(now), DAMPING)
        if (reached := _error(answer, now)) < error:
            best, error = now, reached
        if error <= GOAL * scale:
            return best
    for k in range(STARTS):
        begin = best if k == 0 else torch.lerp(start, now, k / STARTS)
        found = torch.as_tensor(root(gap, begin.flatten().numpy(), method="hybr").x).view(start.shape).clamp_min(0)
        if (reached := _error(answer, found)) < error:
            best, error = found, reached
        if error <= TOLERANCE * scale:
            return best
    raise FailedRunError(
        f"no expected exposures were found that the bidders' picks bear out: the nearest are off by {error:.3g} of "
        f"{scale:.3g}; there may be none where two entries of a menu have one price, the null's 0 included"
    )


def _error(answer: Callable[[Tensor], Tensor], numbers: Tensor) -> float:
    return float((answer(numbers) - numbers).abs().max())
