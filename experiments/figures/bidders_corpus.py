"""The figure of the reference corpus: how far each learner is from an equilibrium, environment by environment."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from auctionsim.experiments.figures.sheets import MARKS, saved, sheet
from auctionsim.experiments.learners import CorpusLearner
from auctionsim.experiments.running.run import Row

FLOOR = 1e-5
"""The least share that is drawn: the axis is logarithmic, and a search can come out below 0."""


def draw_exploitability(
    summary: Sequence[Row], learners: Mapping[str, CorpusLearner], tolerance: float, path: Path
) -> None:
    """Draw exploitability as a share of what exposure is worth, with intervals over seeds and the tolerance.

    Args:
        summary: A row for each environment and learner.
        learners: By name.
        tolerance: Below which an equilibrium counts as found.
        path: Of the PNG.
    """
    environments = list(dict.fromkeys(row["environment"] for row in summary))
    names = list(dict.fromkeys(row["learner"] for row in summary))
    figure, axes = sheet(1, 1, (1.5 + 1.4 * len(environments), 5))
    panel = axes.flat[0]
    for k, name in enumerate(names):
        own = [row for row in summary if row["learner"] == name]
        places = [environments.index(row["environment"]) + (k - (len(names) - 1) / 2) * 0.08 for row in own]
        middle, low, high = (
            [max(row[f"exploitability{end}"] / row["worth"], FLOOR) for row in own] for end in ("", "_low", "_high")
        )
        high = [b if math.isfinite(b) else m for m, b in zip(middle, high, strict=True)]  # of one seed nothing is told
        bars = [[m - a for m, a in zip(middle, low, strict=True)], [b - m for m, b in zip(middle, high, strict=True)]]
        label = learners[name].label if name in learners else name
        mark = MARKS[k % len(MARKS)]
        panel.errorbar(places, middle, yerr=bars, fmt=mark, color=f"C{k}", elinewidth=0.8, label=label)
    panel.axhline(tolerance, color="grey", linestyle=":")
    panel.set_yscale("log")
    panel.set_xticks(range(len(environments)))
    panel.set_xticklabels([one.removeprefix("auctionsim/").removesuffix("-v0") for one in environments], rotation=20)
    panel.set(ylabel="exploitability / worth of exposure")
    panel.legend(fontsize=8, ncols=2)
    saved(figure, path)
