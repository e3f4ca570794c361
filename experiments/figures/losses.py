"""The figures of named losses: each loss over mentions by cell, and revenue over each loss as its price grows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from auctionsim.experiments.figures.sheets import MARKS, saved, sheet
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.loss_cells import HITS, MENTIONS
from auctionsim.experiments.tables.loss_matrix import rows_of, total_error
from auctionsim.experiments.tables.mechanisms import OPTIMUM


def draw_cells(cells: Mapping[str, Sequence[Row]], path: Path) -> None:
    """Draw each loss over mentions a word, a row of panels a surface: A full, B open, a colour a context.

    Where no replies were kept, hits a reply stand in for mentions a word, as the axis says.
    """
    names = {surface: [n for n in _quantities(rows) if n not in (MENTIONS, HITS)] for surface, rows in cells.items()}
    figure, axes = sheet(
        len(cells), max(map(len, names.values())), (4.2 * max(map(len, names.values())), 3.8 * len(cells))
    )
    for line, (surface, rows) in enumerate(cells.items()):
        against = MENTIONS if MENTIONS in _quantities(rows) else HITS
        for panel in axes[line][len(names[surface]) :]:
            panel.set_axis_off()
        for panel, loss in zip(axes[line], names[surface], strict=False):
            for k, context in enumerate(dict.fromkeys(row["context"] for row in rows)):
                for replicate in "AB":
                    own = rows_of(rows, {"replicate": replicate, "context": context})
                    x, y = ([row["mean"] for row in rows_of(own, {"quantity": name})] for name in (against, loss))
                    face = f"C{k}" if replicate == "A" else "none"
                    label = f"{context}, {replicate}"
                    panel.scatter(x, y, s=12, facecolors=face, edgecolors=f"C{k}", linewidths=0.7, label=label)
            panel.axhline(0, color="grey", linewidth=0.5)
            panel.set(title=f"{surface}: {loss}", xlabel=against, ylabel=loss)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, fontsize=8)
    saved(figure, path)


def draw_curves(curves: Mapping[str, Sequence[Row]], path: Path) -> None:
    """Draw revenue over each loss on B, a row of panels a surface; a colour the loss that was designed on."""
    losses = {surface: list(dict.fromkeys(row["scored_on"] for row in rows)) for surface, rows in curves.items()}
    widest = max(map(len, losses.values()))
    figure, axes = sheet(len(curves), widest, (4.2 * widest, 3.8 * len(curves)))
    designs = list(dict.fromkeys(row["designed_on"] for rows in curves.values() for row in rows))
    drawn: dict[str, Any] = {}
    for line, (surface, rows) in enumerate(curves.items()):
        for panel in axes[line][len(losses[surface]) :]:
            panel.set_axis_off()
        for panel, loss in zip(axes[line], losses[surface], strict=False):
            for mechanism in dict.fromkeys(row["mechanism"] for row in rows):
                for k, designed in enumerate(designs):
                    own = rows_of(
                        rows, {"replicate": "B", "mechanism": mechanism, "designed_on": designed, "scored_on": loss}
                    )
                    own = sorted(own, key=lambda row: row["price"])
                    handle = panel.errorbar(
                        [row["loss"] for row in own],
                        [row["revenue"] for row in own],
                        xerr=[total_error(row, "loss") for row in own],
                        color=f"C{k}",
                        marker=MARKS[k % len(MARKS)],
                        markersize=4,
                        linewidth=1.0,
                        elinewidth=0.5,
                        linestyle="-" if mechanism == OPTIMUM else ":",
                    )
                    if own:
                        drawn.setdefault(f"{mechanism}, designed on {designed}", handle)
            unit = rows_of(rows, {"scored_on": loss})[0]["unit"]
            panel.set(title=surface, xlabel=f"{loss} on B, {unit}", ylabel="revenue")
    figure.legend(drawn.values(), drawn.keys(), loc="outside lower center", ncols=4, fontsize=7)
    saved(figure, path)


def _quantities(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["quantity"] for row in rows))
