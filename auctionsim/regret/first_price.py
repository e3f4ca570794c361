"""A certified upper bound on ex-interim regret where one item is sold at first price.

Let M be the highest rival bid (the reserve where that is more), F its distribution function, F̂ the empirical one over
n independent draws. With probability at least 1 − δ, |F̂ − F| ≤ ε everywhere at once, ε = √(ln(2/δ) / 2n). A bid b ≥
the reserve wins with probability at most F(b), at least F(b−), whoever ties are given to. So, for all valuations,

    best reply to v  ≤ sup_b (v − b) min(F̂(b) + ε, 1)   and   own bid s ≥ (v − s) (F̂(s−) − ε)₊  if s ≤ v,
                                                                        − (s − v) min(F̂(s) + ε, 1)  if s > v.

F̂ is a step function and v − b falls, so the supremum is reached where F̂ steps (or at the lowest admissible bid): an
exact enumeration. Their difference bounds the regret, every bid ≥ 0 considered, not only those of a lattice.
"""

from typing import TypeGuard

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.claims import behaves_as
from auctionsim.mechanisms.first_price import FirstPrice
from auctionsim.mechanisms.pay_as_bid import PayAsBid
from auctionsim.regret.confidence import uniform_band
from auctionsim.regret.estimate import AnyMechanism
from auctionsim.substrates.items import Items
from auctionsim.substrates.protocol import Substrate

MOST_CELLS = 2**22


def sells_one_item_at_first_price(mechanism: AnyMechanism, substrate: Substrate) -> TypeGuard[FirstPrice | PayAsBid]:
    """Tell whether this is the rule that the bound is about."""
    if not behaves_as(substrate, Items) or len(substrate.features) != 1:
        return False
    if behaves_as(mechanism, FirstPrice):
        return True
    return isinstance(mechanism, PayAsBid) and behaves_as(mechanism, PayAsBid) and mechanism.range == substrate


def first_price_bound(
    mechanism: FirstPrice | PayAsBid,
    valuations: Float[Tensor, "type bidder 1"],
    own: Float[Tensor, "type bidder 1"],
    profiles: Float[Tensor, "draw bidder 1"],
    confidence: float,
) -> Float[Tensor, "type bidder"]:
    """Return a bound on regret for each type and bidder; for one bidder right for all types at once."""
    reserve = mechanism.reserve
    band = uniform_band(len(profiles), confidence)
    columns = []
    for i in range(profiles.shape[1]):
        rivals = torch.cat([profiles[:, :i, 0], profiles[:, i + 1 :, 0]], 1).double()
        highest = torch.cat([rivals, torch.full_like(rivals[:, :1], reserve)], 1) if rivals.shape[1] else None
        threshold = (
            torch.full((len(profiles),), reserve, dtype=torch.float64, device=own.device)
            if highest is None
            else highest.amax(1)
        )
        steps = threshold.sort().values
        columns.append(_bound(valuations[:, i, 0].double(), own[:, i, 0].double(), steps, reserve, band))
    return torch.stack(columns, 1)


def _bound(
    v: Float[Tensor, " type"], own: Float[Tensor, " type"], steps: Float[Tensor, " draw"], reserve: float, band: float
) -> Float[Tensor, " type"]:
    count = len(steps)
    bids = torch.cat([steps.new_tensor([reserve]), steps])
    chance = (torch.searchsorted(steps, bids, right=True) / count + band).clamp_max(1.0)
    rows = max(1, MOST_CELLS // len(bids))
    best = torch.cat([((part.unsqueeze(1) - bids) * chance).amax(1) for part in torch.split(v, rows)]).clamp_min(0)
    below = (torch.searchsorted(steps, own.contiguous(), right=False) / count - band).clamp_min(0)
    at_most = (torch.searchsorted(steps, own.contiguous(), right=True) / count + band).clamp_max(1)
    kept = torch.where(own <= v, (v - own) * below, (v - own) * at_most)
    return best - torch.where(own >= reserve, kept, torch.zeros_like(kept))
