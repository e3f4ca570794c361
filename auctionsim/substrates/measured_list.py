"""How a list of measured joint allocations answers: for what is on it, and for nothing else."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, final

import torch
from torch import Tensor

from auctionsim.checks import MOST_MONEY, checked_allocation, checked_number
from auctionsim.errors import InputError
from auctionsim.levers import at_null
from auctionsim.storage import Stored
from auctionsim.substrates.covariances import pairs_from
from auctionsim.substrates.measured_arrays import replicates_from
from auctionsim.substrates.measured_substrate import MeasuredSubstrate
from auctionsim.substrates.measurements import Replicate, described_cells
from auctionsim.substrates.protocol import Lever
from auctionsim.substrates.quantities import Quantity, quantities_from

_COMPARISONS = 1 << 20  # held at once when allocations are looked up


@final
class MeasuredList(MeasuredSubstrate):
    """A fixed list of joint allocations, measured twice: for more brands than a grid can hold.

    The cells, written `…` in `Replicate`, have one axis: the list. A bidder with any lever at its null is untouched;
    entries that mean the same intervention hold the same numbers, and the null is among them. Exposure and loss are
    known for listed allocations only; nothing is interpolated, so there is no gradient.

    Args:
        levers: The controls of one bidder, with the bounds and the null of each.
        allocations: (entry, bidder, lever), floating point, within the bounds.
        features: As in `ResponseSurface`.
        contexts: As in `ResponseSurface`.
        replicates: As in `ResponseSurface`, with one axis for `…`.
        provenance: As in `ResponseSurface`.
        quantities: As in `ResponseSurface`.
    Raises:
        TypeError: Means without a fraction, counts with one.
        ValueError: Anything else that breaks these rules; names the replicate, the quantity and the entry.
    """

    file_format = "auctionsim/measured-list"

    def __init__(
        self,
        *,
        levers: Sequence[Lever],
        allocations: Tensor,
        features: Sequence[str],
        contexts: Sequence[str],
        replicates: Mapping[str, Replicate],
        provenance: Mapping[str, Any],
        quantities: Mapping[str, Quantity] = MappingProxyType({}),
    ) -> None:
        checked = tuple(_checked_lever(lever) for lever in levers)
        listed = _checked_list(allocations, checked)
        cells = described_cells(checked, features, contexts, (len(listed),), listed)
        super().__init__(cells, replicates, provenance, quantities)

    @property
    def allocations(self) -> Tensor:
        """The list as it was measured: (entry, bidder, lever), float64."""
        return self._cells.allocations

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows are on the list: (batch,) bool."""
        x = checked_allocation(allocation, (self.num_bidders, len(self.levers)), finite=False)
        return (self._found(x) >= 0) & x.isfinite().flatten(1).all(1)

    def _read(self, x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        place = rows * columns.shape[2] + self._listed(x)
        return columns.flatten(1).index_select(1, place).T

    def _mixture(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._listed(x).unsqueeze(1), x.new_ones(len(x), 1)

    def _listed(self, x: Tensor) -> Tensor:
        found = self._found(x)
        if (found < 0).any():
            row = int((found < 0).nonzero()[0])
            levels = "; ".join(
                ", ".join(f"{lever.name} {level:g}" for lever, level in zip(self.levers, bidder, strict=True))
                for bidder in x[row].tolist()
            )
            raise InputError(f"row {row} is not on the list of measured allocations: ({levels})")
        return found

    def _found(self, x: Tensor) -> Tensor:
        """Return each row's place among the cells, -1 where it is not listed: (batch,)."""
        meaning = at_null(x.detach(), self.levers).flatten(1)
        listed = at_null(self._cells.allocations.to(x), self.levers).flatten(1)
        blocks = torch.split(meaning, max(_COMPARISONS // listed.numel(), 1))
        equal = [(block.unsqueeze(1) == listed).all(2) for block in blocks]
        return torch.cat([torch.where(same.any(1), same.to(torch.uint8).argmax(1), -1) for same in equal])

    @classmethod
    def _from_stored(cls, stored: Stored) -> "MeasuredList":
        record = stored.fields
        levers = tuple(
            Lever(lever.text("name"), *(lever.number(part) for part in ("low", "high", "null")))
            for lever in record.records("levers")
        )
        listed = _checked_list(stored.array("allocations", (None, None, len(levers))), levers)
        features, contexts = record.texts("features"), record.texts("contexts")
        cells = described_cells(levers, features, contexts, (len(listed),), listed)
        return cls(
            levers=levers,
            allocations=listed,
            features=features,
            contexts=contexts,
            replicates=replicates_from(stored.arrays, cells, pairs_from(record)),
            provenance=record.plain("provenance"),
            quantities=quantities_from(record.record("quantities")) if "quantities" in record else {},
        )

    def _layout(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return {}, {"allocations": self._cells.allocations}


def _checked_lever(lever: Lever) -> Lever:
    ends = (checked_number(end, f"{lever.name}'s bounds", -MOST_MONEY, MOST_MONEY) for end in lever[1:])
    return Lever(lever.name, *ends)


def _checked_list(allocations: Tensor, levers: tuple[Lever, ...]) -> Tensor:
    if not isinstance(allocations, Tensor) or not allocations.is_floating_point() or allocations.ndim != 3:
        raise InputError("allocations must be a floating-point tensor of shape (entry, bidder, lever)")
    if 0 in allocations.shape or allocations.shape[2] != len(levers):
        raise InputError(
            f"allocations must have at least one entry and one bidder, and {len(levers)} levers, "
            f"got {tuple(allocations.shape)}"
        )
    listed = allocations.detach().to("cpu", torch.float64, copy=True) + 0.0  # no -0
    for k, lever in enumerate(levers):
        if not lever.low <= lever.null <= lever.high:
            raise InputError(f"the null of {lever.name} must lie in [{lever.low}, {lever.high}], got {lever.null}")
        outside = ~((listed[..., k] >= lever.low) & (listed[..., k] <= lever.high))
        if outside.any():
            worst = listed[..., k][outside][0].item()
            raise InputError(f"{lever.name} must lie in [{lever.low}, {lever.high}] in every allocation, got {worst}")
    return listed
