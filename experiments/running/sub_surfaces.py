"""The same surface with other numbers in its cells, or with some of its contexts only."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.measurements import Cells, Measurement, Replicate, described_cells


def cells_of(surface: ResponseSurface) -> Cells:
    """Return the surface's cells: which there are, and which mean the same intervention."""
    axes = [torch.tensor(grid.values, dtype=torch.float64) for grid in surface.grids] * surface.num_bidders
    nodes = torch.cartesian_prod(*axes).view(-1, surface.num_bidders, len(surface.grids))
    shape = tuple(len(axis) for axis in axes)
    return described_cells(surface.levers, surface.measured_features, surface.contexts, shape, nodes)


def with_replicates(
    surface: ResponseSurface, replicates: Mapping[str, Replicate], contexts: Sequence[str] | None = None
) -> ResponseSurface:
    """Return the surface with other replicates, the view sold by it as it is.

    Args:
        surface: Its grid, bidders and provenance are kept.
        replicates: A and B.
        contexts: Their names, where they are not the surface's.
    Raises:
        ValueError: Numbers that a surface refuses.
    """
    made = ResponseSurface(
        grids=surface.grids,
        num_bidders=surface.num_bidders,
        features=surface.measured_features,
        contexts=surface.contexts if contexts is None else contexts,
        replicates=replicates,
        provenance=surface.provenance,
        quantities=surface.quantities,
    )
    return made.sell(*surface.features, loss=dict(surface.offer.charges)).replicate(surface.scored_replicate)


def in_contexts(surface: ResponseSurface, kept: Sequence[int]) -> ResponseSurface:
    """Return the surface with some of its contexts only, in this order.

    Raises:
        ValueError: None, one twice, or one that there is not.
    """
    places = list(kept)
    if not places or len(set(places)) < len(places) or not set(places) <= set(range(len(surface.contexts))):
        raise InputError(f"contexts must be some of 0 to {len(surface.contexts) - 1}, each once, got {places}")

    def cut(item: Measurement) -> Measurement:
        return Measurement(*(part[places] for part in item))

    replicates = {
        name: Replicate(
            cut(one.features),
            {key: cut(item) for key, item in one.losses.items()},
            {key: cut(item) for key, item in one.diagnostics.items()},
            {pair: array[places] for pair, array in one.covariances.items()},
        )
        for name, one in surface.replicates.items()
    }
    return with_replicates(surface, replicates, [surface.contexts[place] for place in places])


def on_distinct(cells: Cells, change: Callable[[Tensor], Tensor], array: Tensor) -> Tensor:
    """Return what `change` makes of the distinct cells, spread again to all cells that mean the same.

    Args:
        cells: Of the surface.
        change: From (context, entry, …) to the same shape.
        array: (context, …cells, …).
    """
    flat = array.flatten(1, len(cells.shape))
    entry = torch.zeros_like(cells.canonical)
    entry[cells.distinct] = torch.arange(len(cells.distinct))
    return change(flat[:, cells.distinct])[:, entry[cells.canonical]].reshape(array.shape)
