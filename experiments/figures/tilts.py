"""The figures of tilts: true value over KL spent, and what is left of variety over reward."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from auctionsim.experiments.figures.sheets import MARKS, saved, sheet
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.running.tilt_auctions import REFERENCE
from auctionsim.experiments.running.tilt_policies import DIVERGENCES

COLUMNS = 4
PANELS = (
    ("vendi_of_law", "Vendi score of the law"),
    ("vendi_of_set", "Vendi score of a set"),
    ("self_bleu", "self-BLEU"),
)


def draw_values(tables: Sequence[Row], curves: Sequence[Row], path: Path) -> None:
    """Draw true value over KL spent, a panel a table and a case of real replies."""
    named = [{**row, "case": row["table"]} for row in tables] + list(curves)
    cases = list(dict.fromkeys(row["case"] for row in named))
    lines = -(-len(cases) // COLUMNS)
    figure, axes = sheet(lines, COLUMNS, (4.4 * COLUMNS, 3.6 * lines))
    panels = [panel for line in axes for panel in line]
    for panel in panels[len(cases) :]:
        panel.set_axis_off()
    for panel, case in zip(panels, cases, strict=False):
        own = [row for row in named if row["case"] == case]
        _curves(panel, own, "kl", "value")
        known = [row for row in own if row.get("gain") is not None]
        if known:
            panel.axhline(known[0]["value"] - known[0]["gain"], color="grey", linewidth=0.7)
        panel.set(xlabel="KL spent, natural logarithm", ylabel="true value")
        panel.set_title(case, fontsize=9)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=8, fontsize=8)
    saved(figure, path)


def draw_diversity(tilts: Sequence[Row], levers: Sequence[Row], path: Path) -> None:
    """Draw what is left of variety, a row of panels a list: over reward for laws, over exposure beside the levers."""
    lists = list(dict.fromkeys(row["list"] for row in tilts))
    figure, axes = sheet(max(1, len(lists)), len(PANELS), (4.8 * len(PANELS), 3.8 * max(1, len(lists))))
    for line, name in zip(axes, lists, strict=False):
        own = [row for row in tilts if row["list"] == name]
        settings = [row for row in levers if row["list"] == name]
        for panel, (axis, label) in zip(line, PANELS, strict=True):
            over = "reward" if axis == "vendi_of_law" else "exposure"
            _curves(panel, own, over, axis)
            rest = next(row for row in own if row["family"] == REFERENCE)
            panel.scatter([rest[over]], [rest[axis]], marker="x", color="black", zorder=3)
            if axis != "vendi_of_law":
                panel.scatter(
                    [row[over] for row in settings], [row[axis] for row in settings], marker="*", color="grey"
                )
            panel.set(title=name, xlabel=f"{over} a reply", ylabel=label)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=8, fontsize=8)
    saved(figure, path)


def _curves(panel: Any, rows: Sequence[Row], x: str, y: str) -> None:
    families = [family for family in dict.fromkeys(row["family"] for row in rows) if family != REFERENCE]
    for k, family in enumerate(families):
        own = [
            row for row in rows if row["family"] == family and row.get("beta", 0) is not None
        ]  # no reference of its own
        panel.plot(
            [row[x] for row in own],
            [row[y] for row in own],
            color=f"C{k}",
            marker=MARKS[k % len(MARKS)],
            markersize=4,
            linewidth=1.0,
            linestyle="-" if family in DIVERGENCES else ":",
            label=family,
        )
