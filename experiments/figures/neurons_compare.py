"""The figure of identification methods: slot probability over neutral KL, and over user loss."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from auctionsim.experiments.figures.sheets import saved, sheet
from auctionsim.experiments.tables.neurons_compare import FrontierResult
from auctionsim.readings.neutral_kl import UNIT as NEUTRAL_UNIT
from auctionsim.readings.registry import reading


def draw_frontiers(result: FrontierResult, path: Path) -> None:
    """Draw each brand's best probability so far over neutral_kl (validation), and the test points over user loss."""
    brands = list(dict.fromkeys(row.brand for row in result.rows))
    methods = list(dict.fromkeys(row.method for row in result.rows))
    figure, axes = sheet(2, len(brands), (4 * len(brands), 7.5))
    for column, brand in enumerate(brands):
        for k, method in enumerate(methods):
            style = {"color": f"C{k % 10}", "linestyle": "-" if k < 10 else "--", "label": method}
            above, below = axes[0, column], axes[1, column]
            above.plot(*_staircase(result.cells[brand, method]), drawstyle="steps-post", **style)
            points = sorted(
                (row.reply.user_loss, row.choice.probability)
                for row in result.rows
                if (row.brand, row.method) == (brand, method) and row.reply is not None
            )
            if points:
                below.plot(*zip(*points, strict=True), marker="o", markersize=3, **style)
        axes[0, column].set(title=brand, xlabel=f"neutral_kl, {NEUTRAL_UNIT} (validation)", xscale="symlog")
        axes[0, column].set_xscale("symlog", linthresh=0.01)
        axes[1, column].set(xlabel=f"kl of replies, {reading('kl').unit} (test)")
    for row in axes:
        row[0].set_ylabel("slot probability")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(5, len(methods)), fontsize=8)
    for panel in axes.flat:
        panel.set_ylim(0, 1)
    saved(figure, path)


def _staircase(cells: Sequence[Any]) -> tuple[list[float], list[float]]:
    """Return the best probability at each neutral_kl or less."""
    xs, ys, best = [], [], 0.0
    for cell in sorted(cells, key=lambda cell: cell.neutral_kl):
        best = max(best, cell.probability)
        xs.append(cell.neutral_kl)
        ys.append(best)
    return xs, ys
