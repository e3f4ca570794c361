"""The figure of reply counts: deployed regret and share over the samples per cell."""

from collections.abc import Sequence
from pathlib import Path

from auctionsim.experiments.figures.sheets import MARKS, saved, sheet
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.reply_counts import mechanism_names
from auctionsim.scoring.pooling import NORMAL


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw deployed regret and the share of B's optimum over the count, a column a feature."""
    features = list(dict.fromkeys(row["feature"] for row in rows))
    figure, axes = sheet(2, len(features), (6.5 * len(features), 8))
    for column, feature in enumerate(features):
        own = [row for row in rows if row["feature"] == feature]
        for line, (quantity, title) in enumerate(
            (("regret", "mean deployed regret"), ("objective_share", "share of B's optimum"))
        ):
            panel = axes[line][column]
            for k, name in enumerate(mechanism_names(own)):
                known = [row for row in own if row["mechanism"] == name and row[quantity] is not None]
                panel.errorbar(
                    [row["count"] for row in known],
                    [row[quantity] for row in known],
                    yerr=[NORMAL * row[f"{quantity}_standard_error"] for row in known],
                    color=f"C{k}",
                    marker=MARKS[k],
                    markersize=5,
                    elinewidth=0.8,
                    label=name,
                )
            panel.set_xscale("log", base=2)
            panel.axhline(float(quantity == "objective_share"), color="grey", linewidth=0.5)
            panel.set(title=feature, xlabel="samples per cell of A", ylabel=title)
    axes[0][0].legend(fontsize=8)
    saved(figure, path)
