"""In which order misreports are tried: one fixed sequence of evaluations, cut off where the budget ends.

Telling misreports, then an even filling of the box, then refinement from the best point so far; rounds of growing size
repeat this. A larger budget runs the same sequence further, so it never lowers a result.
"""

from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.regret.candidates import Candidates
from auctionsim.regret.estimate import Game, misreport_utilities
from auctionsim.regret.refinement import Best, Score, better_of, climb, is_differentiable, pattern_search

FIRST_ROUND = (48, 16)  # misreports spread out, then refining ones
ROUND_GROWTH = 4  # each round ends at 4 times the spending of the one before: 64, 256, 1024 …
REFINING_SHARE = 1 / 4  # of what a later round spends
ROWS_A_CALL = 2**14  # auctions handed to a mechanism at once: enough to fill it, few enough for the cache
MISREPORTS_A_CALL = 64


class Found(NamedTuple):
    """What a search ends with, and how it went about it."""

    best: Best
    method: str


def search(
    game: Game,
    high: Float[Tensor, "batch bidder feature"],
    budget: int,
    generator: torch.Generator | None,
    *,
    score: Score | None = None,
) -> Found:
    """Return the best misreports that rounds of spreading and refining find until the budget is spent.

    Args:
        game: What is misreported in.
        high: Upper ends of the boxes.
        budget: Misreports scored for each row and bidder.
        generator: Scrambles the filling.
        score: What a misreport brings its bidder; default its utility through the deployed mechanism.
    """
    if score is None:
        score = partial(misreport_utilities, game)
    with torch.no_grad():
        best = Best(score(game.reports.unsqueeze(0))[0], game.reports)
    candidates = Candidates(game, high, generator)
    differentiable = is_differentiable(score, game.reports)
    spread, refine = FIRST_ROUND
    left, spent = budget, 0
    while left > 0:
        best = _spread(score, best, candidates, spread, min(spread, left))
        allowed = min(refine, max(left - spread, 0))
        along = refine // 2 if differentiable else 0
        best = climb(score, best, high, min(along, allowed), along)
        best = pattern_search(score, best, high, max(allowed - along, 0))
        left, spent = left - spread - refine, spent + spread + refine
        refine = int(spent * (ROUND_GROWTH - 1) * REFINING_SHARE)
        spread = spent * (ROUND_GROWTH - 1) - refine
    return Found(best, f"search: even filling, {'gradient and ' if differentiable else ''}pattern refinement")


def _spread(score: Score, best: Best, candidates: Candidates, planned: int, allowed: int) -> Best:
    """Score the first `allowed` of a round's `planned` candidates.

    A call always gets as many rows as the whole round would give it, so that rounding, which may depend on the number
    of rows, is the same under every budget.
    """
    batch, n, _ = best.bids.shape
    step = min(MISREPORTS_A_CALL, max(1, ROWS_A_CALL // (batch * n)))
    for start in range(0, allowed, step):
        misreports = candidates.draw(min(step, planned - start))
        with torch.no_grad():
            scored = score(misreports)
        best = better_of(best, misreports[: allowed - start], scored[: allowed - start])
    return best
