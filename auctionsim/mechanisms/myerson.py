"""The integral in Myerson's payment, ∫_a^b e(φ(s)) ds, exact for a piecewise linear virtual value φ that starts at a.

Two ways. W(y) = max_x [y e_i(x) + R(x)] is convex with W' = e_i, so over a stretch where φ is linear and rising the
integral is ΔW/Δφ times its length, and where φ is flat it is e_i times its length: one maximum a knot. On a list of
allocations W is the upper envelope of lines, e_i a staircase in y, and its steps map back through the generalised
inverse of φ: one pass over the list a step, however many knots φ has.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.priors import VirtualValueCurve

FLAT = 1e-9  # of the largest valuation: below it a rise of φ counts as none, and a step at a flat level is at it

STRIDE = 16  # knots between those that are always evaluated

Solve = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From row numbers (point,) and the bidder's φ there (point,) to (W, e_i), each (point,)."""


def integral_by_envelope(
    curve: VirtualValueCurve,
    bids: Float[Tensor, " row"],
    solve: Solve,
    value_at_bid: Float[Tensor, " row"],
    exposure_at_bid: Float[Tensor, " row"],
) -> Float[Tensor, " row"]:
    """Return ∫_a^b e(φ(s)) ds by differences of W, a being where the curve starts.

    Where e is the same at two knots it is the same between them, so of many knots only those are evaluated between
    which it moves.

    Args:
        curve: The bidder's φ.
        bids: b ≥ a, float64.
        solve: The maximum with the bidder's φ replaced, all else as it was.
        value_at_bid: W(φ(b)).
        exposure_at_bid: e(φ(b)).
    """
    tiny = FLAT * max(float(curve.values[-1]), 1e-300)
    value, exposure = _at_knots(curve, bids, solve)
    width, rise = curve.values.diff(), curve.phis.diff()
    steep = rise > tiny
    mean = torch.where(steep, value.diff() / torch.where(steep, rise, 1.0), exposure[:, :-1])
    reached = torch.cat([torch.zeros_like(value[:, :1]), (mean * width).cumsum(1)], 1)
    k = torch.searchsorted(curve.values, bids.contiguous(), right=True).sub(1).unsqueeze(1)
    phi_start = curve.phis[k]
    rest, climb = bids.unsqueeze(1) - curve.values[k], curve.evaluate(bids).unsqueeze(1) - phi_start
    gained = value_at_bid.unsqueeze(1) - value.gather(1, k)
    mean = torch.where(climb > tiny, gained / climb.clamp_min(tiny), exposure_at_bid.unsqueeze(1))
    return (reached.gather(1, k) + rest * mean).squeeze(1)


def _at_knots(curve: VirtualValueCurve, bids: Float[Tensor, " row"], solve: Solve) -> tuple[Tensor, Tensor]:
    """Return W and e (row, knot) at every knot that lies below the row's bid."""
    rows, knots = len(bids), len(curve.values)
    device = bids.device
    coarse = torch.arange(0, knots, STRIDE, device=device)
    coarse = torch.cat([coarse, coarse.new_full((1,), knots - 1)]) if int(coarse[-1]) < knots - 1 else coarse
    every = torch.arange(rows, device=device)
    answers = solve(every.repeat_interleave(len(coarse)), curve.phis[coarse].repeat(rows))
    value, exposure = (part.view(rows, len(coarse)) for part in answers)
    cell = torch.searchsorted(coarse, torch.arange(knots, device=device), right=True) - 1  # that a knot is in
    start = coarse[cell]
    held = exposure[:, cell]  # as if e stood still from each evaluated knot on
    line = value[:, cell] + held * (curve.phis - curve.phis[start])
    moving = (exposure.diff(dim=1) != 0) & (curve.values[coarse[:-1]] < bids.unsqueeze(1))
    moving = torch.cat([moving, moving.new_zeros(rows, 1)], 1)[:, cell] & (torch.arange(knots, device=device) != start)
    row, knot = moving.nonzero(as_tuple=True)
    line[row, knot], held[row, knot] = solve(row, curve.phis[knot])
    return line, held


def integral_by_steps(
    curve: VirtualValueCurve,
    bids: Float[Tensor, " row"],
    slopes: Float[Tensor, " entry"],
    intercepts: Float[Tensor, "row entry"],
    choose: Callable[[Tensor], Tensor],
) -> Float[Tensor, " row"]:
    """Return ∫_a^b e(φ(s)) ds, a being where the curve starts, by walking up the staircase e(y).

    The staircase is the slope of the upper envelope of the lines y · slope + intercept. Where φ stays at a level y for
    a stretch of bids and lines tie at y, the exposure on that stretch is what the rule really chooses there, ties and
    rounding included.

    Args:
        curve: The bidder's φ.
        bids: b ≥ a, float64.
        slopes: e_i of each entry.
        intercepts: R of each entry, −inf where it may not be chosen.
        choose: The rule's own choice at the bidder's φ (row,): entry indices (row,).
    """
    tiny = FLAT * max(float(curve.values[-1]), 1e-300)
    flats = curve.flat_levels()
    rows = torch.arange(len(bids), device=bids.device)
    y = curve.phis[0].expand_as(bids)
    line = choose(y)
    total, done = torch.zeros_like(bids), curve.values[0].expand_as(bids)  # the integral up to `done`
    while bool((done < bids).any()):
        now, base = slopes[line].unsqueeze(1), intercepts[rows, line].unsqueeze(1)
        steeper = slopes > now
        crossing = torch.where(steeper, (base - intercepts) / torch.where(steeper, slopes - now, 1.0), torch.inf)
        crossing, following = crossing.min(1)
        y = torch.maximum(crossing, y)
        at_flat, level = _nearest(flats, y, tiny)
        reach = torch.maximum(torch.minimum(curve.inverse(torch.where(at_flat, level, y)), bids), done)
        total, done = total + slopes[line] * (reach - done), reach
        if bool(at_flat.any()):
            tied = slopes[choose(torch.where(at_flat, level, y.clamp_max(curve.phis[-1])))]
            end = torch.maximum(torch.minimum(curve.inverse(level, beyond=True), bids), done)
            end = torch.where(at_flat, end, done)
            total, done = total + tied * (end - done), end
        line = torch.where(crossing < torch.inf, following, line)
    return total


def _nearest(levels: Tensor, y: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:
    """Return where y is within the tolerance of a level, and the nearest level."""
    if not len(levels):
        return torch.zeros_like(y, dtype=torch.bool), y
    above = torch.searchsorted(levels, y.contiguous()).clamp_max(len(levels) - 1)
    below = (above - 1).clamp_min(0)
    nearest = torch.where((levels[above] - y).abs() < (levels[below] - y).abs(), levels[above], levels[below])
    return (nearest - y).abs() <= tolerance, nearest
