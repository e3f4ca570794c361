"""Exact regret of single-parameter step rules: every stretch of bids on which nothing moves but an affine payment.

A mechanism with one feature may declare

    own_bid_breakpoints(bids, context) -> (batch, bidder, breakpoint)

and thereby promises: with the others' bids fixed, between two neighbouring breakpoints of bidder i (and before the
first and beyond the last) the allocation does not depend on b_i and i's payment is affine in b_i. Quasi-linear utility
is then affine on each open stretch, so its supremum there is the limit at an end. Two points inside a stretch give
both limits, the stretches' ends are tried themselves, and the largest of all is the regret over [0, high] up to
rounding: nothing is left to miss. The supremum need not be reached (just above a rival's bid), so `lower`, the gain of
a misreport that can be printed, ends a little below `upper`. The promise itself is not checked here.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.regret.estimate import Game, misreport_utilities, quasi_linear, reported_utilities
from auctionsim.regret.refinement import Best, better_of

INSIDE = (2.0**-12, 0.25, 0.75, 1 - 2.0**-12)  # where in a stretch; the middle two give the limits


def own_bid_breakpoints(game: Game) -> Float[Tensor, "batch bidder breakpoint"] | None:
    """Return what the mechanism declares for these reports, or None where it declares nothing that helps."""
    declares = getattr(game.mechanism, "own_bid_breakpoints", None)
    if declares is None or game.valuations.shape[2] != 1 or game.utility is not quasi_linear:
        return None
    declared: Tensor | None = declares(game.reports, game.context)
    return declared


def enumerate_stretches(
    game: Game, breakpoints: Float[Tensor, "batch bidder breakpoint"], high: Float[Tensor, "batch bidder 1"]
) -> tuple[Best, Float[Tensor, "batch bidder"], int]:
    """Return the best misreport, the supremum of utility over [0, high], and how many misreports were scored."""
    ends = torch.cat([torch.zeros_like(high), torch.minimum(breakpoints.clamp_min(0), high), high], dim=2)
    ends = ends.sort(dim=2).values.movedim(2, 0)  # (end, batch, bidder)
    left, right = ends[:-1], ends[1:]
    inside = torch.stack([left + share * (right - left) for share in INSIDE])
    misreports = torch.cat([ends, inside.flatten(0, 1)]).unsqueeze(3)
    with torch.no_grad():
        utility = torch.cat([misreport_utilities(game, part) for part in torch.split(misreports, 64)])
    best = better_of(Best(reported_utilities(game), game.reports), misreports, utility)
    _, near, far, _ = utility[len(ends) :].view(len(INSIDE), *left.shape)
    slope = (far - near) / 2  # over half of half a stretch
    limits = torch.cat([near - slope, far + slope]).amax(0)
    return best, torch.maximum(limits, best.utility), len(misreports)
