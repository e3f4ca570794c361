"""Prediction-powered inference: labels of a random few correct a judge's readings of many, PPI and PPI++.

The labelled replies are a simple random draw of all of them: every reply is labelled with the same probability,
whatever it says. Where probabilities differ (strata, doubtful replies first), see `designed`.
"""

from types import ModuleType

import numpy as np
from jaxtyping import Float

from auctionsim.errors import InputError, MissingPackageError
from auctionsim.trust.few_labels.estimates import (
    RectifiedMean,
    RectifiedRegression,
    checked_count,
    checked_numbers,
    checked_spread,
    effective_labels,
    mean_of,
    one_each,
)


def ppi_mean(
    labels: Float[np.ndarray, " label"],
    judged: Float[np.ndarray, " judgement"],
    judged_unlabelled: Float[np.ndarray, " reply"],
    power: float | None = None,
) -> RectifiedMean:
    """Return the mean label of all replies, from a few labels and a judge's reading of every reply.

    θ = λ mean f(unlabelled) + mean (y − λ f)(labelled). Whatever the judge f is worth, θ is the mean label in
    expectation at a fixed λ; a good judge makes it sharper. λ = 1 is PPI, λ = 0 labels alone. PPI++ takes the λ of the
    lowest variance, cov(y, f) / ((1 + n/N) var f), held in [0, 1]; estimated from the same labels it leaves a bias of
    order 1/n, which is below the standard error by √n. Then the variance is σ² ((1 − ρ²)/n + ρ²/(n + N)).
    With few labels the interval is too narrow: see the table of coverages on the page.

    Args:
        labels: y of the labelled replies.
        judged: f of the same replies, in the same order.
        judged_unlabelled: f of all other replies.
        power: λ in [0, 1]; None: estimated (PPI++).
    Returns:
        The estimate with its standard error, 95 % interval, λ and effective labels.
    Raises:
        ValueError: Fewer than ten labels, no other replies, labels and readings of different replies, or values that
            are not finite.
        ImportError: ppi-python is not installed.
    Source:
        Angelopoulos, Bates, Fannjiang, Jordan and Zrnic (2023), "Prediction-powered inference"; Angelopoulos, Duchi and
        Zrnic (2023), "PPI++: efficient prediction-powered inference". The estimate is ppi-python's; variances divide by
        n − 1 and N − 1 where that package divides by n and N.
    Example:
        >>> import numpy as np
        >>> judged = np.tile([0.0, 1.0], 50)
        >>> labels = judged.copy()
        >>> labels[:2] = 1 - labels[:2]  # the judge is wrong about two of 100
        >>> found = ppi_mean(labels, judged, np.tile([0.0, 1.0, 1.0], 300))
        >>> f"{found.value:.3f} ± {found.standard_error:.3f}, as good as {found.effective_labels:.0f} labels"
        '0.658 ± 0.021, as good as 660 labels'
    """
    ones, others = np.ones((len(labels), 1)), np.ones((len(judged_unlabelled), 1))
    return mean_of(ppi_regression(ones, labels, judged, others, judged_unlabelled, power))


def ppi_regression(
    design: Float[np.ndarray, "row column"],
    labels: Float[np.ndarray, " label"],
    judged: Float[np.ndarray, " judgement"],
    design_unlabelled: Float[np.ndarray, "other_row column"],
    judged_unlabelled: Float[np.ndarray, " reply"],
    power: float | None = None,
    coordinate: int | None = None,
) -> RectifiedRegression:
    """Return the least-squares coefficients of labels on a design, from a few labels and readings of every reply.

    θ = OLS of λ f on the unlabelled + OLS of y − λ f on the labelled. The covariance is H⁻¹ (Σ(λ x e_f)/N +
    Σ(x (e_y − λ e_f))/n) H⁻¹ with H the mean of x xᵀ over all replies: robust to errors of unequal size.

    Args:
        design: x of the labelled replies, a constant column included where it is wanted.
        labels: y of the labelled replies.
        judged: f of them.
        design_unlabelled: x of all other replies.
        judged_unlabelled: f of them.
        power: λ in [0, 1]; None: estimated.
        coordinate: The coefficient whose variance λ is to lower; None: the sum of all variances.
    Returns:
        Coefficients with their covariance, λ and effective labels.
    Raises:
        ValueError: Too few labels, no other replies, unequal lengths, values that are not finite, columns that depend
            on each other, or a λ or coordinate out of range.
        ImportError: ppi-python is not installed.
    Source:
        As `ppi_mean`; the estimate is ppi-python's.
    """
    _check(design, labels, judged, design_unlabelled, judged_unlabelled)
    if power is not None and not 0 <= power <= 1:
        raise InputError(f"the power must be in [0, 1], or None to estimate it, got {power}")
    if coordinate is not None and not 0 <= coordinate < design.shape[1]:
        raise InputError(f"the coordinate must be one of {design.shape[1]} columns from 0, got {coordinate}")
    n, N = len(labels), len(judged_unlabelled)
    point = _package().ppi_ols_pointestimate
    everything = np.concatenate([design, design_unlabelled])
    bread = np.linalg.inv(everything.T @ everything / (n + N))
    sides = design, labels, judged, design_unlabelled, judged_unlabelled
    if power is None:
        power = 1.0
        for _ in range(2):  # errors depend on the line, which depends on λ; ppi-python goes round twice as well
            start = np.asarray(point(*sides, lam=power), np.float64)
            power = _best_power(_scores(start, *sides), bread, coordinate)
    found = np.asarray(point(*sides, lam=float(power)), np.float64)
    of_labels, of_judged, of_others = _scores(found, *sides)
    meat = _variance(of_labels - power * of_judged) + n / N * power**2 * _variance(of_others)
    covariance = bread @ meat @ bread / n
    checked_spread(covariance)
    sharper = effective_labels(design, labels - design @ found, np.ones(n), bread, covariance)
    return RectifiedRegression(found, covariance, float(power), sharper, n, n + N)


Scores = tuple[Float[np.ndarray, "label column"], Float[np.ndarray, "label column"], Float[np.ndarray, "reply column"]]


def _scores(
    at: Float[np.ndarray, " column"],
    design: Float[np.ndarray, "label column"],
    labels: Float[np.ndarray, " label"],
    judged: Float[np.ndarray, " label"],
    design_unlabelled: Float[np.ndarray, "reply column"],
    judged_unlabelled: Float[np.ndarray, " reply"],
) -> Scores:
    """Return x (xᵀθ − y), x (xᵀθ − f), and the latter of the unlabelled: the gradients of squared loss."""
    line = design @ at
    others = design_unlabelled * (design_unlabelled @ at - judged_unlabelled)[:, None]
    return design * (line - labels)[:, None], design * (line - judged)[:, None], others


def _best_power(scores: Scores, bread: Float[np.ndarray, "column column"], coordinate: int | None) -> float:
    """Return the λ of PPI++, equation for the least trace of the covariance, or of one of its entries."""
    of_labels, of_judged, of_others = scores
    n, N = len(of_labels), len(of_others)
    both = (of_labels - of_labels.mean(0)).T @ (of_judged - of_judged.mean(0)) / n
    of_all = _variance(np.concatenate([of_judged, of_others]))
    rows = bread if coordinate is None else bread[coordinate : coordinate + 1]
    covariance, variance = (float(np.trace(rows @ one @ rows.T)) for one in (both, of_all))
    return float(np.clip(covariance / ((1 + n / N) * variance), 0, 1)) if variance > 0 else 0.0


def _variance(scores: Float[np.ndarray, "reply column"]) -> Float[np.ndarray, "column column"]:
    columns = scores.shape[1]
    return np.cov(scores.T).reshape(columns, columns) if len(scores) > 1 else np.zeros((columns, columns))


def _check(
    design: Float[np.ndarray, "row column"],
    labels: Float[np.ndarray, " label"],
    judged: Float[np.ndarray, " judgement"],
    design_unlabelled: Float[np.ndarray, "other_row column"],
    judged_unlabelled: Float[np.ndarray, " reply"],
) -> None:
    """Refuse what gives no estimate."""
    one_each(labels, {"judgements": judged, "the design": design})
    one_each(judged_unlabelled, {"the design": design_unlabelled})
    checked_count(len(labels), design.shape[1])
    if len(judged_unlabelled) < 2:
        raise InputError(f"judgements of at least 2 replies without a label are needed, got {len(judged_unlabelled)}")
    named = {
        "labels": labels,
        "judgements of labelled replies": judged,
        "judgements of other replies": judged_unlabelled,
        "the design": np.concatenate([design, design_unlabelled]),
    }
    for what, values in named.items():
        checked_numbers(what, values)
    for part in (design, design_unlabelled):
        if np.linalg.matrix_rank(part) < part.shape[1]:
            rule = "columns of a design must not depend on each other, among the labelled and among the others"
            raise InputError(f"{rule}, got rank {np.linalg.matrix_rank(part)} of {part.shape[1]}")


def _package() -> ModuleType:
    try:
        import ppi_py
    except ImportError:
        raise MissingPackageError("PPI needs the package ppi-python: pip install 'auctionsim[panels]'") from None
    package: ModuleType = ppi_py
    return package
