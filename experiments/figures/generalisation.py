"""The figure of generalisation: share and regret by context, with and without the context in the design."""

from collections.abc import Sequence
from pathlib import Path

from auctionsim.experiments.figures.sheets import saved, sheet
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.generalisation import KNOWN, MECHANISMS
from auctionsim.scoring.pooling import NORMAL


def draw(deployed: Sequence[Row], path: Path) -> None:
    """Draw share and regret by context: with the context in the design full, without it open."""
    surfaces = list(dict.fromkeys(row["surface"] for row in deployed))
    figure, axes = sheet(2, len(surfaces), (7.5 * len(surfaces), 8))
    for column, name in enumerate(surfaces):
        own = [row for row in deployed if row["surface"] == name]
        contexts = list(dict.fromkeys(row["context"] for row in own))
        for line, (quantity, title) in enumerate(
            (("objective_share", "share of B's own optimum"), ("regret", "regret on B"))
        ):
            panel = axes[line][column]
            for k, mechanism in enumerate(MECHANISMS):
                for is_known in (True, False):
                    rows = [
                        row
                        for row in own
                        if row["mechanism"] == mechanism
                        and (row["designed"] == KNOWN) == is_known
                        and row[quantity] is not None
                    ]
                    panel.errorbar(
                        [contexts.index(row["context"]) + 0.18 * (k - 1.5) + 0.06 * (not is_known) for row in rows],
                        [row[quantity] for row in rows],
                        yerr=[NORMAL * row[f"{quantity}_standard_error"] for row in rows],
                        fmt="o",
                        color=f"C{k}",
                        markerfacecolor=f"C{k}" if is_known else "white",
                        markersize=5,
                        elinewidth=0.8,
                        label=mechanism if is_known else f"{mechanism}, unseen",
                    )
            panel.axhline(float(quantity == "objective_share"), color="grey", linewidth=0.5)
            panel.set_xticks(range(len(contexts)), contexts)
            panel.set(title=name, ylabel=title)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    saved(figure, path)
