"""Worlds of made-up labels, to try how often a rectifier's intervals hold the truth and how wide they are."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from auctionsim.checks import checked_count
from auctionsim.errors import InputError
from auctionsim.gold.cells import CorrectedCells, JudgedCells, LabelledReplies
from auctionsim.gold.rectifier import DEFAULT_RECTIFIER, Rectifier, correct_cells

_THIRDS = (1 / 3, 2 / 3)
_NORMAL_95 = 1.959963984540054


class LabelWorld(NamedTuple):
    """A world of cells, whose law, gold and judge are known.

    A cell's dose is the mean of two coordinates. Its gold is bad with probability base + slope · dose + an effect of
    its own, cut to [.01, .99]. The judge flips a label with probability `flips`, then says bad with the further
    probability `alarms` · dose.

    Attributes:
        coordinates: The values of each of the two coordinates.
        contexts: Copies of the cells, each context's gold worse by `context_step` than the one before.
        replies: Of each cell.
        labelled: Share of replies that get a gold label.
        tilt: Replies that the judge calls bad are labelled 1 + `tilt` times as often as the others.
        base: Probability of a bad reply at dose 0.
        slope: Its rise by one dose.
        flips: Share of labels that the judge turns round.
        alarms: Further probability that the judge says bad, by one dose.
        cell_effect: Standard deviation of the cells' own effects on gold.
        context_step: By how much gold is worse in each further context.
    """

    coordinates: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    contexts: int = 1
    replies: int = 48
    labelled: float = 0.1
    tilt: float = 0.0
    base: float = 0.2
    slope: float = 0.4
    flips: float = 0.15
    alarms: float = 0.2
    cell_effect: float = 0.0
    context_step: float = 0.0


class WorldDraw(NamedTuple):
    """One draw of a world.

    Attributes:
        cells: The judge's means.
        labels: The labelled replies.
        truth: Every cell's probability of a bad reply.
    """

    cells: JudgedCells
    labels: LabelledReplies
    truth: Float[np.ndarray, " cell"]


class Coverage(NamedTuple):
    """Share of 95 % intervals that held cells' probabilities, and their widths.

    Attributes:
        share: Of all intervals.
        by_third: Of those of cells in each third of the dose, from 0 on; NaN where there are none.
        width: Mean width.
        gold_width: Mean width of the intervals of the mean of a cell's own labels, of cells that have two or more.
        cell_effect: Mean estimate of the cells' own effects' standard deviation.
    """

    share: float
    by_third: tuple[float, float, float]
    width: float
    gold_width: float
    cell_effect: float


def draw_world(world: LabelWorld, generator: np.random.Generator) -> WorldDraw:
    """Return one draw of a world: its effects, replies, judge and labels."""
    first, second = np.meshgrid(world.coordinates, world.coordinates, indexing="ij")
    dose = np.tile((first.ravel() + second.ravel()) / 2, world.contexts)
    context = np.repeat(np.arange(world.contexts), first.size)
    line = world.base + world.slope * dose + world.context_step * context
    truth = np.clip(line + world.cell_effect * generator.standard_normal(len(dose)), 0.01, 0.99)
    shape = (len(dose), world.replies)
    gold = generator.random(shape) < truth[:, None]
    judge = gold ^ (generator.random(shape) < world.flips)
    judge |= generator.random(shape) < world.alarms * dose[:, None]
    probability = _probabilities(world, judge)
    cell, reply = np.nonzero(generator.random(shape) < probability)
    error = judge.std(1, ddof=1) / np.sqrt(world.replies)
    count = np.full(len(dose), world.replies)
    cells = JudgedCells(judge.mean(1), error, count, dose, context)
    labels = LabelledReplies(
        cell, gold[cell, reply].astype(float), judge[cell, reply].astype(float), probability[cell, reply]
    )
    return WorldDraw(cells, labels, truth)


def _probabilities(world: LabelWorld, judge: Bool[np.ndarray, "cell reply"]) -> Float[np.ndarray, "cell reply"]:
    """Return each reply's probability of a label: `labelled` in the mean, tilted to what the judge calls bad."""
    weights = 1 + world.tilt * judge
    found = np.asarray(world.labelled * weights / weights.mean())
    if found.max() > 1:
        raise InputError(f"a reply would be labelled with probability {found.max():.3g}: label fewer, or tilt less")
    return found


def coverage_of(
    world: LabelWorld, rectifier: Rectifier = DEFAULT_RECTIFIER, draws: int = 400, seed: int = 0
) -> Coverage:
    """Return how often a rectifier's intervals hold the truth in draws of a world.

    Args:
        world: Which.
        rectifier: Which.
        draws: How many.
        seed: Of the draws.
    Example:
        >>> coverage = coverage_of(LabelWorld(), draws=20)
        >>> coverage.share > 0.85 and coverage.width < coverage.gold_width
        True
    """
    checked_count(draws, "draws")
    generator = np.random.default_rng(seed)
    held, widths, gold_widths, effects = [], [], [], []
    for _ in range(draws):
        draw = draw_world(world, generator)
        found: CorrectedCells = correct_cells(draw.cells, draw.labels, rectifier)
        half = _NORMAL_95 * found.standard_error
        held.append(np.abs(found.mean - draw.truth) <= half)
        widths.append(2 * half)
        gold_widths.append(_gold_width(draw))
        effects.append(found.cell_effect)
    third, all_held = np.digitize(draw.cells.dose, _THIRDS), np.array(held)
    shares = [float(all_held[:, third == k].mean()) if (third == k).any() else float("nan") for k in range(3)]
    by_third = (shares[0], shares[1], shares[2])
    return Coverage(
        float(all_held.mean()), by_third, float(np.mean(widths)), float(np.mean(gold_widths)), float(np.mean(effects))
    )


def _gold_width(draw: WorldDraw) -> float:
    """Return the mean width of the interval of a cell's own labels' mean, by their standard deviation."""
    count = np.bincount(draw.labels.cell, minlength=len(draw.truth))
    total = np.bincount(draw.labels.cell, draw.labels.gold, len(draw.truth))
    mean = total / np.maximum(count, 1)
    variance = (total - count * mean**2) / np.maximum(count - 1, 1)  # labels are 0 and 1: their squares' sum is total
    enough = count >= 2
    return float((2 * _NORMAL_95 * np.sqrt(variance[enough].clip(0) / count[enough])).mean())
