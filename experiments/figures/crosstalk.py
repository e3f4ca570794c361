"""Figures of crosstalk: exposure beside rivals, and cosines of what neurons write."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from auctionsim.experiments.figures.sheets import saved, sheet
from auctionsim.experiments.tables.crosstalk import MATRICES, SOLD
from auctionsim.experiments.tables.crosstalk_effects import BrandSetReport, Effect


def draw_brand_sets(reports: Sequence[BrandSetReport], folder: Path) -> None:
    """Draw, a column a brand set: exposure with a rival on, exposure with only the rival on; and the cosines."""
    for name, quantities in FIGURES.items():
        figure, axes = sheet(2, len(reports), (4.4 * len(reports), 8))
        for (line, quantity), (column, report) in itertools.product(enumerate(quantities), enumerate(reports)):
            _draw_matrix(axes[line][column], report, quantity)
        saved(figure, folder / name)


def _draw_matrix(panel: Any, report: BrandSetReport, quantity: str) -> None:
    values, errors = _matrix(report, quantity)
    is_cosine = quantity in MATRICES
    panel.imshow(values, cmap="RdBu" if is_cosine else "viridis", vmin=-1 if is_cosine else 0, vmax=1)
    for i, j in itertools.product(range(len(values)), repeat=2):
        is_dark = abs(values[i][j]) > 0.6 if is_cosine else values[i][j] < 0.6
        shade = "white" if is_dark else "black"
        label = f"{values[i][j]:.2f}" if is_cosine else f"{values[i][j]:.2f}\n±{errors[i][j]:.2f}"
        panel.text(j, i, label, ha="center", va="center", fontsize=7, color=shade)
    panel.set_xticks(range(len(values)), report.brands, rotation=45, fontsize=8)
    panel.set_yticks(range(len(values)), report.brands, fontsize=8)
    drawn = "" if is_cosine else f" (n = {report.effect((), report.brands[0], SOLD).n})"
    panel.set_title(f"{report.category}: {TITLES[quantity]}{drawn}", fontsize=8)


FIGURES = {"pairs.png": ("both", "rival_only"), "geometry.png": ("write_cosine", "attribution_cosine")}


TITLES = {
    "both": "row's, column amplified too",
    "rival_only": "row's, only column amplified",
    "write_cosine": "cosine of writing",
    "attribution_cosine": "cosine of attribution",
}


def _matrix(report: BrandSetReport, quantity: str) -> tuple[list[list[float]], list[list[float]]]:
    """Return a matrix over brands and its standard errors; those of a cosine are not known."""
    if quantity in MATRICES:
        exact = [[float(value) for value in row] for row in getattr(report.geometry, quantity).tolist()]
        return exact, []
    effects = [[_amplified(report, a, b, quantity) for b in report.brands] for a in report.brands]
    return [[one.mean for one in row] for row in effects], [[one.error for one in row] for row in effects]


def _amplified(report: BrandSetReport, brand: str, other: str, quantity: str) -> Effect:
    amplified = (other,) if quantity == "rival_only" else tuple(n for n in report.brands if n in (brand, other))
    return report.effect(amplified, brand, SOLD)
