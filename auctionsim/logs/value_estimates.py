"""Estimated values of options, with their errors: what every estimator of a log gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from jaxtyping import Float
from scipy import stats

from auctionsim.checks import checked_number


@dataclass(frozen=True)
class ValueEstimates:
    """Values of all options by one estimator: the mean outcome if every session ran under it.

    Attributes:
        estimator: Its name.
        options: Names.
        values: (…, option), in units of the outcome.
        covariance: (…, option, option), of the values; NaN where an estimator has no error that can be computed.
        sessions: How many randomised sessions they rest on; 0: none.
        degrees: (…, option), of freedom of a value's standard error: intervals are Student's.
        diagnostics: By name, numbers of shape (…) or (…, option): weights that were chosen, effective sample sizes,
            bounds.
        associational: Whether they say what went together, not what an option causes.
    """

    estimator: str
    options: tuple[str, ...]
    values: Float[np.ndarray, "*draw option"]
    covariance: Float[np.ndarray, "*draw option option"]
    sessions: int
    degrees: Float[np.ndarray, "*draw option"]
    diagnostics: Mapping[str, np.ndarray] = field(default_factory=lambda: MappingProxyType({}))
    associational: bool = False

    @property
    def standard_errors(self) -> Float[np.ndarray, "*draw option"]:
        """Of each value."""
        return np.asarray(np.sqrt(np.maximum(np.diagonal(self.covariance, axis1=-2, axis2=-1), 0.0)))

    def intervals(self, level: float = 0.95) -> Float[np.ndarray, "*draw option 2"]:
        """Return an interval of each value: lower and upper end."""
        return _interval(self.values, self.standard_errors, self.degrees, level)

    def difference(self, option: int, other: int) -> Float[np.ndarray, "*draw"]:
        """Return the value of one option less that of another."""
        return np.asarray(self.values[..., option] - self.values[..., other])

    def difference_error(self, option: int, other: int) -> Float[np.ndarray, "*draw"]:
        """Return the standard error of a difference."""
        c = self.covariance
        variance = c[..., option, option] + c[..., other, other] - 2 * c[..., option, other]
        return np.asarray(np.sqrt(np.maximum(variance, 0.0)))

    def difference_interval(self, option: int, other: int, level: float = 0.95) -> Float[np.ndarray, "*draw 2"]:
        """Return an interval of a difference, by the fewer degrees of freedom of both."""
        degrees = np.asarray(np.minimum(self.degrees[..., option], self.degrees[..., other]))
        return _interval(self.difference(option, other), self.difference_error(option, other), degrees, level)


def _interval(values: np.ndarray, errors: np.ndarray, degrees: np.ndarray, level: float) -> np.ndarray:
    share = checked_number(level, "level", 0.5, 0.999999)
    reach = stats.t.ppf((1 + share) / 2, degrees) * errors
    return np.stack([values - reach, values + reach], -1)
