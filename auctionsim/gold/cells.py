"""Cells whose judge is corrected by a few gold labels: what goes in, what comes out, and what is refused."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from auctionsim.errors import InputError

MOST_CELLS = 1 << 13
"""Of one correction: the covariance between all cells is held, 512 MiB at most."""


class JudgedCells(NamedTuple):
    """The means of a judge's values over the replies of every cell.

    Attributes:
        mean: Of the judge's values of a cell's replies, finite.
        standard_error: Of the mean, ≥ 0.
        n: How many replies the mean is over, ≥ 1.
        dose: How far the cell is from the untouched model; any number that the judge's error may follow.
        context: Index of the cell's context, from 0 on.
    """

    mean: Float[np.ndarray, " cell"]
    standard_error: Float[np.ndarray, " cell"]
    n: Int[np.ndarray, " cell"]
    dose: Float[np.ndarray, " cell"]
    context: Int[np.ndarray, " cell"]


class LabelledReplies(NamedTuple):
    """The replies that have a gold label.

    Attributes:
        cell: Index of the reply's cell.
        gold: The label: 1 where the reply is bad, 0 where it is good; or any gold score.
        judge: The judge's value of the reply, one of those in the cell's mean.
        probability: With which the reply was drawn to be labelled, above 0 and at most 1.
        cluster: Replies that share a number, such as those to one prompt, may have errors in common; None: no two do.
    """

    cell: Int[np.ndarray, " reply"]
    gold: Float[np.ndarray, " reply"]
    judge: Float[np.ndarray, " reply"]
    probability: Float[np.ndarray, " reply"]
    cluster: Int[np.ndarray, " reply"] | None = None


class CorrectedCells(NamedTuple):
    """Estimates of every cell from gold labels and the judge together, with the covariance of their errors.

    Attributes:
        mean: Estimates of the law's mean of gold in each cell: of a probability, where labels are 0 and 1.
        covariance: Of the estimates' errors; cells share the rectifier's coefficients, so their errors are correlated.
        terms: Names of the rectifier's coefficients.
        coefficients: Of gold less λ times the judge on the terms.
        coefficient_covariance: Of their errors.
        judge_weight: λ, what the judge's mean counts.
        passed_on: κ, the part of a cell's own effect on gold that shows in the judge's mean, from 0 to 1.
        cell_effect: Standard deviation of the cells' own effects on gold, off the rectifier's line.
    """

    mean: Float[np.ndarray, " cell"]
    covariance: Float[np.ndarray, "cell cell"]
    terms: tuple[str, ...]
    coefficients: Float[np.ndarray, " term"]
    coefficient_covariance: Float[np.ndarray, "term term"]
    judge_weight: float
    passed_on: float
    cell_effect: float

    @property
    def standard_error(self) -> Float[np.ndarray, " cell"]:
        """Standard error of every cell's estimate."""
        return np.asarray(np.sqrt(np.diag(self.covariance).clip(0)))


def checked_cells(cells: JudgedCells) -> None:
    """Refuse cells that contradict themselves.

    Raises:
        ValueError: Arrays of different lengths, none or too many cells, or numbers that are not finite or out of range.
    """
    count = len(cells.mean)
    if not 1 <= count <= MOST_CELLS or any(len(part) != count for part in cells):
        raise InputError(f"cells must be 1 to {MOST_CELLS}, each array as long, got {[len(part) for part in cells]}")
    for name in ("mean", "standard_error", "dose"):
        _finite(cells._asdict()[name], name)
    if cells.standard_error.min() < 0 or cells.n.min() < 1 or cells.context.min() < 0:
        raise InputError("standard errors must be >= 0, n >= 1 and contexts >= 0")


def checked_labels(labels: LabelledReplies, cells: JudgedCells) -> None:
    """Refuse labels that do not belong to the cells.

    Raises:
        ValueError: Arrays of different lengths, a cell that is not there, a probability outside (0, 1], or a number
            that is not finite.
    """
    parts = [part for part in labels if part is not None]
    if not len(labels.cell) or any(len(part) != len(labels.cell) for part in parts):
        raise InputError(f"labels must be one or more, each array as long, got {[len(part) for part in parts]}")
    if labels.cell.min() < 0 or labels.cell.max() >= len(cells.mean):
        worst = int(labels.cell.max() if labels.cell.min() >= 0 else labels.cell.min())
        raise InputError(f"a label's cell must be 0 to {len(cells.mean) - 1}, got {worst}")
    for name in ("gold", "judge", "probability"):
        _finite(labels._asdict()[name], name)
    if labels.probability.min() <= 0 or labels.probability.max() > 1:
        least, most = float(labels.probability.min()), float(labels.probability.max())
        raise InputError(f"a label's probability must be above 0 and at most 1, got {least if least <= 0 else most}")


def _finite(array: Float[np.ndarray, " any"], name: str) -> None:
    if not np.isfinite(array).all():
        raise InputError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}")
