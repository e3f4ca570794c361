"""The figures of trust: AUC of every score by kind of failure; predicted against observed share of bad replies."""

from collections.abc import Sequence
from pathlib import Path

from auctionsim.experiments.figures.sheets import MARKS, saved, sheet
from auctionsim.experiments.running.run import Row

KINDS = ("loops", "drift", "broken", "all")


def draw_agreement(scores: Sequence[Row], path: Path) -> None:
    """Draw the AUC of every score with its interval, a panel a kind of failure; full where the gate is passed."""
    names = list(dict.fromkeys(row["reading"] for row in scores))
    figure, axes = sheet(1, len(KINDS), (3.6 * len(KINDS) + 2, 0.28 * len(names) + 1.6))
    for panel, kind in zip(axes[0], KINDS, strict=True):
        for row in (row for row in scores if row["kind"] == kind and row["auc"] is not None):
            reach = [[row["auc"] - row["auc_low"]], [row["auc_high"] - row["auc"]]]
            face = "C0" if row["passed"] else "white"
            place = len(names) - names.index(row["reading"])
            panel.errorbar(row["auc"], place, xerr=reach, fmt="o", color="C0", markerfacecolor=face, markersize=4)
        panel.axvline(0.5, color="grey", linewidth=0.7)
        panel.axvline(0.6, color="grey", linewidth=0.7, linestyle=":")
        panel.set(title=kind, xlabel="AUC", xlim=(0, 1.02), ylim=(0.3, len(names) + 0.7))
        panel.set_yticks([])
    axes[0][0].set_yticks(range(len(names), 0, -1), names, fontsize=7)
    saved(figure, path)


def draw_reliability(rows: Sequence[Row], path: Path) -> None:
    """Draw the observed share of bad replies over the predicted one, a colour a category; area by replies."""
    figure, axes = sheet(1, 1, (5.5, 5.0))
    panel = axes[0][0]
    panel.plot([0, 1], [0, 1], color="grey", linewidth=0.7)
    for k, category in enumerate(dict.fromkeys(row["category"] for row in rows)):
        own = [row for row in rows if row["category"] == category]
        x, y, sizes = ([row[name] for row in own] for name in ("predicted", "observed", "num_replies"))
        panel.plot(x, y, color=f"C{k}", linewidth=0.6)
        panel.scatter(x, y, s=[4 * size for size in sizes], color=f"C{k}", marker=MARKS[k % 8], label=category)
    panel.set(xlabel="predicted probability of a bad reply", ylabel="share that is bad, kept out of the fit")
    panel.legend(fontsize=8)
    saved(figure, path)
