"""What one brand's amplification does to another's exposure: angles, shared neurons, joint against single effects.

Every brand set (a category and two or more rivals) is identified by itself; then null, each brand alone and every
combination are measured on replicates A and B, with standard errors.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from auctionsim.brands import Brand
from auctionsim.console import table_console
from auctionsim.errors import InputError
from auctionsim.experiments.figures.crosstalk import draw_brand_sets
from auctionsim.experiments.running.preparation import Stages, commit_or_none, slug
from auctionsim.experiments.running.run import Run
from auctionsim.experiments.running.subsets import kept_subsets
from auctionsim.experiments.tables.crosstalk import (
    matrix_rows,
    pair_rows,
    section,
    summary,
    summary_table,
)
from auctionsim.experiments.tables.crosstalk_effects import BrandSetReport, brand_set_report, brand_set_tables
from auctionsim.language_models import LanguageModel
from auctionsim.measurement import MeasurementSettings
from auctionsim.neurons.methods import DEFAULT_METHOD
from auctionsim.prompts import PromptSet
from auctionsim.substrates import MeasuredList


@dataclass(frozen=True)
class CrosstalkSettings:
    """What is measured.

    Attributes:
        brand_sets: Category and its rival brands, two or more each.
        folder: Run folder; a stopped measurement continues from it.
        num_neurons: Neurons of an amplified brand.
        amplification: Factor of an amplified brand.
        samples: Replies per prompt and combination of brands.
        method: Of identification.
        seed: Seed of everything that is drawn.
    """

    brand_sets: tuple[tuple[str, tuple[Brand, ...]], ...]
    folder: Path
    num_neurons: int = 512
    amplification: float = 1.5
    samples: int = 2
    method: str = DEFAULT_METHOD
    seed: int = 0

    def __post_init__(self) -> None:
        for category, brands in self.brand_sets:
            if len(brands) < 2:
                raise InputError(f"crosstalk takes two or more rivals, {category!r} has {len(brands)}")


@dataclass(frozen=True)
class KeptBrandSets:
    """Brand sets that were measured before.

    Attributes:
        names: Of their lists: packaged, or files.
        folder: Run folder.
    """

    names: tuple[str, ...]
    folder: Path


def main(
    settings: CrosstalkSettings,
    model: LanguageModel,
    prompts_of: Callable[[str], PromptSet],
    command: str,
    console: Console,
) -> tuple[BrandSetReport, ...]:
    """Measure every brand set on a model, and report.

    Args:
        settings: Which brand sets, and how.
        model: The language model.
        prompts_of: From a category to its prompts.
        command: What the user typed, for run.json.
        console: Where progress and tables go.
    Raises:
        ValueError: A folder that holds another measurement.
    """
    measured = []
    with Stages(console) as stages:
        for category, brands in settings.brand_sets:
            measured.append(_subsets(settings, model, category, brands, prompts_of(category), command, stages))
    return report(settings, measured, command, console)


def report(
    settings: CrosstalkSettings | KeptBrandSets, measured: Sequence[MeasuredList], command: str, console: Console
) -> tuple[BrandSetReport, ...]:
    """Print every brand set's tables and the summary over pairs and triples, and write the run folder.

    Args:
        settings: Of the run; with its folder.
        measured: Every brand set's subsets, `geometry` in the provenance.
        command: What the user typed, for run.json.
        console: Where tables go.
    """
    run = Run(settings.folder, settings, {str(k): one.digest for k, one in enumerate(measured)})
    run.begin(command)
    reports = tuple(map(brand_set_report, measured))
    paper = table_console(console)
    for each in reports:
        for table in brand_set_tables(each):
            paper.print(table)
    spreads = summary(reports)
    paper.print(summary_table(spreads))
    draw_brand_sets(reports, settings.folder)
    effects = [{**e._asdict(), "amplified": "+".join(e.amplified)} for each in reports for e in each.effects]
    tables = {"effects": effects, "matrices": matrix_rows(reports), "pairs": pair_rows(reports)}
    run.finish(tables, section(reports, spreads), command=command, console=console)
    return reports


def _subsets(
    settings: CrosstalkSettings,
    model: LanguageModel,
    category: str,
    brands: tuple[Brand, ...],
    prompts: PromptSet,
    command: str,
    stages: Stages,
) -> MeasuredList:
    counts = (0.0, float(settings.num_neurons)), (1.0, settings.amplification)
    plan = MeasurementSettings(*counts, samples=settings.samples, seed=settings.seed)
    provenance = {"category": category, "command": command, "commit": commit_or_none()}
    folder = settings.folder / slug(category)
    return kept_subsets(folder, model, brands, prompts, plan, settings.method, provenance, stages)
