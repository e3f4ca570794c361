"""What the heat maps show: a surface's cells over two bidders' settings, with noise, by replicate and context."""

import itertools
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auctionsim.report.figures import Figure, brand_colour, plain
from auctionsim.substrates.measurements import REPLICATES, Measurement
from auctionsim.substrates.surface import ResponseSurface

MEAN_CONTEXT = "all (mean)"
_WRITTEN = 7  # settings a side up to which a cell's number is written into it


class Switch(NamedTuple):
    """What the reader can choose: a label, its choices, and the index of the one that is shown at first."""

    label: str
    choices: tuple[str, ...]
    chosen: int = 0


class HeatMaps(NamedTuple):
    """The panels and the switches that turn them all at once; variants are named in the switches' order."""

    switches: tuple[Switch, ...]
    figures: tuple[Figure, ...]


class _Plane(NamedTuple):
    """Two bidders' settings, the others at null: `cells` has one index (row, column) for each axis of the surface."""

    down: int
    across: int
    labels: list[str]
    cells: tuple[Tensor, ...]


def heat_maps(surface: ResponseSurface, brands: tuple[str, ...], sold_feature: str) -> HeatMaps:
    """Return a panel for each brand's exposure and one for the user's loss.

    Rows are one bidder's settings, columns another's, every other bidder at null; more than two bidders have a switch
    for the pair. The colours of a panel mean the same in all its variants of one feature.
    """
    features = (sold_feature, *(name for name in surface.measured_features if name != sold_feature))
    contexts = (MEAN_CONTEXT, *surface.contexts)
    planes = _planes(surface, brands)
    switches = [Switch("replicate", REPLICATES), Switch("exposure", features), Switch("prompts", contexts)]
    if len(planes) > 1:
        switches.append(Switch("pair", tuple(planes)))
    panels = [_exposure_panel(surface, brands, switches, planes, bidder) for bidder in range(len(brands))]
    return HeatMaps(tuple(switches), (*panels, _loss_panel(surface, brands, switches, planes)))


def _planes(surface: ResponseSurface, brands: tuple[str, ...]) -> dict[str, _Plane]:
    pairs = list(itertools.combinations(range(len(brands)), 2)) or [(0, 0)]
    return {f"{brands[down]} and {brands[across]}": _plane(surface, down, across) for down, across in pairs}


def _plane(surface: ResponseSurface, down: int, across: int) -> _Plane:
    null = tuple(grid.values.index(grid.null) for grid in surface.grids)
    active = [[k for k, value in enumerate(grid.values) if value != grid.null] for grid in surface.grids]
    settings = [null, *itertools.product(*active)]
    values = [" × ".join(f"{grid.values[k]:g}" for grid, k in zip(surface.grids, one, strict=True)) for one in settings]
    index = torch.tensor(settings)  # (setting, lever)
    rows = 1 if down == across else len(settings)
    axes = []
    for bidder, lever in itertools.product(range(surface.num_bidders), range(len(surface.grids))):
        at = index[:1, lever].expand(rows, len(settings))
        if bidder == across:
            at = index[:, lever].unsqueeze(0).expand(rows, -1)
        elif bidder == down:
            at = index[:, lever].unsqueeze(1).expand(-1, len(settings))
        axes.append(at)
    return _Plane(down, across, ["off", *values[1:]], tuple(axes))


def _exposure_panel(
    surface: ResponseSurface,
    brands: tuple[str, ...],
    switches: list[Switch],
    planes: dict[str, _Plane],
    bidder: int,
) -> Figure:
    def quantity(replicate: str, feature: str) -> Measurement:
        position = surface.measured_features.index(feature)
        return Measurement(*(part[..., bidder, position] for part in surface.replicates[replicate].features))

    def highest(feature: str) -> float:  # one scale for all brands, replicates and contexts
        position = surface.measured_features.index(feature)
        return max(float(surface.replicates[name].features.mean[..., position].max()) for name in REPLICATES)

    variants = {}
    for replicate, feature, context, *pair in itertools.product(*(switch.choices for switch in switches)):
        plane = planes[pair[0] if pair else next(iter(planes))]
        cells = _in_context(surface, quantity(replicate, feature), context)
        trace = _heat_map(cells, plane, brands, feature, (0.0, highest(feature)), brand_colour(bidder))
        variants["|".join((replicate, feature, context, *pair))] = [trace]
    return Figure(f"exposure-{bidder}", f"{brands[bidder]}’s exposure", variants, _layout(brands, planes))


def _loss_panel(
    surface: ResponseSurface, brands: tuple[str, ...], switches: list[Switch], planes: dict[str, _Plane]
) -> Figure:
    highest = max(float(surface.charged_measurement(name).mean.max()) for name in REPLICATES)
    lowest = min(float(surface.charged_measurement(name).mean.min()) for name in REPLICATES)
    variants = {}
    for replicate, feature, context, *pair in itertools.product(*(switch.choices for switch in switches)):
        plane = planes[pair[0] if pair else next(iter(planes))]
        cells = _in_context(surface, surface.charged_measurement(replicate), context)
        trace = _heat_map(cells, plane, brands, "user loss", (lowest, highest), "@loss")
        variants["|".join((replicate, feature, context, *pair))] = [trace]
    return Figure("user-loss", f"The user’s loss ({surface.charged_loss})", variants, _layout(brands, planes))


def _in_context(surface: ResponseSurface, item: Measurement, context: str) -> Measurement:
    """Return the cells of one context, or their mean over contexts, which are measured independently."""
    if context != MEAN_CONTEXT:
        return Measurement(*(part[surface.contexts.index(context)] for part in item))
    error = item.standard_error.square().sum(0).sqrt() / len(item.mean)
    return Measurement(item.mean.mean(0), error, item.n.sum(0))


def _heat_map(
    cells: Measurement, plane: _Plane, brands: tuple[str, ...], what: str, ends: tuple[float, float], colour: str
) -> dict[str, Any]:
    mean, error, count = (part[plane.cells].tolist() for part in cells)
    across, down = brands[plane.across], brands[plane.down]
    alone = plane.across == plane.down
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": plane.labels,
        "y": [""] if alone else plane.labels,
        "z": [[plain(value) for value in row] for row in mean],
        "customdata": [
            [[plain(value), n] for value, n in zip(errors, counts, strict=True)]
            for errors, counts in zip(error, count, strict=True)
        ],
        "zmin": plain(min(ends[0], 0.0)) or 0,  # below 0 only where the user gains somewhere
        "zmax": plain(ends[1]) or 1.0,
        "colorscale": f"@scale:{colour[1:]}",
        "colorbar": {"thickness": 10, "outlinewidth": 0},
        "xgap": 1,
        "ygap": 1,
        "hovertemplate": f"{across}: %{{x}}"
        + ("" if alone else f"<br>{down}: %{{y}}")
        + f"<br>{what} %{{z:.3g}} ± %{{customdata[0]:.2g}} (n = %{{customdata[1]}})<extra></extra>",
    }
    if len(plane.labels) <= _WRITTEN:
        trace["texttemplate"] = "%{z:.2f}"
    return trace


def _layout(brands: tuple[str, ...], planes: dict[str, _Plane]) -> dict[str, Any]:
    plane = next(iter(planes.values()))
    pair = len(planes) == 1  # with more the hover text names the bidders
    across, down = (brands[plane.across], brands[plane.down]) if pair else ("second of the pair", "first of the pair")
    axis = {"type": "category", "showgrid": False, "automargin": True}
    return {
        "xaxis": {**axis, "title": {"text": f"{across}: neurons × amplification", "standoff": 10}},
        "yaxis": {**axis, "title": {"text": "" if plane.across == plane.down else down, "standoff": 10}},
    }
