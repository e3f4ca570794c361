"""Auctions that charge for different losses of the user: what each loss follows, and what charging for it changes.

auctionsim auction losses --surfaces running-shoes-2@3,smartphones-2@1
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from auctionsim.checks import checked_money
from auctionsim.errors import InputError
from auctionsim.experiments.figures.losses import draw_cells, draw_curves
from auctionsim.experiments.running.designs import UNKEPT, Designs
from auctionsim.experiments.running.measured import brand_names
from auctionsim.experiments.running.priced_losses import TOGETHER, LossPrices, PricedLoss, loss_prices, sold_at
from auctionsim.experiments.running.run import Row, Run, Section
from auctionsim.experiments.running.stored_by_name import SurfaceReplies
from auctionsim.experiments.tables.loss_cells import cell_means, cell_rows, correlation_rows
from auctionsim.experiments.tables.loss_matrix import NOBODY, Payer, curve_rows, matrix_rows, payer
from auctionsim.experiments.tables.loss_menus import entry_rows, outcome_rows, profiles_of, reply_rows
from auctionsim.experiments.tables.losses import LossesFound, losses_section
from auctionsim.mechanisms import Mechanism
from auctionsim.mechanisms.table import Problem
from auctionsim.mechanisms.table import names as table_names
from auctionsim.priors import parse_priors
from auctionsim.readings import names as reading_names
from auctionsim.scoring import ScoringSettings, draw_profiles
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.measurements import REPLICATES

SHOWN = ("optimum", "affine", "menu")
"""The mechanisms whose outcomes and replies are shown."""
CURVES = ("optimum", "vcg")
"""The mechanisms, closed forms, that the trade-off is drawn of."""
FIGURES = {
    "losses_by_cell.png": "Each loss over mentions a word, a point a cell; A full, B open, a colour a context.",
    "trade_off.png": "Revenue over each loss on B as its price grows; a colour the loss that was designed on, "
    "optimum solid, VCG dotted.",
}


@dataclass(frozen=True)
class LossesSettings:
    """What is compared.

    Attributes:
        folder: Run folder; every surface's parts are kept in it.
        feature: Feature that is sold: what bidders pay for, such as slot_probability.
        losses: Names; "kl+quality" is two that are charged together. Those that a surface lacks are named as missing.
        prior: Valuations, as text.
        price: Money that the dearest cell of a loss costs, in the matrix and the menus.
        prices: Such prices along the trade-off.
        mechanisms: Names in the table; none: all that can be designed on the surfaces.
        scores: Readings that are taken of the replies that are shown, beside the losses that need no model.
        quantiles: Of each bidder's prior, at which outcomes are shown.
        seed: Of training, profiles and resampling.
        draws: Profiles for the means.
        regret_draws: Profiles among them that regret is looked for on.
        regret_budget: Misreports tried for each, where regret is searched.
        quick: Whether learned mechanisms are trained by the quick recipe.
    """

    folder: Path
    feature: str = "slot_probability"
    losses: tuple[str, ...] = ("kl", "reply_kl", "length", "quality", "kl+quality")
    prior: str = "uniform:0,1"
    price: float = 0.5
    prices: tuple[float, ...] = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0)
    mechanisms: tuple[str, ...] = ()
    scores: tuple[str, ...] = ("repetition_rate",)
    quantiles: tuple[float, ...] = (0.5, 0.9)
    seed: int = 0
    draws: int = 2048
    regret_draws: int = 64
    regret_budget: int = 448
    quick: bool = True

    def __post_init__(self) -> None:
        checked_money(self.price, "price")
        for price in self.prices:
            checked_money(price, "prices")
        if not self.prices or len(set(self.prices)) < len(self.prices):
            raise InputError(f"prices must be one or more different amounts, got {self.prices}")
        if not self.quantiles or not all(0 <= level <= 1 for level in self.quantiles):
            raise InputError(f"quantiles must be one or more levels in [0, 1], got {self.quantiles}")


class Losses(NamedTuple):
    """What was found.

    Attributes:
        surfaces: By surface.
        section: Of the results.
    """

    surfaces: Mapping[str, LossesFound]
    section: Section


def main(
    settings: LossesSettings,
    measured: Mapping[str, SurfaceReplies],
    command: str,
    console: Console,
    designs: Designs = UNKEPT,
) -> Losses:
    """Read losses by cell, design on each and score on all, draw, and write tables and section.

    Args:
        settings: What to compare.
        measured: Surfaces by name, with their replies.
        command: What the user typed, for run.json.
        console: Told how far it is.
        designs: Makes the mechanisms.
    Raises:
        ValueError: No surface, none of the losses on one, or a feature that was not measured.
    """
    inputs = inputs_of(settings, {name: one.surface for name, one in measured.items()})
    run = Run(settings.folder, settings, inputs)
    run.begin(command)
    found = {}
    for name, one in measured.items():
        surface = one.surface
        prices = _priced(settings, name, surface)
        console.print(f"{name}: losses {', '.join(one.name for one in prices.priced)}", soft_wrap=True)
        own = Run(settings.folder, settings, {name: inputs[name]})
        sold = one._replace(surface=surface.sell(settings.feature))
        found[name] = _of_surface(settings, name, sold, prices, own, designs)
    draw_cells({name: one.cells for name, one in found.items()}, settings.folder / "losses_by_cell.png")
    draw_curves({name: one.curve for name, one in found.items()}, settings.folder / "trade_off.png")
    about = losses_section(settings.feature, settings.prior, settings.price, found, FIGURES)
    run.finish(_tables(found), about, command=command, console=console)
    return Losses(found, about)


def _priced(settings: LossesSettings, name: str, surface: ResponseSurface) -> LossPrices:
    surface.sell(settings.feature)
    prices = loss_prices(surface, settings.losses)
    if not prices.priced:
        raise InputError(f"{name} has none of the losses: {'; '.join(prices.missing.values())}")
    return prices


def inputs_of(settings: LossesSettings, surfaces: Mapping[str, ResponseSurface]) -> dict[str, str]:
    """Return the digests of surfaces with all losses that are looked at, read later or not.

    Raises:
        ValueError: No surface, none of the losses on one, or a feature that was not measured.
    """
    if not surfaces:
        raise InputError("one surface at least is needed, got none")
    digests = {}
    for name, surface in surfaces.items():
        _priced(settings, name, surface)
        used = {part for loss in settings.losses for part in loss.split(TOGETHER) if part in surface.losses}
        digests[name] = surface.sell(settings.feature, loss=dict.fromkeys(sorted(used), 1.0)).digest
    return digests


def _of_surface(
    settings: LossesSettings,
    name: str,
    sold: SurfaceReplies,
    prices: LossPrices,
    run: Run,
    designs: Designs,
) -> LossesFound:
    surface, stored = sold.surface, sold.replies
    singles = [name for name in settings.losses if name in surface.losses]  # with a price or without
    means = cell_means(surface, stored, singles)
    fit, unfit = _mechanisms(settings, surface, designs)
    matrix: list[Row] = []
    entries: list[Row] = []
    outcomes: list[Row] = []
    for chosen in fit:
        part = run.part(f"{name} {chosen}", partial(_designed, settings, surface, prices.priced, designs, chosen))
        for table, rows in (("matrix", matrix), ("entry", entries), ("outcome", outcomes)):
            rows += [{k: v for k, v in row.items() if k != "table"} for row in part if row["table"] == table]
    curve = run.part(f"{name} trade-off", partial(_curve, settings, surface, prices.priced, designs))
    scores = [*dict.fromkeys([*(one for one in singles if one in reading_names()), *settings.scores])]
    kept = {one: values for one in scores if (values := sold.kept_values(one))}
    shown = None if stored is None else reply_rows(surface, stored, outcomes, scores, kept)
    return LossesFound(
        prices=prices,
        brands=brand_names(surface),
        contexts=surface.contexts,
        unfit=unfit,
        cells=[*cell_rows(surface, means)],
        correlations=[*correlation_rows(surface, means, singles, settings.seed)],
        matrix=matrix,
        entries=entries,
        outcomes=outcomes,
        curve=curve,
        replies=shown,
    )


def _mechanisms(
    settings: LossesSettings, surface: ResponseSurface, designs: Designs
) -> tuple[list[str], dict[str, str]]:
    """Return which mechanisms are designed, and why others are not."""
    if settings.mechanisms:
        designs.refuse_unfit(settings.mechanisms, surface)
        return list(settings.mechanisms), {}
    refusals = {name: designs.entry(name).refusal(surface) for name in table_names()}
    fit = [name for name, refusal in refusals.items() if refusal is None]
    return fit, {name: refusal for name, refusal in refusals.items() if refusal is not None}


def _payers(
    settings: LossesSettings, surface: ResponseSurface, losses: Sequence[PricedLoss], price: float
) -> list[Payer]:
    priors = parse_priors(settings.prior)
    profiles = draw_profiles(surface, priors, settings.draws, settings.seed)
    sizes = ScoringSettings(settings.draws, settings.regret_draws, settings.regret_budget)
    return [payer(surface, replicate, losses, priors, price, profiles, sizes) for replicate in REPLICATES]


def _problem(settings: LossesSettings, surface: ResponseSurface, loss: PricedLoss, price: float) -> Problem:
    view = sold_at(surface, loss).replicate("A")
    return Problem(view, parse_priors(settings.prior), price, settings.seed, settings.quick)


def _designed(
    settings: LossesSettings, surface: ResponseSurface, losses: Sequence[PricedLoss], designs: Designs, chosen: str
) -> list[Row]:
    """Return one mechanism's rows: designed on each loss and on nothing, scored on all; what it sells where shown."""
    priors, label = parse_priors(settings.prior), designs.entry(chosen).label
    rules: dict[str, Mechanism] = {NOBODY: designs.of(chosen, _problem(settings, surface, losses[0], 0.0))}
    rules |= {one.name: designs.of(chosen, _problem(settings, surface, one, settings.price)) for one in losses}
    recipe = designs.recipes([chosen], quick=settings.quick).get(label, "")
    payers = _payers(settings, surface, losses, settings.price)
    rows = [{"table": "matrix", **row} for row in matrix_rows(label, rules, payers, recipe)]
    if chosen not in SHOWN:
        return rows
    valuations = profiles_of(surface, priors, settings.quantiles)
    for loss in losses:
        rule = rules[loss.name]
        rows += [{"table": "entry", **row} for row in entry_rows(loss.name, rule, surface, loss, priors)]
        found = outcome_rows(label, loss.name, rule, surface, loss, valuations)
        rows += [{"table": "outcome", **row} for row in found]
    return rows


def _curve(
    settings: LossesSettings, surface: ResponseSurface, losses: Sequence[PricedLoss], designs: Designs
) -> list[Row]:
    """Return the trade-off's points: closed forms designed on each loss at each price."""
    payers = _payers(settings, surface, losses, 0.0)
    rows: list[Row] = []
    for chosen in CURVES:
        for loss in losses:
            for price in settings.prices:
                rule = designs.of(chosen, _problem(settings, surface, loss, price))
                rows += curve_rows(designs.entry(chosen).label, loss.name, rule, payers, price)
    return rows


def _tables(found: Mapping[str, LossesFound]) -> dict[str, list[Row]]:
    """Return the tidy tables of all surfaces."""
    names = ("cells", "correlations", "matrix", "entries", "outcomes", "curve")
    tables = {
        name: [{"surface": surface, **row} for surface, one in found.items() for row in getattr(one, name)]
        for name in names
    }
    replies = [{"surface": surface, **row} for surface, one in found.items() if one.replies for row in one.replies.rows]
    return {name: rows for name, rows in {**tables, "replies": replies}.items() if rows}
