"""What harm-aware neurons are worth to an auction: revenue against the user's loss, beside plain attribution's neurons.

auctionsim auction neurons-frontier --out runs/neurons-frontier
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console

from auctionsim import metrics
from auctionsim.errors import InputError
from auctionsim.experiments.figures.neurons_frontier import draw_frontiers, draw_singles
from auctionsim.experiments.running.designs import UNKEPT, Designs
from auctionsim.experiments.running.measured import brand_names
from auctionsim.experiments.running.run import Row, Run, Section
from auctionsim.experiments.tables.frontier_bootstrap import (
    Played,
    Resampled,
    bootstrapped,
    equal_rows,
    single_rows,
    spread,
)
from auctionsim.experiments.tables.mechanisms import PRIOR
from auctionsim.experiments.tables.neurons_frontier import prose, trade_off_claim
from auctionsim.mechanisms.table import Problem
from auctionsim.scoring import draw_profiles
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.measurements import REPLICATES


@dataclass(frozen=True)
class NeuronsFrontierSettings:
    """Which two surfaces are compared, and how.

    Attributes:
        harm_aware: Name of the surface whose neurons were chosen per unit of the user's harm.
        plain: Name of the surface of neurons by plain attribution.
        folder: Run folder.
        feature: Feature that is sold: what bidders pay for, such as slot_probability.
        user_weights: λ, ascending, at each of which a mechanism is designed on replicate A.
        draws: Truthful profiles, the same on both surfaces.
        resamples: Of the bootstrap: profiles, the same ones on both surfaces, and the cells' measurement noise.
        quick: Whether the affine maximizer is trained by the quick recipe.
        seed: Of everything.
        limits: User losses, in the unit of the loss, under which a brand's best single setting is named.
        loss: Which loss of the user is charged, as `Offer` reads it.
    """

    harm_aware: str
    plain: str
    folder: Path
    feature: str = "slot_probability"
    user_weights: tuple[float, ...] = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
    draws: int = 8192
    resamples: int = 1000
    quick: bool = True
    seed: int = 0
    limits: tuple[float, ...] = (0.05, 0.1, 0.2)
    loss: str = "kl"

    def __post_init__(self) -> None:
        weights = self.user_weights
        if len(weights) < 2 or weights[0] < 0 or list(weights) != sorted(set(weights)):
            raise InputError(f"user weights must be two or more ascending numbers >= 0, got {weights}")


class Frontiers(NamedTuple):
    """What was found.

    Attributes:
        points: One row a mechanism, surface, weight and replicate.
        steps: One row a mechanism, surface, replicate and pair of neighbouring weights: the change of revenue and loss.
        equal: One row a mechanism, replicate, kind of comparison and level.
        singles: One row a surface, brand and setting, rivals untouched.
        section: Of the results.
    """

    points: tuple[Row, ...]
    steps: tuple[Row, ...]
    equal: tuple[Row, ...]
    singles: tuple[Row, ...]
    section: Section


def main(
    settings: NeuronsFrontierSettings,
    harm_aware: ResponseSurface,
    plain: ResponseSurface,
    command: str,
    console: Console,
    designs: Designs = UNKEPT,
) -> Frontiers:
    """Sweep the user weight on both surfaces, compare them at equal loss and at equal revenue, and write it all.

    Args:
        settings: What to do.
        harm_aware: The first surface; sells the feature.
        plain: The second, of the same brands and contexts.
        command: What the user typed, for run.json.
        console: Told where it all is.
        designs: Makes the mechanisms.
    Raises:
        ValueError: Two surfaces of different brands or contexts.
    """
    checked_pair(harm_aware, plain)
    pair = surfaces_of(settings, harm_aware, plain)
    sold = {name: surface.sell(settings.feature, loss=settings.loss) for name, surface in pair}
    charged = next(iter(sold.values())).charged_loss
    digests = [surface.digest for surface in sold.values()]
    run = Run(settings.folder, settings, dict(zip(("harm_aware", "plain"), digests, strict=True)))
    run.begin(command)
    rows = [
        row
        for name in ("optimum", "affine")
        for row in run.part(
            designs.entry(name).label,
            lambda n=name: list(swept(settings, sold, designs, n)),  # type: ignore[misc]
        )
    ]
    tables = {name: [row for row in rows if row["table"] == name] for name in ("points", "steps", "equal")}
    tables["singles"] = [row for name, one in sold.items() for row in single_rows(name, one)]
    draw_frontiers(tables["points"], settings.folder / "frontier.png", charged)
    draw_singles(tables["singles"], settings.folder / "singles.png", charged)
    section = Section(
        "Harm-aware against plain neurons as an auction",
        prose(opening(settings, sold), tables, settings.limits),
        {
            "frontier.png": "Revenue against user loss over user weights: A solid, B dashed, one standard error",
            "singles.png": "What one brand's amplification brings and costs, rivals untouched; A and B pooled",
        },
        (trade_off_claim(settings.user_weights, tables["steps"]),),
    )
    run.finish(tables, section, command=command, console=console)
    return Frontiers(
        tuple(tables["points"]), tuple(tables["steps"]), tuple(tables["equal"]), tuple(tables["singles"]), section
    )


def surfaces_of(
    settings: NeuronsFrontierSettings, harm_aware: ResponseSurface, plain: ResponseSurface
) -> tuple[tuple[str, ResponseSurface], ...]:
    """Name the surfaces for tables."""
    return (f"harm-aware ({settings.harm_aware})", harm_aware), (f"plain ({settings.plain})", plain)


def checked_pair(one: ResponseSurface, other: ResponseSurface) -> None:
    """Refuse surfaces whose auctions are not the same game.

    Raises:
        ValueError: Different brands or contexts.
    """
    for what, here, there in (
        ("brands", brand_names(one), brand_names(other)),
        ("contexts", one.contexts, other.contexts),
    ):
        if here != there:
            raise InputError(f"both surfaces must have the same {what}, got {', '.join(here)} and {', '.join(there)}")


def swept(
    settings: NeuronsFrontierSettings, sold: Mapping[str, ResponseSurface], designs: Designs, mechanism: str
) -> Iterator[Row]:
    """Yield one mechanism's rows on both surfaces."""
    resampled = {}
    label = designs.entry(mechanism).label
    key = {"mechanism": label, "recipe": designs.recipes((mechanism,), quick=settings.quick).get(label, "")}
    for name, surface in sold.items():
        plays = played(settings, surface, designs, mechanism)
        resampled[name] = bootstrapped(plays, settings.resamples, settings.seed)
        yield from point_rows(settings, plays, resampled[name], key | {"surface": name})
        yield from step_rows(settings, resampled[name], key | {"surface": name})
    one, other = resampled.values()
    for replicate in REPLICATES:
        yield from equal_rows(one, other, key | {"replicate": replicate})


def played(settings: NeuronsFrontierSettings, surface: ResponseSurface, designs: Designs, mechanism: str) -> Played:
    """Clear the same profiles at every weight; the mechanism is designed on replicate A."""
    profiles = draw_profiles(surface, PRIOR, settings.draws, settings.seed)
    assert profiles.context is not None  # what is measured has contexts
    problems = [Problem(surface, PRIOR, w, settings.seed, settings.quick) for w in settings.user_weights]
    outcomes = [designs.of(mechanism, problem)(*profiles) for problem in problems]
    views = [surface.replicate(name) for name in REPLICATES]
    value = [[metrics.welfare(o, view, *profiles).numpy() for o in outcomes] for view in views]
    ends = torch.cat([o.allocation.flatten(1) for o in outcomes])
    context = profiles.context.repeat(len(outcomes))
    distinct, cells = torch.unique(torch.cat([ends, context.unsqueeze(1).to(ends)], 1), dim=0, return_inverse=True)
    allocation = distinct[:, :-1].view(-1, *outcomes[0].allocation.shape[1:])
    where = distinct[:, -1].long()
    return Played(
        revenue=np.stack([o.payments.sum(1).numpy() for o in outcomes]),
        value=np.array(value),
        cells=cells.view(len(outcomes), -1).numpy(),
        losses=np.stack([view.user_loss(allocation, where).numpy() for view in views]),
        errors=np.stack([view.standard_error(allocation, where).user_loss.numpy() for view in views]),
    )


def point_rows(settings: NeuronsFrontierSettings, plays: Played, means: Resampled, key: Row) -> Iterator[Row]:
    for k, replicate in enumerate(REPLICATES):
        for w, weight in enumerate(settings.user_weights):
            loss, revenue = means.loss[replicate][:, w], means.revenue[:, w]
            yield {
                "table": "points",
                **key,
                "user_weight": weight,
                "replicate": replicate,
                **spread("revenue", revenue),
                **spread("user_loss", loss),
                **spread("objective", revenue - weight * loss),
                "welfare": float(plays.value[k, w].mean()),
                "welfare_standard_error": float(plays.value[k, w].std(ddof=1) / settings.draws**0.5),
                "n": settings.draws,
            }


def step_rows(settings: NeuronsFrontierSettings, means: Resampled, key: Row) -> Iterator[Row]:
    """Yield what each rise of the user weight changes, paired by profiles."""
    pairs = list(zip(settings.user_weights, settings.user_weights[1:], strict=False))
    for replicate in REPLICATES:
        for w, (weight, following) in enumerate(pairs):
            row = {"table": "steps", **key, "replicate": replicate, "from_weight": weight, "to_weight": following}
            for name, values in (("revenue", means.revenue), ("user_loss", means.loss[replicate])):
                row |= spread(f"{name}_change", values[:, w + 1] - values[:, w])
            yield row | {"n": settings.draws}


def opening(settings: NeuronsFrontierSettings, sold: Mapping[str, ResponseSurface]) -> str:
    """Say what is compared."""
    same = len({one.grids for one in sold.values()}) == 1
    grids = "on the same grid" if same else "on different grids, which the comparison then mixes in"
    return (
        f"{settings.feature} sold to {', '.join(brand_names(next(iter(sold.values()))))} on two surfaces {grids}: "
        f"{' and '.join(sold)}. Valuations U[0, 1], {settings.draws} truthful profiles, the same on both; "
        f"mechanisms are "
        f"designed on replicate A at each user weight. Revenue is what they charge, so B changes the loss and what "
        f"bidders get. Errors and [95 % intervals] are by bootstrap: profiles, and the measurement noise of "
        f"each cell's "
        f"user loss; not the noise in the exposures that a mechanism was designed on."
    )
