"""Cells of joint heat maps, and what a brand's levers do beside a rival's."""

import itertools
from collections.abc import Iterator
from typing import Any

import torch

from auctionsim.experiments.running.run import Row, markdown_table, with_error
from auctionsim.experiments.tables.stem_kinds import stem_kinds_prose
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.measurements import REPLICATES


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
                    "down": setting_text(settings[picked[0]]),
                    "across": setting_text(settings[picked[-1]]),
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


def setting_text(setting: torch.Tensor) -> str:
    """Write a setting: "256×1.5", and "off" for the null."""
    values = setting.tolist()
    is_null = values[-1] == 1.0 or (len(values) > 1 and values[0] == 0.0)
    return "off" if is_null else "×".join(f"{value:g}" for value in values)


def prose(name: str, surface: ResponseSurface, brands: tuple[str, ...], cells: list[Row]) -> str:
    """Say what a brand's own levers do, and what is left of it when a rival is at its strongest too."""
    strongest = setting_text(lever_settings(surface)[-1])
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
                cell = _beside_rival(cells, quantity, brand, brands, index, own, rival)
                row[label] = "–" if cell is None else with_error(cell["mean"], cell["standard_error"])
            rows.append(row)
    n = {row["quantity"]: row["n"] for row in cells}
    counted = ", ".join(f"{name} {count}" for name, count in n.items())
    known: dict[str, Any] = surface.provenance
    words = (
        f"Every joint setting of two brands' levers on `{name}`, measured on",
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
