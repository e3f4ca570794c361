"""The choice that maximises virtual welfare, with the integrals that payments need: on a list, or by `maximise`.

A bidder that bids below its support has the virtual value −∞: of all allocations only those count that give it the
least exposure (several such bidders: the least between them), and among these the rest of the objective decides. That
is an order and no number, so it does not depend on how much the others bid.
"""

from typing import NamedTuple, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from auctionsim.mechanisms.candidates import MOST_CELLS, Candidates, least_exposed
from auctionsim.mechanisms.myerson import integral_by_envelope, integral_by_steps
from auctionsim.priors import VirtualValueCurve
from auctionsim.substrates.protocol import Substrate

FEW_KNOTS = 8  # up to here an envelope is cheaper than a walk along the staircase
MOST_ROWS = 2**18  # rows handed to `maximise` at once
MOST_DOUBLINGS = 40  # of the multiple of −1 that stands for −∞ before it is taken as it is


class Weighed(NamedTuple):
    """Bids as an optimal auction weighs them.

    Attributes:
        reach: (row, bidder), each bid, or where the bidder's curve starts if it bids less.
        phi: (row, bidder), the virtual values there; 0 where the bid is below, and φ is −∞.
        below: (row, bidder), who bids below the start of its curve.
    """

    reach: Tensor
    phi: Tensor
    below: Tensor

    @classmethod
    def of(cls, curves: list[VirtualValueCurve], bids: Float[Tensor, "row bidder"]) -> "Weighed":
        """Weigh float64 bids by their curves."""
        starts = torch.stack([curve.values[0] for curve in curves])
        reach, below = torch.maximum(bids, starts), bids < starts
        phi = torch.stack([curve.evaluate(reach[:, i]) for i, curve in enumerate(curves)], 1)
        return cls(reach, torch.where(below, 0.0, phi), below)

    def rows(self, which: Int[Tensor, " row"]) -> "Weighed":
        """Return some of the rows."""
        return Weighed(*(part[which] for part in self))

    def replaced(self, which: Int[Tensor, " point"], bidder: int, levels: Float[Tensor, " point"]) -> "Weighed":
        """Return rows in which one bidder has another virtual value."""
        phi = self.phi[which]
        phi[:, bidder] = levels
        return Weighed(self.reach[which], phi, self.below[which])


class Chosen(NamedTuple):
    """The choice in each row.

    Attributes:
        allocation: (row, …).
        exposure: (row, bidder).
        integral: (row, bidder), ∫ e_i over the own bid, from where the curve starts to the reach.
    """

    allocation: Tensor
    exposure: Tensor
    integral: Tensor


class Choice(Protocol):
    """An exact argmax in one context."""

    def choose(self, curves: list[VirtualValueCurve], bids: Weighed, *, integrate: bool) -> Chosen:
        """Return the choice; integrals are 0 unless asked for."""
        ...


class ListChoice:
    """The argmax over a list of allocations.

    Args:
        candidates: The list.
        user_weight: λ.
    """

    def __init__(self, candidates: Candidates, user_weight: float) -> None:
        self.candidates = candidates
        self.constants = -user_weight * candidates.user_losses
        self.exposures = candidates.exposures.squeeze(2)
        self.most = max(1, MOST_CELLS // len(candidates.user_losses))

    def choose(self, curves: list[VirtualValueCurve], bids: Weighed, *, integrate: bool) -> Chosen:
        """Return the best entries, ties going to the first."""
        constants = self.constants
        if bool(bids.below.any()):
            tied = least_exposed(self.exposures, bids.below, self.candidates.allowed)
            constants = torch.where(tied, constants, -torch.inf)
        value, entry = self.candidates.scores(bids.phi.unsqueeze(2), constants).max(1)
        exposure, integral = self.exposures[entry], torch.zeros_like(bids.phi)
        if integrate:
            for i, curve in enumerate(curves):
                integral[:, i] = self._integral(curve, bids, i, constants, (value, exposure[:, i]))
        return Chosen(self.candidates.allocations[entry].double(), exposure, integral)

    def _integral(
        self,
        curve: VirtualValueCurve,
        bids: Weighed,
        i: int,
        constants: Float[Tensor, "*row entry"],
        at_bid: tuple[Tensor, Tensor],
    ) -> Tensor:
        def best(rows: Int[Tensor, " point"], levels: Float[Tensor, " point"]) -> tuple[Tensor, Tensor]:
            weights = bids.replaced(rows, i, levels).phi.unsqueeze(2)
            top, entry = self.candidates.scores(weights, constants[rows] if constants.ndim == 2 else constants).max(1)
            return top, entry

        if len(curve.values) <= FEW_KNOTS:

            def solve(rows: Int[Tensor, " point"], levels: Float[Tensor, " point"]) -> tuple[Tensor, Tensor]:
                parts = zip(rows.split(self.most), levels.split(self.most), strict=True)  # type: ignore[no-untyped-call]
                tops, entries = zip(*(best(row, level) for row, level in parts), strict=True)
                return torch.cat(tops), self.exposures[torch.cat(entries), i]

            return integral_by_envelope(curve, bids.reach[:, i], solve, *at_bid)
        others = bids.phi.index_fill(1, torch.tensor([i], device=bids.phi.device), 0.0)
        intercepts = self.candidates.scores(others.unsqueeze(2), constants)
        every = torch.arange(len(bids.phi), device=bids.phi.device)
        return integral_by_steps(
            curve, bids.reach[:, i], self.exposures[:, i], intercepts, lambda level: best(every, level)[1]
        )


class BoxChoice:
    """The argmax that a substrate finds by itself.

    −∞ is found by finite multiples of −1 that grow until the exposure of whoever bids below its support is the least
    that there is: the argmax at such a multiple is the argmax at −∞. Where `MOST_DOUBLINGS` do not get there, because
    the least exposure is a limit that no allocation reaches, the last one is taken.

    Args:
        substrate: With an exact `maximise`.
        user_weight: λ.
        context: Index into its contexts, or None.
    """

    def __init__(self, substrate: Substrate, user_weight: float, context: int | None) -> None:
        self.range, self.user_weight, self.context = substrate, user_weight, context

    def choose(self, curves: list[VirtualValueCurve], bids: Weighed, *, integrate: bool) -> Chosen:
        """Return the substrate's best allocations."""
        allocation, value, exposure = self._best(bids.phi, bids.below)
        integral = torch.zeros_like(bids.phi)
        if integrate:
            for i, curve in enumerate(curves):

                def solve(
                    rows: Int[Tensor, " point"], levels: Float[Tensor, " point"], i: int = i
                ) -> tuple[Tensor, Tensor]:
                    moved = bids.replaced(rows, i, levels)
                    _, top, exposures = self._best(moved.phi, moved.below)
                    return top, exposures[:, i]

                integral[:, i] = integral_by_envelope(curve, bids.reach[:, i], solve, value, exposure[:, i])
        return Chosen(allocation, exposure, integral)

    def _best(
        self, phi: Float[Tensor, "row bidder"], below: Bool[Tensor, "row bidder"]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the allocation, its value without bidders at −∞, and its exposure, a bounded number of rows a call."""
        pairs = zip(phi.split(MOST_ROWS), below.split(MOST_ROWS), strict=True)  # type: ignore[no-untyped-call]
        allocations, values, exposures = zip(*(self._part(*pair) for pair in pairs), strict=True)
        return torch.cat(allocations), torch.cat(values), torch.cat(exposures)

    def _part(self, phi: Tensor, below: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        allocation = self._maximised(phi, self.user_weight)
        rows = below.any(1).nonzero().squeeze(1)
        if len(rows):
            allocation[rows] = self._least_exposed(phi[rows], below[rows])
        context = self._context(phi)
        exposure = self.range.exposure(allocation, context).squeeze(2)
        counted = torch.where(below, 0.0, phi)
        value = (counted * exposure).sum(1) - self.user_weight * self.range.user_loss(allocation, context)
        return allocation, value, exposure

    def _least_exposed(self, phi: Float[Tensor, "row bidder"], below: Bool[Tensor, "row bidder"]) -> Tensor:
        """Return the argmax at φ = −∞ for the marked bidders, at least one a row."""
        least = self._burden(self._maximised(-below.to(phi), 0.0), below)
        allowed = least + 8 * torch.finfo(phi.dtype).eps * least.abs()
        multiple = torch.where(below, 0.0, phi).abs().sum(1, keepdim=True) + self.user_weight
        multiple = torch.where(multiple > 0, multiple, 1.0)
        allocation = self._maximised(torch.where(below, -multiple, phi), self.user_weight)
        for _ in range(MOST_DOUBLINGS):
            rows = (self._burden(allocation, below) > allowed).nonzero().squeeze(1)
            if not len(rows):
                break
            multiple[rows] = 2 * multiple[rows]
            weights = torch.where(below[rows], -multiple[rows], phi[rows])
            allocation[rows] = self._maximised(weights, self.user_weight)
        return allocation

    def _burden(self, allocation: Tensor, below: Bool[Tensor, "row bidder"]) -> Float[Tensor, " row"]:
        exposure = self.range.exposure(allocation, self._context(allocation)).squeeze(2)
        return torch.where(below, exposure, 0.0).sum(1)

    def _maximised(self, weights: Float[Tensor, "row bidder"], user_weight: float) -> Tensor:
        return self.range.maximise(weights.unsqueeze(2), user_weight, self._context(weights))

    def _context(self, rows: Tensor) -> Tensor | None:
        return None if self.context is None else rows.new_full((len(rows),), self.context, dtype=torch.int64)
