"""Crosstalk of one brand set as numbers: its neurons' geometry, exposure and user loss under every subset."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from rich.table import Table

from auctionsim.experiments.running.geometry import Geometry, geometry_from
from auctionsim.experiments.running.subsets import subsets
from auctionsim.substrates import MeasuredList
from auctionsim.substrates.measurements import REPLICATES


class Effect(NamedTuple):
    """One number with and without rivals.

    Attributes:
        category: The brand set.
        amplified: Names of the brands that are amplified.
        brand: Whose exposure it is; None for the user loss.
        quantity: A feature, or user_loss.
        mean: Over contexts and both replicates.
        error: Its standard error.
        n: Fewest prompts or replies behind such a mean.
    """

    category: str
    amplified: tuple[str, ...]
    brand: str | None
    quantity: str
    mean: float
    error: float
    n: int


class BrandSetReport(NamedTuple):
    """One brand set.

    Attributes:
        category: What is sold.
        brands: Names.
        geometry: Of the untouched model.
        effects: Of every combination.
    """

    category: str
    brands: tuple[str, ...]
    geometry: Geometry
    effects: tuple[Effect, ...]

    def effect(self, amplified: Sequence[str], brand: str | None, quantity: str) -> Effect:
        """Return one of the effects."""
        wanted = (tuple(amplified), brand, quantity)
        return next(e for e in self.effects if (e.amplified, e.brand, e.quantity) == wanted)


def brand_set_report(measured: MeasuredList) -> BrandSetReport:
    """Read a brand set off its measured subsets.

    Raises:
        ValueError: The list says nothing of its neurons' geometry.
    """
    known = measured.provenance
    names = tuple(names[0] for names in known["brands"])
    matrices = geometry_from(known.get("geometry", {}))
    return BrandSetReport(known["category"], names, matrices, tuple(_effects(known["category"], names, measured)))


def _effects(category: str, names: tuple[str, ...], measured: MeasuredList) -> Iterator[Effect]:
    views = [measured.sell(*measured.measured_features).replicate(name) for name in REPLICATES]
    listed = measured.allocations
    active = (listed[:, :, 1] != 1.0) & (listed[:, :, 0] != 0.0)
    exposure = torch.stack([view.exposure(listed) for view in views]).mean(0)
    loss = torch.stack([view.user_loss(listed) for view in views]).mean(0)
    spread = [view.standard_error(listed) for view in views]
    exposure_error = torch.stack([error.exposure.square() for error in spread]).sum(0).sqrt() / len(views)
    loss_error = torch.stack([error.user_loss.square() for error in spread]).sum(0).sqrt() / len(views)
    draws = {quantity: measured.fewest_draws(quantity) for quantity in (*measured.measured_features, "user_loss")}
    for row, on in enumerate(active.tolist()):
        amplified = tuple(name for name, is_on in zip(names, on, strict=True) if is_on)
        for k, feature in enumerate(measured.measured_features):
            for i, name in enumerate(names):
                values = float(exposure[row, i, k]), float(exposure_error[row, i, k])
                yield Effect(category, amplified, name, feature, *values, draws[feature])
        lost = float(loss[row]), float(loss_error[row])
        yield Effect(category, amplified, None, "user_loss", *lost, draws["user_loss"])


def brand_set_tables(report: BrandSetReport) -> Iterator[Table]:
    """Yield the matrices of one brand set, then every combination's exposure and loss."""
    table = Table(title=f"{report.category}: in the untouched model, brand against brand")
    table.add_column("brand")
    for title in (
        "cos attribution",
        "cos activation",
        "cos write",
        "Jaccard",
        "∂log P(column)/∂log amplification(row)",
    ):
        table.add_column(title)
    for i, name in enumerate(report.brands):
        table.add_row(name, *(" ".join(f"{v:+.2f}" for v in matrix[i].tolist()) for matrix in report.geometry))
    yield table
    features = list(dict.fromkeys(effect.quantity for effect in report.effects))
    table = Table(title=f"{report.category}: exposure under every combination")
    for title in ("amplified", "brand", *features):
        table.add_column(title, justify="left" if title in ("amplified", "brand") else "right")
    for chosen in subsets(len(report.brands)):
        amplified = [report.brands[i] for i in chosen]
        for brand in (*report.brands, None):
            own = {e.quantity: e for e in report.effects if (list(e.amplified), e.brand) == (amplified, brand)}
            cells = (f"{own[f].mean:.3f} ± {own[f].error:.3f}" if f in own else "" for f in features)
            table.add_row("+".join(amplified) or "none", brand or "user", *cells)
    yield table
