"""Joint heat maps of a measured surface (the paper's Figs. 2, 3 and 6): each brand's exposure over two brands' levers.

auctionsim surface maps running-shoes-2@3 --out runs/maps
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console

from auctionsim.experiments.figures.compare import saved, sheet
from auctionsim.experiments.running.run import Row, Run, Section, markdown_table, with_error
from auctionsim.experiments.studies.compare import brand_names
from auctionsim.experiments.tables.stem_kinds import stem_kinds_prose
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.measurements import REPLICATES


@dataclass(frozen=True)
class MapSettings:
    """What is drawn.

    Attributes:
        surface: Its name, for titles and run.json.
        folder: Run folder.
        features: Which features have a figure; none: every measured one.
        written: Cells a side up to which each number is written into its cell.
    """

    surface: str
    folder: Path
    features: tuple[str, ...] = ()
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
        ValueError: A feature that was not measured.
    """
    features = settings.features or surface.measured_features
    surface.sell(*features)
    run = Run(settings.folder, settings, {"surface": surface.digest})
    run.begin(command)
    brands = brand_names(surface)
    cells = [row for quantity in (*features, "user_loss") for row in quantity_cells(surface, brands, quantity)]
    figures = {}
    for quantity in (*features, "user_loss"):
        own = [row for row in cells if row["quantity"] == quantity]
        figures[f"{quantity}.png"] = f"{quantity} on {settings.surface}: mean of A and B over contexts"
        draw(own, f"{quantity} ({settings.surface})", settings.folder / f"{quantity}.png", settings.written)
    section = Section(f"Heat maps: {settings.surface}", prose(settings, surface, brands, cells), figures)
    run.finish({"cells": cells}, section, command=command, console=console)
    return Maps(tuple(cells), section)


def quantity_cells(surface: ResponseSurface, brands: tuple[str, ...], quantity: str) -> Iterator[Row]:
    """Yield every cell of every pair of brands, the others at null: means over contexts and both replicates."""
    views = [surface.sell(*surface.measured_features).replicate(name) for name in REPLICATES]
    settings = lever_settings(surface)
    for down, across in list(itertools.combinations(range(len(brands)), 2)) or [(0, 0)]:
        grid = list(itertools.product(range(len(settings)), repeat=2 if down != across else 1))
        allocation = surface.null_allocation(len(grid), dtype=torch.float64)
        for row, picked in enumerate(grid):
            allocation[row, down] = settings[picked[0]]
            allocation[row, across] = settings[picked[-1]]
        errors = [view.standard_error(allocation) for view in views]
        if quantity == "user_loss":
            mean = torch.stack([view.user_loss(allocation) for view in views]).mean(0).unsqueeze(1)
            error = torch.stack([one.user_loss.square() for one in errors]).sum(0).sqrt().unsqueeze(1) / len(views)
        else:
            index = surface.measured_features.index(quantity)
            mean = torch.stack([view.exposure(allocation)[..., index] for view in views]).mean(0)
            error = torch.stack([one.exposure[..., index].square() for one in errors]).sum(0).sqrt() / len(views)
        draws = surface.fewest_draws(quantity)
        for row, picked in enumerate(grid):
            for column in range(mean.shape[1]):
                yield {
                    "pair": f"{brands[down]}, {brands[across]}",
                    "down": said(settings[picked[0]]),
                    "across": said(settings[picked[-1]]),
                    "quantity": quantity,
                    "brand": "user" if quantity == "user_loss" else brands[column],
                    "mean": float(mean[row, column]),
                    "standard_error": float(error[row, column]),
                    "n": draws,
                }


def lever_settings(surface: ResponseSurface) -> torch.Tensor:
    """Return one bidder's settings (setting, lever), the null first, none of the same meaning twice."""
    axes = [torch.tensor(grid.values, dtype=torch.float64) for grid in surface.grids]
    nulls = torch.tensor([grid.null for grid in surface.grids], dtype=torch.float64)
    every = torch.cartesian_prod(*axes).view(-1, len(axes))
    active = every[(every != nulls).all(1)]
    return torch.cat([nulls.unsqueeze(0), active])


def said(setting: torch.Tensor) -> str:
    """Write a setting: "256×1.5", and "off" for the null."""
    values = setting.tolist()
    is_null = values[-1] == 1.0 or (len(values) > 1 and values[0] == 0.0)
    return "off" if is_null else "×".join(f"{value:g}" for value in values)


def draw(cells: list[Row], title: str, path: Path, written: int) -> None:
    """Draw one panel a pair and brand."""
    panels = list(dict.fromkeys((row["pair"], row["brand"]) for row in cells))
    columns = len(dict.fromkeys(brand for _, brand in panels))
    rows = len(panels) // columns
    figure, axes = sheet(rows, columns, (4.6 * columns, 3.9 * rows))
    highest = max(row["mean"] for row in cells) or 1.0
    for panel, (pair, brand) in zip(axes.flat, panels, strict=True):
        own = [row for row in cells if (row["pair"], row["brand"]) == (pair, brand)]
        down, across = (list(dict.fromkeys(row[name] for row in own)) for name in ("down", "across"))
        values, errors = np.full((2, len(down), len(across)), np.nan)
        for row in own:
            place = down.index(row["down"]), across.index(row["across"])
            values[place], errors[place] = row["mean"], row["standard_error"]
        image = panel.imshow(values, vmin=0, vmax=highest, cmap="viridis", aspect="auto")
        for i, j in itertools.product(range(len(down)), range(len(across))):
            if max(values.shape) <= written and np.isfinite(values[i, j]):
                shade = "white" if values[i, j] < 0.6 * highest else "black"
                said_here = f"{values[i, j]:.2f}\n±{errors[i, j]:.2f}"
                panel.text(j, i, said_here, ha="center", va="center", fontsize=6, color=shade)
        first, second = pair.split(", ")
        panel.set(title=f"{brand} (n = {own[0]['n']} a cell)", ylabel=first, xlabel=second)
        panel.set_xticks(range(len(across)), across, rotation=60, fontsize=7)
        panel.set_yticks(range(len(down)), down, fontsize=7)
        figure.colorbar(image, ax=panel, shrink=0.8)
    figure.suptitle(title)
    saved(figure, path)


def prose(settings: MapSettings, surface: ResponseSurface, brands: tuple[str, ...], cells: list[Row]) -> str:
    """Say what a brand's own levers do, and what is left of it when a rival is at its strongest too."""
    strongest = said(lever_settings(surface)[-1])
    rows: list[dict[str, str]] = []
    for quantity in dict.fromkeys(row["quantity"] for row in cells if row["quantity"] != "user_loss"):
        for index, brand in enumerate(brands):
            row = {"quantity": quantity, "brand": brand}
            for label, own, rival in (
                ("untouched", "off", "off"),
                ("alone at its strongest", strongest, "off"),
                ("only the rival at its strongest", "off", strongest),
                ("both at their strongest", strongest, strongest),
            ):
                found = _beside_rival(cells, quantity, brand, brands, index, own, rival)
                row[label] = "–" if found is None else with_error(found["mean"], found["standard_error"])
            rows.append(row)
    n = {row["quantity"]: row["n"] for row in cells}
    counted = ", ".join(f"{name} {count}" for name, count in n.items())
    known: dict[str, Any] = surface.provenance
    words = (
        f"Every joint setting of two brands' levers on `{settings.surface}`, measured on",
        f"{known.get('model', 'a model it does not name')}, the other brands at null; single-brand ablations are the",
        f"first row and column of each panel. Means over {len(surface.contexts)} contexts and replicates A and B,",
        f"± one standard error; draws a cell: {counted}. The strongest setting is {strongest}; the rival is the next",
        "brand.",
    )
    parts = [" ".join(words), markdown_table(rows), stem_kinds_prose(surface, brands, strongest)]
    return "\n\n".join(part for part in parts if part)


def _beside_rival(
    cells: list[Row], quantity: str, brand: str, brands: tuple[str, ...], index: int, own: str, rival: str
) -> Row | None:
    """Return the brand's cell beside its first rival, None where it has none."""
    other = brands[1] if index == 0 and len(brands) > 1 else brands[0]
    for row in cells:
        if (row["quantity"], row["brand"]) != (quantity, brand):
            continue
        pair = row["pair"].split(", ")
        if set(pair) == {brand, other} and len(brands) > 1:
            setting = {pair[0]: row["down"], pair[1]: row["across"]}
            if (setting[brand], setting[other]) == (own, rival):
                return row
    return None
