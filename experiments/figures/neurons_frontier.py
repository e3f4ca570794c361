"""Figures of two ways to choose neurons: revenue, or a brand's lift, over user loss."""

from collections.abc import Sequence
from pathlib import Path

from auctionsim.experiments.figures.sheets import saved, sheet
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.mechanisms import AFFINE, OPTIMUM
from auctionsim.substrates.measurements import REPLICATES
from auctionsim.substrates.protocol import ChargedLoss


def draw_frontiers(points: Sequence[Row], path: Path, loss: ChargedLoss) -> None:
    """Draw one panel a mechanism, one colour a surface, over the user's loss."""
    figure, axes = sheet(1, 2, (13, 5.5))
    for panel, mechanism in zip(axes.flat, (OPTIMUM, AFFINE), strict=True):
        for k, surface in enumerate(dict.fromkeys(row["surface"] for row in points)):
            for replicate, dash in zip(REPLICATES, ("-", "--"), strict=True):
                key = (mechanism, surface, replicate)
                own = [row for row in points if (row["mechanism"], row["surface"], row["replicate"]) == key]
                columns = ("user_loss", "revenue", "user_loss_standard_error", "revenue_standard_error")
                x, y, dx, dy = ([row[name] for row in own] for name in columns)
                style = {"linestyle": dash, "marker": "os"[k], "markersize": 4, "color": f"C{k}"}
                panel.errorbar(x, y, xerr=dx, yerr=dy, elinewidth=0.8, label=f"{surface}, {replicate}", **style)
                for row in own if replicate == "A" else ():
                    where = (row["user_loss"], row["revenue"])
                    panel.annotate(
                        f"{row['user_weight']:g}", where, fontsize=7, xytext=(3, -9), textcoords="offset points"
                    )
        panel.set(title=f"{mechanism}, by user weight", xlabel=f"user loss ({loss})", ylabel="revenue")
        panel.set_xlim(left=min(0.0, *panel.get_xlim()))
        panel.set_ylim(bottom=0)
        panel.legend(fontsize=8)
    saved(figure, path)


def draw_singles(singles: Sequence[Row], path: Path, loss: ChargedLoss) -> None:
    """Draw one panel a brand: lift over user loss."""
    brands = list(dict.fromkeys(row["brand"] for row in singles))
    figure, axes = sheet(1, len(brands), (6 * len(brands), 4.5))
    for panel, brand in zip(axes.flat, brands, strict=True):
        for k, surface in enumerate(dict.fromkeys(row["surface"] for row in singles)):
            own = [row for row in singles if (row["surface"], row["brand"]) == (surface, brand)]
            columns = ("user_loss", "lift", "user_loss_standard_error", "lift_standard_error")
            x, y, dx, dy = ([row[name] for row in own] for name in columns)
            panel.errorbar(
                x, y, xerr=dx, yerr=dy, fmt="os"[k], markersize=4, color=f"C{k}", elinewidth=0.8, label=surface
            )
            for row in own:
                where = (row["user_loss"], row["lift"])
                panel.annotate(row["setting"], where, fontsize=6, xytext=(4, -7), textcoords="offset points")
        panel.set(title=brand, xlabel=f"user loss ({loss})", ylabel="lift of what is sold, rivals untouched")
        panel.legend(fontsize=8)
    saved(figure, path)
