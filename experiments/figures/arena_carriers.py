"""The figure of carriers: how often the brand is named over what the reply pays, a line a carrier."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from auctionsim.experiments.figures.sheets import MARKS, saved, sheet
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.loss_matrix import rows_of
from auctionsim.readings.registry import reading

_COLOURS = 10
_WIDEST = 5.0  # nats a reply: the caps lie below


def draw_frontiers(frontier: Sequence[Row], labels: Mapping[str, str], path: Path) -> None:
    """Draw frontiers on B through the corners that were designed on A, a row of panels a cost, a column a brand.

    Args:
        frontier: Corners by category, brand, carrier and cost.
        labels: Of the carriers.
        path: Of the picture.
    """
    brands = list(dict.fromkeys((row["category"], row["brand"]) for row in frontier))
    costs = list(dict.fromkeys(row["against"] for row in frontier))
    carriers = list(dict.fromkeys(row["carrier"] for row in frontier))
    figure, axes = sheet(len(costs), len(brands), (4.2 * len(brands), 3.9 * len(costs) + 0.8))
    for line, cost in enumerate(costs):
        for column, (category, brand) in enumerate(brands):
            panel = axes[line][column]
            for k, carrier in enumerate(carriers):
                own = rows_of(
                    frontier,
                    {"category": category, "brand": brand, "carrier": carrier, "against": cost, "replicate": "B"},
                )
                x, y = [row[cost] for row in own], [row["named"] for row in own]
                errors = [
                    [row["named"] - row["named_low"] for row in own],
                    [row["named_high"] - row["named"] for row in own],
                ]
                panel.errorbar(
                    x,
                    y,
                    errors,
                    marker=MARKS[k % len(MARKS)],
                    color=f"C{k % _COLOURS}",
                    linestyle="-" if k < _COLOURS else "--",
                    elinewidth=0.5,
                    markersize=4,
                    linewidth=1,
                    label=labels[carrier],
                )
            if cost == "reply_kl":
                panel.set_xlim(-0.15, _WIDEST)
            panel.set(title=f"{brand} ({category})", xlabel=_axis(cost), ylabel="named on B", ylim=(-0.03, 1.03))
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=5, fontsize=8)
    saved(figure, path)


def _axis(cost: str) -> str:
    return {
        "reply_kl": f"reply_kl on B, {reading('reply_kl').unit}",
        "quality": "rise of quality's probability of a bad reply on B",
    }[cost]
