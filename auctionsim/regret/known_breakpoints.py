"""At which own bids the library's single-parameter rules may change what a bidder gets.

- One item to the highest bid (`FirstPrice`, `SecondPrice`, `ThirdPrice`, `AllPay`, `PayAsBid` on `Items`): the rivals'
  bids and the reserve.
- `VCG`, `PayAsBid`, `VirtualWelfareMaximizer` on a finite range: as a function of i's weight w (b_i, or φ_i(b_i)) entry
  k is worth w e_ik + c_k, so the choice changes at the vertices of an upper envelope; the payment is constant in
  between, or b_i e_ik where bids are paid. For φ each vertex is carried back to the bids where φ reaches and leaves it.
- `MenuAuction` with fixed menus: the thresholds between i's own entries; the others' choices do not depend on b_i.

Only these very classes: a subclass may do anything.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.mechanisms.all_pay import AllPay
from auctionsim.mechanisms.candidates import candidates_of, context_groups, has_candidates
from auctionsim.mechanisms.first_price import FirstPrice
from auctionsim.mechanisms.menu import MenuAuction
from auctionsim.mechanisms.pay_as_bid import PayAsBid
from auctionsim.mechanisms.second_price import SecondPrice
from auctionsim.mechanisms.third_price import ThirdPrice
from auctionsim.mechanisms.vcg import VCG
from auctionsim.mechanisms.virtual_welfare import VirtualWelfareMaximizer
from auctionsim.regret.estimate import Game
from auctionsim.substrates.items import Items

MOST_CELLS = 2**22  # entry × entry × row compared at once


def known_breakpoints(game: Game) -> Tensor | None:
    """Return (batch, bidder, breakpoint), filled up with infinity, or None for a rule that is not known."""
    rule: Any = game.mechanism
    if type(rule) in (FirstPrice, SecondPrice, ThirdPrice, AllPay):  # one feature: one item
        return _rivals(game.reports, float(rule.reserve))
    if type(rule) is MenuAuction:
        return _menu_thresholds(rule, game) if rule.is_fixed else None
    if type(rule) in (VCG, PayAsBid, VirtualWelfareMaximizer):
        if isinstance(rule.range, Items):
            return _rivals(game.reports, 0.0) if type(rule) is PayAsBid else None
        return _range_vertices(rule, game) if has_candidates(rule.range) else None
    return None


def _rivals(reports: Float[Tensor, "batch bidder 1"], reserve: float) -> Tensor:
    bids = reports.squeeze(2)
    columns = [bids.roll(shift, 1) for shift in range(1, bids.shape[1])]
    return torch.stack([*columns, torch.full_like(bids, reserve)], 2)


def _menu_thresholds(rule: MenuAuction, game: Game) -> Tensor:
    batch, n, _ = game.reports.shape
    found: list[tuple[Tensor, Tensor]] = []
    for which, rows in context_groups(rule.range, game.context, batch):
        offers = rule.offers(game.reports[rows[:1]], which)
        lines = [
            envelope_vertices(slopes, -prices.unsqueeze(0))
            for slopes, prices in zip(offers.exposures[0, :, :, 0].double(), offers.prices[0].double(), strict=True)
        ]
        found.append((rows, _side_by_side(lines).movedim(0, 1).expand(len(rows), n, -1)))
    return _gathered(found, batch)


def _range_vertices(rule: VCG | PayAsBid | VirtualWelfareMaximizer, game: Game) -> Tensor:
    bids = game.reports.squeeze(2)
    curves = None
    if isinstance(rule, VirtualWelfareMaximizer):
        marginals = [rule.priors.marginal(i) for i in range(bids.shape[1])]
        curves = [prior.curve.at_precision(bids.dtype, bids.device) for prior in marginals]
    weights = (
        bids.double()
        if curves is None
        else torch.stack([curve.evaluate(bids[:, i]) for i, curve in enumerate(curves)], 1)
    )
    found: list[tuple[Tensor, Tensor]] = []
    for which, rows in context_groups(rule.range, game.context, len(bids)):
        entries = candidates_of(
            rule.range, which, bids.device, no_suppression=bool(getattr(rule, "no_suppression", False))
        )
        exposure = entries.exposures[entries.allowed][:, :, 0]  # (entry, bidder)
        cost = rule.user_weight * entries.user_losses[entries.allowed]
        worth = weights[rows].unsqueeze(1) * exposure  # (row, entry, bidder)
        columns = []
        for i in range(bids.shape[1]):
            vertices = envelope_vertices(exposure[:, i], worth.sum(2) - worth[:, :, i] - cost)
            if curves is not None:
                finite = vertices.clamp(float(curves[i].phis[0]) - 1, torch.finfo(torch.float64).max / 4)
                reached = [curves[i].inverse(finite), curves[i].inverse(finite, beyond=True)]
                vertices = torch.cat([torch.where(vertices < torch.inf, bid, torch.inf) for bid in reached], 1)
            columns.append(vertices)
        found.append((rows, _side_by_side(columns).movedim(0, 1)))
    return _gathered(found, len(bids))


def envelope_vertices(
    slopes: Float[Tensor, " entry"], intercepts: Float[Tensor, "row entry"]
) -> Float[Tensor, "row vertex"]:
    """Return where the upper envelope of the lines w · slope + intercept may turn, filled up with infinity.

    A line of the envelope begins where it crosses the last of the flatter ones. Lines that rounding cannot tell from
    the envelope are kept, so nothing is left out.
    """
    steeper = slopes.unsqueeze(1) > slopes.unsqueeze(0)  # [k, l]: k is steeper than l
    run = torch.where(steeper, slopes.unsqueeze(1) - slopes.unsqueeze(0), 1.0)
    parts = []
    for rows in torch.split(intercepts, max(1, MOST_CELLS // len(slopes) ** 2)):
        fall = rows.unsqueeze(1) - rows.unsqueeze(2)  # [row, k, l] = c_l − c_k
        crossing = fall / run
        begins = torch.where(steeper, crossing, -torch.inf).amax(2)
        ends = torch.where(steeper, crossing, torch.inf).amin(1)  # of l, over steeper k
        same = slopes.unsqueeze(1) == slopes.unsqueeze(0)
        beaten = (same & (fall > 0)).any(2)
        slack = 1e-9 * (1 + begins.abs().nan_to_num(0, 0, 0))
        on = (begins <= ends + slack) & ~beaten & (begins > -torch.inf)
        parts.append(torch.where(on, begins, torch.inf))
    vertices = torch.cat(parts).sort(1).values
    used = int((vertices < torch.inf).sum(1).max()) if len(vertices) else 0
    return vertices[:, : max(used, 1)]


def _side_by_side(columns: list[Tensor]) -> Float[Tensor, "bidder row vertex"]:
    most = max(column.shape[1] for column in columns)
    return torch.stack([_filled(column, most) for column in columns])


def _gathered(found: list[tuple[Tensor, Tensor]], batch: int) -> Tensor:
    most = max(part.shape[2] for _, part in found)
    whole = found[0][1].new_full((batch, found[0][1].shape[1], most), torch.inf)
    for rows, part in found:
        whole[rows] = _filled(part, most)
    return whole


def _filled(part: Tensor, most: int) -> Tensor:
    return torch.nn.functional.pad(part, (0, most - part.shape[-1]), value=torch.inf)
