"""An upper bound on ex-post regret where every bidder has a fixed menu, with crosstalk and any number of features.

Fixed menus do not read bids, so a misreport of bidder i moves i's own entry and nothing else. Whatever it reports, it
ends with one of its entries (or the null), the others' levers being where they are. Hence

    regret_i ≤ max_k u_i(entry k, x_{-i}) − u_i(x),

over all entries of i's menu, one evaluation each: more than any report reaches only if the best entry is chosen at no
report. With one feature the reachable entries are known exactly, see `known_breakpoints.py`; this is for several.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.claims import behaves_as
from auctionsim.mechanisms.candidates import context_groups
from auctionsim.mechanisms.menu import MenuAuction, MenuEntries
from auctionsim.regret.estimate import Game, quasi_linear, reported_utilities


def fixed_menu_bound(game: Game) -> Float[Tensor, "batch bidder"] | None:
    """Return the bound, or None where menus are not fixed or utility is not quasi-linear."""
    rule: Any = game.mechanism
    if not behaves_as(rule, MenuAuction) or not rule.is_fixed or game.utility is not quasi_linear:
        return None
    with torch.no_grad():
        outcome = rule(game.reports, game.context)
        best = torch.empty_like(outcome.payments)
        for which, rows in context_groups(rule.range, game.context, len(game.reports)):
            menus = rule.priced_menus(game.reports[rows[:1]], which)
            best[rows] = _best_entries(game, menus, outcome.allocation[rows], rows)
    return (best - reported_utilities(game)).clamp_min(0)


def _best_entries(
    game: Game, menus: MenuEntries, allocation: Float[Tensor, "row bidder lever"], rows: Tensor
) -> Float[Tensor, "row bidder"]:
    """Return the most that any entry of each bidder's menu is worth to it, the others' levers staying."""
    entries = menus.prices.shape[2]
    columns = []
    for i in range(allocation.shape[1]):
        joint = allocation.unsqueeze(1).repeat(1, entries, 1, 1)  # row, entry, bidder, lever
        joint[:, :, i] = menus.levers[0, i]
        context = None if game.context is None else game.context[rows].repeat_interleave(entries)
        exposure = game.substrate.exposure(joint.flatten(0, 1), context)[:, i].view(len(rows), entries, -1)
        value = (game.valuations[rows, i].unsqueeze(1) * exposure).sum(2)
        columns.append((value - menus.prices[0, i]).amax(1))
    return torch.stack(columns, 1)
