"""Sealed bids for identical units: the U highest marginal bids win; uniform, discriminatory and Vickrey prices."""

from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.claims import behaves_as
from auctionsim.mechanisms.codecs import numbers_on_substrate
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.table import Entry, of_kind, register
from auctionsim.outcome import Outcome
from auctionsim.substrates.protocol import Substrate, same_substrate
from auctionsim.substrates.units import Units


class UnitAuction(Mechanism):
    """Give the U units to the U highest positive marginal bids.

    Bid k of a bidder is for its k-th unit. Demand slopes down: bid k counts as min(b_i1 … b_ik). The first bidder comes
    first on ties.

    Args:
        units: The number of bidders and units.
    """

    def __init__(self, units: Units) -> None:
        super().__init__(units.num_bidders, units.num_units, units)
        self.units = units

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Rank all marginal bids together."""
        del context  # units have none
        demand = bids.cummin(2).values
        flat = demand.flatten(1)
        order = flat.sort(dim=1, descending=True, stable=True).indices[:, : self.units.num_units]
        wins = torch.zeros_like(flat).scatter_(1, order, (flat.gather(1, order) > 0).to(flat.dtype)).view_as(bids)
        return Outcome(wins, self.charges(demand, wins))

    def alike_for_all(self, substrate: Substrate) -> bool:
        """Tell whether winners go by bids alone, where exposure is that of the units; charges are the subclass's."""
        return same_substrate(self.units, substrate) and behaves_as(substrate, Units)

    @abstractmethod
    def charges(
        self, demand: Float[Tensor, "batch bidder unit"], wins: Float[Tensor, "batch bidder unit"]
    ) -> Float[Tensor, "batch bidder"]:
        """Return what each bidder pays."""


class UniformPrice(UnitAuction):
    """Charge every unit the highest losing bid. Truthful for single-unit demand only; otherwise demand is shaded.

    Args:
        units: The number of bidders and units.
    Source:
        Ausubel et al. (2014), "Demand reduction and inefficiency in multi-unit auctions".
    """

    def charges(
        self, demand: Float[Tensor, "batch bidder unit"], wins: Float[Tensor, "batch bidder unit"]
    ) -> Float[Tensor, "batch bidder"]:
        """Return units won times the highest losing bid, 0 if none loses."""
        losing = torch.where(wins > 0, torch.zeros_like(demand), demand).flatten(1).amax(1, keepdim=True)
        return wins.sum(2) * losing

    def is_anonymous(self, substrate: Substrate) -> bool:
        """Ranks go by bids, and so do charges."""
        return self.alike_for_all(substrate)


class DiscriminatoryPrice(UnitAuction):
    """Charge every unit the bid that won it. Not truthful.

    Args:
        units: The number of bidders and units.
    Source:
        Krishna, "Auction theory", section 12.1.
    """

    def charges(
        self, demand: Float[Tensor, "batch bidder unit"], wins: Float[Tensor, "batch bidder unit"]
    ) -> Float[Tensor, "batch bidder"]:
        """Return the sum of the winning bids."""
        return (wins * demand).sum(2)

    def is_anonymous(self, substrate: Substrate) -> bool:
        """Ranks go by bids, and so do charges."""
        return self.alike_for_all(substrate)


class VickreyUnits(UnitAuction):
    """Charge k units the k highest losing bids of the others.

    DSIC and individually rational for falling marginal values. A bidder whose marginal values rise can gain, its bids
    being read as falling; VCG on `Units` has no such limit.

    Args:
        units: The number of bidders and units.
    Source:
        Vickrey (1961), section on multi-unit auctions; Krishna, "Auction theory", section 12.1.
    """

    def charges(
        self, demand: Float[Tensor, "batch bidder unit"], wins: Float[Tensor, "batch bidder unit"]
    ) -> Float[Tensor, "batch bidder"]:
        """Return the others' best total without the bidder, minus their total as it is."""
        paid = []
        for i in range(demand.shape[1]):
            others = demand.index_fill(1, torch.tensor([i], device=demand.device), 0.0)
            best = others.flatten(1).topk(self.units.num_units, dim=1).values.sum(1)
            paid.append((best - (wins * others).sum((1, 2))).clamp_min(0))  # negative only by rounding
        return torch.stack(paid, 1)

    def is_anonymous(self, substrate: Substrate) -> bool:
        """Ranks go by bids, and so do charges."""
        return self.alike_for_all(substrate)

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """None: it holds for falling marginal values only, which valuations need not have."""
        if same_substrate(self.units, substrate) and behaves_as(substrate, Units) and self.units.num_units == 1:
            return "Vickrey: one unit, and the price does not depend on the winner's bid"
        return None


register(
    Entry(
        "uniform-price",
        "uniform price",
        "The highest marginal bids win units, each at the highest losing bid.",
        lambda problem: UniformPrice(problem.view),
        numbers_on_substrate(UniformPrice),
        needs=(of_kind(Units),),
    )
)
register(
    Entry(
        "discriminatory-price",
        "discriminatory price",
        "The highest marginal bids win units, each at its own bid.",
        lambda problem: DiscriminatoryPrice(problem.view),
        numbers_on_substrate(DiscriminatoryPrice),
        needs=(of_kind(Units),),
    )
)
register(
    Entry(
        "vickrey-units",
        "Vickrey (units)",
        "The highest marginal bids win units, k of them at the k highest losing bids of the others.",
        lambda problem: VickreyUnits(problem.view),
        numbers_on_substrate(VickreyUnits),
        needs=(of_kind(Units),),
    )
)
