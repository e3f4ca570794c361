"""Regret and broken participation of the paper's menu over measured crosstalk, in many brand sets at once.

Beside the menu stand the affine maximizer and VCG, exactly truthful with crosstalk, and the virtual-welfare optimum.

auctionsim auction crosstalk-regret --out runs/crosstalk-regret
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from auctionsim.errors import InputError
from auctionsim.experiments.figures.crosstalk_regret import draw
from auctionsim.experiments.running.designs import COMPARED, UNKEPT, Designs, scored
from auctionsim.experiments.running.measured import brand_names
from auctionsim.experiments.running.run import Row, Run, Section
from auctionsim.experiments.running.subsets import surface_of
from auctionsim.experiments.tables.crosstalk_regret import section
from auctionsim.experiments.tables.crosstalk_share import crosstalk
from auctionsim.experiments.tables.mechanisms import OPTIMUM, recipe_sentence
from auctionsim.mechanisms.table import Problem
from auctionsim.priors import parse_priors
from auctionsim.scoring import ScoringSettings, case_of, pooled, ratio
from auctionsim.scoring.scorer import is_sold
from auctionsim.substrates import MeasuredList, ResponseSurface

DESIGNED = COMPARED[:4]  # without pay-as-bid, which is no design of anything


@dataclass(frozen=True)
class CrosstalkRegretSettings:
    """What is compared.

    Attributes:
        folder: Run folder; every brand set is kept in it.
        feature: Feature that is sold: what bidders pay for, such as slot_probability.
        prior: Valuations, as text.
        user_weights: λs.
        seeds: Of training and profiles; one run of everything each.
        sizes: Brands a brand set that is taken from a list of subsets.
        draws: Profiles for the means.
        regret_draws: Profiles among them that regret is looked for on.
        regret_budget: Misreports tried for each, where regret is searched.
        quick: Whether learned mechanisms are trained by the quick recipe.
        tolerance: Regret that counts, as a share of the revenue.
        resamples: Of the bootstrap over brand sets.
        loss: Which loss of the user is charged, as `Offer` reads it.
    """

    folder: Path
    feature: str = "slot_probability"
    prior: str = "uniform:0,1"
    user_weights: tuple[float, ...] = (0.0, 1.0)
    seeds: tuple[int, ...] = (0, 1)
    sizes: tuple[int, ...] = (2, 3)
    draws: int = 2048
    regret_draws: int = 256
    regret_budget: int = 448
    quick: bool = True
    tolerance: float = 0.01
    resamples: int = 2000
    loss: str = "kl"

    def __post_init__(self) -> None:
        if not self.user_weights or min(self.user_weights) < 0:
            raise InputError(f"user weights must be one or more numbers >= 0, got {self.user_weights}")
        if not self.seeds:
            raise InputError("one seed at least is needed, got none")


class BrandSet(NamedTuple):
    """One brand set of the comparison.

    Attributes:
        source: The list or grid that it comes from.
        surface: Every feature.
        is_grid: Whether it is a grid of levers, not subsets.
    """

    source: str
    surface: ResponseSurface
    is_grid: bool

    @property
    def name(self) -> str:
        """Its brands."""
        return ", ".join(brand_names(self.surface))


class CrosstalkRegret(NamedTuple):
    """What was found.

    Attributes:
        rows: One a brand set, user weight and mechanism, pooled over seeds.
        section: Of the results.
    """

    rows: tuple[Row, ...]
    section: Section


def main(
    settings: CrosstalkRegretSettings,
    lists: Mapping[str, MeasuredList],
    grids: Mapping[str, ResponseSurface],
    command: str,
    console: Console,
    designs: Designs = UNKEPT,
) -> CrosstalkRegret:
    """Design and score every mechanism in every brand set, draw the figure, write tables and section.

    Args:
        settings: What to compare.
        lists: By name: each with every subset of its brands amplified or not. Their pairs and triples are brand sets.
        grids: By name: surfaces that are brand sets as they are.
        command: What the user typed, for run.json.
        console: Told how far it is.
        designs: Makes the mechanisms.
    Raises:
        ValueError: No brand set, a feature that was not measured, or a list without all its subsets.
    """
    brand_sets = tuple(brand_sets_of(settings, lists, grids))
    if not brand_sets:
        raise InputError("brand sets are needed: lists of subsets or grids of two or more brands, got none")
    parse_priors(settings.prior)  # what does not fit is refused before anything is replaced
    for brand_set in brand_sets:
        brand_set.surface.sell(settings.feature, loss=settings.loss)
    sold = {name: each.sell(settings.feature, loss=settings.loss) for name, each in (*lists.items(), *grids.items())}
    inputs = {name: each.digest for name, each in sold.items()}
    run = Run(settings.folder, settings, inputs)
    run.begin(command)
    rows: list[Row] = []
    for number, brand_set in enumerate(brand_sets, 1):
        # a brand set's part depends on its own source alone, so that one more list leaves the others' as they are
        own = Run(settings.folder, settings, {brand_set.source: inputs[brand_set.source]})
        console.print(f"brand set {number} of {len(brand_sets)}: {brand_set.name} ({brand_set.source})", soft_wrap=True)
        rows += own.part(f"{brand_set.source} {brand_set.name}", partial(brand_set_rows, settings, brand_set, designs))
    draw(rows, settings.folder / FIGURE)
    about = section(
        opening(settings, rows),
        rows,
        {FIGURE: CAPTION},
        tolerance=settings.tolerance,
        seed=settings.seeds[0],
        resamples=settings.resamples,
    )
    run.finish({"brand_sets": rows}, about, command=command, console=console)
    return CrosstalkRegret(tuple(rows), about)


FIGURE = "regret_over_crosstalk.png"
CAPTION = (
    "A point a brand set: the menu's exact regret (above) and IR violation (below) over its revenue, the affine "
    "maximizer's beside it; bars are 95 % intervals over seeds and profiles, and a standard error of crosstalk."
)


def brand_sets_of(
    settings: CrosstalkRegretSettings, lists: Mapping[str, MeasuredList], grids: Mapping[str, ResponseSurface]
) -> Iterator[BrandSet]:
    """Yield the pairs and triples of every list, then the grids."""
    for source, measured in lists.items():
        for size in settings.sizes:
            for bidders in itertools.combinations(range(measured.num_bidders), size):
                yield BrandSet(source, surface_of(measured, bidders), is_grid=False)
    for source, surface in grids.items():
        yield BrandSet(source, surface, is_grid=True)


def brand_set_rows(settings: CrosstalkRegretSettings, brand_set: BrandSet, designs: Designs = UNKEPT) -> list[Row]:
    """Return a brand set's rows, a user weight and mechanism each: designed on and paid by replicate A."""
    view = brand_set.surface.sell(settings.feature, loss=settings.loss).replicate("A")
    on_a, on_b = crosstalk(view), crosstalk(view.replicate("B"))
    known: Row = {
        "source": brand_set.source,
        "brand_set": brand_set.name,
        "brands": view.num_bidders,
        "is_grid": brand_set.is_grid,
        "crosstalk": on_a.value,
        "crosstalk_standard_error": on_a.standard_error,
        "crosstalk_net": on_a.net,
        "crosstalk_on_b": on_b.value,
        "lift": on_a.lift,
    }
    return [
        known | row
        for user_weight in settings.user_weights
        for row in _mechanism_rows(settings, view, designs, user_weight)
    ]


def _mechanism_rows(
    settings: CrosstalkRegretSettings, view: ResponseSurface, designs: Designs, user_weight: float
) -> Iterator[Row]:
    by_mechanism: dict[str, list[Row]] = {}
    priors = parse_priors(settings.prior)
    sizes = ScoringSettings(settings.draws, settings.regret_draws, settings.regret_budget)
    recipes = designs.recipes(DESIGNED, quick=settings.quick)
    for seed in settings.seeds:
        case = case_of(view, priors, user_weight, sizes, seed=1000 + seed)
        mechanisms = designs.by_label(DESIGNED, Problem(view, priors, user_weight, seed, settings.quick))
        for label, row in scored(mechanisms, recipes, case):
            by_mechanism.setdefault(label, []).append(row)
    optimum = pooled(by_mechanism[OPTIMUM])
    for name, rows in by_mechanism.items():
        pool = pooled(rows)
        more: Row = {"user_weight": user_weight, "mechanism": name, "is_sold": is_sold(optimum["objective"])}
        for quantity in ("regret", "ir_violation"):
            share = ratio(pool, quantity)
            more[f"{quantity}_of_revenue"] = None if share is None else share[0]
            more[f"{quantity}_of_revenue_standard_error"] = None if share is None else share[1]
        yield more | pool


def opening(settings: CrosstalkRegretSettings, rows: Sequence[Row]) -> str:
    """Say which brand sets there are, what is sold in them, and what crosstalk means."""
    brand_sets = dict.fromkeys((row["source"], row["brand_set"]) for row in rows)
    sources = dict.fromkeys(row["source"] for row in rows)
    return (
        f"{len(brand_sets)} brand sets from {', '.join(f'`{name}`' for name in sources)}: every pair and triple of a "
        f"list of measured subsets, and grids as they are. `{settings.feature}` is sold, valuations {settings.prior}, "
        "truthful bids; every mechanism is designed on replicate A and paid by it, so regret is the rule's own and not "
        f"the measurement's. Means over {len(settings.seeds)} seeds of training and {rows[0]['n']:,} profiles, regret "
        f"(the largest among bidders) over {rows[0]['regret_n']:,}, ± one standard error. Crosstalk is the share of "
        "what brands could buy alone that is moved when all are amplified: Σ|e(all on) − e(own only)| / Σ(e(own only) "
        f"− e(null)) over contexts and brands. {recipe_sentence(quick=settings.quick)}"
    )
