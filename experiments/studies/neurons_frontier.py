"""What harm-aware neurons are worth to an auction: revenue against the user's loss, beside plain attribution's neurons.

auctionsim auction neurons-frontier --out runs/neuron-auctions
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from auctionsim import metrics
from auctionsim.errors import InputError
from auctionsim.experiments.figures.neurons_frontier import draw_frontiers, draw_singles
from auctionsim.experiments.running.designs import UNKEPT, Designs
from auctionsim.experiments.running.measured import brand_names
from auctionsim.experiments.running.run import Row, Run, Section
from auctionsim.experiments.tables.maps import setting_text
from auctionsim.experiments.tables.mechanisms import PRIOR
from auctionsim.experiments.tables.neurons_frontier import KINDS, prose, trade_off_claim
from auctionsim.mechanisms.table import Problem
from auctionsim.scoring import draw_profiles
from auctionsim.scoring.single_settings import single_settings
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.measurements import REPLICATES

LEVELS = (0.25, 0.5, 0.75, 1.0)  # of what both surfaces reach
Array = NDArray[np.float64]


@dataclass(frozen=True)
class NeuronsFrontierSettings:
    """Which two surfaces are compared, and how.

    Attributes:
        harm_aware: Name of the surface whose neurons were chosen per unit of the user's harm.
        plain: Name of the surface of neurons by plain attribution.
        folder: Run folder.
        feature: What is sold.
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


class Played(NamedTuple):
    """One mechanism on one surface over all user weights, truthful bidders.

    Attributes:
        revenue: (weight, draw).
        value: Σ v · e, (replicate, weight, draw).
        cells: Which intervention and context each draw ends in, (weight, draw).
        losses: What those cost the user, (replicate, cell).
        errors: Standard errors of that, (replicate, cell).
    """

    revenue: Array
    value: Array
    cells: NDArray[np.int64]
    losses: Array
    errors: Array


class Resampled(NamedTuple):
    """Means over draws, the first row as drawn, the others resampled: revenue (resample, weight), loss a replicate."""

    revenue: Array
    loss: Mapping[str, Array]


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


def bootstrapped(plays: Played, resamples: int, seed: int) -> Resampled:
    """Resample profiles, and redraw what each cell's loss was measured to be; the first row is as it was drawn.

    The same seed resamples the same profiles on another surface.
    """
    rows, noise = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    weights, draws = plays.revenue.shape
    cells = plays.losses.shape[1]
    offsets = np.arange(weights)[:, None] * cells
    revenue = [plays.revenue.mean(1)]
    losses = {name: [plays.losses[k][plays.cells].mean(1)] for k, name in enumerate(REPLICATES)}
    for _ in range(resamples):
        picked = rows.integers(draws, size=draws)
        revenue.append(plays.revenue[:, picked].mean(1))
        counts = np.bincount((plays.cells[:, picked] + offsets).ravel(), minlength=weights * cells)
        shares = counts.reshape(weights, cells) / draws
        for k, name in enumerate(REPLICATES):
            measured = plays.losses[k] + plays.errors[k] * noise.standard_normal(cells)
            losses[name].append(shares @ measured)
    return Resampled(np.stack(revenue), {name: np.stack(means) for name, means in losses.items()})


def spread(name: str, values: Array) -> Row:
    """Return the estimate, the bootstrap's standard error and its 95 % percentile interval as columns."""
    low, high = np.quantile(values[1:], (0.025, 0.975))
    error = float(values[1:].std(ddof=1))
    return {
        name: float(values[0]),
        f"{name}_standard_error": error,
        f"{name}_low": float(low),
        f"{name}_high": float(high),
    }


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


def on_frontier(x: Array, y: Array, level: float) -> Array:
    """Read y where x reaches a level, resample by resample, linear between weights and down to nothing at all.

    Between two weights a mechanism can toss a coin, and with the untouched model too, so this much is attainable.
    """
    read = []
    for xs, ys in zip(x, y, strict=True):
        order = np.argsort(xs)
        read.append(np.interp(level, np.append(0.0, xs[order]), np.append(0.0, ys[order])))
    return np.array(read)


def equal_rows(one: Resampled, other: Resampled, key: Row) -> Iterator[Row]:
    """Yield both comparisons at shares of what both surfaces reach; the differences are paired by profiles."""
    replicate = key["replicate"]
    for kind in KINDS:
        axes = [
            (m.loss[replicate], m.revenue) if kind == KINDS[0] else (m.revenue, m.loss[replicate]) for m in (one, other)
        ]
        reach = min(float(x[0].max()) for x, _ in axes)
        for share in LEVELS:
            first, second = (on_frontier(x, y, share * reach) for x, y in axes)
            yield {
                "table": "equal",
                **key,
                "kind": kind,
                "level": share * reach,
                **spread("harm_aware", first),
                **spread("plain", second),
                **spread("difference", first - second),
                "n": len(first) - 1,
            }


def single_rows(name: str, surface: ResponseSurface) -> Iterator[Row]:
    """Yield what each setting of one brand alone brings it and costs the user: A, B and contexts pooled."""
    views = [surface.replicate(replicate) for replicate in REPLICATES]
    for i, brand in enumerate(brand_names(surface)):
        for setting in single_settings(surface):
            allocation = surface.null_allocation(2, dtype=torch.float64)
            allocation[1, i] = setting
            exposure = torch.stack([view.exposure(allocation)[:, i, 0] for view in views]).mean(0)
            loss = torch.stack([view.user_loss(allocation) for view in views]).mean(0)
            errors = [view.standard_error(allocation) for view in views]
            spreads = torch.stack([one.exposure[:, i, 0].square() for one in errors]).sum(0) / len(views) ** 2
            loss_error = torch.stack([one.user_loss[1].square() for one in errors]).sum().sqrt() / len(views)
            yield {
                "surface": name,
                "brand": brand,
                "setting": setting_text(setting),
                "lift": float(exposure[1] - exposure[0]),
                "lift_standard_error": float(spreads.sum().sqrt()),
                "user_loss": float(loss[1]),
                "user_loss_standard_error": float(loss_error),
            }


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
