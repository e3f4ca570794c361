"""What two, three, four and five bidders change: every brand set that a measured list of subsets holds.

auctionsim auction more-bidders --out runs/more-bidders
"""

import itertools
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from auctionsim.errors import InputError
from auctionsim.experiments.figures.more_bidders import draw
from auctionsim.experiments.running.designs import COMPARED, UNKEPT, Designs
from auctionsim.experiments.running.measured import brand_names
from auctionsim.experiments.running.run import Row, Run, Section
from auctionsim.experiments.running.subsets import surface_of
from auctionsim.experiments.tables.mechanisms import PRIOR, recipe_sentence
from auctionsim.experiments.tables.more_bidders import ITEMS, NUMBERS, menu_claim, prose
from auctionsim.mechanisms import Mechanism
from auctionsim.mechanisms.table import Problem
from auctionsim.scoring import ScoringSettings, compare, tidy
from auctionsim.substrates import MeasuredList, ResponseSurface

NOTHING = 1e-9  # of money: an optimum below it is rounding


@dataclass(frozen=True)
class MoreBiddersSettings:
    """Which brand sets, and how mechanisms are made and scored.

    Attributes:
        measured: The list's name, for titles and run.json.
        folder: Run folder.
        feature: Feature that is sold: what bidders pay for, such as slot_probability.
        sizes: How many bidders, ascending.
        most_sets: Of one size, evenly among all subsets of the brands in order.
        user_weights: λ at each of which every mechanism is designed, on replicate A.
        draws: Profiles of valuations, bid truthfully, that means are over.
        regret_draws: How many of these profiles regret is searched on.
        regret_budget: Misreports for each and bidder.
        quick: Whether learned mechanisms are trained by the quick recipe.
        seed: Of everything.
        loss: Which loss of the user is charged, as `Offer` reads it.
    """

    measured: str
    folder: Path
    feature: str = "slot_probability"
    sizes: tuple[int, ...] = (2, 3, 4, 5)
    most_sets: int = 5
    user_weights: tuple[float, ...] = (0.0, 1.0)
    draws: int = 4096
    regret_draws: int = 64
    regret_budget: int = 128
    quick: bool = True
    seed: int = 0
    loss: str = "kl"

    def __post_init__(self) -> None:
        if len(self.sizes) < 2 or self.sizes[0] < 1 or list(self.sizes) != sorted(set(self.sizes)):
            raise InputError(f"sizes must be two or more ascending numbers of bidders, got {self.sizes}")
        if self.most_sets < 1 or not self.user_weights:
            raise InputError(f"brand sets and user weights are needed, got {self.most_sets} and {self.user_weights}")


class MoreBidders(NamedTuple):
    """What was found.

    Attributes:
        rows: One a size, brand set, user weight, mechanism and replicate, flat as `tidy` writes them.
        means: One a size, user weight, mechanism, replicate and number: mean over brand sets, standard error, extremes.
        seconds: One a size, brand set, user weight and mechanism: CPU seconds of its design, on this machine.
        section: Of the results.
    """

    rows: tuple[Row, ...]
    means: tuple[Row, ...]
    seconds: tuple[Row, ...]
    section: Section


def main(
    settings: MoreBiddersSettings,
    measured: MeasuredList,
    command: str,
    console: Console,
    designs: Designs = UNKEPT,
) -> MoreBidders:
    """Hold every auction in every brand set, and write tables, a figure and what they say.

    Args:
        settings: What to do.
        measured: Every subset of its brands, amplified or not.
        command: What the user typed, for run.json.
        console: Told where it all is.
        designs: Makes the mechanisms.
    Raises:
        ValueError: More bidders than brands, or a subset that was not measured.
    """
    if settings.sizes[-1] > measured.num_bidders:
        raise InputError(f"{settings.measured} has {measured.num_bidders} brands, got sizes {settings.sizes}")
    sold = measured.sell(settings.feature, loss=settings.loss)  # what is unknown is refused before anything is replaced
    run = Run(settings.folder, settings, {"measured": sold.digest})
    run.begin(command)
    names = brand_names(measured)
    rows: list[Row] = []
    for size in settings.sizes:
        for bidders in brand_sets(measured.num_bidders, size, settings.most_sets):
            brand_set = ", ".join(names[i] for i in bidders)
            console.print(f"{size} bidders: {brand_set}")
            surface = surface_of(measured, bidders).sell(settings.feature, loss=settings.loss)
            rows += run.part(
                f"{size} {'-'.join(map(str, bidders))}",
                lambda s=surface, m=brand_set: list(auctioned(settings, s, m, designs)),  # type: ignore[misc]
            )
    seconds = [row for row in rows if "seconds" in row]
    rows = [row for row in rows if "seconds" not in row]
    means = [*averaged(rows), *item_means(settings.sizes)]
    draw(settings.sizes, settings.user_weights, means, settings.folder / "more_bidders.png")
    section = Section(
        f"From {settings.sizes[0]} to {settings.sizes[-1]} bidders",
        prose(opening(settings, rows), settings.sizes, means, seconds),
        {"more_bidders.png": "Means over brand sets on replicate A, one standard error; one item's closed forms grey"},
        (menu_claim(rows),),
    )
    run.finish({"brand_sets": rows, "means": means, "seconds": seconds}, section, command=command, console=console)
    return MoreBidders(tuple(rows), tuple(means), tuple(seconds), section)


def brand_sets(brands: int, size: int, most: int) -> list[tuple[int, ...]]:
    """Return at most so many subsets of a size, evenly spaced among all in lexicographic order."""
    every = list(itertools.combinations(range(brands), size))
    count = min(most, len(every))
    return [every[k * len(every) // count] for k in range(count)]


def auctioned(
    settings: MoreBiddersSettings, surface: ResponseSurface, brand_set: str, designs: Designs
) -> Iterator[Row]:
    """Yield one brand set's rows: each design's CPU seconds, then every mechanism, weight and replicate."""
    recipes = designs.recipes(COMPARED, quick=settings.quick)
    sizes = ScoringSettings(settings.draws, settings.regret_draws, settings.regret_budget)
    for weight in settings.user_weights:
        mechanisms: dict[str, Mechanism] = {}
        key = {"n": surface.num_bidders, "brand_set": brand_set}
        for name in COMPARED:
            design = designs.timed(name, Problem(surface, PRIOR, weight, settings.seed, settings.quick))
            label = designs.entry(name).label
            mechanisms[label] = design.mechanism
            made = {"mechanism": label, "seconds": round(design.seconds, 3), "recipe": recipes.get(label, "")}
            yield {**key, "user_weight": weight, **made}
        scores = compare(mechanisms, surface, PRIOR, weight, sizes, seed=settings.seed, recipes=recipes)
        for row in tidy(scores):
            yield key | row


def averaged(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield means over brand sets, which share brands, with their standard error; that of one set alone is of draws."""
    # one brand set's share of the optimum is a ratio of means and has no error
    keys = ("n", "user_weight", "mechanism", "replicate")
    for key in dict.fromkeys(tuple(row[name] for name in keys) for row in rows):
        own = [row for row in rows if tuple(row[name] for name in keys) == key]
        for number in NUMBERS:
            if number == "objective_share":
                yield from share_of_sums(rows, own, dict(zip(keys, key, strict=True)))
                continue
            values = [float(row[number]) for row in own if row[number] is not None]
            if not values:
                continue
            error = (
                statistics.stdev(values) / math.sqrt(len(values))
                if len(values) > 1
                else own[0].get(f"{number}_standard_error")
            )
            yield {
                **dict(zip(keys, key, strict=True)),
                "number": number,
                "mean": statistics.fmean(values),
                "standard_error": error,
                "low": min(values),
                "high": max(values),
                "brand_sets": len(values),
                "recipe": own[0]["recipe"],
            }


def share_of_sums(rows: Sequence[Row], own: Sequence[Row], key: Row) -> Iterator[Row]:
    """Yield one mechanism's Σ objective / Σ optimum over brand sets; in some the optimum is to sell nothing.

    The standard error is the ratio's, by its residuals over brand sets; extremes are over those whose optimum is not 0.
    """
    same = ("n", "brand_set", "user_weight", "replicate")
    best = [
        max(
            row["objective"] / row["objective_share"]
            for row in rows
            if row["objective_share"] and all(row[name] == one[name] for name in same)
        )
        if any(row["objective_share"] and all(row[name] == one[name] for name in same) for row in rows)
        else 0.0
        for one in own
    ]
    if sum(best) <= NOTHING:
        return
    share = sum(row["objective"] for row in own) / sum(best)
    residuals = [row["objective"] - share * optimum for row, optimum in zip(own, best, strict=True)]
    error = statistics.stdev(residuals) * math.sqrt(len(own)) / sum(best) if len(own) > 1 else None
    each = [row["objective"] / optimum for row, optimum in zip(own, best, strict=True) if optimum > NOTHING]
    ends = {"low": min(each), "high": max(each), "brand_sets": len(own), "recipe": own[0]["recipe"]}
    yield {**key, "number": "objective_share", "mean": share, "standard_error": error, **ends}


def item_means(sizes: Sequence[int]) -> Iterator[Row]:
    """Yield one item's revenue among n × U[0, 1]: Myerson, reserve ½, and second price without one, in closed form."""
    for n in sizes:
        optimal = 2 * n / (n + 1) * (1 - 2.0 ** -(n + 1)) - (1 - 2.0**-n)
        for name, revenue in zip(ITEMS, (optimal, (n - 1) / (n + 1)), strict=True):
            exact = {"standard_error": 0.0, "low": revenue, "high": revenue, "brand_sets": 0, "recipe": ""}
            key = {"n": n, "user_weight": 0.0, "mechanism": name, "replicate": "A", "number": "revenue"}
            yield {**key, "mean": revenue, **exact}


def opening(settings: MoreBiddersSettings, rows: Sequence[Row]) -> str:
    """Say which auctions there were."""
    counts = {n: len({row["brand_set"] for row in rows if row["n"] == n}) for n in settings.sizes}
    listed = ", ".join(f"{count} of {n}" for n, count in counts.items())
    return (
        f"Brand sets of `{settings.measured}`: {listed} bidders; each brand's neurons are amplified as measured or not "
        f"at all, {settings.feature} is sold, valuations U[0, 1], {settings.draws} truthful profiles. "
        f"Designed on A. Means over brand sets ± their standard error (sets of one size share brands, so it is too "
        f"small by what that correlates; with one set it is that of the drawn profiles). "
        f"{recipe_sentence(quick=settings.quick)}"
    )
