"""Mechanism × prior × user weight × seed on one measured surface, each cell one Ray Tune trial, none stopped early."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from auctionsim.console import table_console
from auctionsim.errors import InputError
from auctionsim.experiments.running.designs import UNKEPT
from auctionsim.experiments.running.plan import defaults_of
from auctionsim.experiments.running.run import Run, Section, markdown_table
from auctionsim.experiments.running.tuning import (
    FINISHED,
    TABLES,
    Cluster,
    TuneStudy,
    claim,
    distinct,
    plain_settings,
    provenance,
    run_study,
)
from auctionsim.experiments.tables.compare import flat
from auctionsim.mechanisms.table import Problem
from auctionsim.priors import parse_priors, product
from auctionsim.report.wording import estimate as written
from auctionsim.scoring import ScoringSettings, compare, estimate
from auctionsim.scoring.records import titled
from auctionsim.substrates import ResponseSurface

AXES = ("mechanism", "prior", "user_weight", "seed")


@dataclass(frozen=True)
class GridSettings:
    """What is compared.

    Attributes:
        surface: Its name, for the claim and run.json.
        feature: What is sold.
        mechanisms: Names in the table of mechanisms.
        priors: Valuations, as `parse_priors` reads them.
        user_weights: λ, money per unit of the user loss.
        seeds: Of the design and of the profiles, the same for every mechanism.
        folder: Run folder.
        draws: Profiles for the means.
        regret_draws: Profiles among them on which regret is looked for.
        regret_budget: Misreports for each and bidder.
        quick: Whether learned mechanisms are trained by the quick recipe.
        cluster: Where trials run.
        loss: Which loss of the user is charged, as `Offer` reads it.
    """

    surface: str
    feature: str
    mechanisms: tuple[str, ...]
    priors: tuple[str, ...]
    user_weights: tuple[float, ...]
    seeds: tuple[int, ...]
    folder: Path
    draws: int = 4096
    regret_draws: int = 128
    regret_budget: int = 512
    quick: bool = False
    cluster: Cluster = field(default_factory=Cluster)
    loss: str = "kl"

    @property
    def cells(self) -> list[tuple[str, str, float, int]]:
        """Every combination, in the table's order."""
        return list(itertools.product(self.mechanisms, self.priors, self.user_weights, self.seeds))


def main(settings: GridSettings, surface: ResponseSurface, command: str, console: Console) -> list[dict[str, Any]]:
    """Run the grid's unfinished trials, print means over seeds, write trials.parquet, trials.csv and run.json.

    Args:
        settings: What to do.
        surface: Any number of bidders, all features.
        command: What the user typed, for run.json.
        console: Where progress and the table go.
    Returns:
        One record a cell of the grid, sorted by `AXES` as they were named.
    Raises:
        ValueError: Settings that do not fit, before anything is computed; see `run_study` for the rest.
    """
    sold = surface.sell(settings.feature, loss=settings.loss)
    _check(settings, sold)
    run = Run(settings.folder, settings, {"surface": sold.digest})
    study = TuneStudy(
        settings.folder,
        {**plain_settings(settings, "folder", "cluster"), "inputs": run.inputs},
        defaults_of(GridSettings),
        trial,
        {"surface": sold, "settings": settings},
        _space(settings),
        len(settings.cells),
        "objective_A",
    )
    claim(study.folder, study.settings, study.usual)
    made = run.is_finished
    if not made:
        run.begin(command)
    table = in_order(run_study(study, dict, settings.cluster, console), settings)
    table_console(console).print(summary(table, settings))
    if not made:
        run.finish({}, grid_section(table, settings), command=command, console=console, files=TABLES)
    return table


def _check(settings: GridSettings, sold: ResponseSurface) -> None:
    for values, name in (
        (settings.mechanisms, "mechanisms"),
        (settings.priors, "priors"),
        (settings.user_weights, "user weights"),
        (settings.seeds, "seeds"),
    ):
        distinct(values, name)
    UNKEPT.refuse_unfit(settings.mechanisms, sold)
    if min(settings.user_weights) < 0 or min(settings.seeds) < 0:
        raise InputError(f"user weights and seeds must be >= 0, got {settings.user_weights} and {settings.seeds}")
    for text in settings.priors:
        product(parse_priors(text), sold.num_bidders)


def _space(settings: GridSettings) -> dict[str, Any]:
    """Return the grid as Tune writes it: what `tune.grid_search` returns, without loading ray."""
    values = (settings.mechanisms, settings.priors, settings.user_weights, settings.seeds)
    return {name: {"grid_search": list(some)} for name, some in zip(AXES, values, strict=True)}


def trial(config: Mapping[str, Any], surface: ResponseSurface, settings: GridSettings) -> None:
    """Score one cell and report it to Tune."""
    from ray import tune

    torch.set_num_threads(1)
    tune.report(score(config, surface, settings))


def score(config: Mapping[str, Any], surface: ResponseSurface, settings: GridSettings) -> dict[str, Any]:
    """Design one mechanism on replicate A and score it on A and B.

    Args:
        config: One value for each of `AXES`.
        surface: Sells one feature.
        settings: Draws and budgets.
    Returns:
        `MechanismRow`'s numbers under name_A and name_B, and which code computed them.
    """
    priors = parse_priors(config["prior"])
    weight, seed = config["user_weight"], config["seed"]
    mechanisms = UNKEPT.by_label((config["mechanism"],), Problem(surface, priors, weight, seed, settings.quick))
    sizes = ScoringSettings(settings.draws, settings.regret_draws, settings.regret_budget)
    recipes = UNKEPT.recipes((config["mechanism"],), quick=settings.quick)
    rows = compare(mechanisms, surface, priors, weight, sizes, seed=seed, recipes=recipes)
    return {"surface": settings.surface, "feature": settings.feature, **flat(rows), **provenance(), FINISHED: True}


def in_order(records: Sequence[Mapping[str, Any]], settings: GridSettings) -> list[dict[str, Any]]:
    """Return the records in the grid's order.

    Raises:
        ValueError: A cell is missing, or is there twice.
    """
    by_cell: dict[tuple[Any, ...], dict[str, Any]] = {}
    for record in records:
        cell = tuple(record[name] for name in AXES)
        if cell in by_cell:
            raise InputError(f"{settings.folder} holds {cell} twice")
        by_cell[cell] = dict(record)
    missing = [cell for cell in settings.cells if cell not in by_cell]
    if missing or len(by_cell) != len(settings.cells):
        raise InputError(f"{settings.folder} holds {len(by_cell)} trials, lacks {missing}")
    return [by_cell[cell] for cell in settings.cells]


def summary(records: Sequence[Mapping[str, Any]], settings: GridSettings) -> Table:
    """Return means over seeds with their standard errors, scored on replicate B, regret on both."""
    table = Table(title=_title(settings))
    for name in _HEADS:
        table.add_column(name, justify="left" if name in ("mechanism", "prior") else "right")
    for line in _means(records, settings):
        table.add_row(*line.values())
    return table


def grid_section(records: Sequence[Mapping[str, Any]], settings: GridSettings) -> Section:
    """Return the grid's means as a section."""
    text = (
        f"{len(records)} Ray Tune trials, {_title(settings)}, ± standard errors over seeds; designed on replicate A, "
        f"suffixes name the replicate that pays.\n\n{markdown_table(list(_means(records, settings)))}"
    )
    return Section("Ray Tune: mechanism × prior × user weight × seed", text, {})


def _title(settings: GridSettings) -> str:
    seeds = len(settings.seeds)
    return f"{settings.surface}, {settings.feature}: means over {seeds} seed{'s' * (seeds > 1)}"


_SHOWN = ("revenue_B", "user_loss_B", "objective_B", "objective_share_B", "regret_A", "regret_B", "ir_violation_B")
_HEADS = ("mechanism", "prior", "user weight", *(name.replace("_", " ") for name in _SHOWN))


def _means(records: Sequence[Mapping[str, Any]], settings: GridSettings) -> Iterator[dict[str, str]]:
    """Yield one line a mechanism, prior and user weight."""
    seeds = len(settings.seeds)
    for start in range(0, len(records), seeds):
        group = records[start : start + seeds]
        means = [estimate(torch.tensor([float(row[name]) for row in group], dtype=torch.float64)) for name in _SHOWN]
        first = group[0]
        cells = (
            titled(first["mechanism"], first["recipe"]),
            first["prior"],
            f"{first['user_weight']:g}",
            *map(written, means),
        )
        yield dict(zip(_HEADS, cells, strict=True))
