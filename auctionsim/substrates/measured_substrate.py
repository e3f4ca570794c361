"""How a measurement answers as a substrate: by what was measured, with its noise, and by its best distinct entry."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auctionsim.checks import (
    checked_allocation,
    checked_context,
    checked_count,
    checked_money,
    checked_weights,
)
from auctionsim.levers import at_null
from auctionsim.substrates.covariances import sum_error
from auctionsim.substrates.measured import Measured
from auctionsim.substrates.measurements import Cells, Replicate
from auctionsim.substrates.offer import Offer
from auctionsim.substrates.protocol import FiniteRange, Observation
from auctionsim.substrates.quantities import Quantity
from auctionsim.substrates.view import View

_Kind = tuple[torch.dtype, torch.device, Offer, str]
_BLOCK = 1 << 17  # numbers held at once in a search: they fit a core's cache


class StandardError(NamedTuple):
    """How far the measurement's noise moves what a substrate says.

    Attributes:
        exposure: (batch, bidder, feature).
        user_loss: (batch,), of the loss that is charged; an upper bound unless `error_is_exact`.
    """

    exposure: Tensor
    user_loss: Tensor


class _Columns(NamedTuple):
    """What a view reads, in one dtype on one device: exposures, bidder by bidder its features, then losses.

    Attributes:
        observed: (quantity, context + 1, cell), exposures and every loss; the last context is the mean over the others.
        exposures: Those of them that are exposures.
        charged: (1, context + 1, cell), the loss that is charged.
        entries: Exposures, then the charged loss, of the distinct interventions, the null first.
        allocations: (entry, bidder, lever).
    """

    observed: Tensor
    exposures: Tensor
    charged: Tensor
    entries: Tensor
    allocations: Tensor


class MeasuredSubstrate(Measured, View):
    """The view of its own measured cells; how it reads what lies between them is the subclass's.

    Args:
        cells: Which interventions were measured.
        replicates: A and B.
        provenance: How: JSON-serialisable.
        quantities: Unit and bounds by name.
    """

    maximises_exactly = True
    finite = True
    speaks = False
    exposure_bounds = None
    __eq__, __hash__ = Measured.__eq__, Measured.__hash__

    def __init__(
        self,
        cells: Cells,
        replicates: Mapping[str, Replicate],
        provenance: Mapping[str, Any],
        quantities: Mapping[str, Quantity],
    ) -> None:
        Measured.__init__(self, cells, replicates, provenance, quantities)
        self._columns_by_kind: dict[_Kind, _Columns] = {}

    @property
    def separable(self) -> bool:
        """A measured model has crosstalk; only a single bidder is free of it."""
        return self.num_bidders == 1

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return every lever at its null: (batch, bidder, lever)."""
        checked_count(batch, "batch", 0)
        nulls = torch.tensor([lever.null for lever in self.levers], dtype=dtype, device=device)
        return nulls.repeat(batch, self.num_bidders, 1)

    @abstractmethod
    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows the measurement speaks of: (batch,) bool."""

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return what each bidder gets: (batch, bidder, feature).

        Raises:
            ValueError: An allocation of which the measurement does not speak.
        """
        x, rows = self._checked(allocation), self._context_rows(allocation, context)
        return self._read(x, rows, self._columns(x).exposures).reshape(len(x), *self._sold_shape)

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the user's loss, the one that is charged: (batch,).

        Raises:
            ValueError: An allocation of which the measurement does not speak.
        """
        x, rows = self._checked(allocation), self._context_rows(allocation, context)
        return self._read(x, rows, self._columns(x).charged).squeeze(1)

    def observe(self, allocation: Tensor, context: Tensor | None = None) -> Observation:
        """Return exposure and all losses, read at once.

        Raises:
            ValueError: An allocation of which the measurement does not speak.
        """
        x, rows = self._checked(allocation), self._context_rows(allocation, context)
        columns = self._columns(x).observed
        numbers = self._read(x, rows, columns)
        width = len(columns) - len(self.losses)
        losses = dict(zip(self.losses, numbers[:, width:].unbind(1), strict=True))
        return Observation(numbers[:, :width].reshape(len(x), *self._sold_shape), losses)

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        """Return the exact argmax over all distinct measured interventions; ties go to the first, the null first."""
        checked_weights(weights, self.num_bidders, len(self.features))
        user_weight = checked_money(user_weight, "user_weight")
        columns = self._columns(weights)
        checked_context(context, len(weights), self.contexts)
        signed = torch.cat([weights.detach().flatten(1), weights.new_full((len(weights), 1), -user_weight)], 1)
        rows = max(_BLOCK // len(columns.allocations), 1)
        blocks = torch.split(signed, rows)
        groups = [None] * len(blocks) if context is None else torch.split(context, rows)
        pairs = zip(blocks, groups, strict=True)
        chosen = torch.cat([_value(block, columns.entries, group).argmax(1) for block, group in pairs])
        return columns.allocations[chosen]

    def finite_range(self, context: Tensor | None = None) -> FiniteRange:
        """Return copies of all distinct interventions and what each gives: multilinear optima are among them."""
        checked_context(context, 0 if context is None else len(context), self.contexts)
        device = torch.device("cpu") if context is None else context.device
        columns = self._columns(torch.empty(0, dtype=torch.float64, device=device))
        values = columns.entries[:, -1:] if context is None else columns.entries[:, context.long()]
        values = values.movedim(0, 2).clone()  # (batch, entry, quantity)
        exposures = values[..., :-1].reshape(*values.shape[:2], *self._sold_shape)
        return FiniteRange(columns.allocations.clone(), exposures, values[..., -1])

    def standard_error(self, allocation: Tensor, context: Tensor | None = None) -> StandardError:
        """Return the standard error of `exposure` and `user_loss`, (batch, bidder, feature) and (batch,).

        Distinct interventions and contexts are measured independently; cells of one intervention are one measurement,
        so their weights add up before they are squared. Losses that are charged together: as `charged_measurement` has
        it. The untouched reply's mean, which losses by difference share from cell to cell, counts as drawn anew in
        each: between nodes the error of such a loss is somewhat too small. Noise only: not the error of interpolating.
        """
        x, rows = self._checked(allocation.detach()), self._context_rows(allocation, context)
        exposures, losses = self._quantities("standard_error")
        pairs = self.replicates[self._scored].covariances
        known = {pair: item.flatten(1, len(self._cells.shape)) for pair, item in pairs.items()}
        charged = sum_error(self.offer.charges, losses, known)
        errors = torch.cat([exposures, charged.unsqueeze(0)]).square()
        errors = torch.cat([errors, errors.mean(1, keepdim=True) / len(self.contexts)], 1)
        errors = errors.to(x).flatten(1)
        blocks = zip(torch.split(x, _BLOCK >> 8), torch.split(rows, _BLOCK >> 8), strict=True)
        variance = torch.cat([self._variance(block, group, errors) for block, group in blocks])
        noise = variance.clamp_min(0).sqrt()
        return StandardError(noise[:, :-1].reshape(len(x), *self._sold_shape), noise[:, -1])

    def cell_weights(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return how much each distinct intervention counts in a mean over rows: (context, entry), 1 in all.

        Σ weights · means is the mean over rows of `user_loss`, or of a bidder's exposure, so the weights say how the
        measurement's noise goes into it. Entries are in the order of `finite_range`, the null first.
        """
        x, rows = self._checked(allocation.detach()), self._context_rows(allocation, context)
        cells, weights = self._mixture(x)
        meaning = self._cells.canonical.to(cells.device)[cells]
        count = len(self._cells.allocations)
        total = x.new_zeros((len(self.contexts) + 1) * count)
        total.index_add_(0, (rows.unsqueeze(1) * count + meaning).flatten(), (weights / len(x)).flatten())
        total = total.view(-1, count)
        total = total[:-1] + total[-1:] / len(self.contexts)
        return total[:, self._cells.distinct.to(x.device)]

    def _variance(self, x: Tensor, rows: Tensor, errors: Tensor) -> Tensor:
        cells, weights = self._mixture(x)
        meaning = self._cells.canonical.to(cells.device)[cells]  # (batch, corner)
        same = (meaning.unsqueeze(2) == meaning.unsqueeze(1)).to(x)
        total = (same * weights.unsqueeze(1)).sum(2)  # the whole weight of each corner's intervention
        place = rows.unsqueeze(1) * len(self._cells.allocations) + meaning
        return (errors[:, place] * weights * total).sum(2).T

    @abstractmethod
    def _read(self, x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Return (batch, quantity) at x, from columns (quantity, context + 1, cell) in the contexts `rows`."""

    @abstractmethod
    def _mixture(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cells (batch, corner) that `_read` mixes, and their weights."""

    def _checked(self, allocation: Tensor) -> Tensor:
        return checked_allocation(allocation, (self.num_bidders, len(self.levers)))

    def _context_rows(self, allocation: Tensor, context: Tensor | None) -> Tensor:
        checked_context(context, len(allocation), self.contexts)
        if context is None:
            return torch.full((len(allocation),), len(self.contexts), device=allocation.device)
        return context.long()

    def _columns(self, like: Tensor) -> _Columns:
        kind = (like.dtype, like.device, self.offer, self._scored)
        if kind not in self._columns_by_kind:
            exposures, losses = self._quantities("mean")
            observed = [exposures, torch.stack(list(losses.values()))]
            charged = self.offer.charge(losses).unsqueeze(0)
            cells = torch.cat([*observed, charged])
            cells = torch.cat([cells, cells.mean(1, keepdim=True)], 1).to(like).contiguous()
            width, distinct = len(exposures), self._cells.distinct
            allocations = at_null(self._cells.allocations[distinct], self.levers).to(like)
            parts = cells[:-1], cells[:width], cells[-1:]
            entries = torch.cat(parts[1:])[..., distinct.to(like.device)].contiguous()
            self._columns_by_kind[kind] = _Columns(*parts, entries, allocations)
        return self._columns_by_kind[kind]

    def _quantities(self, part: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Return one part of what this view reports: features (quantity, context, cell), losses (context, cell)."""
        scored = self.replicates[self._scored]
        axes = (1, len(self._cells.shape))
        sold = [self.measured_features.index(name) for name in self.features]
        features = getattr(scored.features, part).flatten(*axes)[..., sold].flatten(2).movedim(2, 0)
        losses = {name: getattr(item, part).flatten(*axes) for name, item in scored.losses.items()}
        return features, losses


def _value(signed: Tensor, entries: Tensor, context: Tensor | None) -> Tensor:
    """Return Σ_q signed_q · entries_q, (batch, entry), one rounded product and sum at a time.

    A matrix product would round differently in batches of other sizes, and so break near-ties differently.
    """

    def term(quantity: int) -> Tensor:
        numbers = entries[quantity, -1:] if context is None else entries[quantity].index_select(0, context)
        return signed[:, quantity : quantity + 1] * numbers

    total = term(0)
    for quantity in range(1, len(entries)):
        total += term(quantity)
    return total
