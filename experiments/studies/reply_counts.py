"""Deployed regret against samples per cell: designs on thinned-out replicates A, paid by the whole of B.

auctionsim auction reply-counts --out runs/reply-counts
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from auctionsim.errors import InputError
from auctionsim.experiments.figures.reply_counts import draw
from auctionsim.experiments.running.designs import COMPARED, UNKEPT, Designs, scored
from auctionsim.experiments.running.run import Row, Run, Section
from auctionsim.experiments.running.thinning import measured_counts, thinned
from auctionsim.experiments.tables.mechanisms import recipe_sentence
from auctionsim.experiments.tables.reply_counts import section
from auctionsim.mechanisms.table import Problem
from auctionsim.priors import parse_priors
from auctionsim.scoring import ScoringSettings, case_of, pooled
from auctionsim.substrates import ResponseSurface

DESIGNED = COMPARED[:4]  # without pay-as-bid, which is no design of anything


@dataclass(frozen=True)
class ReplyCountSettings:
    """What is thinned out, and how often.

    Attributes:
        surface: Its name, for titles and run.json.
        folder: Run folder; every count's draws are kept in it.
        features: Sold one after the other: `mention_probability`, whose replies are subsampled, and others, whose
            noise is normal.
        counts: Samples a cell; those below the measured n are used, and n itself.
        draws: Thinned surfaces per count.
        prior: Valuations, as text.
        user_weight: λ.
        seed: Of the draws, of training and of profiles.
        profiles: Profiles of valuations, bid truthfully, that means are over.
        regret_draws: Profiles among them that regret is looked for on.
        regret_budget: Misreports tried for each, where regret is searched.
        quick: Whether learned mechanisms are trained by the quick recipe.
        loss: Which loss of the user is charged, as `Offer` reads it.
    """

    surface: str
    folder: Path
    features: tuple[str, ...] = ("mention_probability", "slot_probability")
    counts: tuple[int, ...] = (1, 2, 4, 8)
    draws: int = 6
    prior: str = "uniform:0,1"
    user_weight: float = 1.0
    seed: int = 0
    profiles: int = 2048
    regret_draws: int = 256
    regret_budget: int = 448
    quick: bool = True
    loss: str = "kl"

    def __post_init__(self) -> None:
        if not self.features or not self.counts or min(self.counts) < 1 or self.draws < 2:
            raise InputError(
                "features, counts >= 1 and two draws or more are needed, "
                f"got {self.features}, {self.counts} and {self.draws}"
            )


class ReplyCounts(NamedTuple):
    """What was found.

    Attributes:
        rows: One a feature, count and mechanism: means over the draws, paid by B.
        section: Of the results.
    """

    rows: tuple[Row, ...]
    section: Section


def main(
    settings: ReplyCountSettings,
    surface: ResponseSurface,
    command: str,
    console: Console,
    designs: Designs = UNKEPT,
) -> ReplyCounts:
    """Thin out replicate A, design on it, deploy on B, draw, and write table and section.

    Args:
        settings: What to thin out.
        surface: Every feature.
        command: What the user typed, for run.json.
        console: Told how far it is.
        designs: Makes the mechanisms.
    Raises:
        ValueError: A feature that was not measured, or whose n is not the same in all cells; counts that are not whole.
    """
    inputs = {settings.surface: surface.sell(*settings.features, loss=settings.loss).digest}
    run = Run(settings.folder, settings, inputs)
    parse_priors(settings.prior)
    counts = {feature: measured_counts(surface, feature, settings.counts) for feature in settings.features}
    run.begin(command)
    rows: list[Row] = []
    for feature, some in counts.items():
        for count in some:
            console.print(f"{feature}: {count} samples per cell", soft_wrap=True)
            rows += run.part(f"{feature} {count}", partial(count_rows, settings, surface, feature, count, designs))
    draw(rows, settings.folder / FIGURE)
    about = section(opening(settings), settings.surface, rows, {FIGURE: CAPTION})
    run.finish({"reply_counts": rows}, about, command=command, console=console)
    return ReplyCounts(tuple(rows), about)


FIGURE = "reply_counts.png"
CAPTION = (
    "Designed on so many samples per cell of A and paid by the whole of B: mean deployed regret (above) and the share "
    "of B's own optimum (below); bars are 95 % intervals over draws and profiles."
)


def count_rows(
    settings: ReplyCountSettings, surface: ResponseSurface, feature: str, count: int, designs: Designs = UNKEPT
) -> list[Row]:
    """Return a count's rows, a mechanism each; at the measured n there is one surface, A itself, and one draw."""
    most = measured_counts(surface, feature, ())[-1]
    place = surface.measured_features.index(feature)
    generator = np.random.default_rng([settings.seed, place, count])
    by_mechanism: dict[str, list[Row]] = {}
    for draw_number in range(settings.draws if count < most else 1):
        sold = thinned(surface, feature, count, generator).sell(feature, loss=settings.loss)
        for mechanism, row in _draw_rows(settings, sold, designs, settings.seed + draw_number):
            by_mechanism.setdefault(mechanism, []).append(row)
    known: Row = {"feature": feature, "count": count, "measured": most}
    return [known | {"mechanism": mechanism} | pooled(rows) for mechanism, rows in by_mechanism.items()]


def _draw_rows(
    settings: ReplyCountSettings, sold: ResponseSurface, designs: Designs, seed: int
) -> Iterator[tuple[str, Row]]:
    """Yield every mechanism's numbers; a draw has profiles of its own, so that draws are independent."""
    priors = parse_priors(settings.prior)
    sizes = ScoringSettings(settings.profiles, settings.regret_draws, settings.regret_budget)
    case = case_of(sold.replicate("B"), priors, settings.user_weight, sizes, seed=1000 + seed)
    problem = Problem(sold.replicate("A"), priors, settings.user_weight, seed, settings.quick)
    yield from scored(designs.by_label(DESIGNED, problem), designs.recipes(DESIGNED, quick=settings.quick), case)


def opening(settings: ReplyCountSettings) -> str:
    """Say what is designed on what, and paid by what."""
    return (
        f"Mechanisms for `{settings.surface}` are designed on what replicate A would have said with fewer samples a "
        f"cell, and paid by the whole of B: valuations {settings.prior}, user weight {settings.user_weight:g}, "
        f"truthful bids, {settings.draws} draws per count (one at the measured n, which is A itself), "
        f"{settings.profiles:,} profiles per draw, {settings.regret_draws:,} of them for regret, the "
        "largest among bidders. The user's loss is as measured at every count. ± is one standard error over draws and "
        "profiles, not over what another B would pay. A share above 1 is no gain: on B these rules are neither "
        "truthful nor individually rational; the IR violation is what they charge for exposure that is not there. "
        f"{recipe_sentence(quick=settings.quick)}"
    )
