"""The figure of learned bids: revenue over user loss, from truth to what was learned."""

from collections.abc import Sequence
from pathlib import Path

from auctionsim.experiments.figures.sheets import MARKS, saved, sheet
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.bidders_study import play_over_seeds, surface_names


def draw(plays: Sequence[Row], path: Path) -> None:
    """Draw one panel a user weight and learner: an arrow a mechanism, from truth to what was learned."""
    own = [row for row in plays if row["replicate"] == "B"]
    weights, learners = (list(dict.fromkeys(row[column] for row in own)) for column in ("user_weight", "learner"))
    figure, axes = sheet(len(learners), len(weights), (6.5 * len(weights), 5 * len(learners)))
    panels = [(learner, weight) for learner in learners for weight in weights]
    for panel, (learner, weight) in zip(axes.flat, panels, strict=True):
        for k, name in enumerate(surface_names(plays)):
            key = {"user_weight": weight, "mechanism": name, "learner": learner}
            ends = [
                [play_over_seeds(plays, play, quantity, key) for quantity in ("user_loss", "revenue")]
                for play in ("truth", "learned")
            ]
            (x0, y0), (x1, y1) = ends
            colour, mark = f"C{k}", MARKS[k % len(MARKS)]
            panel.plot(x0.mean, y0.mean, mark, color=colour, fillstyle="none", markersize=8)
            bars = {
                "xerr": [[x1.mean - x1.low], [x1.high - x1.mean]],
                "yerr": [[y1.mean - y1.low], [y1.high - y1.mean]],
            }
            panel.errorbar(x1.mean, y1.mean, **bars, fmt=mark, color=colour, elinewidth=0.8, label=name)
            arrow = {"arrowstyle": "->", "color": colour}
            panel.annotate("", (x1.mean, y1.mean), (x0.mean, y0.mean), arrowprops=arrow)
        panel.set(title=f"user weight {weight:g}, {learner}", xlabel="user loss", ylabel="revenue")
    axes.flat[0].legend(fontsize=8)
    saved(figure, path)
