"""Joint heat maps of a measured surface (the paper's Figs. 2, 3 and 6): each brand's exposure over two brands' levers.

auctionsim surface maps running-shoes-2@3 --out runs/maps
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from auctionsim.experiments.figures.maps import draw
from auctionsim.experiments.running.measured import brand_names
from auctionsim.experiments.running.run import Row, Run, Section
from auctionsim.experiments.tables.maps import prose, quantity_cells
from auctionsim.substrates import ResponseSurface


@dataclass(frozen=True)
class MapSettings:
    """What is drawn.

    Attributes:
        surface: Its name, for titles and run.json.
        folder: Run folder.
        features: Which features have a figure; none: every measured one.
        loss: The user's loss that has a figure: a name, or weights such as "kl-.5*length".
        written: Cells a side up to which each number is written into its cell.
    """

    surface: str
    folder: Path
    features: tuple[str, ...] = ()
    loss: str = "kl"
    written: int = 7


class Maps(NamedTuple):
    """What was drawn.

    Attributes:
        cells: One row a pair, cell, quantity and brand: mean over contexts and replicates, standard error, n.
        section: Of the results.
    """

    cells: tuple[Row, ...]
    section: Section


def main(settings: MapSettings, surface: ResponseSurface, command: str, console: Console) -> Maps:
    """Draw a figure a feature and one of the user's loss, and write the cells.

    Args:
        settings: What to draw.
        surface: One to three brands, every feature.
        command: What the user typed, for run.json.
        console: Told where it all is.
    Raises:
        ValueError: A feature or a loss that was not measured.
    """
    features = settings.features or surface.measured_features
    surface = surface.sell(*features, loss=settings.loss)
    run = Run(settings.folder, settings, {"surface": surface.digest})
    run.begin(command)
    brands = brand_names(surface)
    cells = [row for quantity in (*features, "user_loss") for row in quantity_cells(surface, brands, quantity)]
    figures = {}
    for quantity in (*features, "user_loss"):
        own = [row for row in cells if row["quantity"] == quantity]
        figures[f"{quantity}.png"] = f"{quantity} on {settings.surface}: mean of A and B over contexts"
        unit = surface.charged_loss if quantity == "user_loss" else surface.units[quantity]
        draw(own, f"{quantity}, {unit} ({settings.surface})", settings.folder / f"{quantity}.png", settings.written)
    section = Section(f"Heat maps: {settings.surface}", prose(settings.surface, surface, brands, cells), figures)
    run.finish({"cells": cells}, section, command=command, console=console)
    return Maps(tuple(cells), section)
