"""Sheets of panels: opened without a display, saved whole, closed."""

from pathlib import Path
from typing import Any

from auctionsim.files import replacing

MARKS = "osD^vPX*"


def sheet(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    return figure, axes


def saved(figure: Any, path: Path) -> None:
    import matplotlib.pyplot as plt

    with replacing(path) as draft:
        figure.savefig(draft, dpi=100, format="png")
    plt.close(figure)
