"""How a measured grid answers between its nodes: multilinearly, so that its maximum is always at a node."""

import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from auctionsim.checks import checked_allocation, checked_count
from auctionsim.errors import InputError
from auctionsim.storage import Stored
from auctionsim.substrates.covariances import pairs_from
from auctionsim.substrates.measured_arrays import replicates_from
from auctionsim.substrates.measured_substrate import MeasuredSubstrate
from auctionsim.substrates.measurements import Cells, Replicate, described_cells
from auctionsim.substrates.protocol import Lever
from auctionsim.substrates.quantities import Quantity, quantities_from

MOST_CELLS = 1 << 20
"""Joint settings of a grid's levers: what a surface spreads each of its arrays over, whatever a file says."""
_ROWS = 1 << 13  # rows interpolated at once: their corners fit a core's cache


class LeverGrid(NamedTuple):
    """The values at which a lever was measured.

    Attributes:
        name: What it is called in tables.
        values: Ascending, at least two, the null among them.
        null: The value at which the bidder is untouched, whatever its other levers.
    """

    name: str
    values: tuple[float, ...]
    null: float


@final
class ResponseSurface(MeasuredSubstrate):
    """A grid over every bidder's levers, measured twice, interpolated multilinearly.

    Axes of the cells, written `…` in `Replicate`: bidder 0's first lever, bidder 0's second, …, bidder 1's first, and
    so on; each lever has the same grid for all bidders. A bidder with any lever at its null is untouched, so cells
    that mean the same intervention hold the same numbers.

    Exposure and loss are linear along each axis between neighbouring nodes, exact at the nodes, differentiable in the
    allocation, and in a context of None the mean over contexts. Hence Σ weights·exposure − user_weight·loss is
    multilinear on each box of the grid, so that its maximum over all feasible allocations is at a node: `maximise`
    searches the distinct ones.

    Args:
        grids: The levers of one bidder.
        num_bidders: n ≥ 1.
        features: Names of what is measured for each bidder.
        contexts: Names of the prompts' groups, at least one.
        replicates: {"A": Replicate, "B": Replicate}: design on A (the default view), score on B.
        provenance: JSON-serialisable: brands, category, model ("name:fingerprint", see `require_model`), command,
            versions, seed, prompts' hash, date.
        quantities: Unit and bounds of features, losses and diagnostics by name. Left out: a name that ends in
            _probability lies in [0, 1], other features are ≥ 0, `kl` is ≥ 0 nats a token; another loss must be there.
    Raises:
        TypeError: Means without a fraction, counts with one.
        ValueError: Anything else that breaks these rules; names the replicate, the quantity and the cell.
    """

    file_format = "auctionsim/response-surface"

    def __init__(
        self,
        *,
        grids: Sequence[LeverGrid],
        num_bidders: int,
        features: Sequence[str],
        contexts: Sequence[str],
        replicates: Mapping[str, Replicate],
        provenance: Mapping[str, Any],
        quantities: Mapping[str, Quantity] = MappingProxyType({}),
    ) -> None:
        self.grids = tuple(_checked_grid(grid) for grid in grids)
        super().__init__(_grid_cells(self.grids, num_bidders, features, contexts), replicates, provenance, quantities)
        sizes = torch.tensor([1, *self._cells.shape[:0:-1]])
        self._strides = sizes.cumprod(0).flip(0)  # cells between neighbours along each axis
        steps = torch.stack([torch.zeros_like(self._strides), self._strides], 1)
        self._corners = torch.cartesian_prod(*steps).view(-1, len(steps)).sum(1)  # a box's cells, from its lowest on

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows lie in the box of the grid: (batch,) bool."""
        x = checked_allocation(allocation, (self.num_bidders, len(self.levers)), finite=False)
        low, high = (x.new_tensor([grid.values[end] for grid in self.grids]) for end in (0, -1))
        return ((x >= low) & (x <= high)).flatten(1).all(1)

    def _read(self, x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Interpolate along one axis after the other, exactly at the nodes."""
        blocks = zip(torch.split(x, _ROWS), torch.split(rows, _ROWS), strict=True)
        return torch.cat([self._interpolated(block, group, columns) for block, group in blocks])

    def _interpolated(self, x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        lowest, shares = self._located(x)
        place = lowest + rows * columns.shape[2] + self._corners.to(x.device).unsqueeze(1)  # (corner, batch)
        values = columns.flatten(1).index_select(1, place.flatten()).view(len(columns), *place.shape)
        for share in shares:  # the first axis halves the corners, then the next
            low, high = values.tensor_split(2, dim=1)
            values = (1 - share) * low + share * high
        return values.squeeze(1).T

    def _mixture(self, x: Tensor) -> tuple[Tensor, Tensor]:
        lowest, shares = self._located(x)
        weights = x.new_ones(1, len(x))
        for share in shares:
            weights = (weights.unsqueeze(1) * torch.stack([1 - share, share])).flatten(0, 1)
        return (lowest + self._corners.to(x.device).unsqueeze(1)).T, weights.T

    def _located(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the lowest cell of each row's box (batch,) and the share of the way to the upper node (axis, batch).

        Raises:
            ValueError: A row outside the grid, by more than rounding.
        """
        lowest, shares = torch.zeros(len(x), dtype=torch.int64, device=x.device), []
        strides = self._strides.to(x.device).view(self.num_bidders, len(self.grids), 1)
        for lever, grid in enumerate(self.grids):
            nodes, level = x.new_tensor(grid.values), x[:, :, lever].T.contiguous()  # (bidder, batch)
            _refuse_outside(level.detach(), grid)
            node = torch.bucketize(level.detach(), nodes[1:-1], right=True)
            shares.append(((level - nodes[node]) / (nodes[node + 1] - nodes[node])).clamp(0, 1))
            lowest += (node * strides[:, lever]).sum(0)
        return lowest, torch.stack(shares, 1).flatten(0, 1)

    @classmethod
    def _from_stored(cls, stored: Stored) -> "ResponseSurface":
        record = stored.fields
        grids = [
            _checked_grid(LeverGrid(grid.text("name"), grid.numbers("values"), grid.number("null")))
            for grid in record.records("grids")
        ]
        num_bidders = record.whole("num_bidders", 1)
        features, contexts = record.texts("features"), record.texts("contexts")
        cells = _grid_cells(tuple(grids), num_bidders, features, contexts)
        return cls(
            grids=grids,
            num_bidders=num_bidders,
            features=features,
            contexts=contexts,
            replicates=replicates_from(stored.arrays, cells, pairs_from(record)),
            provenance=record.plain("provenance"),
            quantities=quantities_from(record.record("quantities")) if "quantities" in record else {},
        )

    def _layout(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return {"grids": [grid._asdict() for grid in self.grids]}, {}


def _grid_cells(
    grids: tuple[LeverGrid, ...], num_bidders: int, features: Sequence[str], contexts: Sequence[str]
) -> Cells:
    checked_count(num_bidders, "num_bidders")
    if not grids:
        raise InputError("a surface needs at least one lever")
    count = 1  # multiplied step by step: a file may name as many bidders as a number can
    for size in itertools.chain.from_iterable(itertools.repeat([len(grid.values) for grid in grids], num_bidders)):
        count *= size
        if count > MOST_CELLS:
            raise InputError(
                f"a surface of {num_bidders} bidders whose levers have {[len(grid.values) for grid in grids]} values "
                f"has more than {MOST_CELLS} cells: measure a list of joint allocations instead"
            )
    axes = [torch.tensor(grid.values, dtype=torch.float64) for grid in grids] * num_bidders
    nodes = torch.cartesian_prod(*axes).view(-1, num_bidders, len(grids))
    levers = tuple(Lever(grid.name, grid.values[0], grid.values[-1], grid.null) for grid in grids)
    return described_cells(levers, features, contexts, tuple(len(axis) for axis in axes), nodes)


def _checked_grid(grid: LeverGrid) -> LeverGrid:
    values = torch.tensor(grid.values, dtype=torch.float32)  # they must differ in the coarsest dtype that is used
    if values.ndim != 1 or len(values) < 2 or not values.isfinite().all() or not (values.diff() > 0).all():
        raise InputError(f"the grid of {grid.name} must have two or more ascending values, got {grid.values}")
    if grid.null not in grid.values:
        raise InputError(f"the grid of {grid.name} must contain its null {grid.null}, got {grid.values}")
    return LeverGrid(grid.name, tuple(float(value) + 0.0 for value in grid.values), float(grid.null) + 0.0)


def _refuse_outside(level: Tensor, grid: LeverGrid) -> None:
    if not level.numel():
        return
    low, high = grid.values[0], grid.values[-1]
    slack = (
        8 * torch.finfo(level.dtype).eps * max(abs(low), abs(high))
    )  # a menu's own arithmetic may round past the end
    least, most = (float(end) for end in torch.aminmax(level))  # NaN spreads to both
    if not (least >= low - slack and most <= high + slack):
        bidder, row = (~((level >= low - slack) & (level <= high + slack))).nonzero()[0].tolist()
        got = level[bidder, row].item()
        raise InputError(f"{grid.name} must lie in the measured [{low:g}, {high:g}], got {got:g} for bidder {bidder}")
