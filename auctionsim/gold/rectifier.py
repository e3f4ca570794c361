"""The rectifier: the mean of a judge in every cell, corrected by a regression of a few gold labels.

The estimate of cell c is λ · (judge's mean) + x_c'β, with β the regression of gold − λ · judge on dose and context over
the labelled replies, each weighted by one over the probability that it was drawn with. It is the prediction-powered
estimate of Angelopoulos et al. (2023), with a mean that moves with dose and context in the place of one number.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from auctionsim.errors import InputError
from auctionsim.gold.cell_effects import CellSums, effect_variance
from auctionsim.gold.cells import CorrectedCells, JudgedCells, LabelledReplies, checked_cells, checked_labels

LINE, CELL_EFFECTS = "line", "cell effects"
RECTIFIERS = (CELL_EFFECTS, LINE)
"""What a cell may be off the line by: its own effect, whose size is estimated, or nothing."""
MOST_DEGREE = 3
_LEAST_SHARE = 0.05
"""Of the cells' mean variance per reply: that of a cell whose replies happen to be all alike is no less."""


class Rectifier(NamedTuple):
    """Model of gold less the judge: its line in dose and context, cells off that line, and the judge's weight.

    Attributes:
        kind: "cell effects" or "line", see `RECTIFIERS`. With "line" intervals are too short where cells have effects
            of their own.
        degree: Of the polynomial in dose, 1 to 3.
        judge_weight: λ; None: the one of the smallest mean variance, from 0 to 1. That λ leans on the estimated
            cells' effects: it gives shorter intervals, whose coverage depends more on that estimate.
    """

    kind: str = CELL_EFFECTS
    degree: int = 1
    judge_weight: float | None = 1.0


DEFAULT_RECTIFIER = Rectifier()


def correct_cells(
    cells: JudgedCells, labels: LabelledReplies, rectifier: Rectifier = DEFAULT_RECTIFIER
) -> CorrectedCells:
    """Return every cell's mean of gold, corrected by labels, with the covariance of all errors.

    What is estimated is the mean that the law of replies has in a cell, not that of the replies which were drawn. The
    covariance has four parts: the judge's sampling error; the coefficients' error, which cells share, by the jackknife
    over replies or clusters (CR3), so that no two replies need one variance; what both have in common, as labelled
    replies are part of the judge's means; and the part of the cells' own effects that the judge misses, (1 − λκ)² τ².

    κ is the slope of the judge on gold at one dose and context: where a cell's replies are worse than the line says,
    the judge's mean moves by κ for every 1 that gold moves. It is taken as the same in all cells: an effect on one of
    the two alone, such as a cell whose replies fool the judge, is not looked for, and few labels could not tell it.

    Args:
        cells: The judge's means.
        labels: The labelled replies, drawn with known probabilities.
        rectifier: Which.
    Raises:
        ValueError: What `checked_cells` and `checked_labels` refuse, too few labels for the terms, a context with fewer
            than two, or labels of too few doses.
    Source:
        Angelopoulos, Bates, Fannjiang, Jordan and Zrnic (2023), "Prediction-powered inference"; Bell and McCaffrey
        (2002), "Bias reduction in standard errors for linear regression with multi-stage samples", for CR3.
    Example:
        >>> rng = np.random.default_rng(0)
        >>> dose = np.linspace(0, 1, 10)
        >>> bad = rng.random((10, 40)) < 0.2 + 0.4 * dose[:, None]
        >>> judge = bad ^ (rng.random((10, 40)) < 0.15)
        >>> cell, reply = np.nonzero(rng.random((10, 40)) < 0.2)
        >>> count, context = np.full(10, 40), np.zeros(10, int)
        >>> judged = JudgedCells(judge.mean(1), judge.std(1, ddof=1) / 40**0.5, count, dose, context)
        >>> gold, said = bad[cell, reply].astype(float), judge[cell, reply].astype(float)
        >>> found = correct_cells(judged, LabelledReplies(cell, gold, said, np.full(len(cell), 0.2)))
        >>> bool((found.standard_error > judged.standard_error).all())
        True
    """
    checked_cells(cells)
    checked_labels(labels, cells)
    _check_rectifier(rectifier)
    fit = _Fit(cells, labels, rectifier.degree)
    passed_on = fit.passed_on
    effect = 0.0
    if rectifier.kind == CELL_EFFECTS:
        effect = effect_variance(fit.sums, passed_on, fit.label_variance)
    weight = rectifier.judge_weight
    if weight is None:
        weight = fit.least_variance(passed_on, effect)
    covariance = fit.covariance(weight)
    covariance[np.diag_indices_from(covariance)] += (1 - weight * passed_on) ** 2 * effect
    coefficients = fit.projection @ (labels.gold - weight * labels.judge)
    pull = fit.pull(weight)
    return CorrectedCells(
        weight * cells.mean + fit.terms @ coefficients,
        covariance,
        fit.names,
        coefficients,
        pull @ pull.T,
        weight,
        passed_on,
        effect**0.5,
    )


def _check_rectifier(rectifier: Rectifier) -> None:
    if rectifier.kind not in RECTIFIERS:
        raise InputError(f"the kind of rectifier must be one of {', '.join(RECTIFIERS)}, got {rectifier.kind!r}")
    if rectifier.degree not in range(1, MOST_DEGREE + 1):
        raise InputError(f"the degree in dose must be 1 to {MOST_DEGREE}, got {rectifier.degree!r}")
    weight = rectifier.judge_weight
    if weight is not None and not 0 <= weight <= 1:
        raise InputError(f"the judge's weight must be 0 to 1, or None, got {weight!r}")


def rectifier_terms(cells: JudgedCells, degree: int) -> tuple[tuple[str, ...], Float[np.ndarray, "cell term"]]:
    """Return the names and values of a rectifier's terms: 1, powers of the dose, and one for each further context."""
    contexts = range(1, int(cells.context.max()) + 1)
    names = ["1", *(f"dose^{power}" if power > 1 else "dose" for power in range(1, degree + 1))]
    columns = [cells.dose**power for power in range(degree + 1)]
    columns += [(cells.context == one).astype(float) for one in contexts]
    return (*names, *(f"context {one}" for one in contexts)), np.stack(columns, 1)


class _Fit:
    """The weighted regression of labels on a rectifier's terms, for any weight of the judge."""

    def __init__(self, cells: JudgedCells, labels: LabelledReplies, degree: int) -> None:
        self.cells, self.labels = cells, labels
        self.names, self.terms = rectifier_terms(cells, degree)
        weights = 1 / labels.probability
        self.weights = weights / weights.mean()
        self.rows = self.terms[labels.cell]
        _check_rows(self.rows, labels, cells)
        weighted = self.rows * self.weights[:, None]
        self.projection = np.linalg.solve(weighted.T @ self.rows, weighted.T)  # (term, reply)
        self.gold_rest = labels.gold - self.rows @ (self.projection @ labels.gold)
        self.judge_rest = labels.judge - self.rows @ (self.projection @ labels.judge)
        self.clusters = _numbered(labels)
        self.group = np.zeros((self.clusters.max() + 1, len(weights)))
        self.group[self.clusters, np.arange(len(weights))] = 1
        self._left_out = self._without_own(np.stack([self.gold_rest, self.judge_rest], 1))
        self.judge_variance = self._judge_variance()

    def _without_own(self, rest: Float[np.ndarray, "reply 2"]) -> Float[np.ndarray, "reply 2"]:
        """Return residuals from fits without the reply's own cluster, (I − H_gg)⁻¹ e_g."""
        found = np.empty_like(rest)
        for one in range(len(self.group)):
            own = np.flatnonzero(self.group[one])
            gap = np.eye(len(own)) - self.rows[own] @ self.projection[:, own]
            if np.linalg.svd(gap, compute_uv=False).min() < 1e-9:
                raise InputError(
                    "one reply, or one cluster of replies, alone decides a coefficient of the rectifier: more labels "
                    "are needed, of more prompts, doses or contexts"
                )
            found[own] = np.linalg.solve(gap, rest[own])
        return found

    def _judge_variance(self) -> Float[np.ndarray, " cell"]:
        per_reply = self.cells.standard_error**2 * self.cells.n
        return np.asarray(np.maximum(per_reply, _LEAST_SHARE * per_reply.mean()) / self.cells.n)

    @property
    def label_variance(self) -> float:
        """Variance of one label around its line."""
        free = 1 - self.rows.shape[1] / len(self.rows)
        return float(max(float(np.average(self.gold_rest**2, weights=self.weights)) / free, 1e-6))

    @property
    def passed_on(self) -> float:
        """κ: the slope of the judge on gold, dose and context held."""
        square = float(self.weights @ self.gold_rest**2)
        return float(np.clip(self.weights @ (self.gold_rest * self.judge_rest) / square, 0, 1)) if square > 0 else 0.0

    @property
    def sums(self) -> CellSums:
        """What every cell's judge and labels say."""
        count, cell = len(self.cells.mean), self.labels.cell
        total = np.bincount(cell, self.weights, count)
        there = total > 0
        safe = np.where(there, total, 1.0)
        gold = np.bincount(cell, self.weights * self.labels.gold, count) / safe
        share = np.where(there, np.bincount(cell, self.weights**2, count) / safe**2, np.inf)
        variance = np.maximum(self.judge_variance, 1e-9)
        return CellSums(self.terms, self.cells.mean, variance, gold, share, self.cells.n)

    def pull(self, weight: float) -> Float[np.ndarray, "term cluster"]:
        """Return what each cluster pulls the coefficients by."""
        rest = self._left_out[:, 0] - weight * self._left_out[:, 1]
        return (self.projection * rest) @ self.group.T

    def covariance(self, weight: float) -> Float[np.ndarray, "cell cell"]:
        """Return the covariance of the estimates' errors, the cells' own effects left out."""
        shared = self.terms @ self.pull(weight)  # (cell, cluster)
        off = self.labels.judge - self.cells.mean[self.labels.cell]
        own = np.zeros_like(shared)  # the labelled replies' part in the judge's mean
        np.add.at(own, (self.labels.cell, self.clusters), weight * off / self.cells.n[self.labels.cell])
        both = own @ shared.T
        return np.asarray(shared @ shared.T + both + both.T + np.diag(weight**2 * self.judge_variance))

    def least_variance(self, passed_on: float, effect: float) -> float:
        """Return the weight of the judge with the smallest mean variance: a parabola through three weights."""
        none, half, whole = (
            np.trace(self.covariance(weight)) / len(self.terms) + (1 - weight * passed_on) ** 2 * effect
            for weight in (0.0, 0.5, 1.0)
        )
        curve = 2 * (none + whole - 2 * half)
        slope = whole - none - curve
        return float(np.clip(-slope / (2 * curve), 0, 1)) if curve > 0 else float(slope < 0)


def _numbered(labels: LabelledReplies) -> np.ndarray:
    if labels.cluster is None:
        return np.arange(len(labels.cell))
    return np.unique(labels.cluster, return_inverse=True)[1]


def _check_rows(rows: Float[np.ndarray, "reply term"], labels: LabelledReplies, cells: JudgedCells) -> None:
    """Refuse labels that do not settle the coefficients, each for its own reason."""
    contexts = cells.context[labels.cell]
    for one in range(int(cells.context.max()) + 1):
        count = int((contexts == one).sum())
        if count < 2:
            raise InputError(f"every context needs two labelled replies or more, context {one} has {count}")
    if len(rows) < rows.shape[1] + 2:
        raise InputError(f"{rows.shape[1]} terms need {rows.shape[1] + 2} labelled replies or more, got {len(rows)}")
    if np.linalg.matrix_rank(rows) < rows.shape[1]:
        raise InputError("labelled replies must be of more doses than the rectifier's degree in each of their contexts")
