"""The highest bid that fits: how far one bidder's is lowered while the others' are held."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

PARTS = 8  # of the way between two bids, tried at once
HALVINGS = 10  # of the part in which the highest bid that fits lies
NEAR = 2.0**-13  # of the way's fall in margin: as near as halving comes
HAIR = 64  # roundings: bids that differ by less are not searched between

Fit = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class Way(NamedTuple):
    """Bids on a line, by their share of the way from the foot to the head."""

    foot: Float[Tensor, "pair feature"]
    head: Float[Tensor, "pair feature"]

    def at(self, share: Float[Tensor, "*attempt pair"]) -> Float[Tensor, "*attempt pair feature"]:
        """Return the bids at these shares."""
        return self.foot + share.unsqueeze(-1) * (self.head - self.foot)

    def pairs(self, index: Tensor) -> "Way":
        """Return some of the pairs."""
        return Way(self.foot[index], self.head[index])


class HighestFit(NamedTuple):
    """The highest bid found so far that fits, and the lowest above it that does not, as shares of the way."""

    share: Float[Tensor, " pair"]
    over: Float[Tensor, " pair"]
    margin: Float[Tensor, " pair"]
    payment: Float[Tensor, " pair"]


def highest_that_fits(
    fit: Fit,
    bids: Float[Tensor, "pair feature"],
    safe: Float[Tensor, "pair feature"],
    margin: Float[Tensor, " pair"],
    room: Float[Tensor, " pair"],
) -> Float[Tensor, "pair feature"]:
    """Return the highest bid below `bids` that fits, each pair of a row and a bidder by itself.

    The way leads from the safe bid to the bid, or, where the safe bid does not fit, from 0 to the safe one. Tried are
    its eighths and the point at which the margin would be 0 if it fell evenly; then the part above the highest of them
    that fits is halved ten times, or until nearly nothing is left. Where a higher bid is charged no more than the foot
    of the way, the foot is the answer: a bid that still loses would only raise what others pay. What fits somewhere
    between two of those points and not at them is not found.

    Args:
        fit: Bids (attempt, pair, feature) of some pairs, and the pairs' indices -> their margins and payments
            (attempt, pair); a margin < 0 does not fit.
        bids: What does not fit.
        safe: No higher than `bids`.
        margin: At `bids`, < 0.
        room: The margin of a bid of 0, ≥ 0.
    """
    everybody = torch.arange(len(bids), device=bids.device)
    at_safe, paid_safe = (part[0] for part in fit(safe.unsqueeze(0), everybody))
    fits = at_safe >= 0
    way = Way(*(torch.where(fits.unsqueeze(1), *ends) for ends in ((safe, torch.zeros_like(safe)), (bids, safe))))
    below, above = torch.where(fits, at_safe, room), torch.where(fits, margin, at_safe)
    paid_foot = torch.where(fits, paid_safe, torch.zeros_like(paid_safe))
    hair = HAIR * torch.finfo(bids.dtype).eps
    wide = ((way.head - way.foot) > hair * way.head).any(1).nonzero().squeeze(1)
    share_pairs = way.foot.clone()
    if len(wide):
        best = _on_the_way(lambda own, some: fit(own, wide[some]), way.pairs(wide), below[wide], above[wide])
        worth = (best.share > 0) & (best.payment > paid_foot[wide])
        share_pairs[wide] = torch.where(worth.unsqueeze(1), way.pairs(wide).at(best.share), way.foot[wide])
    return share_pairs


def _on_the_way(fit: Fit, way: Way, below: Float[Tensor, " pair"], above: Float[Tensor, " pair"]) -> HighestFit:
    """Search between the foot, at which the margin is `below`, and the head, at which it is `above`."""
    everybody = torch.arange(len(below), device=below.device)
    even = (below / (below - above)).clamp(0, 1)
    parts = torch.arange(1, PARTS, dtype=below.dtype, device=below.device) / PARTS
    shares = torch.cat([parts.unsqueeze(1).expand(-1, len(even)), even.unsqueeze(0)])
    margins, paid = fit(way.at(shares), everybody)
    share, place = torch.where(margins >= 0, shares, torch.zeros_like(shares)).max(0)
    over = torch.where(shares > share, shares, torch.ones_like(shares)).amin(0)
    at_place = (part.gather(0, place.unsqueeze(0)).squeeze(0) for part in (margins, paid))
    best = HighestFit(share, over, *at_place)
    for _ in range(HALVINGS):
        some = (torch.where(best.share > 0, best.margin, below) > NEAR * (below - above)).nonzero().squeeze(1)
        if not len(some):
            break
        middle = (best.share[some] + best.over[some]) / 2
        (margins,), (paid,) = fit(way.pairs(some).at(middle).unsqueeze(0), some)
        good = margins >= 0
        was = HighestFit(*(part[some] for part in best))
        higher = HighestFit(middle, was.over, margins, paid)
        lower = was._replace(over=middle)
        for part, up, down in zip(best, higher, lower, strict=True):
            part[some] = torch.where(good, up, down)
    return best
