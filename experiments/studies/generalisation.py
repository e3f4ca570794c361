"""Across prompts: how well replicate A predicts B, what designs on A keep on B, and in a context that none of them saw.

auctionsim auction generalisation --out runs/generalisation
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from auctionsim.errors import InputError
from auctionsim.experiments.figures.generalisation import draw
from auctionsim.experiments.running.designs import COMPARED, UNKEPT, Designs, scored
from auctionsim.experiments.running.run import Row, Run, Section
from auctionsim.experiments.running.sub_surfaces import in_contexts
from auctionsim.experiments.tables.generalisation import EVERY, KNOWN, UNSEEN, section
from auctionsim.experiments.tables.mechanisms import recipe_sentence
from auctionsim.experiments.tables.replicate_agreement import agreement
from auctionsim.mechanisms.table import Problem
from auctionsim.priors import parse_priors
from auctionsim.scoring import Case, ScoringSettings, case_of, draw_profiles, pooled
from auctionsim.substrates import ResponseSurface

DESIGNED = COMPARED[:4]  # without pay-as-bid, which is no design of anything


@dataclass(frozen=True)
class GeneralisationSettings:
    """What is compared.

    Attributes:
        folder: Run folder; every surface's parts are kept in it.
        feature: Feature that is sold: what bidders pay for, such as slot_probability.
        prior: Valuations, as text.
        user_weight: λ.
        seeds: Of training and profiles; one run of everything each.
        draws: Profiles for the means.
        regret_draws: Profiles among them that regret is looked for on.
        regret_budget: Misreports tried for each, where regret is searched.
        quick: Whether learned mechanisms are trained by the quick recipe.
        loss: Which loss of the user is charged, as `Offer` reads it.
    """

    folder: Path
    feature: str = "slot_probability"
    prior: str = "uniform:0,1"
    user_weight: float = 1.0
    seeds: tuple[int, ...] = (0, 1)
    draws: int = 2048
    regret_draws: int = 256
    regret_budget: int = 448
    quick: bool = True
    loss: str = "kl"

    def __post_init__(self) -> None:
        if not self.seeds:
            raise InputError("one seed at least is needed, got none")


class Generalisation(NamedTuple):
    """What was found.

    Attributes:
        agreement: One row a surface, context and quantity: how well A predicts B.
        deployed: One row a surface, context paid in, way of design and mechanism, pooled over seeds, all paid by B.
        section: Of the results.
    """

    agreement: tuple[Row, ...]
    deployed: tuple[Row, ...]
    section: Section


def main(
    settings: GeneralisationSettings,
    surfaces: Mapping[str, ResponseSurface],
    command: str,
    console: Console,
    designs: Designs = UNKEPT,
) -> Generalisation:
    """Compare the replicates, design on A, deploy on B, draw, and write tables and section.

    Args:
        settings: What to compare.
        surfaces: By name; two or more contexts each.
        command: What the user typed, for run.json.
        console: Told how far it is.
        designs: Makes the mechanisms.
    Raises:
        ValueError: No surface, a single context, or a feature that was not measured.
    """
    if not surfaces:
        raise InputError("one surface at least is needed, got none")
    inputs = {}
    for name, surface in surfaces.items():  # what is unknown is refused before anything is replaced
        inputs[name] = surface.sell(settings.feature, loss=settings.loss).digest
        if len(surface.contexts) < 2:
            raise InputError(f"one context is left out of two or more, {name!r} has {len(surface.contexts)}")
    parse_priors(settings.prior)
    run = Run(settings.folder, settings, inputs)
    run.begin(command)
    agree, deployed = [], []
    for name, surface in surfaces.items():
        own = Run(settings.folder, settings, {name: inputs[name]})
        console.print(f"{name}: A against B, and designs on A paid by B", soft_wrap=True)
        agree += [{"surface": name, **row} for row in agreement(surface)]
        deployed += own.part(f"{name} deployed", partial(deployed_rows, settings, name, surface, designs))
    figures = {FIGURE: CAPTION}
    draw(deployed, settings.folder / FIGURE)
    about = section(opening(settings, deployed), agree, deployed, figures)
    run.finish({"agreement": agree, "deployed": deployed}, about, command=command, console=console)
    return Generalisation(tuple(agree), tuple(deployed), about)


FIGURE = "generalisation.png"
CAPTION = (
    "Share of B's own optimum and regret on B, a panel a surface, by the context that is paid in: designed on A with "
    "that context (full) and on A's other contexts only (open); bars are 95 % intervals."
)


def deployed_rows(
    settings: GeneralisationSettings, name: str, surface: ResponseSurface, designs: Designs = UNKEPT
) -> list[Row]:
    """Return a surface's rows: mechanisms designed on A, in all contexts and in all but one, paid by B."""
    by_key: dict[tuple[str, str, str], list[Row]] = {}
    for seed in settings.seeds:
        for key, row in _seed_rows(settings, surface.sell(settings.feature, loss=settings.loss), designs, seed):
            by_key.setdefault(key, []).append(row)
    return [
        {"surface": name, "context": context, "designed": designed, "mechanism": mechanism, **pooled(rows)}
        for (context, designed, mechanism), rows in by_key.items()
    ]


def _seed_rows(
    settings: GeneralisationSettings, sold: ResponseSurface, designs: Designs, seed: int
) -> Iterator[tuple[tuple[str, str, str], Row]]:
    every = range(len(sold.contexts))
    problem = Problem(sold.replicate("A"), parse_priors(settings.prior), settings.user_weight, seed, settings.quick)
    known = designs.by_label(DESIGNED, problem)
    recipes = designs.recipes(DESIGNED, quick=settings.quick)
    for paid_in in (None, *every):
        context = EVERY if paid_in is None else sold.contexts[paid_in]
        drawn = tuple(every) if paid_in is None else (paid_in,)
        for mechanism, row in scored(known, recipes, _case(settings, sold.replicate("B"), seed, drawn)):
            yield (context, KNOWN, mechanism), row
        if paid_in is None:
            continue
        # nobody says which context it is: the rule is the one for the mean of the contexts that it knows
        others = in_contexts(sold, [each for each in every if each != paid_in]).replicate("A")
        unseen = designs.by_label(DESIGNED, problem._replace(view=others))
        alone = in_contexts(sold, [paid_in]).replicate("B")
        for mechanism, row in scored(unseen, recipes, _case(settings, alone, seed, ())):
            yield (context, UNSEEN, mechanism), row


def _case(settings: GeneralisationSettings, paid_by: ResponseSurface, seed: int, contexts: tuple[int, ...]) -> Case:
    """Return where designs are paid, in these contexts; () for a context that nobody knows."""
    priors = parse_priors(settings.prior)
    sizes = ScoringSettings(settings.draws, settings.regret_draws, settings.regret_budget)
    profiles = draw_profiles(paid_by, priors, settings.draws, 1000 + seed, contexts=contexts)
    return case_of(paid_by, priors, settings.user_weight, sizes, seed=1000 + seed, profiles=profiles)


def opening(settings: GeneralisationSettings, deployed: Sequence[Row]) -> str:
    """Say what is sold, and how mechanisms are designed and paid."""
    return (
        f"`{settings.feature}` is sold at user weight {settings.user_weight:g}, valuations {settings.prior}, truthful "
        "bids. Mechanisms are designed on A and paid by B, in all contexts and in each by itself; in each also "
        "designed on A's other contexts only, the mechanism not being told where it is (it takes the mean of those it "
        f"knows). The share is of the optimum that knows B and the context; regret is the largest among bidders; "
        f"means over {len(settings.seeds)} seeds, ± one standard error, {deployed[0]['n']:,} profiles, "
        f"{deployed[0]['regret_n']:,} for regret. {recipe_sentence(quick=settings.quick)}"
    )
