"""Exact regret where several items are sold one by one: each item's own breakpoints, added up.

The classical item rules treat items apart, and bidders are additive: u_i = Σ_j [v_ij x_ij(b_·j) − t_ij(b_·j)], item j's
part read off the bids for j alone. With the others' reports fixed, the supremum over a box is then the sum of the
items' suprema, and each of those is exact (`breakpoints.py`).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.claims import behaves_as
from auctionsim.mechanisms.all_pay import AllPay
from auctionsim.mechanisms.first_price import FirstPrice
from auctionsim.mechanisms.pay_as_bid import PayAsBid
from auctionsim.mechanisms.second_price import SecondPrice
from auctionsim.mechanisms.third_price import ThirdPrice
from auctionsim.regret.breakpoints import enumerate_stretches, own_bid_breakpoints
from auctionsim.regret.estimate import AnyMechanism, Game, misreport_utilities, quasi_linear
from auctionsim.regret.refinement import Best
from auctionsim.substrates.items import Items


def items_apart(
    game: Game, high: Float[Tensor, "batch bidder feature"]
) -> tuple[Best, Float[Tensor, "batch bidder"], int] | None:
    """Return the best misreport, the supremum of utility and how many misreports were scored, or None elsewhere."""
    rule = _one_item_rule(game.mechanism)
    place = game.substrate
    if (
        rule is None
        or not isinstance(place, Items)
        or not behaves_as(place, Items)
        or place.num_items == 1
        or game.utility is not quasi_linear
    ):
        return None
    bids, supremum, scored = [], torch.zeros_like(game.valuations[..., 0]), 1
    for j in range(place.num_items):
        item = slice(j, j + 1)
        single = Game(
            rule,
            Items(place.num_bidders),
            game.valuations[..., item],
            game.reports[..., item],
            game.context,
            quasi_linear,
        )
        breakpoints = own_bid_breakpoints(single)
        if breakpoints is None:
            return None
        best, most, tried = enumerate_stretches(single, breakpoints, high[..., item])
        bids.append(best.bids)
        supremum, scored = supremum + most, scored + tried
    together = torch.cat(bids, 2)
    with torch.no_grad():
        utility = misreport_utilities(game, together.unsqueeze(0))[0]
    return Best(utility, together), torch.maximum(supremum, utility), scored


def _one_item_rule(mechanism: AnyMechanism) -> AnyMechanism | None:
    """Return the rule for one item of these, or None: a subclass that replaces anything may do anything."""
    if behaves_as(mechanism, FirstPrice, SecondPrice, ThirdPrice, AllPay):
        return mechanism
    if isinstance(mechanism, PayAsBid) and behaves_as(mechanism, PayAsBid) and behaves_as(mechanism.range, Items):
        return PayAsBid(Items(mechanism.range.num_bidders))
    return None
