"""Cells' own effects off the rectifier's line: how large they are, and what part of them shows in the judge."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

_STEPS = 121
"""Of the standard deviation's grid."""
_NONE = 1e8
"""Variance of the mean of labels that are not there."""


class CellSums(NamedTuple):
    """What a cell's judge and its labels say of it.

    Attributes:
        terms: The rectifier's terms.
        judge: Mean of the judge's values.
        judge_variance: Of that mean.
        gold: Weighted mean of the labels; 0 where there are none.
        gold_share: Σ w² / (Σ w)² of the labels' weights; infinite where there are none.
        n: Replies that the judge's mean is over.
    """

    terms: Float[np.ndarray, "cell term"]
    judge: Float[np.ndarray, " cell"]
    judge_variance: Float[np.ndarray, " cell"]
    gold: Float[np.ndarray, " cell"]
    gold_share: Float[np.ndarray, " cell"]
    n: Int[np.ndarray, " cell"]


def effect_variance(sums: CellSums, passed_on: float, label_variance: float) -> float:
    """Return the variance of cells' own effects on gold, by restricted maximum likelihood.

    Cell c has gold's mean x_c'β + u_c and the judge's mean x_c'α + κ u_c, with u_c normal of variance τ². Both are
    seen with sampling errors, which are correlated as labelled replies are part of the judge's mean. τ² is found on a
    grid of standard deviations from 0 to that of a label. With few labels per cell it is the judge's means that say
    most of it, and the smaller κ the less they say.

    Args:
        sums: Of every cell.
        passed_on: κ.
        label_variance: Of one label around the rectifier's line.
    """
    deviations = np.linspace(0, np.sqrt(label_variance), _STEPS)
    inverse, log_det = _inverse(sums, passed_on, label_variance, deviations**2)
    rows = np.stack([sums.judge, sums.gold], 1)
    # rows' information on (α, β): blocks of terms by terms
    blocks = np.einsum("gcij,cp,cq->gipjq", inverse, sums.terms, sums.terms)
    size = 2 * sums.terms.shape[1]
    information = blocks.reshape(len(deviations), size, size)
    pull = np.einsum("gcij,cj,cp->gip", inverse, rows, sums.terms).reshape(len(deviations), size, 1)
    squares = np.einsum("gcij,ci,cj->g", inverse, rows, rows)
    rest = squares - (pull * np.linalg.solve(information, pull)).sum((1, 2))
    likelihood = -0.5 * (log_det + np.linalg.slogdet(information)[1] + rest)
    return float(deviations[int(likelihood.argmax())] ** 2)


def _inverse(
    sums: CellSums, passed_on: float, label_variance: float, variances: Float[np.ndarray, " step"]
) -> tuple[Float[np.ndarray, "step cell 2 2"], Float[np.ndarray, " step"]]:
    """Return the inverse covariance of every cell's judge and gold mean at each τ², and the log determinants' sum."""
    effect = variances[:, None]
    labelled = np.isfinite(sums.gold_share)
    own = np.where(labelled, label_variance * np.where(labelled, sums.gold_share, 0.0), _NONE)
    shared = np.where(labelled, passed_on * label_variance / sums.n, 0.0)  # labelled replies are in both means
    shared = np.minimum(shared, 0.9 * np.sqrt(sums.judge_variance * own))
    judge, both, gold = (
        passed_on**2 * effect + sums.judge_variance,
        passed_on * effect + shared,
        effect + own,
    )
    det = judge * gold - both**2
    inverse = np.stack([np.stack([gold, -both], -1), np.stack([-both, judge], -1)], -2) / det[..., None, None]
    return inverse, np.log(det).sum(1)
