"""The table of query types: what users ask, how often and at which hours, and where the answer is sold."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from auctionsim.errors import InputError
from auctionsim.market.columns import checked_names, checked_numbers, one_length

HOURS = 24
MOST_ARRIVALS = 1e12
"""Of a query type per hour: many times what all of mankind asks."""


@dataclass(frozen=True)
class QueryTypes:
    """Kinds of queries, one a row.

    Columns of numbers are float64 arrays (type,), `hours` (type, 24), which nobody can write to once they are checked.

    Attributes:
        name: Each another.
        category: Campaigns of this category bid.
        placement: Name of the placement that is sold.
        context: A public context of the placement's view; "": none, the mean over them.
        relevance: In (0, 1]: how much an exposure here is worth to whoever bids.
        arrivals: Mean number of queries per hour, from 0 to `MOST_ARRIVALS`.
        hours: Weights of the hours of the day, each row with mean 1.
    Raises:
        ValueError: Columns of several lengths, a name twice, or a number outside its range; names the row.
    """

    name: tuple[str, ...]
    category: tuple[str, ...]
    placement: tuple[str, ...]
    context: tuple[str, ...]
    relevance: np.ndarray
    arrivals: np.ndarray
    hours: np.ndarray

    def __post_init__(self) -> None:
        one_length(self, "query types")
        checked_names(self.name, "a query type's name")
        least = np.finfo(float).smallest_subnormal
        for column, low, high in (("relevance", least, 1.0), ("arrivals", 0.0, MOST_ARRIVALS)):
            object.__setattr__(self, column, checked_numbers(getattr(self, column), self.name, column, low, high))
        hours = np.array(self.hours, dtype=np.float64)
        if hours.shape != (len(self.name), HOURS):
            raise InputError(f"hours must have {HOURS} weights per query type, got an array of shape {hours.shape}")
        wrong = ~np.isfinite(hours).all(1) | (hours < 0).any(1) | (np.abs(hours.mean(1) - 1) > 1e-9)
        if wrong.any():
            name = self.name[int(wrong.argmax())]
            raise InputError(f"the hours of query type {name!r} must be {HOURS} weights >= 0 with mean 1")
        hours.setflags(write=False)
        object.__setattr__(self, "hours", hours)

    def __len__(self) -> int:
        """Return the number of query types."""
        return len(self.name)

    @cached_property
    def _until(self) -> Float[np.ndarray, "type 25"]:
        """Mean arrivals from midnight until each full hour."""
        return np.concatenate([np.zeros((len(self), 1)), (self.arrivals[:, None] * self.hours).cumsum(1)], 1)

    def arriving(self, begin: float, end: float) -> Float[np.ndarray, " type"]:
        """Return the mean number of queries of each type between two hours of a day, 0 ≤ begin ≤ end ≤ 24."""
        arriving: Float[np.ndarray, " type"] = self._up_to(end) - self._up_to(begin)
        return arriving

    def _up_to(self, hour: float) -> Float[np.ndarray, " type"]:
        whole = min(int(hour), HOURS - 1)
        there, following = self._until[:, whole], self._until[:, whole + 1]
        until: Float[np.ndarray, " type"] = there + (hour - whole) * (following - there)
        return until
