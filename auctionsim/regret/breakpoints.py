"""Exact regret of single-parameter step rules: every stretch of bids on which nothing moves but an affine payment.

For some rules, with the others' bids fixed, there is a list of breakpoints such that between two neighbours (and before
the first and beyond the last) the allocation does not depend on b_i and i's payment is affine in b_i. Quasi-linear
utility is then affine on each open stretch, on whatever substrate exposure is paid, so its supremum there is the limit
at an end. Two points inside a stretch give both limits, the stretches' ends are tried themselves, and the largest of
all is the regret over [0, high] up to rounding: nothing is left to miss. The supremum need not be reached (just above a
rival's bid), so `lower`, the gain of a misreport that can be printed, ends a little below `upper`.

Where breakpoints come from is `known_breakpoints.py`; a mechanism of one's own may declare them itself as
`own_bid_breakpoints(bids, context) -> (batch, bidder, breakpoint)`, a promise that is not checked here.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.claims import claimed
from auctionsim.regret.estimate import Game, misreport_utilities, quasi_linear, reported_utilities
from auctionsim.regret.known_breakpoints import chooser_of, known_breakpoints
from auctionsim.regret.refinement import Best, better_of

INSIDE = (0.25, 0.75, 2.0**-18, 2.0**-12, 1 - 2.0**-12, 1 - 2.0**-18)  # where in a stretch; the first two give limits


def own_bid_breakpoints(game: Game) -> Float[Tensor, "batch bidder breakpoint"] | None:
    """Return the breakpoints at these reports, or None where none are known."""
    if game.valuations.shape[2] != 1 or game.utility is not quasi_linear:
        return None
    rule = chooser_of(game.mechanism)
    declares = claimed(rule, "own_bid_breakpoints")
    declared: Tensor | None = None if declares is None else declares(game.reports, game.context)
    return known_breakpoints(game._replace(mechanism=rule)) if declared is None else declared


def enumerate_stretches(
    game: Game, breakpoints: Float[Tensor, "batch bidder breakpoint"], high: Float[Tensor, "batch bidder 1"]
) -> tuple[Best, Float[Tensor, "batch bidder"], int]:
    """Return the best misreport, the supremum of utility over [0, high], and how many misreports were scored."""
    inner = torch.minimum(breakpoints.to(high.dtype).clamp_min(0), high)
    ends = torch.cat([torch.zeros_like(high), inner, high], dim=2).sort(dim=2).values.movedim(2, 0)
    left, right = ends[:-1], ends[1:]
    inside = torch.stack([left + share * (right - left) for share in INSIDE])
    misreports = torch.cat([ends, inside.flatten(0, 1)]).unsqueeze(3)
    with torch.no_grad():
        utility = torch.cat([misreport_utilities(game, part) for part in torch.split(misreports, 64)])
    best = better_of(Best(reported_utilities(game), game.reports), misreports, utility)
    near, far = utility[len(ends) :].view(len(INSIDE), *left.shape)[:2]
    slope = (far - near) / 2  # over half of half a stretch
    limits = torch.maximum(near - slope, far + slope)
    # a stretch as short as rounding is none: its points may lie on either side of either end
    real = right - left > 64 * torch.finfo(high.dtype).eps * high.movedim(2, 0)
    limits = torch.where(real, limits, torch.maximum(near, far)).amax(0)
    return best, torch.maximum(limits, best.utility), len(misreports)
