"""The table of campaigns: who advertises what, with how much money, until when, and who bids for them."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auctionsim.errors import InputError
from auctionsim.market.columns import checked_names, checked_numbers, one_length
from auctionsim.priors import Prior, parse_priors


@dataclass(frozen=True)
class Campaigns:
    """Advertisers' campaigns, one a row.

    A campaign stands for one brand of its category and is there from its arrival until its exit. Its valuation of one
    exposure in a query is drawn from its prior; what an exposure is worth there is valuation · relevance.

    Columns of numbers are float64 arrays (campaign,), which nobody can write to once they are checked.

    Attributes:
        name: Each another.
        category: Queries of this category are bid for.
        brand: A brand of the category's placements.
        budget: Money per day, > 0; infinite: none.
        target: Value per money spent that must be reached over the campaign, ≥ 0; 0: none.
        value: Prior of the valuation of one exposure, in money, as `parse_priors` reads one.
        relevance: In (0, 1].
        arrival: Day from which on the campaign bids, with fractions; ≥ 0.
        exit: Day from which on it does not; infinite: it stays.
        controller: Name of the controller that bids for it.
    Raises:
        ValueError: Columns of several lengths, a name twice, or a number outside its range; names the row.
    """

    name: tuple[str, ...]
    category: tuple[str, ...]
    brand: tuple[str, ...]
    budget: np.ndarray
    target: np.ndarray
    value: tuple[str, ...]
    relevance: np.ndarray
    arrival: np.ndarray
    exit: np.ndarray
    controller: tuple[str, ...]

    def __post_init__(self) -> None:
        one_length(self, "campaigns")
        checked_names(self.name, "a campaign's name")
        above_nothing = math.ulp(0.0)
        for column, low, high in (
            ("budget", above_nothing, math.inf),
            ("target", 0.0, 1e300),
            ("relevance", above_nothing, 1.0),
            ("arrival", 0.0, 1e300),
            ("exit", 0.0, math.inf),
        ):
            object.__setattr__(self, column, checked_numbers(getattr(self, column), self.name, column, low, high))
        for name, arrival, leave in zip(self.name, self.arrival, self.exit, strict=True):
            if not arrival < leave:
                raise InputError(f"campaign {name!r} must arrive before it leaves, got days {arrival:g} and {leave:g}")
        for name, prior in zip(self.name, self.value, strict=True):
            try:
                one_prior(prior)
            except ValueError as error:
                raise InputError(f"the value of campaign {name!r} is no prior: {error}") from error

    def __len__(self) -> int:
        """Return the number of campaigns."""
        return len(self.name)

    def present(self, day: float) -> NDArray[np.bool_]:
        """Tell which campaigns are there at a time in days: (campaign,)."""
        return (self.arrival <= day) & (day < self.exit)


def one_prior(text: str) -> Prior:
    """Return the prior of one campaign from its text.

    Raises:
        ValueError: Not as `parse_priors` reads one, or several.
    """
    prior = parse_priors(text)
    if isinstance(prior, list):
        raise InputError(f"one campaign has one prior, got {len(prior)} in {text!r:.80}")
    return prior
