"""Frontiers of revenue over user loss, resampled: differences at equal loss and at equal revenue, and single brands."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from auctionsim.experiments.running.measured import brand_names
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.maps import setting_text
from auctionsim.experiments.tables.neurons_frontier import KINDS
from auctionsim.scoring.single_settings import single_settings
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.measurements import REPLICATES

LEVELS = (0.25, 0.5, 0.75, 1.0)  # of what both surfaces reach


Array = NDArray[np.float64]


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


def on_frontier(x: Array, y: Array, level: float) -> Array:
    """Read y where x reaches a level, resample by resample, linear between weights and down to nothing at all.

    Between two weights a mechanism can toss a coin, and with the untouched model too, so this much is attainable. Where
    a weight reaches x below 0, as a signed loss may be, coins are tossed between weights only.
    """
    read = []
    for xs, ys in zip(x, y, strict=True):
        order = np.argsort(xs)
        start = [0.0] if xs.min() >= 0 else []
        read.append(np.interp(level, np.append(start, xs[order]), np.append(start, ys[order])))
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
