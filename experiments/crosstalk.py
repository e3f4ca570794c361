"""What one brand's amplification does to another's exposure: angles, shared neurons, joint against single effects.

Every market (a category and two or three rivals) is identified by itself; then null, each brand alone and every
combination are measured on replicates A and B, with standard errors.
"""

import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.table import Table

from auctionsim.brands import Brand
from auctionsim.experiments.preparation import Stages, commit_or_none, slug
from auctionsim.experiments.subsets import geometry_from, kept_subsets
from auctionsim.files import replacing, write_text
from auctionsim.language_models import LanguageModel
from auctionsim.measurement import MeasurementSettings
from auctionsim.neurons.brand_neurons import package_versions
from auctionsim.neurons.crosstalk import Geometry, subsets
from auctionsim.neurons.methods import DEFAULT_METHOD
from auctionsim.prompts import PromptSet
from auctionsim.substrates import MeasuredList
from auctionsim.substrates.measurements import REPLICATES


@dataclass(frozen=True)
class CrosstalkSettings:
    """What is measured.

    Attributes:
        markets: Category and its rival brands, two or more each.
        folder: Run folder; a stopped measurement goes on from it.
        num_neurons: Of an amplified brand.
        amplification: Of an amplified brand.
        samples: Replies a prompt and combination.
        method: Of identification.
        seed: Of everything that is drawn.
    """

    markets: tuple[tuple[str, tuple[Brand, ...]], ...]
    folder: Path
    num_neurons: int = 512
    amplification: float = 1.5
    samples: int = 2
    method: str = DEFAULT_METHOD
    seed: int = 0

    def __post_init__(self) -> None:
        for category, brands in self.markets:
            if len(brands) < 2:
                raise ValueError(f"crosstalk takes two or more rivals, {category!r} has {len(brands)}")


class Effect(NamedTuple):
    """One number with and without rivals.

    Attributes:
        category: The market.
        amplified: Names of the brands that are amplified.
        brand: Whose exposure it is; None for the user loss.
        quantity: A feature, or user_loss.
        mean: Over contexts and both replicates.
        error: Its standard error.
    """

    category: str
    amplified: tuple[str, ...]
    brand: str | None
    quantity: str
    mean: float
    error: float


class MarketReport(NamedTuple):
    """One market.

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


def run(
    settings: CrosstalkSettings,
    model: LanguageModel,
    prompts_of: Callable[[str], PromptSet],
    command: str,
    console: Console,
) -> tuple[MarketReport, ...]:
    """Measure every market, print its tables and the summary over pairs and triples, write tables and run.json."""
    reports = []
    with Stages(console) as stages:
        for category, brands in settings.markets:
            reports.append(_market(settings, model, category, brands, prompts_of(category), command, stages))
    paper = console if console.is_terminal else Console(file=console.file, width=max(console.width, 140))
    for report in reports:
        for table in market_tables(report):
            paper.print(table)
    paper.print(summary_table(reports))
    _write(settings, reports, model, command)
    console.print(f"crosstalk: {settings.folder}", soft_wrap=True)
    return tuple(reports)


def _market(
    settings: CrosstalkSettings,
    model: LanguageModel,
    category: str,
    brands: tuple[Brand, ...],
    prompts: PromptSet,
    command: str,
    stages: Stages,
) -> MarketReport:
    counts = (0.0, float(settings.num_neurons)), (1.0, settings.amplification)
    plan = MeasurementSettings(*counts, samples=settings.samples, seed=settings.seed)
    provenance = {"category": category, "command": command, "commit": commit_or_none()}
    folder = settings.folder / slug(category)
    return market_report(kept_subsets(folder, model, brands, prompts, plan, settings.method, provenance, stages))


def market_report(measured: MeasuredList) -> MarketReport:
    """Read a market off its measured subsets.

    Raises:
        ValueError: The list says nothing of its neurons' geometry.
    """
    known = measured.provenance
    names = tuple(names[0] for names in known["brands"])
    found = geometry_from(known.get("geometry", {}))
    return MarketReport(known["category"], names, found, tuple(_effects(known["category"], names, measured)))


def _effects(category: str, names: tuple[str, ...], measured: MeasuredList) -> Iterator[Effect]:
    views = [measured.sell(*measured.measured_features).replicate(name) for name in REPLICATES]
    listed = measured.allocations
    active = (listed[:, :, 1] != 1.0) & (listed[:, :, 0] != 0.0)
    exposure = torch.stack([view.exposure(listed) for view in views]).mean(0)
    loss = torch.stack([view.user_loss(listed) for view in views]).mean(0)
    spread = [view.standard_error(listed) for view in views]
    exposure_error = torch.stack([error.exposure.square() for error in spread]).sum(0).sqrt() / len(views)
    loss_error = torch.stack([error.user_loss.square() for error in spread]).sum(0).sqrt() / len(views)
    for row, on in enumerate(active.tolist()):
        amplified = tuple(name for name, is_on in zip(names, on, strict=True) if is_on)
        for k, feature in enumerate(measured.measured_features):
            for i, name in enumerate(names):
                values = float(exposure[row, i, k]), float(exposure_error[row, i, k])
                yield Effect(category, amplified, name, feature, *values)
        yield Effect(category, amplified, None, "user_loss", float(loss[row]), float(loss_error[row]))


def market_tables(report: MarketReport) -> Iterator[Table]:
    """Yield the matrices of one market, then every combination's exposure and loss."""
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


def summary_table(reports: Sequence[MarketReport]) -> Table:
    """Return medians and ranges over all ordered pairs: what a rival's amplification leaves of a brand's own."""
    table = Table(title="over all pairs: median [lowest, highest]")
    table.add_column("quantity")
    table.add_column("pairs", justify="right")
    table.add_column("value", justify="right")
    pairs = [(r, i, j) for r in reports for i in range(len(r.brands)) for j in range(len(r.brands)) if i != j]
    for name in ("attribution_cosine", "activation_cosine", "write_cosine", "jaccard"):
        values = [float(getattr(r.geometry, name)[i, j]) for r, i, j in pairs if i < j]
        table.add_row(name.replace("_", " "), str(len(values)), _spread(values))
    values = [float(r.geometry.elasticity[i, j] / r.geometry.elasticity[i, i]) for r, i, j in pairs]
    table.add_row("elasticity of a rival's name / of the own", str(len(values)), _spread(values))
    features = [f for f in dict.fromkeys(e.quantity for r in reports for e in r.effects) if f != "user_loss"]
    for feature in features:
        kept, moved = [], []
        for report, i, j in pairs:
            a, b = report.brands[i], report.brands[j]
            both = tuple(name for name in report.brands if name in (a, b))
            null, own, joint, rival = (report.effect(x, a, feature).mean for x in ((), (a,), both, (b,)))
            if own > null:
                kept.append((joint - null) / (own - null))
            moved.append(rival - null)
        table.add_row(f"{feature}: lift kept when the rival is amplified too", str(len(kept)), _spread(kept))
        table.add_row(f"{feature}: change when only the rival is amplified", str(len(moved)), _spread(moved))
    sums = []
    for report, i, j in ((r, i, j) for r, i, j in pairs if i < j):
        a, b = report.brands[i], report.brands[j]
        joint = report.effect((a, b), None, "user_loss").mean
        sums.append(joint / sum(report.effect((name,), None, "user_loss").mean for name in (a, b)))
    table.add_row("user loss: joint / sum of singles", str(len(sums)), _spread(sums))
    triples = [r for r in reports if len(r.brands) >= 3]
    for feature in features:
        kept = []
        for report in triples:
            for brand in report.brands:
                null, own, every = (report.effect(x, brand, feature).mean for x in ((), (brand,), report.brands))
                if own > null:
                    kept.append((every - null) / (own - null))
        if kept:
            table.add_row(f"{feature}: lift kept when all rivals are amplified too", str(len(kept)), _spread(kept))
    return table


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "–"
    return f"{statistics.median(values):+.3f} [{min(values):+.3f}, {max(values):+.3f}]"


def _write(settings: CrosstalkSettings, reports: Sequence[MarketReport], model: LanguageModel, command: str) -> None:
    import pandas as pd

    effects = [{**e._asdict(), "amplified": "+".join(e.amplified)} for report in reports for e in report.effects]
    with replacing(settings.folder / "effects.parquet") as draft:
        pd.DataFrame(effects).to_parquet(draft)
    matrices = [
        {"category": report.category, "matrix": name, "row": a, "column": b, "value": float(matrix[i, j])}
        for report in reports
        for name, matrix in report.geometry._asdict().items()
        for i, a in enumerate(report.brands)
        for j, b in enumerate(report.brands)
    ]
    with replacing(settings.folder / "matrices.parquet") as draft:
        pd.DataFrame(matrices).to_parquet(draft)
    record: dict[str, Any] = {
        "command": command,
        "commit": commit_or_none(),
        "model": model.identity,
        "versions": package_versions(),
        "num_neurons": settings.num_neurons,
        "amplification": settings.amplification,
        "samples": settings.samples,
        "method": settings.method,
        "seed": settings.seed,
    }
    write_text(settings.folder / "run.json", json.dumps(record, indent=2, ensure_ascii=False))
