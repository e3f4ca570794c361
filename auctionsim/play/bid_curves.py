"""What one brand's bids would bring it under a rule, the others' bids held: the curve behind each small plot."""

from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim.mechanisms.protocol import dsic_proof_of
from auctionsim.play.budgets import last_that_fits
from auctionsim.play.rules import PlayedRule
from auctionsim.play.states import HIGHEST_BID
from auctionsim.substrates.view import View

PER_UNIT = 40
"""Bids that are tried per unit of money, evenly from 0 to the highest bid; the truth and the bid made come on top."""
_EVEN = torch.arange(round(HIGHEST_BID * PER_UNIT) + 1, dtype=torch.float64) / PER_UNIT
_SLACK = 1e-6


class BidCurve(NamedTuple):
    """Utility against the bid.

    Attributes:
        rule: Name.
        label: Of the rule.
        bids: Ascending.
        utilities: What each bid brings.
        truth: Index of the truthful bid.
        made: Index of the bid that was made.
        best: Index of the bid that brings most; the truth's where none brings more.
        proof: Why nothing brings more than the truth; "" without a proof, and with a budget, which no proof is about.
        note: How the rule was made, where that matters.
    """

    rule: str
    label: str
    bids: tuple[float, ...]
    utilities: tuple[float, ...]
    truth: int
    made: int
    best: int
    proof: str
    note: str

    @property
    def gain(self) -> float:
        """How much more than the truth the best of these bids brings; ≥ 0."""
        return self.utilities[self.best] - self.utilities[self.truth]


def bid_curve(
    rule: PlayedRule,
    view: View,
    values: tuple[float, ...],
    bids: Tensor,
    bidder: int,
    budget: float | None,
    context: Tensor,
) -> BidCurve:
    """Return one brand's curve under one rule.

    Args:
        rule: Clears.
        view: What pays exposure.
        values: Everybody's valuations.
        bids: (bidder,) everybody's bids, float64; the own one is marked.
        bidder: Whose bids are varied.
        budget: The brand's: a bid whose price exceeds it counts as the highest lower one whose price fits.
        context: (1,) the kind of prompt.
    """
    own = torch.tensor([values[bidder], float(bids[bidder])], dtype=torch.float64)
    tried = torch.unique(torch.cat([_EVEN, own]))
    rows = bids.repeat(len(tried), 1)
    rows[:, bidder] = tried
    where = context.expand(len(tried))
    outcome = rule.mechanism(rows.unsqueeze(2), where)
    exposure = view.exposure(outcome.allocation, where)[:, bidder, 0]
    paid = outcome.payments[:, bidder]
    utility = (values[bidder] * exposure - paid)[last_that_fits(paid, budget)]
    truth, made = (int((tried == number).nonzero()[0]) for number in own)
    slack = _SLACK * float((values[bidder] * exposure).abs().max())
    best = int(utility.argmax())
    return BidCurve(
        rule.entry.name,
        rule.entry.label,
        tuple(tried.tolist()),
        tuple(utility.tolist()),
        truth,
        made,
        best if float(utility[best] - utility[truth]) > slack else truth,
        (dsic_proof_of(rule.mechanism, view) or "") if budget is None else "",
        rule.note,
    )
