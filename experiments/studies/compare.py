"""The trade-off: every mechanism on one surface over a sweep of user weights, as tables, figures and one run folder."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from auctionsim.console import TableConsole, table_console
from auctionsim.errors import InputError
from auctionsim.experiments.figures.compare import draw_menus, draw_trade_off, draw_training
from auctionsim.experiments.running.designs import COMPARED, UNKEPT, Designs
from auctionsim.experiments.running.kept_stages import as_row, live_key, record_from
from auctionsim.experiments.running.live_replies import live_model
from auctionsim.experiments.running.measured import brand_names
from auctionsim.experiments.running.preparation import Stages
from auctionsim.experiments.running.run import Row, Run
from auctionsim.experiments.tables.compare import comparison_section, menu_table
from auctionsim.experiments.tables.mechanisms import MENU, comparison_tables
from auctionsim.experiments.tables.menu_options import menu_options
from auctionsim.files import write_text
from auctionsim.mechanisms import VCG, MenuAuction, TrainingPoint
from auctionsim.mechanisms.table import Problem
from auctionsim.priors import Priors, parse_priors, product
from auctionsim.prompts import read_prompts
from auctionsim.report.records import MenuOption
from auctionsim.scoring import MechanismRow, ScoringSettings, compare, tidy
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.language_model import LanguageModelSubstrate

REFERENCE = "VCG at user weight 0"


@dataclass(frozen=True)
class CompareSettings:
    """What is compared.

    Attributes:
        surface: Its name, for titles and run.json.
        feature: Feature that is sold: what bidders pay for, such as slot_probability.
        user_weights: λ, money per unit of the user loss: the sweep.
        prior: Valuations, as `parse_priors` reads them.
        folder: Run folder.
        seed: Seed of everything that is drawn.
        draws: Profiles for the means.
        regret_draws: Profiles among them on which regret is looked for.
        regret_budget: Misreports for each and bidder.
        mechanisms: Names in the table of mechanisms.
        quick: Whether learned mechanisms are trained by the quick recipe.
        replies: Whether the live model replies under each entry of the menu.
        model: "smollm2", a hub id or a folder.
        device: Of the model.
        dtype: Of the model.
        prompts_file: JSON prompts that the surface was measured with, instead of the templates.
        loss: Which loss of the user is charged, as `Offer` reads it.
    """

    surface: str
    feature: str
    user_weights: tuple[float, ...]
    prior: str
    folder: Path
    seed: int = 0
    draws: int = 4096
    regret_draws: int = 128
    regret_budget: int = 512
    mechanisms: tuple[str, ...] = COMPARED
    quick: bool = False
    replies: bool = True
    model: str = "smollm2"
    device: str = "auto"
    dtype: str = "auto"
    prompts_file: Path | None = None
    loss: str = "kl"


class Comparison(NamedTuple):
    """What a sweep found.

    Attributes:
        rows: One a user weight, mechanism and replicate.
        training: Histories of learned mechanisms by (label, user weight).
        menus: Options by user weight, where the menu is among the mechanisms.
        brands: Names of the bidders.
    """

    rows: tuple[MechanismRow, ...]
    training: Mapping[tuple[str, float], tuple[TrainingPoint, ...]]
    menus: Mapping[float, tuple[MenuOption, ...]]
    brands: tuple[str, ...]


def main(
    settings: CompareSettings, surface: ResponseSurface, command: str, console: Console, designs: Designs = UNKEPT
) -> Comparison:
    """Sweep, print a table a user weight, and write tables and figures into the folder.

    Args:
        settings: What to do.
        surface: Any number of bidders, all features.
        command: What the user typed, for run.json.
        console: Where progress and tables go.
        designs: Makes the mechanisms.
    Raises:
        ValueError: Settings that do not fit.
        ModelUnavailableError: Replies are wanted and there is no such model here.
    """
    priors = parse_priors(settings.prior)
    sold = surface.sell(settings.feature, loss=settings.loss)
    if not settings.user_weights or min(settings.user_weights) < 0:
        raise InputError(f"user weights must be one or more numbers >= 0, got {settings.user_weights}")
    designs.refuse_unfit(settings.mechanisms, sold)
    inputs = {"surface": sold.digest}
    if settings.replies and settings.prompts_file is not None:
        inputs["prompts"] = read_prompts(settings.prompts_file).digest
    run = Run(settings.folder, settings, inputs)
    product(priors, sold.num_bidders)  # too few or too many are refused before anything is computed
    with Stages(console) as stages:
        live = _live(settings, surface, run.parts, stages) if settings.replies else None
        run.begin(command)
        comparison = sweep(settings, sold, priors, live, stages, run, designs)
        with stages.stage("writing", 1):
            files = draw(comparison, settings.folder)
    paper = table_console(console)
    for user_weight in settings.user_weights:
        rows = [row for row in comparison.rows if row.user_weight == user_weight]
        title = f"{settings.feature}, user weight {user_weight:g}, valuations {settings.prior}, designed on A"
        for table in comparison_tables(rows, title):
            paper.print(table)
        if user_weight in comparison.menus:
            paper.print(menu_table(comparison.menus[user_weight], f"menu at user weight {user_weight:g}"))
    about = (settings.surface, settings.feature, settings.prior)
    section = comparison_section(comparison.rows, comparison.menus, REFERENCE, *about)
    section = section._replace(figures={name: words for name, words in section.figures.items() if name in files})
    run.finish(tables_of(comparison), section, command=command, console=console, files=files)
    return comparison


def sweep(
    settings: CompareSettings,
    sold: ResponseSurface,
    priors: Priors,
    live: LanguageModelSubstrate | None,
    stages: Stages,
    run: Run,
    designs: Designs,
) -> Comparison:
    """Design every mechanism at every user weight on replicate A, and score it on A and B; a weight is kept once done.

    A kept weight is that of this plan and, where the model replies, of this model as it was loaded.
    """
    brands = brand_names(sold)
    rows: list[MechanismRow] = []
    training, menus = {}, {}
    model_key = "" if live is None else f" {live_key(live)}"
    for weight in settings.user_weights:
        kept = run.part(
            f"user weight {weight!r}{model_key}",
            partial(_weighed, settings, sold, priors, live, stages, designs, weight),
        )
        by_table: dict[str, list[Row]] = {}
        for row in kept:
            by_table.setdefault(row.pop("table"), []).append(row)
        rows += [record_from(MechanismRow, row) for row in by_table["rows"]]
        learned = by_table.get("training", [])
        for label in dict.fromkeys(row["mechanism"] for row in learned):
            points = [row for row in learned if row["mechanism"] == label]
            training[label, weight] = tuple(TrainingPoint(*(row[f] for f in TrainingPoint._fields)) for row in points)
        if "menu" in by_table:
            menus[weight] = tuple(MenuOption(**row) for row in by_table["menu"])
    return Comparison(tuple(rows), training, menus, brands)


def _weighed(
    settings: CompareSettings,
    sold: ResponseSurface,
    priors: Priors,
    live: LanguageModelSubstrate | None,
    stages: Stages,
    designs: Designs,
    user_weight: float,
) -> list[Row]:
    """Return one user weight's rows: of mechanisms, of the learned ones' training, of the menu."""
    with stages.stage(f"user weight {user_weight:g}: learning", 1):
        problem = Problem(sold, priors, user_weight, settings.seed, settings.quick)
        mechanisms = designs.by_label(settings.mechanisms, problem)
        mechanisms[REFERENCE] = VCG(sold)
    with stages.stage(f"user weight {user_weight:g}: scoring", 2 * len(mechanisms)) as tick:
        rows = compare(
            mechanisms,
            sold,
            priors,
            user_weight,
            ScoringSettings(settings.draws, settings.regret_draws, settings.regret_budget),
            seed=settings.seed,
            recipes=designs.recipes(settings.mechanisms, quick=settings.quick),
            progress=tick,
        )
    parts: list[Row] = [{"table": "rows", **as_row(row)} for row in rows]
    for label, rule in mechanisms.items():
        parts += [{"table": "training", "mechanism": label, **point._asdict()} for point in rule.history]
    menu = mechanisms.get(MENU)
    if not isinstance(menu, MenuAuction):
        return parts
    with stages.stage(f"user weight {user_weight:g}: menu", 1):
        options = menu_options(menu, sold, priors, brand_names(sold), live)
    return parts + [{"table": "menu", **option._asdict()} for option in options]


def _live(settings: CompareSettings, surface: ResponseSurface, place: Path, stages: Stages) -> LanguageModelSubstrate:
    load = (settings.model, settings.device, settings.dtype)
    file, seed = settings.prompts_file, settings.seed
    return live_model(surface, settings.surface, load, place, stages, seed=seed, prompts_file=file)


def draw(comparison: Comparison, folder: Path) -> tuple[str, ...]:
    """Write the figures, and the menus with replies as a page; return the names of what there was to be drawn."""
    draw_trade_off(comparison.rows, REFERENCE, folder / "trade_off.png")
    written = ["trade_off.png"]
    if comparison.training:
        draw_training(comparison.training, comparison.rows, folder / "training.png")
        written.append("training.png")
    if comparison.menus:
        draw_menus(comparison.menus, comparison.brands, folder / "menu.png")
        write_text(folder / "menu.html", _page(comparison))
        written += ["menu.png", "menu.html"]
    return tuple(written)


def tables_of(comparison: Comparison) -> dict[str, list[dict[str, Any]]]:
    """Return the tidy tables: the comparison, the menus with replies, the learning curves."""
    options = [
        {"user_weight": weight, **option._asdict()} for weight, menu in comparison.menus.items() for option in menu
    ]
    history = [
        {"mechanism": name, "user_weight": weight, **point._asdict()}
        for (name, weight), points in comparison.training.items()
        for point in points
    ]
    tables = {"comparison": tidy(comparison.rows), "menu": options, "training": history}
    return {name: rows for name, rows in tables.items() if rows}


def _page(comparison: Comparison) -> str:
    """Return the menus as a page of text, nothing in a reply becoming markup."""
    paper = TableConsole(record=True, width=140, file=io.StringIO(), force_terminal=False)
    for weight, options in comparison.menus.items():
        paper.print(menu_table(options, f"menu at user weight {weight:g}"))
    return paper.export_html(inline_styles=True)
