"""An upper bound on ex-post regret from how fast utility can change with the own bid: Lipschitz cells.

Assumption, a promise of the caller or the mechanism: with the others' bids fixed, for any two own bids in the box,

    |u_i(b) − u_i(b')| ≤ Σ_f L_if |b_f − b'_f|.

Then no bid in a cell with centre c and half sides h brings more than u_i(c) + Σ_f L_if h_f, and the largest of these
over cells that cover the box bounds the supremum, for any number of features. Cells that may hold more than what is
already known to be reached are cut in three, the most promising first, until the budget is spent: a larger budget never
raises the bound. Rules that jump (an argmax, a reserve) have no finite L; see `breakpoints.py` for those.

The promise is checked where it can be: two scored bids that break it raise.

Source: Piyavskii (1972) and Shubert (1972) for one feature; the cutting in three is that of DIRECT (Jones, Perttunen
and Stuckman 1993).
"""

from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.claims import claimed
from auctionsim.errors import InputError
from auctionsim.regret.estimate import Game, misreport_utilities
from auctionsim.regret.refinement import Best, better_of

CUTS_A_CALL = 32  # cells of each row and bidder that are cut at once
CLOSE = 1e-6  # of the box's own bound on utility: a gap this small is not worth another evaluation

Rate = float | Tensor


class MisreportBoxes(NamedTuple):
    """Boxes that cover each bidder's misreports.

    Attributes:
        centres: (cell, batch, bidder, feature).
        halves: (cell, batch, bidder, feature), half the sides.
        utility: (cell, batch, bidder), at the centres.
    """

    centres: Tensor
    halves: Tensor
    utility: Tensor


def own_bid_rates(game: Game, lipschitz: Rate | None) -> Float[Tensor, "batch bidder feature"] | None:
    """Return L_if as the caller gives it or the mechanism declares it, or None.

    A mechanism declares it as `own_bid_lipschitz(substrate, valuations, context)`, which answers None where it knows
    none.

    Raises:
        ValueError: Not finite and ≥ 0, or a shape that does not broadcast to (batch, bidder, feature).
    """
    if lipschitz is None:
        declares = claimed(game.mechanism, "own_bid_lipschitz")
        lipschitz = None if declares is None else declares(game.substrate, game.valuations, game.context)
    if lipschitz is None:
        return None
    rates = torch.as_tensor(lipschitz, dtype=game.valuations.dtype, device=game.valuations.device)
    try:
        rates = rates.expand_as(game.valuations)
    except RuntimeError as error:
        shape = tuple(game.valuations.shape)
        raise InputError(f"lipschitz must broadcast to {shape}, got {tuple(rates.shape)}") from error
    if not bool((torch.isfinite(rates) & (rates >= 0)).all()):
        raise InputError(f"lipschitz must be finite and >= 0, got {float(rates.min())} … {float(rates.max())}")
    return rates


def lipschitz_supremum(
    game: Game,
    best: Best,
    high: Float[Tensor, "batch bidder feature"],
    rates: Float[Tensor, "batch bidder feature"],
    budget: int,
) -> tuple[Best, Float[Tensor, "batch bidder"], int]:
    """Return the best misreport, a bound on the supremum of utility over [0, high], and how many bids were scored.

    Raises:
        ValueError: Two scored bids break the promised rate.
    """
    score = partial(misreport_utilities, game)
    half = (high / 2).unsqueeze(0)
    with torch.no_grad():
        cells = MisreportBoxes(half, half, score(half))
    spent = 1
    best = better_of(best, cells.centres, cells.utility)
    slack = CLOSE * (rates * high).sum(2)
    amount = ((rates + 1) * high).sum(2)  # of the order of values and payments, whose rounding utility inherits
    while True:
        bounds = cells.utility + (rates * cells.halves).sum(3)
        count = min(CUTS_A_CALL, len(bounds), (budget - spent) // 2)
        if count < 1 or not bool((bounds.amax(0) > best.utility + slack).any()):
            return best, torch.maximum(bounds.amax(0), best.utility), spent
        cells, children = _cut(score, cells, bounds.topk(count, dim=0).indices, rates, amount)
        best = better_of(best, children.centres, children.utility)
        spent += 2 * count


def _cut(
    score: partial[Tensor],
    cells: MisreportBoxes,
    chosen: Tensor,
    rates: Float[Tensor, "batch bidder feature"],
    amount: Float[Tensor, "batch bidder"],
) -> tuple[MisreportBoxes, MisreportBoxes]:
    """Cut the chosen cells in three across the side that matters most; return all cells, and the two thirds added."""
    deep = chosen.unsqueeze(3).expand(-1, -1, -1, rates.shape[2])
    centres, halves = cells.centres.gather(0, deep), cells.halves.gather(0, deep)
    utility = cells.utility.gather(0, chosen)
    across = torch.zeros_like(halves).scatter_(3, (rates * halves).argmax(3, keepdim=True), 1.0)
    shift, thirds = across * halves * (2 / 3), torch.where(across > 0, halves / 3, halves)
    around = torch.cat([centres - shift, centres + shift]).clamp_min(0)
    with torch.no_grad():
        utilities = score(around)
    _check_promise(utility.repeat(2, 1, 1), utilities, (rates * shift).sum(3).repeat(2, 1, 1), amount)
    added = MisreportBoxes(around, thirds.repeat(2, 1, 1, 1), utilities)
    kept = MisreportBoxes(cells.centres, cells.halves.scatter(0, deep, thirds), cells.utility)
    return MisreportBoxes(*(torch.cat(pair) for pair in zip(kept, added, strict=True))), added


def _check_promise(here: Tensor, there: Tensor, allowed: Tensor, amount: Tensor) -> None:
    """Refuse a move of utility that the rate does not allow, by more than rounding of such amounts of money."""
    moved = (there - here).abs()
    rounding = 1e-5 if here.dtype == torch.float32 else 1e-9
    excess = moved - allowed - rounding * (allowed + here.abs() + there.abs() + amount)
    if not bool((excess <= 0).all()):
        worst = int(excess.nan_to_num(nan=torch.inf).argmax())
        raise InputError(
            f"lipschitz is broken: utility moves by {float(moved.flatten()[worst]):.6g} between two bids where the "
            f"promised rate allows {float(allowed.flatten()[worst]):.6g}"
        )
