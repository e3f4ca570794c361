"""Misreports: what a bidder would have had by another bid, the others' bids as they are."""

from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim import metrics
from auctionsim.regret.estimate import AnyMechanism
from auctionsim.substrates.protocol import Substrate
from auctionsim.wording import amount

SLACK = 1e-6
"""Of the largest value at stake: a smaller gain is rounding."""


class Misreports(NamedTuple):
    """A bidder's other bids, by what each would have brought, knowing everybody else's bid.

    Every bid is a factor times the bidder's valuation, so that one number moves all features together.

    Attributes:
        factors: Of the valuation, ascending; 1 is the truth.
        bids: The bids of one feature; of several, of the first one.
        payments: What each would have cost.
        values: What each would have been worth, before payment.
        utilities: Values less payments.
        utility: What the bid that was made brought.
        truth: What the truth would have brought.
        best: Index of the bid that brings most; the truth's where none brings more.
        proof: Why no bid brings more than the truth, "" where no proof is in force.
    """

    factors: tuple[float, ...]
    bids: tuple[float, ...]
    payments: tuple[float, ...]
    values: tuple[float, ...]
    utilities: tuple[float, ...]
    utility: float
    truth: float
    best: int
    proof: str = ""

    @property
    def gain(self) -> float:
        """How much more than the truth the best of these bids brings; ≥ 0, and no more than the regret of the truth."""
        return self.utilities[self.best] - self.truth

    @property
    def gain_of_bid(self) -> float:
        """How much more than the truth the bid that was made brings; negative where it brings less."""
        return self.utility - self.truth

    def sentence(self, name: str) -> str:
        """Return what a bidder would have gained by another bid than the truth."""
        if self.proof:
            return f"{name} gains nothing by any other bid than the truth. There is a proof: {self.proof}."
        if self.gain <= 0:
            return f"{name} gains nothing by any of the {len(self.bids)} other bids that were tried."
        return (
            f"{name} would have gained by lying: a bid of {amount(self.bids[self.best])} brings "
            f"{amount(self.utilities[self.best])}, the truth {amount(self.truth)}. That is {amount(self.gain)} more."
        )


def misreports(
    mechanism: AnyMechanism,
    substrate: Substrate,
    valuations: Tensor,
    bids: Tensor,
    bidder: int,
    context: Tensor | None,
    factors: Tensor,
) -> Misreports:
    """Return what a bidder's other bids would have brought.

    Args:
        mechanism: As it is deployed.
        substrate: What pays exposure.
        valuations: (1, bidder, feature).
        bids: (1, bidder, feature), what everybody bids.
        bidder: Whose bids are varied.
        context: (1,) or None.
        factors: (row,), ascending, 1 among them.
    """
    rows = len(factors) + 1
    varied = bids.repeat(rows, 1, 1)
    varied[: rows - 1, bidder] = factors.to(bids).unsqueeze(1) * valuations[0, bidder]
    repeated = None if context is None else context.repeat(rows)
    outcome = mechanism(varied, repeated)
    utility = metrics.utility(outcome, substrate, valuations.expand(rows, -1, -1), repeated)[:, bidder].double()
    payments = outcome.payments[:, bidder].double()
    at_truth = int((factors - 1).abs().argmin())
    slack = SLACK * float((utility + payments).abs().max())
    best = int(utility[:-1].argmax())
    best = best if float(utility[best] - utility[at_truth]) > slack else at_truth
    return Misreports(
        tuple(factors.tolist()),
        tuple(varied[:-1, bidder, 0].tolist()),
        tuple(payments[:-1].tolist()),
        tuple((utility + payments)[:-1].tolist()),
        tuple(utility[:-1].tolist()),
        float(utility[-1]),
        float(utility[at_truth]),
        best,
    )


def factors_up_to(most: float, count: int) -> Tensor:
    """Return so many factors evenly from 0 to `most`, and 1: (factor,), ascending, float64."""
    even = torch.linspace(0, most, count, dtype=torch.float64)
    return torch.tensor(sorted({*even.tolist(), 1.0}), dtype=torch.float64)
