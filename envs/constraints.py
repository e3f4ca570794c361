"""Budgets and return targets: by how much bids are lowered so that a round keeps to them.

The rule is asked what it would charge for the bids as they are. Where everybody's charge fits, that is the outcome.
Else each bidder whose charge does not fit is lowered, the others held, to the highest bid that does: between a bid
that is safe under every rule that charges at most the bid times the exposure and the bid that was asked, or below the
safe one where not even that fits (a bid that loses and pays). Lowering one bidder changes what the others are charged,
so the rule is asked again; nobody rises again in the round, and who does not fit after some such turns falls to its
safe bid and then to 0, so it ends. What was checked is what happens: no rule is asked anew for an outcome in hand.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.envs.lone_bid import highest_that_fits
from auctionsim.errors import InputError, InputTypeError
from auctionsim.outcome import Outcome

SEARCHES = 3  # turns in which bids are searched; after them they fall to the safe bid, then to 0


class Standing(NamedTuple):
    """The bidders' standing before a round.

    Attributes:
        valuations: This round's.
        context: Indices into the substrate's contexts; None where it has none.
        spent: Payments so far.
        gained: Value so far.
    """

    valuations: Float[Tensor, "row bidder feature"]
    context: Int[Tensor, " row"] | None
    spent: Float[Tensor, "row bidder"]
    gained: Float[Tensor, "row bidder"]

    def rows(self, index: Tensor) -> "Standing":
        """Return some of the rows."""
        context = None if self.context is None else self.context[index]
        return Standing(self.valuations[index], context, self.spent[index], self.gained[index])


class TrialRound(NamedTuple):
    """The outcome that a round would have.

    Attributes:
        outcome: The mechanism's answer.
        exposure: (row, bidder, feature), what each bidder would get; None where no return target asks for it.
    """

    outcome: Outcome
    exposure: Tensor | None


class Cleared(NamedTuple):
    """A round that keeps to the constraints: the bids that were cleared, and what they gave."""

    bids: Float[Tensor, "row bidder feature"]
    trial: TrialRound

    def replaced(self, rows: Tensor, by: "Cleared") -> "Cleared":
        """Return this round with other rows in some places."""
        outcome = Outcome(
            *(_replaced(old, rows, new) for old, new in zip(self.trial.outcome, by.trial.outcome, strict=True))
        )
        exposure = self.trial.exposure
        if exposure is not None and by.trial.exposure is not None:
            exposure = _replaced(exposure, rows, by.trial.exposure)
        return Cleared(_replaced(self.bids, rows, by.bids), TrialRound(outcome, exposure))


Auction = Callable[[Tensor, Standing], TrialRound]


class Constraints:
    """Budgets and return targets of an episode.

    Args:
        budgets: (bidder,), or None.
        roi_targets: (bidder,), or None.
        ceilings: (context, bidder, feature), the largest exposure in each context (one slot where there are none);
            infinite where it is unknown.
    """

    def __init__(self, budgets: Tensor | None, roi_targets: Tensor | None, ceilings: Tensor) -> None:
        self.budgets = budgets
        self.roi_targets = roi_targets
        self.ceilings = ceilings

    def budget_left(self, spent: Float[Tensor, "row bidder"]) -> Float[Tensor, "row bidder"] | None:
        """Return what may still be spent, ≥ 0; None without budgets."""
        return None if self.budgets is None else (self.budgets - spent).clamp_min(0)

    def roi_slack(
        self, gained: Float[Tensor, "row bidder"], spent: Float[Tensor, "row bidder"]
    ) -> Float[Tensor, "row bidder"] | None:
        """Return value so far less target times payments so far; None without targets."""
        return None if self.roi_targets is None else gained - self.roi_targets * spent

    def clear(self, auction: Auction, standing: Standing, bids: Tensor, turn: int = 0) -> Cleared:
        """Clear a round, with bids lowered where a charge does not fit.

        Args:
            auction: What bids would give, row by row.
            standing: Before the round.
            bids: (row, bidder, feature), as asked.
            turn: How often these rows have been lowered.
        """
        trial = auction(bids, standing)
        margin = self.margins(standing, trial)
        over = (margin < 0) & (bids > 0).any(2)
        rows = over.any(1).nonzero().squeeze(1)
        cleared = Cleared(bids, trial)
        if not len(rows):
            return cleared
        there = standing.rows(rows)
        lowered = self._lowered(auction, there, bids[rows], margin[rows], turn)
        return cleared.replaced(rows, self.clear(auction, there, lowered, turn + 1))

    def margins(self, standing: Standing, trial: TrialRound) -> Float[Tensor, "row bidder"]:
        """Return how much room a round would leave each bidder, in money; below 0 it does not fit.

        Both are about the sums that the episode will carry, so rounding does not pile up. Whoever is over its budget
        or behind its target all the same (a rule charged for nothing, a live model brought less than was foreseen)
        must pay nothing more, or fall no further behind.
        """
        payments = trial.outcome.payments
        margin = torch.full_like(payments, math.inf)
        if self.budgets is not None:
            within = self.budgets - (standing.spent + payments)
            margin = torch.where(standing.spent > self.budgets, -payments, within)
        before = self.roi_slack(standing.gained, standing.spent)
        if before is not None:
            assert trial.exposure is not None
            assert self.roi_targets is not None
            value = (standing.valuations * trial.exposure).sum(2)
            after = (standing.gained + value) - self.roi_targets * (standing.spent + payments)
            alone = value - self.roi_targets * payments
            margin = torch.minimum(margin, torch.where(before < 0, torch.maximum(after, alone), after))
        return margin

    def safe_bids(self, standing: Standing, bids: Float[Tensor, "row bidder feature"]) -> Tensor:
        """Return bids that fit under every rule that charges at most Σ_f b_f · e_f, no higher than `bids`.

        For a budget the bids are scaled by one factor, so that Σ_f b_f · max e_f is what is left, the maximum over
        allocations in the round's context. For a target t each is capped at v_f / t plus an even share of the slack.
        """
        context = standing.context
        most = self.ceilings[0] if context is None else self.ceilings[context]
        safe = bids
        left = self.budget_left(standing.spent)
        if left is not None:
            charge = torch.where(bids > 0, bids * most, 0.0).sum(2)
            safe = bids * (left / charge).clamp_max(1).nan_to_num(nan=1.0).unsqueeze(2)
        slack = self.roi_slack(standing.gained, standing.spent)
        if slack is not None:
            assert self.roi_targets is not None
            rounding = 8 * torch.finfo(bids.dtype).eps
            slack = slack.clamp_min(0) - rounding * standing.gained  # the sums are rounded, too
            target = self.roi_targets.unsqueeze(1)
            share = slack.unsqueeze(2) / (target * bids.shape[2] * most)
            safe = torch.minimum(safe, (standing.valuations / target * (1 - rounding) + share).clamp_min(0))
        return safe

    def _lowered(self, auction: Auction, standing: Standing, bids: Tensor, margin: Tensor, turn: int) -> Tensor:
        """Return bids with everybody lowered whose charge does not fit."""
        over = (margin < 0) & (bids > 0).any(2)
        safe = self.safe_bids(standing, bids)
        if turn >= SEARCHES:
            fallen = torch.where((bids > safe).any(2, keepdim=True), safe, torch.zeros_like(bids))
            return torch.where(over.unsqueeze(2), fallen, bids)
        row, bidder = over.nonzero().unbind(1)

        def fit(own: Tensor, some: Tensor) -> tuple[Tensor, Tensor]:
            """Return margins and payments of some pairs' bidders for other bids of their own, the others' held."""
            rows, columns = row[some].repeat(len(own)), bidder[some].repeat(len(own))
            places = torch.arange(len(rows), device=rows.device)
            profiles = bids[rows]
            profiles[places, columns] = own.flatten(0, 1)
            there = standing.rows(rows)
            trial = auction(profiles, there)
            margins = self.margins(there, trial)[places, columns]
            return margins.view(len(own), -1), trial.outcome.payments[places, columns].view(len(own), -1)

        nothing = TrialRound(Outcome(bids, torch.zeros_like(margin)), torch.zeros_like(bids))
        room = self.margins(standing, nothing)[row, bidder]
        own = highest_that_fits(fit, bids[row, bidder], safe[row, bidder], margin[row, bidder], room)
        lowered = bids.clone()
        lowered[row, bidder] = own
        return lowered


def checked_constraint(
    limits: float | Sequence[float] | None, num_bidders: int, what: str, dtype: torch.dtype
) -> Tensor | None:
    """Return a constraint as one number a bidder, or None.

    Raises:
        ValueError: Not one number or one a bidder, or a number that is not finite and > 0.
    """
    if limits is None:
        return None
    try:
        numbers = torch.as_tensor(limits, dtype=dtype)
        each = limits if isinstance(limits, Sequence) else np.atleast_1d(np.asarray(limits))
        if any(isinstance(limit, bool | np.bool_) for limit in each):
            raise InputTypeError("a truth value is no number")
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise InputError(f"{what} must be one number or one a bidder ({num_bidders}), got {limits!r}") from error
    if numbers.ndim > 1 or (numbers.ndim == 1 and len(numbers) != num_bidders):
        raise InputError(f"{what} must be one number or one a bidder ({num_bidders}), got {limits!r}")
    if not bool(((numbers > 0) & torch.isfinite(numbers)).all()):
        raise InputError(f"{what} must be > 0 and finite (None: no limit), got {limits!r}")
    return numbers.expand(num_bidders).clone()


def _replaced(whole: Tensor, rows: Tensor, part: Tensor) -> Tensor:
    changed = whole.clone()
    changed[rows] = part.to(whole.dtype)
    return changed
