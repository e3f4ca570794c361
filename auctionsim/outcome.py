"""What a mechanism answers: who gets which levers, and what each bidder is charged."""

from typing import NamedTuple

from torch import Tensor


class Outcome(NamedTuple):
    """One cleared auction per row.

    Attributes:
        allocation: (batch, …) in the shape of the substrate's `null_allocation`; for lever substrates
            (batch, bidder, lever), in the levers' own units.
        payments: (batch, bidder), what each bidder is charged, in money.
    """

    allocation: Tensor
    payments: Tensor
