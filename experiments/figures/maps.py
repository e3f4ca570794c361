"""Heat maps: a panel a pair of brands and a brand."""

import itertools
from pathlib import Path

import numpy as np

from auctionsim.experiments.figures.sheets import saved, sheet
from auctionsim.experiments.running.run import Row


def draw(cells: list[Row], title: str, path: Path, written: int) -> None:
    """Draw one panel a pair and brand."""
    panels = list(dict.fromkeys((row["pair"], row["brand"]) for row in cells))
    columns = len(dict.fromkeys(brand for _, brand in panels))
    rows = len(panels) // columns
    figure, axes = sheet(rows, columns, (4.6 * columns, 3.9 * rows))
    lowest = min(0.0, *(row["mean"] for row in cells))  # a loss may be negative: the user gains
    highest = max(0.0, *(row["mean"] for row in cells))
    if lowest == highest:
        highest = 1.0
    for panel, (pair, brand) in zip(axes.flat, panels, strict=True):
        own = [row for row in cells if (row["pair"], row["brand"]) == (pair, brand)]
        down, across = (list(dict.fromkeys(row[name] for row in own)) for name in ("down", "across"))
        values, errors = np.full((2, len(down), len(across)), np.nan)
        for row in own:
            place = down.index(row["down"]), across.index(row["across"])
            values[place], errors[place] = row["mean"], row["standard_error"]
        image = panel.imshow(values, vmin=lowest, vmax=highest, cmap="viridis", aspect="auto")
        for i, j in itertools.product(range(len(down)), range(len(across))):
            if max(values.shape) <= written and np.isfinite(values[i, j]):
                shade = "white" if values[i, j] < lowest + 0.6 * (highest - lowest) else "black"
                label = f"{values[i, j]:.2f}\n±{errors[i, j]:.2f}"
                panel.text(j, i, label, ha="center", va="center", fontsize=6, color=shade)
        first, second = pair.split(", ")
        panel.set(title=f"{brand} (n = {own[0]['n']} a cell)", ylabel=first, xlabel=second)
        panel.set_xticks(range(len(across)), across, rotation=60, fontsize=7)
        panel.set_yticks(range(len(down)), down, fontsize=7)
        figure.colorbar(image, ax=panel, shrink=0.8)
    figure.suptitle(title)
    saved(figure, path)
