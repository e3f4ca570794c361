"""The figure of the study of logs: regret over the experiment's size."""

from collections.abc import Sequence
from pathlib import Path

from auctionsim.experiments.figures.sheets import MARKS, saved, sheet
from auctionsim.experiments.running.logs_regimes import CONTENDERS
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.logs_study import chosen, interval, label


def draw_sizes(rows: Sequence[Row], path: Path) -> None:
    """Draw mean regret over the experiment's size with 95 % bands, a row a world, a column a strength κ."""
    setups = list(dict.fromkeys(row["setup"] for row in rows))
    kappas = sorted({row["kappa"] for row in rows})
    figure, axes = sheet(len(setups), len(kappas), (4.2 * len(kappas), 3.2 * len(setups)))
    for line, setup in zip(axes, setups, strict=True):
        for panel, kappa in zip(line, kappas, strict=True):
            for name, mark in zip(CONTENDERS, MARKS, strict=False):
                own = chosen(rows, "estimator", {"setup": setup, "kappa": kappa, "estimator": name})
                sizes, bands = [row["randomised"] for row in own], [interval(row) for row in own]
                (drawn,) = panel.plot(sizes, [band.mean for band in bands], marker=mark, label=label(name))
                low, high = [max(band.low, 0.0) for band in bands], [band.high for band in bands]
                panel.fill_between(sizes, low, high, color=drawn.get_color(), alpha=0.12)
            panel.set(xscale="log", xlabel="randomised sessions", ylabel="regret")
            panel.set_title(f"{setup}, κ = {kappa:g}", fontsize=9)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    saved(figure, path)
