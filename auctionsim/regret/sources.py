"""Sources of a menu's regret under crosstalk: a choice made at the wrong reference, or others' menus moved.

Estimand. Bidder i's misreport b changes its own levers and payment (x_i, t_i) → (x_i(b), t_i(b)) and, where the
others' menus read b_i, the others' levers x_{-i} → x_{-i}(b). Beside the whole regret, sup_b u_i(x(b), t_i(b)) −
u_i(x, t_i), the two parts

    choice     sup_b u_i(x_i(b), x_{-i}; t_i(b)) − u_i(x, t_i)      the others' levers held where they are,
    influence  sup_b u_i(x_i, x_{-i}(b); t_i)    − u_i(x, t_i)      i's own levers and payment held where they are.

On a separable substrate with menus that do not read b_i both are 0. The whole is at least each part's gain at one
common misreport combined, but neither a sum nor a maximum of the parts: the best misreports differ. Each of the three
is searched like ex-post regret, so each `lower` is a lower bound.

Assumption: each bidder has levers of its own and any combination of them can be carried out.
"""

from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_count
from auctionsim.errors import InputError
from auctionsim.outcome import Outcome
from auctionsim.regret.bid_range import checked_high
from auctionsim.regret.estimate import (
    AnyMechanism,
    Game,
    RegretEstimate,
    checked_game,
    lone_deviations,
    quasi_linear,
    reported_utilities,
)
from auctionsim.regret.ex_post import DEFAULT_BUDGET, ex_post_regret
from auctionsim.regret.search import search
from auctionsim.regret.settings import BoundSettings
from auctionsim.regret.summary import summarised
from auctionsim.substrates.protocol import Substrate, allocation_shape


class RegretSources(NamedTuple):
    """A regret and its two parts, each (batch, bidder).

    Attributes:
        total: Ex-post regret: everything a misreport moves.
        choice: What i gains by taking another entry, the others' levers staying.
        influence: What i gains because the others' levers move, its own staying.
    """

    total: RegretEstimate
    choice: RegretEstimate
    influence: RegretEstimate


def menu_regret_sources(
    mechanism: AnyMechanism,
    substrate: Substrate,
    valuations: Tensor,
    *,
    context: Tensor | None = None,
    reports: Tensor | None = None,
    budget: int = DEFAULT_BUDGET,
    generator: torch.Generator | None = None,
    high: float | Tensor | None = None,
    confidence: float = 0.95,
) -> RegretSources:
    """Split ex-post regret into the bidder's own choice and its influence on the others.

    Args:
        mechanism: Gives every bidder levers of its own, as `MenuAuction`.
        substrate: What pays exposure.
        valuations: (batch, bidder, feature).
        context: (batch,), or None: one auction for all contexts, on the mean surface, as in `ex_post_regret`.
        reports: (batch, bidder, feature), default the truth.
        budget: Misreports scored for each of the three.
        generator: Scrambles the search.
        high: Largest misreport considered, as in `ex_post_regret`.
        confidence: Of the intervals of the means.
    Raises:
        ValueError: Allocations that are not one set of levers a bidder; bad valuations or reports.
    """
    checked_count(budget, "budget")
    shape = (substrate.num_bidders, len(substrate.levers))
    if allocation_shape(substrate) != shape:
        raise InputError(f"levers of each bidder's own are needed, shape {shape}, got {allocation_shape(substrate)}")
    game = checked_game(mechanism, substrate, valuations, reports, context=context, utility=quasi_linear)
    box = checked_high(game, high)
    total = ex_post_regret(
        mechanism,
        substrate,
        valuations,
        context=context,
        reports=reports,
        budget=budget,
        generator=generator,
        high=high,
        bounds=BoundSettings(confidence=confidence),
    )
    with torch.no_grad():
        stays = mechanism(game.reports) if context is None else mechanism(game.reports, context)
    parts = []
    for name, own_moves in (("the others' levers held", True), ("own levers and payment held", False)):
        best, method = search(
            game, box, budget, generator, score=partial(_partly_moved, game, stays, own_moves=own_moves)
        )
        lower = (best.utility - reported_utilities(game)).clamp_min(0)
        account = f"{method}; {name}"
        parts.append(
            summarised(game, lower, None, best.bids, method=account, budget=budget, confidence=confidence, high=box)
        )
    return RegretSources(total, *parts)


def _partly_moved(
    game: Game, stays: Outcome, misreports: Float[Tensor, "misreport batch bidder feature"], *, own_moves: bool
) -> Float[Tensor, "misreport batch bidder"]:
    """Return u_i when only i's own levers and payment follow its misreport, or only the others' levers."""
    count, batch, n, m = misreports.shape
    bids, context = lone_deviations(game.reports, misreports, game.context)
    moved = game.mechanism(bids) if context is None else game.mechanism(bids, context)
    levers = stays.allocation.shape[-1]
    there = moved.allocation.view(count, batch, n, n, levers)  # misreport, batch, deviator, bidder, lever
    here = stays.allocation.unsqueeze(1)
    own = torch.eye(n, dtype=torch.bool, device=bids.device).unsqueeze(2)
    mixed = torch.where(own == own_moves, there, here)
    paid = moved.payments.view(count, batch, n, n).diagonal(dim1=2, dim2=3) if own_moves else stays.payments
    exposure = game.substrate.exposure(mixed.reshape(-1, n, levers), context).view(count, batch, n, n, m)
    value = (game.valuations * exposure.diagonal(dim1=2, dim2=3).movedim(3, 2)).sum(3)
    return value - paid
