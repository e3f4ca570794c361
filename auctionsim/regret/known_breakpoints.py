"""Breakpoints of the library's single-parameter rules: own bids at which what a bidder gets may change.

- One item to the highest bid (`FirstPrice`, `SecondPrice`, `ThirdPrice`, `AllPay`, `PayAsBid` on `Items`): the rivals'
  bids and the reserve.
- `VCG`, `DeliveredVCG`, `PayAsBid`, `VirtualWelfareMaximizer` on a finite range, `AffineMaximizer`: by i's weight w
  (b_i, or φ_i(b_i)) entry k is worth w e_ik + c_k, so the choice changes at the vertices of an upper envelope; the
  payment is constant in between, or b_i e_ik where bids are paid. For φ each vertex is carried back to the bids where
  φ reaches and leaves it.
- `RobustOptimum` and `PerMention`: those of the rule that they choose by. Between two of them a price a unit is
  constant where the payment is, and the bid where bids are paid.
- `MenuAuction` with fixed menus: the thresholds between i's own entries; the others' choices do not depend on b_i.
- `ShownBids`: of the entries' squared distances the differences are linear in the own share, so the nearest changes at
  the vertices of an upper envelope, and no more beyond the scale.

Only where the rule and its range do what these classes do: a subclass that replaces anything may do anything.
"""

from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.claims import behaves_as
from auctionsim.mechanisms.affine_maximizer import AffineMaximizer
from auctionsim.mechanisms.all_pay import AllPay
from auctionsim.mechanisms.candidates import candidates_of, context_groups, has_candidates, least_exposed
from auctionsim.mechanisms.delivered_vcg import DeliveredVCG
from auctionsim.mechanisms.first_price import FirstPrice
from auctionsim.mechanisms.menu import MenuAuction
from auctionsim.mechanisms.pay_as_bid import PayAsBid
from auctionsim.mechanisms.per_mention import PerMention
from auctionsim.mechanisms.robust_optimum import RobustOptimum
from auctionsim.mechanisms.second_price import SecondPrice
from auctionsim.mechanisms.shown_bids import ShownBids
from auctionsim.mechanisms.third_price import ThirdPrice
from auctionsim.mechanisms.vcg import VCG
from auctionsim.mechanisms.virtual_choice import Weighed
from auctionsim.mechanisms.virtual_welfare import VirtualWelfareMaximizer
from auctionsim.priors import VirtualValueCurve
from auctionsim.regret.estimate import Game
from auctionsim.substrates.items import Items
from auctionsim.substrates.protocol import maximises_exactly
from auctionsim.substrates.randomised import Randomised

MOST_CELLS = 2**22  # row × entry at once
ListRule: TypeAlias = VCG | DeliveredVCG | PayAsBid | VirtualWelfareMaximizer | AffineMaximizer


def known_breakpoints(game: Game) -> Tensor | None:
    """Return (batch, bidder, breakpoint), filled up with infinity, or None for a rule that is not known."""
    rule: Any = game.mechanism
    if behaves_as(rule, FirstPrice, SecondPrice, ThirdPrice, AllPay):  # one feature: one item
        return _rivals(game.reports, float(rule.reserve))
    if behaves_as(rule, MenuAuction):
        return _menu_thresholds(rule, game) if rule.is_fixed else None
    if behaves_as(rule, AffineMaximizer):
        return _range_vertices(rule, game)
    if behaves_as(rule, ShownBids) and behaves_as(rule.range, Randomised):
        return _nearest_settings(rule, game)
    if behaves_as(rule, VCG, DeliveredVCG, PayAsBid, VirtualWelfareMaximizer) and maximises_exactly(rule.range):
        return _of_a_maximum(rule, game)
    return None


def _of_a_maximum(rule: ListRule, game: Game) -> Tensor | None:
    if isinstance(rule.range, Items):
        return _rivals(game.reports, 0.0) if isinstance(rule, PayAsBid) else None
    return _range_vertices(rule, game) if has_candidates(rule.range) else None


def chooser_of(rule: Any) -> Any:
    """Return the rule by which a rule chooses: of those made of another one, that one."""
    while behaves_as(rule, PerMention, RobustOptimum):
        rule = rule.rule
    return rule


def _rivals(reports: Float[Tensor, "batch bidder 1"], reserve: float) -> Tensor:
    bids = reports.squeeze(2)
    columns = [bids.roll(shift, 1) for shift in range(1, bids.shape[1])]
    return torch.stack([*columns, torch.full_like(bids, reserve)], 2)


def _menu_thresholds(rule: MenuAuction, game: Game) -> Tensor:
    batch, n, _ = game.reports.shape
    pieces: list[tuple[Tensor, Tensor]] = []
    for which, rows in context_groups(rule.range, game.context, batch):
        menus = rule.priced_menus(game.reports[rows[:1]], which)
        lines = [
            envelope_vertices(slopes, -prices.unsqueeze(0))
            for slopes, prices in zip(menus.exposures[0, :, :, 0].double(), menus.prices[0].double(), strict=True)
        ]
        pieces.append((rows, _side_by_side(lines).movedim(0, 1).expand(len(rows), n, -1)))
    return _gathered(pieces, batch)


def _nearest_settings(rule: ShownBids, game: Game) -> Tensor:
    shares = (game.reports.squeeze(2).double() / rule.scale).clamp_max(1.0)
    slopes, constants = rule.slopes.to(shares.device), rule.constants.to(shares.device)
    gained = shares.unsqueeze(1) * slopes  # (row, entry, bidder)
    others = gained.sum(2, keepdim=True) - gained + constants.unsqueeze(1)
    columns = [envelope_vertices(slopes[:, i], others[:, :, i]) for i in range(shares.shape[1])]
    bids = rule.scale * _side_by_side(columns).movedim(0, 1)
    return torch.cat([bids, torch.full_like(bids[:, :, :1], rule.scale)], 2)


def _range_vertices(rule: ListRule, game: Game) -> Tensor:
    bids = game.reports.squeeze(2)
    curves = None
    weights, below = bids.double(), torch.zeros_like(bids, dtype=torch.bool)
    if isinstance(rule, VirtualWelfareMaximizer):
        curves = rule.curves(bids)
        _, weights, below = Weighed.of(curves, weights)
    pieces: list[tuple[Tensor, Tensor]] = []
    for which, rows in context_groups(rule.range, game.context, len(bids)):
        slopes, constants = _lines(rule, which, bids.device)
        worth = weights[rows].unsqueeze(1) * slopes  # (row, entry, bidder)
        columns = []
        for i in range(bids.shape[1]):
            others = worth.sum(2) - worth[:, :, i] + constants
            threatened = below[rows].index_fill(1, torch.tensor([i], device=bids.device), value=False)
            if bool(threatened.any()):  # only what gives them the least is chosen from
                others = torch.where(least_exposed(slopes, threatened), others, -torch.inf)
            vertices = envelope_vertices(slopes[:, i], others)
            columns.append(vertices if curves is None else _bids_at(curves[i], vertices))
        pieces.append((rows, _side_by_side(columns).movedim(0, 1)))
    return _gathered(pieces, len(bids))


def _lines(
    rule: ListRule, context: int | None, device: torch.device
) -> tuple[Float[Tensor, "entry bidder"], Float[Tensor, " entry"]]:
    """Return what each entry is worth per unit of each bidder's weight, and its constant."""
    if isinstance(rule, AffineMaximizer):
        slot = len(rule.boosts) - 1 if context is None or len(rule.boosts) == 1 else context
        listed = rule.allocations.to(device)
        repeated = None if context is None else torch.full((len(listed),), context, device=device)
        exposure = rule.range.exposure(listed, repeated)[:, :, 0]
        return exposure * rule.weights.to(device), rule.boosts[slot].to(device)
    entries = candidates_of(rule.range, context, device, no_suppression=rule.no_suppression)
    exposure, losses = entries.exposures[entries.allowed][:, :, 0], entries.user_losses[entries.allowed]
    if isinstance(rule, DeliveredVCG):
        exposure = exposure * rule.weights.to(device)
    return exposure, -rule.user_weight * losses


def _bids_at(curve: VirtualValueCurve, levels: Float[Tensor, "row vertex"]) -> Float[Tensor, "row vertices"]:
    """Return the bids at which φ reaches each level and at which it leaves it, and where the curve starts."""
    finite = levels.clamp(float(curve.phis[0]) - 1, torch.finfo(torch.float64).max / 4)
    reached = [curve.inverse(finite), curve.inverse(finite, beyond=True)]
    bids = [torch.where(levels < torch.inf, bid, torch.inf) for bid in reached]
    return torch.cat([*bids, curve.values[:1].expand(len(levels), 1)], 1)


def envelope_vertices(
    slopes: Float[Tensor, " entry"], intercepts: Float[Tensor, "row entry"]
) -> Float[Tensor, "row vertex"]:
    """Return where the upper envelope of the lines w · slope + intercept turns, in order, filled up with infinity.

    Walks up from the flattest line: the next one is the steeper line that is crossed first, the steepest of equals. A
    line whose intercept is −inf is none.
    """
    rows = max(1, MOST_CELLS // len(slopes))
    parts = [_walk(slopes, part) for part in torch.split(intercepts, rows)]
    return _side_by_side(parts, dim=0)


def _walk(slopes: Float[Tensor, " entry"], intercepts: Float[Tensor, "row entry"]) -> Float[Tensor, "row vertex"]:
    slope = torch.where(intercepts > -torch.inf, slopes, torch.inf).amin(1)
    height = torch.where(slopes == slope.unsqueeze(1), intercepts, -torch.inf).amax(1)
    turns: list[Tensor] = []
    while True:
        run = slopes - slope.unsqueeze(1)
        crossing = torch.where(run > 0, (height.unsqueeze(1) - intercepts) / run.clamp_min(1e-300), torch.inf)
        turn = crossing.amin(1)
        if not bool(torch.isfinite(turn).any()):
            return torch.stack(turns, 1) if turns else intercepts.new_full((len(intercepts), 1), torch.inf)
        turns.append(turn)
        tied = (crossing <= turn.unsqueeze(1)) & (run > 0)
        steepest = torch.where(tied, slopes, -torch.inf).max(1)
        goes = torch.isfinite(turn)
        slope = torch.where(goes, steepest.values, slope)
        height = torch.where(goes, intercepts.gather(1, steepest.indices.unsqueeze(1)).squeeze(1), height)


def _side_by_side(parts: list[Tensor], *, dim: int | None = None) -> Tensor:
    """Stack (row, vertex) parts along a new first axis, or join them along `dim`, after filling them up."""
    most = max(part.shape[1] for part in parts)
    filled = [_filled(part, most) for part in parts]
    return torch.stack(filled) if dim is None else torch.cat(filled, dim)


def _gathered(pieces: list[tuple[Tensor, Tensor]], batch: int) -> Tensor:
    most = max(part.shape[2] for _, part in pieces)
    whole = pieces[0][1].new_full((batch, pieces[0][1].shape[1], most), torch.inf)
    for rows, part in pieces:
        whole[rows] = _filled(part, most)
    return whole


def _filled(part: Tensor, most: int) -> Tensor:
    return torch.nn.functional.pad(part, (0, most - part.shape[-1]), value=torch.inf)
