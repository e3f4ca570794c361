"""Offers of a menu auction, and what a bid picks from them: by scoring all entries or by thresholds computed once."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Menu(NamedTuple):
    """The entries offered to every bidder, levers and a price each; the null entry is always offered too, unlisted.

    The leading axis is absent (one menu), a slot (one menu a context of the substrate, then one for a context of None),
    or the batch, where menus are written for each auction.

    Attributes:
        levers: (…, bidder, entry, lever), in the levers' own units.
        prices: (…, bidder, entry), in money.
    """

    levers: Tensor
    prices: Tensor


MenuWriter: TypeAlias = Callable[[Tensor, Tensor | None], Menu]
"""From bids (batch, bidder, feature) and context to menus (batch, …); bidder i's may not depend on its own bid."""


class MenuEntries(NamedTuple):
    """Menus as bidders see them, the null entry first, the others by price.

    Attributes:
        levers: (row, bidder, entry, lever).
        prices: (row, bidder, entry).
        exposures: (row, bidder, entry, feature), at the reference for the others' levers.
    """

    levers: Tensor
    prices: Tensor
    exposures: Tensor


def chosen_entries(
    bids: Float[Tensor, "row bidder feature"], menus: MenuEntries, *, by_price: bool = True
) -> Int[Tensor, "row bidder"]:
    """Return argmax_k b_i · e_i(k) − p_ik, of equals the one with the lowest price, then the first.

    Args:
        bids: Bids.
        menus: As bidders see them.
        by_price: Whether entries come by price, so that the first of equals is the cheapest.
    """
    utility = -menus.prices
    for f in range(bids.shape[2]):  # term by term, as in `Candidates.scores`
        utility = torch.addcmul(utility, bids[:, :, f, None], menus.exposures[..., f])
    if by_price:
        return utility.argmax(2)
    best = utility.amax(2, keepdim=True)
    return torch.where(utility == best, menus.prices, torch.inf).argmin(2)


class Thresholds(NamedTuple):
    """The choice from a fixed menu by a single number: entry k is best for bids between two thresholds.

    b e(k) − p_k are lines in b; the best one is their upper envelope, walked by bisection instead of scoring every
    entry. A bid on a threshold takes the lower price.

    Attributes:
        bids: (bidder, step), increasing, filled up with infinity.
        steps: (bidder, step + 1), the entry chosen up to each threshold.
    """

    bids: Tensor
    steps: Tensor

    @classmethod
    def of(cls, menus: MenuEntries) -> "Thresholds":
        """Return the envelope of one menu a bidder, computed in float64."""
        walks = [envelope(e, p) for e, p in zip(menus.exposures[0, :, :, 0], menus.prices[0], strict=True)]
        longest = max(len(bids) for bids, _ in walks)
        bids = torch.tensor([[*b, *[torch.inf] * (longest - len(b))] for b, _ in walks], dtype=torch.float64)
        steps = torch.tensor([[*k, *[k[-1]] * (longest + 1 - len(k))] for _, k in walks])
        return cls(bids.view(len(walks), longest), steps)

    def entries(self, bids: Float[Tensor, "row bidder 1"]) -> Int[Tensor, "row bidder"]:
        """Return the entries chosen."""
        columns = bids.squeeze(2).T.double().contiguous()
        place = torch.searchsorted(self.bids.to(bids.device), columns)
        return self.steps.to(bids.device).gather(1, place).T


def envelope(
    exposures: Float[Tensor, " entry"], prices: Float[Tensor, " entry"], start: float = 0.0
) -> tuple[list[float], list[int]]:
    """Return the thresholds between the lines b · exposure − price on b ≥ start, and the lines from the first entry on.

    Args:
        exposures: Slopes.
        prices: Of them; no line is above the first entry's at `start`.
        start: Where the lines begin.
    """
    line = 0
    thresholds: list[float] = []
    lines = [0]
    while True:
        steeper = exposures > exposures[line]
        if not bool(steeper.any()):
            return thresholds, lines
        crossing = torch.where(steeper, (prices - prices[line]) / (exposures - exposures[line]), torch.inf)
        start = max(start, float(crossing.min()))
        ties = crossing <= start
        line = int(torch.where(ties, exposures, -torch.inf).argmax())
        thresholds.append(start)
        lines.append(line)
