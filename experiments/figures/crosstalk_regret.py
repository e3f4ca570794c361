"""The figure of menus against crosstalk: regret and IR violation over measured crosstalk."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from auctionsim.experiments.figures.sheets import MARKS, saved, sheet
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.crosstalk_regret import MEASURES
from auctionsim.experiments.tables.mechanisms import AFFINE, MENU
from auctionsim.scoring.pooling import NORMAL


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw regret and IR violation over crosstalk, a column a user weight, a mark a source."""
    weights = list(dict.fromkeys(row["user_weight"] for row in rows))
    sources = list(dict.fromkeys(row["source"] for row in rows))
    figure, axes = sheet(2, len(weights), (6.5 * len(weights), 8.5))
    for line, (measure, title) in enumerate(MEASURES.items()):
        for column, weight in enumerate(weights):
            panel = axes[line][column]
            own = [row for row in rows if row["user_weight"] == weight]
            for k, source in enumerate(sources):
                _scatter(panel, [r for r in own if r["source"] == source], measure, MARKS[k % len(MARKS)], source)
            panel.axhline(0, color="grey", linewidth=0.5)
            panel.set(title=f"user weight {weight:g}", xlabel="crosstalk", ylabel=title)
    handles, labels = axes[0][0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
    saved(figure, path)


def _scatter(panel: Any, rows: Sequence[Row], measure: str, mark: str, source: str) -> None:
    for mechanism, colour, label in ((MENU, "C0", "menu"), (AFFINE, "C1", "affine maximizer")):
        known = [
            row
            for row in rows
            if row["mechanism"] == mechanism and row["crosstalk"] is not None and row[measure] is not None
        ]
        if known:
            panel.errorbar(
                [row["crosstalk"] for row in known],
                [row[measure] for row in known],
                xerr=[row["crosstalk_standard_error"] for row in known],
                yerr=[NORMAL * row[f"{measure}_standard_error"] for row in known],
                fmt=mark,
                color=colour,
                markersize=5,
                elinewidth=0.6,
                alpha=0.75,
                label=f"{label}: {source}",
            )
