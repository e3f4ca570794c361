"""The trade-off: every mechanism on one surface over a sweep of user weights, as tables, figures and one run folder."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from auctionsim.brands import Brand
from auctionsim.comparison import compare
from auctionsim.console import TableConsole, table_console
from auctionsim.experiments.auctions import AFFINE, MENU, comparison_tables, rival_mechanisms
from auctionsim.experiments.sections.comparison import comparison_section
from auctionsim.experiments.sections.comparison_figures import draw_menus, draw_trade_off, draw_training
from auctionsim.experiments.support.kept_neurons import kept_neurons
from auctionsim.experiments.support.menu_options import menu_options
from auctionsim.experiments.support.preparation import Stages
from auctionsim.experiments.support.running import Run
from auctionsim.files import write_text
from auctionsim.language_models import load_model
from auctionsim.mechanisms import VCG, AffineMaximizer, MenuAuction, TrainingPoint
from auctionsim.neurons import BrandNeurons
from auctionsim.priors import Priors, parse_priors, product
from auctionsim.prompts import build_prompts, read_prompts
from auctionsim.report.records import Estimate, MechanismRow, MenuOption
from auctionsim.report.wording import setting
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.language_model import LanguageModelSubstrate

REFERENCE = "VCG at user weight 0"


@dataclass(frozen=True)
class CompareSettings:
    """What is compared.

    Attributes:
        surface: Its name, for titles and run.json.
        feature: What is sold.
        user_weights: λ, money per nat a token: the sweep.
        prior: Valuations, as `parse_priors` reads them.
        folder: Run folder.
        seed: Of everything that is drawn.
        draws: Profiles for the means.
        regret_draws: Profiles among them on which regret is looked for.
        regret_budget: Misreports for each and bidder.
        entries: Of the menu.
        menu_steps: Of its training.
        replies: Whether the live model replies under each entry of the menu.
        model: "smollm2", a hub id or a folder.
        device: Of the model.
        dtype: Of the model.
        prompts_file: JSON prompts that the surface was measured with, instead of the templates.
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
    entries: int = 6
    menu_steps: int = 400
    replies: bool = True
    model: str = "smollm2"
    device: str = "auto"
    dtype: str = "auto"
    prompts_file: Path | None = None


class Comparison(NamedTuple):
    """What a sweep found.

    Attributes:
        rows: One a user weight, mechanism and replicate.
        training: Histories by (mechanism, user weight).
        menus: Options by user weight.
        brands: Names of the bidders.
    """

    rows: tuple[MechanismRow, ...]
    training: Mapping[tuple[str, float], tuple[TrainingPoint, ...]]
    menus: Mapping[float, tuple[MenuOption, ...]]
    brands: tuple[str, ...]


def main(settings: CompareSettings, surface: ResponseSurface, command: str, console: Console) -> Comparison:
    """Sweep, print a table a user weight, and write tables and figures into the folder.

    Args:
        settings: What to do.
        surface: Any number of bidders, all features.
        command: What the user typed, for run.json.
        console: Where progress and tables go.
    Raises:
        ValueError: Settings that do not fit.
        ModelUnavailableError: Replies are wanted and there is no such model here.
    """
    priors = parse_priors(settings.prior)
    sold = surface.sell(settings.feature)
    if not settings.user_weights or min(settings.user_weights) < 0:
        raise ValueError(f"user weights must be one or more numbers >= 0, got {settings.user_weights}")
    run = Run(settings.folder, settings, {"surface": surface.digest})
    product(priors, sold.num_bidders)  # too few or too many are refused before anything is computed
    with Stages(console) as stages:
        live = _live_model(settings, surface, stages) if settings.replies else None
        found = sweep(settings, sold, priors, live, stages)
        with stages.stage("writing", 1):
            draw(found, settings.folder)
    paper = table_console(console)
    for user_weight in settings.user_weights:
        rows = [row for row in found.rows if row.user_weight == user_weight]
        title = f"{settings.feature}, user weight {user_weight:g}, valuations {settings.prior}, designed on A"
        for table in comparison_tables(rows, title):
            paper.print(table)
        paper.print(menu_table(found.menus[user_weight], f"menu at user weight {user_weight:g}"))
    said = comparison_section(found.rows, found.menus, REFERENCE, settings)
    run.finish(tables_of(found), said, command=command, console=console)
    return found


def sweep(
    settings: CompareSettings,
    sold: ResponseSurface,
    priors: Priors,
    live: LanguageModelSubstrate | None,
    stages: Stages,
) -> Comparison:
    """Design every mechanism at every user weight on replicate A, and score it on A and B."""
    brands = brand_names(sold)
    rows: list[MechanismRow] = []
    training, menus = {}, {}
    reference = VCG(sold)
    for user_weight in settings.user_weights:
        with stages.stage(f"user weight {user_weight:g}: learning", 1):
            shape = {"entries": settings.entries, "steps": settings.menu_steps}
            mechanisms = rival_mechanisms(sold, user_weight, seed=settings.seed, priors=priors, **shape)
            mechanisms[REFERENCE] = reference
        for name in (MENU, AFFINE):
            learned = mechanisms[name]
            assert isinstance(learned, MenuAuction | AffineMaximizer)
            training[name, user_weight] = learned.history
        with stages.stage(f"user weight {user_weight:g}: scoring", 2 * len(mechanisms)) as tick:
            rows += compare(
                mechanisms,
                sold,
                priors,
                user_weight,
                seed=settings.seed,
                draws=settings.draws,
                regret_draws=settings.regret_draws,
                regret_budget=settings.regret_budget,
                progress=tick,
            )
        menu = mechanisms[MENU]
        assert isinstance(menu, MenuAuction)
        with stages.stage(f"user weight {user_weight:g}: menu", 1):
            menus[user_weight] = menu_options(menu, sold, priors, brands, live)
    return Comparison(tuple(rows), training, menus, brands)


def brand_names(surface: ResponseSurface) -> tuple[str, ...]:
    """Return the bidders' names, from the provenance where it has them."""
    listed = surface.provenance.get("brands", [])
    names = tuple(brand if isinstance(brand, str) else brand[0] for brand in listed)
    return names if len(names) == surface.num_bidders else tuple(f"bidder {i}" for i in range(surface.num_bidders))


def _live_model(settings: CompareSettings, surface: ResponseSurface, stages: Stages) -> LanguageModelSubstrate:
    """Return the model that the surface was measured on, on prompts that nothing was measured on.

    Raises:
        ValueError: Another model, or a provenance that does not say what was measured.
    """
    known = surface.provenance
    try:
        brands = tuple(Brand.read(names) for names in known["brands"])
        category, measured = known["category"], known["settings"]
    except KeyError as missing:
        raise ValueError(
            f"the surface's provenance has no {missing}, which example replies need: leave them out by --no-replies"
        ) from None
    prompts = build_prompts(category) if settings.prompts_file is None else read_prompts(settings.prompts_file)
    with stages.stage("loading the model", 1):
        model = load_model(settings.model, settings.device, settings.dtype)
        surface.require_model(model.identity)
    most = max(map(int, measured["num_neurons"]))
    neurons = measured_neurons(settings.surface, known.get("neurons"))
    if neurons is None:
        stages.console.print("the surface's own neurons are not here: identified anew for the example replies")
        neurons = kept_neurons(settings.folder, model, brands, prompts, most, measured["seed"], stages)
    return LanguageModelSubstrate(
        model,
        neurons,
        prompts.split("test"),
        num_neurons=most,
        amplification=max(measured["amplification"]),
        max_new_tokens=measured["max_new_tokens"],
        temperature=measured["temperature"],
        seed=settings.seed,
        mode=measured.get("mode", "multiply"),
        positions=measured.get("positions", "reply"),
    )


def measured_neurons(surface: str, digest: str | None) -> BrandNeurons | None:
    """Return the neurons that a surface was measured with: beside its file, or shipped with it; None without them.

    Args:
        surface: A file, or a packaged surface's name.
        digest: Of the neurons, by the surface's provenance; others are not taken.
    """
    shipped = resources.files("auctionsim.data") / "neurons" / f"{surface}.safetensors"
    beside = Path(surface).parent / "neurons.safetensors" if Path(surface).suffix == ".safetensors" else None
    if beside is None and shipped.is_file():
        with resources.as_file(shipped) as path:
            found = BrandNeurons.load(path)
    elif beside is not None and beside.is_file():
        found = BrandNeurons.load(beside)
    else:
        return None
    return found if digest is None or found.digest == digest else None


def menu_table(options: Sequence[MenuOption], title: str) -> Table:
    """Return what the menu offers, with the reply under each entry where the model was asked."""
    prompt = next((option.prompt for option in options if option.prompt), "")
    table = Table(title=escape(f"{title}: {prompt}" if prompt else title), show_lines=bool(prompt))
    for name in ("brand", "levers", "price", "exposure", "user loss"):
        table.add_column(name, justify="left" if name in ("brand", "levers") else "right")
    if prompt:
        table.add_column("example reply", ratio=1)
    for option in options:
        numbers = (f"{value:.4f}" for value in (option.price, option.exposure, option.user_loss))
        reply = (escape(option.reply.strip()),) if prompt else ()
        levers = setting(float(f"{option.num_neurons:.4g}"), float(f"{option.amplification:.3g}"))
        table.add_row(escape(option.brand), levers, *numbers, *reply)
    return table


def draw(found: Comparison, folder: Path) -> None:
    """Write the figures, and the menus with replies as a page."""
    draw_trade_off(found.rows, REFERENCE, folder / "trade_off.png")
    draw_training(found.training, found.rows, folder / "training.png")
    draw_menus(found.menus, found.brands, folder / "menu.png")
    write_text(folder / "menu.html", _page(found))


def tables_of(found: Comparison) -> dict[str, list[dict[str, Any]]]:
    """Return the tidy tables: the comparison, the menus with replies, the learning curves."""
    options = [{"user_weight": weight, **option._asdict()} for weight, menu in found.menus.items() for option in menu]
    history = [
        {"mechanism": name, "user_weight": weight, **point._asdict()}
        for (name, weight), points in found.training.items()
        for point in points
    ]
    return {"comparison": tidy(found.rows), "menu": options, "training": history}


def tidy(rows: Sequence[MechanismRow]) -> list[dict[str, Any]]:
    """Return one flat record a row: an estimate becomes its mean, its standard error and its number of draws."""
    records = []
    for row in rows:
        record: dict[str, Any] = {}
        for name, value in row._asdict().items():
            if isinstance(value, Estimate):
                record |= {name: value.mean, f"{name}_standard_error": value.standard_error, f"{name}_draws": value.n}
            else:
                record[name] = value
        records.append(record)
    return records


def _page(found: Comparison) -> str:
    """Return the menus as a page of text, nothing in a reply becoming markup."""
    paper = TableConsole(record=True, width=140, file=io.StringIO(), force_terminal=False)
    for weight, options in found.menus.items():
        paper.print(menu_table(options, f"menu at user weight {weight:g}"))
    return paper.export_html(inline_styles=True)
