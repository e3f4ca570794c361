"""The figure of more bidders: numbers over n, a row of panels a user weight."""

from collections.abc import Sequence
from pathlib import Path

from auctionsim.experiments.figures.sheets import MARKS, saved, sheet
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.more_bidders import ITEMS, MECHANISMS, mean_of

PANELS = ("revenue", "user_loss", "objective_share", "regret")


def draw(sizes: Sequence[int], user_weights: Sequence[float], means: Sequence[Row], path: Path) -> None:
    """Draw one row of panels a user weight: numbers over n, on A."""
    figure, axes = sheet(len(user_weights), len(PANELS), (4.6 * len(PANELS), 4 * len(user_weights)))
    for line, weight in zip(axes, user_weights, strict=True):
        for panel, number in zip(line, PANELS, strict=True):
            key = {"user_weight": weight, "replicate": "A", "number": number}
            for k, name in enumerate((*MECHANISMS, *ITEMS)):
                own = [mean_of(means, {"n": n, "mechanism": name, **key}) for n in sizes]
                known = [row for row in own if row is not None]
                x, y, e = ([row[column] or 0.0 for row in known] for column in ("n", "mean", "standard_error"))
                style = {"color": "0.6", "linestyle": "--"} if name in ITEMS else {"color": f"C{k}"}
                panel.errorbar(x, y, yerr=e, marker=MARKS[k % len(MARKS)], markersize=4, label=name, **style)
            panel.set(title=f"{number.replace('_', ' ')}, user weight {weight:g}", xlabel="bidders")
            panel.set_xticks(sizes)
            if number == "objective_share":
                panel.set_ylim(max(panel.get_ylim()[0], -0.5), min(panel.get_ylim()[1], 2.0))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    saved(figure, path)
