"""What the figures show: plotly figures as plain data, with the colours named and chosen by the page.

A `Figure` has one or several variants (a replicate, a context), of which the page's switches show one. A string that
begins with "@" names a colour of the style sheet, so that a figure follows the reader's light or dark theme.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from auctionsim.mechanisms.training_point import TrainingPoint
from auctionsim.report.records import Findings, LearningPoint
from auctionsim.report.wording import PALETTE
from auctionsim.scoring.records import TradeOffPoint
from auctionsim.substrates.protocol import ChargedLoss

_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "triangle-down", "x")
_DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Figure:
    """One plot.

    Attributes:
        name: Its id on the page.
        title: What it shows, with the unit.
        variants: Plotly traces by variant, named by the switches' choices joined by "|"; "" if there is but one.
        layout: Plotly layout.
    """

    name: str
    title: str
    variants: dict[str, list[dict[str, Any]]]
    layout: dict[str, Any] = field(default_factory=dict)


def plain(value: float | None) -> float | None:
    """Return `value` with 5 significant digits, for a smaller page; None if it is not finite, as JSON wants it."""
    return float(f"{value:.5g}") if value is not None and math.isfinite(value) else None


def brand_colour(index: int) -> str:
    """Name the colour of a brand, the same in every figure."""
    return f"@c{index % PALETTE}"


def layers_figure(findings: Findings) -> Figure:
    """Return bars: in which layers each brand's neurons sit."""
    neurons = findings.neurons
    assert neurons is not None
    layers = list(range(neurons.num_layers))
    traces = [
        {
            "type": "bar",
            "name": brand,
            "x": layers,
            "y": neurons.layers(index, findings.sold_neurons).tolist(),
            "marker": {"color": brand_colour(index)},
            "hovertemplate": "layer %{x}: %{y} neurons",
        }
        for index, brand in enumerate(findings.brands)
    ]
    return Figure("layers", "Neurons for sale by layer", {"": traces}, _axes("layer", "neurons"))


def trade_off_figures(points: Sequence[TradeOffPoint], brands: int, loss: ChargedLoss) -> list[Figure]:
    """Return revenue against user loss, and the objective against the user weight, both with the optimum drawn in.

    Args:
        points: One a mechanism, replicate and user weight.
        brands: How many there are, for colours.
        loss: Which loss is charged, and its unit.
    """
    frontier, objective = {}, {}
    mechanisms = list(dict.fromkeys(point.mechanism for point in points))
    for replicate in dict.fromkeys(point.replicate for point in points):
        own = sorted((point for point in points if point.replicate == replicate), key=lambda point: point.user_weight)
        lines = [(k, [point for point in own if point.mechanism == name]) for k, name in enumerate(mechanisms)]
        lines = [(k, line) for k, line in lines if line]
        frontier[replicate] = [_bound(own)] + [
            _curve(line, [point.user_loss for point in line], [point.revenue for point in line], k, brands)
            for k, line in lines
        ]
        objective[replicate] = [_optimum(own)] + [
            _curve(line, [point.user_weight for point in line], [point.objective for point in line], k, brands)
            for k, line in lines
        ]
    return [
        Figure(
            "frontier",
            "Revenue against the user’s loss, one point a user weight",
            frontier,
            _axes(f"user loss ({loss})", "revenue (value units)"),
        ),
        Figure(
            "objectives",
            "Objective = revenue − user weight × user loss",
            objective,
            _axes("user weight", "objective (value units)"),
        ),
    ]


def learning_figures(points: Sequence[LearningPoint], brands: Sequence[str]) -> list[Figure]:
    """Return each learner's utility, and its bid over its valuation, by iteration; one variant a mechanism."""
    utility, ratio = {}, {}
    for mechanism in dict.fromkeys(point.mechanism for point in points):
        own = [point for point in points if point.mechanism == mechanism]
        names = list(dict.fromkeys(point.bidder for point in own))
        lines = [sorted((p for p in own if p.bidder == name), key=lambda p: p.iteration) for name in names]
        colours = [brands.index(name) if name in brands else len(brands) + k for k, name in enumerate(names)]
        steps = [[point.iteration for point in line] for line in lines]
        last = max(max(step) for step in steps)
        first = min(min(step) for step in steps)
        pairs = list(zip(names, lines, steps, colours, strict=True))
        utility[mechanism] = [_line(name, x, [p.utility for p in line], k) for name, line, x, k in pairs]
        ratio[mechanism] = [_line(name, x, [p.bid_ratio for p in line], k) for name, line, x, k in pairs]
        ratio[mechanism].append(_reference("truth", [first, last], [1.0, 1.0]))
    return [
        Figure("utility", "Mean utility a round (value units)", utility, _axes("iteration", "utility")),
        Figure("bid-ratio", "Mean bid / valuation", ratio, _axes("iteration", "bid / valuation")),
    ]


def training_figure(points: Sequence[TrainingPoint]) -> Figure:
    """Return the menu's objective and revenue by training step, by the hard choice that is sold."""
    ordered = sorted(points, key=lambda point: point.step)
    steps = [point.step for point in ordered]
    traces = [
        _line("objective", steps, [point.objective for point in ordered], 4),
        _line("revenue", steps, [point.revenue for point in ordered], 5),
    ]
    return Figure("training", "Menu training, by hard choice", {"": traces}, _axes("step", "value units"))


def _axes(x: str, y: str) -> dict[str, Any]:
    return {"xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}}}


def _line(name: str, x: Sequence[float | None], y: Sequence[float | None], colour: int) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(x) < 30 else "lines",
        "name": name,
        "x": list(x),
        "y": [plain(value) for value in y],
        "line": {"color": brand_colour(colour), "width": 2, "dash": _DASHES[colour % len(_DASHES)]},
    }


def _reference(name: str, x: Sequence[float], y: Sequence[float]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [plain(value) for value in x],
        "y": [plain(value) for value in y],
        "line": {"color": "@ink", "width": 1.5, "dash": "dot"},
        "hoverinfo": "skip",
    }


def _curve(
    line: Sequence[TradeOffPoint], x: Sequence[float], y: Sequence[float], index: int, offset: int
) -> dict[str, Any]:
    """Draw one mechanism, in a colour that is no brand's."""
    return {
        **_line(line[0].mechanism, [plain(value) for value in x], y, offset + index),
        "mode": "lines+markers",
        "marker": {"symbol": _SYMBOLS[index % len(_SYMBOLS)], "size": 8},
        "customdata": [[plain(p.user_weight), plain(p.objective), plain(p.optimum)] for p in line],
        "hovertemplate": "%{x:.3g}, %{y:.3g}<br>user weight %{customdata[0]:.3g}<br>"
        "objective %{customdata[1]:.3g} of %{customdata[2]:.3g}",
    }


def _optimum(points: Sequence[TradeOffPoint]) -> dict[str, Any]:
    best = {point.user_weight: point.optimum for point in points}
    return _reference("optimum", list(best), list(best.values()))


def _bound(points: Sequence[TradeOffPoint]) -> dict[str, Any]:
    """Draw min over w of optimum_w + w · loss: what a truthful mechanism can earn at most at each user loss."""
    optimum = {point.user_weight: point.optimum for point in points}
    ends = [point.user_loss for point in points]
    low, high = min(0.0, 1.1 * min(ends)), max(0.0, 1.1 * max(ends))  # a loss may be negative: the user gains
    losses = [low + (high - low) * k / 60 for k in range(61)]
    bound = [min(best + weight * loss for weight, best in optimum.items()) for loss in losses]
    return _reference("optimum (bound)", losses, bound)
