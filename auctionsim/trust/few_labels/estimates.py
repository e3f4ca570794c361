"""Records of what few labels and many judgements say together: a mean, or the coefficients of a regression."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from auctionsim.errors import InputError
from auctionsim.trust.agreement import IntervalEstimate

Z = 1.959964
"""The 97.5 % point of the normal law."""
FEWEST_TO_CORRECT = 10
"""Labels below which a normal interval is not given."""


class RectifiedMean(NamedTuple):
    """A mean of labels that judgements of other replies made sharper.

    Attributes:
        value: The estimate.
        standard_error: Its standard error over new replies and new labels of the same kind.
        low: Lower end of the 95 % interval, value − 1.96 · standard_error.
        high: Upper end.
        power: λ, the weight of the judgements: 0 is labels alone, 1 is PPI; NaN where a fit took its place (DSL).
        effective_labels: How many labels, drawn simply and used alone, would have this standard error.
        num_labels: How many there are.
        num_judged: Replies that are judged, those with a label too.
    """

    value: float
    standard_error: float
    low: float
    high: float
    power: float
    effective_labels: float
    num_labels: int
    num_judged: int

    @property
    def interval(self) -> IntervalEstimate:
        """The estimate with the ends of its 95 % interval."""
        return IntervalEstimate(self.value, self.low, self.high)


class RectifiedRegression(NamedTuple):
    """Coefficients of a least-squares line of labels, which judgements of other replies made sharper.

    Attributes:
        coefficients: One per column of the design.
        covariance: Of the coefficients; robust to errors of unequal size.
        power: λ, as in `RectifiedMean`.
        effective_labels: Per coefficient.
        num_labels: How many there are.
        num_judged: Replies that are judged, those with a label too.
    """

    coefficients: Float[np.ndarray, " column"]
    covariance: Float[np.ndarray, "column column"]
    power: float
    effective_labels: Float[np.ndarray, " column"]
    num_labels: int
    num_judged: int

    @property
    def standard_errors(self) -> Float[np.ndarray, " column"]:
        """The standard error of each coefficient."""
        return np.sqrt(np.diag(self.covariance))

    def at(self, row: Float[np.ndarray, " column"]) -> IntervalEstimate:
        """Return the line's height at a row of the design, with its 95 % interval.

        Args:
            row: Values of the columns, such as (1, dose).
        """
        value, error = float(row @ self.coefficients), float(np.sqrt(row @ self.covariance @ row))
        return IntervalEstimate(value, value - Z * error, value + Z * error)


def mean_of(line: RectifiedRegression) -> RectifiedMean:
    """Return a regression on a constant alone as the mean that it is."""
    value, error = float(line.coefficients[0]), float(line.standard_errors[0])
    ends = (value - Z * error, value + Z * error)
    effective = float(line.effective_labels[0])
    return RectifiedMean(value, error, *ends, line.power, effective, line.num_labels, line.num_judged)


def effective_labels(
    design: Float[np.ndarray, "label column"],
    errors: Float[np.ndarray, " label"],
    weights: Float[np.ndarray, " label"],
    bread: Float[np.ndarray, "column column"],
    covariance: Float[np.ndarray, "column column"],
) -> Float[np.ndarray, " column"]:
    """Return how many labels, drawn simply and used alone, would have these variances.

    One label's share of the plain estimate's variance is H⁻¹ E[x xᵀ e²] H⁻¹, e its error; over the variance it is the
    number.

    Args:
        design: Of the labelled.
        errors: Label less line, of the labelled.
        weights: How many replies each labelled one stands for, up to a factor.
        bread: H⁻¹, the inverse of the mean of x xᵀ.
        covariance: Of the coefficients.
    """
    share = weights / weights.sum()
    one = bread @ (design.T * (share * errors**2)) @ design @ bread * len(errors) / max(len(errors) - len(bread), 1)
    variances = np.diag(covariance)
    found: Float[np.ndarray, " column"] = np.diag(one) / variances
    return found


def checked_numbers(what: str, values: Float[np.ndarray, "..."]) -> None:
    """Refuse values of which one is not finite.

    Raises:
        ValueError: Names them, and how many are not.
    """
    lacking = int((~np.isfinite(values)).sum())
    if lacking:
        raise InputError(f"{what} must be finite, and {lacking} of {values.size} are not")


def checked_count(count: int, columns: int) -> None:
    """Refuse fewer labels than an interval needs.

    Raises:
        ValueError: Names the rule.
    """
    fewest = max(FEWEST_TO_CORRECT, columns + FEWEST_TO_CORRECT // 2)
    if count < fewest:
        raise InputError(f"at least {fewest} labels are needed to correct judgements, got {count}")


def one_each(first: Shaped[np.ndarray, "..."], others: Mapping[str, Shaped[np.ndarray, "..."]]) -> None:
    """Refuse columns that are not of the same replies.

    Raises:
        ValueError: Names the column, and both numbers of replies.
    """
    for what, values in others.items():
        if len(values) != len(first):
            raise InputError(f"{what} must be one per reply, got {len(values)} for {len(first)} replies")


def checked_spread(covariance: Float[np.ndarray, "column column"]) -> None:
    """Refuse estimates without an error: what does not vary shows none, which is not that there is none.

    Raises:
        ValueError: A variance that is not above 0.
    """
    if not (np.diag(covariance) > 0).all():
        raise InputError("labels and judgements that do not vary give no interval: all of them are alike")
