"""The search for misreports: one fixed sequence of evaluations, cut off where the budget ends.

Telling misreports, then an even filling of the box, then refinement from the best points so far; rounds of growing size
repeat this. A larger budget runs the same sequence further, so it never lowers a result.

Refinement follows the gradient, where there is one, from two points: the best so far and the best of the round that
lies elsewhere, because the highest of a few hundred points often stands on the wrong hill. A pattern search then
finishes from whatever is best: it needs no gradient and climbs along kinks.
"""

from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.regret.candidates import MisreportSequence
from auctionsim.regret.estimate import Game, misreport_utilities
from auctionsim.regret.refinement import Best, Score, better_of, climb, is_differentiable, pattern_search

ROWS_A_CALL = 2**12  # auctions handed to a mechanism at once: enough to fill it, few enough for the cache
MISREPORTS_A_CALL = 64
ELSEWHERE = 0.1  # of the box's side, in some feature
FINE_SHARE = 0.4  # of a pattern search, which begins anew with a step as small as what stands where bids meet
FINE_STEP = 0.004  # of the row's largest number


class RoundSize(NamedTuple):
    """The size of a round: how many misreports it scores.

    Attributes:
        spread: Telling ones and even filling.
        along: Steps along the gradient, from each of two starts; they go to the pattern where there is no gradient.
        around: In the pattern search.
    """

    spread: int
    along: int
    around: int

    @property
    def total(self) -> int:
        """Everything that the round scores."""
        return self.spread + 2 * self.along + self.around


FIRST_ROUNDS = (RoundSize(48, 4, 8), RoundSize(208, 24, 128))  # end at 64 and at 448
LATER_GROWTH = 3  # a later round ends at 4 times the spending of the one before
LATER_SHARES = (1 / 2, 1 / 12)  # of spreading, and of each start's gradient steps, in a later round


class Found(NamedTuple):
    """The end of a search, and how it went about it."""

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
    candidates = MisreportSequence(game, high, generator)
    differentiable = is_differentiable(score, game.reports)
    spent, spread, number = 0, 0, 0
    while spent < budget:
        plan = planned_round(number, spent)
        left = budget - spent
        best, elsewhere = _spread(score, best, candidates, high, plan.spread, min(plan.spread, left))
        spread += plan.spread
        left = max(left - plan.spread, 0)
        if differentiable:
            starts = torch.stack([best.bids, elsewhere])
            best = climb(score, best, starts, high, min(plan.along, left // 2), plan.along)
            left = max(left - 2 * plan.along, 0)
        around = plan.around if differentiable else plan.around + 2 * plan.along
        fine = int(FINE_SHARE * around)
        best = pattern_search(score, best, high, 0.5 * spread ** (-1 / high.shape[2]), min(around - fine, left))
        left = min(max(left - (around - fine), 0), fine)
        best = pattern_search(score, best, _near(game, high), FINE_STEP, left, first_turn=1)
        spent, number = spent + plan.total, number + 1
    return Found(best, f"search: even filling, {'gradient and ' if differentiable else ''}pattern refinement")


def _near(game: Game, high: Float[Tensor, "batch bidder feature"]) -> Float[Tensor, "batch bidder feature"]:
    """Return the boxes cut at each row's largest number: the measure of steps where bids meet."""
    largest = torch.maximum(game.valuations, game.reports).amax((1, 2), keepdim=True)
    return torch.minimum(high, torch.where(largest > 0, largest, high))


def planned_round(number: int, spent: int) -> RoundSize:
    """Return what round `number` scores when `spent` have been scored before it."""
    if number < len(FIRST_ROUNDS):
        return FIRST_ROUNDS[number]
    total = LATER_GROWTH * spent
    spread, along = (int(share * total) for share in LATER_SHARES)
    return RoundSize(spread, along, total - spread - 2 * along)


def _spread(
    score: Score,
    best: Best,
    candidates: MisreportSequence,
    high: Float[Tensor, "batch bidder feature"],
    planned: int,
    allowed: int,
) -> tuple[Best, Float[Tensor, "batch bidder feature"]]:
    """Score the first `allowed` of a round's `planned` candidates; return also the best of them that lies elsewhere.

    A call always gets as many rows as the whole round would give it, so that rounding, which may depend on the number
    of rows, is the same under every budget.
    """
    batch, n, _ = best.bids.shape
    step = min(MISREPORTS_A_CALL, max(1, ROWS_A_CALL // (batch * n)))
    second = Best(torch.full_like(best.utility, -torch.inf), best.bids)
    for start in range(0, allowed, step):
        misreports = candidates.draw(min(step, planned - start))
        with torch.no_grad():
            scored = score(misreports)
        known = best
        best = better_of(best, misreports[: allowed - start], scored[: allowed - start])
        contenders = torch.cat([misreports[: allowed - start], known.bids.unsqueeze(0)])
        worth = torch.cat([scored[: allowed - start], known.utility.unsqueeze(0)])
        second = _elsewhere(second, best, high, contenders, worth)
    return best, second.bids


def _elsewhere(
    second: Best,
    best: Best,
    high: Float[Tensor, "batch bidder feature"],
    contenders: Float[Tensor, "misreport batch bidder feature"],
    worth: Float[Tensor, "misreport batch bidder"],
) -> Best:
    """Return the best of the old second and the contenders that are not near the best; the best itself if none is."""
    far = ((contenders - best.bids).abs() > ELSEWHERE * high).any(3)
    still = ((second.bids - best.bids).abs() > ELSEWHERE * high).any(2)
    kept = Best(torch.where(still, second.utility, -torch.inf), torch.where(still.unsqueeze(2), second.bids, best.bids))
    return better_of(kept, contenders, torch.where(far, worth, -torch.inf))
