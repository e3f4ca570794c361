"""Regret estimates, and the game in which a bidder considers a misreport."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_allocation, checked_amounts, checked_context, checked_finite
from auctionsim.errors import InputError, InputTypeError
from auctionsim.metrics import Interval
from auctionsim.outcome import Outcome
from auctionsim.substrates.protocol import Substrate, allocation_shape, contexts_of

AnyMechanism = Callable[..., Outcome]  # mechanism(bids, context=None) -> Outcome; a Mechanism or any callable like it
UtilityRule = Callable[[Tensor, Tensor], Tensor]  # (value, payment), any equal shapes, to utility


def quasi_linear(value: Tensor, payment: Tensor) -> Tensor:
    """Return value − payment, the utility that every incentive proof of this library is about."""
    return value - payment


class RegretEstimate(NamedTuple):
    """Estimated gains from misreporting, per row and bidder and overall.

    Attributes:
        lower: (batch, bidder). Ex post: a gain that `best_misreports` really brings, hence a lower bound on regret,
            ≥ 0. Ex interim: the estimated gain of `best_misreports`, unclipped, hence possibly negative.
        upper: (batch, bidder), a proved upper bound, or None where nothing is proved.
        best_misreports: (batch, bidder, feature), the best bids found; where `lower` is a mean over contexts, those of
            the context in which they gain most.
        mean: Average of `lower`.
        max: Largest of `lower`.
        interval: Sampling interval for the mean, or None where there is nothing to sample.
        method: How the numbers came about, in one sentence; "proof: …" where regret is 0 by theorem.
        budget: Misreports scored through the mechanism, per row and bidder.
        pointwise: Ex interim only: (2, batch, bidder), the two ends of an interval for each entry of `lower`.
        bids_up_to: (batch, bidder, feature), the largest misreport considered, in money: `upper`, and "exact" in
            `method`, are about bids up to there. Infinite where a theorem or a list covers every bid ≥ 0.
        largest_gain: Ex post only: what `interval` takes for the most that one bidder can gain in any row, drawn or
            not; None where there is no interval.
        context_gains: (context, batch, bidder), the gains that `lower` is the mean of; None for one context or none.
        context_misreports: (context, batch, bidder, feature), the best bids found in each.
    """

    lower: Tensor
    upper: Tensor | None
    best_misreports: Tensor
    mean: float
    max: float
    interval: Interval | None
    method: str
    budget: int
    pointwise: Tensor | None = None
    bids_up_to: Tensor | None = None
    largest_gain: float | None = None
    context_gains: Tensor | None = None
    context_misreports: Tensor | None = None


class Game(NamedTuple):
    """One direct mechanism on one substrate, with what every bidder is worth and reports.

    Attributes:
        mechanism: Clears bids.
        substrate: Pays out exposure; not necessarily the one that the mechanism was designed on.
        valuations: (batch, bidder, feature), the truth.
        reports: (batch, bidder, feature), what everybody submits unless deviating.
        context: (batch,) or None.
        utility: From value and payment to utility.
    """

    mechanism: AnyMechanism
    substrate: Substrate
    valuations: Tensor
    reports: Tensor
    context: Tensor | None
    utility: UtilityRule


def checked_game(
    mechanism: AnyMechanism,
    substrate: Substrate,
    valuations: Tensor,
    reports: Tensor | None,
    *,
    context: Tensor | None,
    utility: UtilityRule,
) -> Game:
    """Return the game, reports defaulting to the truth.

    Raises:
        TypeError, ValueError: Valuations, reports or context break a rule of `auctionsim.checks`, or do not match.
    """
    n, m = substrate.num_bidders, len(substrate.features)
    checked_amounts(valuations, n, m, "valuations")
    if len(valuations) == 0:
        raise InputError("valuations must have at least one row")
    if reports is None:
        reports = valuations
    checked_amounts(reports, n, m, "reports")
    if reports.shape != valuations.shape or reports.dtype != valuations.dtype:
        raise InputError(
            f"reports must match valuations: {tuple(reports.shape)} {reports.dtype} "
            f"against {tuple(valuations.shape)} {valuations.dtype}"
        )
    checked_context(context, len(valuations), contexts_of(substrate))
    return Game(mechanism, substrate, valuations.detach(), reports.detach(), context, utility)


def cleared(mechanism: AnyMechanism, bids: Tensor, context: Tensor | None) -> Outcome:
    """Return the mechanism's outcome; it gets a copy of the bids, for a rule may compute in place.

    Raises:
        TypeError: It answers with something else.
        ValueError: A lever or a payment is NaN or infinite, or payments are not one a row and bidder.
    """
    own = bids.clone()
    outcome = checked_outcome(mechanism(own) if context is None else mechanism(own, context))
    checked_finite(outcome.allocation, "allocation")
    checked_payments(outcome.payments, bids)
    return outcome


def checked_outcome(answer: Any) -> Outcome:
    """Return what a mechanism answered if it is an outcome.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(answer, Outcome) or not all(isinstance(part, Tensor) for part in answer):
        kind = type(answer).__name__
        raise InputTypeError(
            f"a mechanism must return an auctionsim.Outcome(allocation, payments) of tensors, got {kind}"
        )
    return answer


def checked_payments(payments: Tensor, bids: Tensor) -> Tensor:
    """Return payments if they are one finite number a row and bidder.

    Raises:
        ValueError: They are not.
    """
    if not payments.is_floating_point():
        raise InputError(f"payments must be floating point, got {payments.dtype}")
    if payments.shape != bids.shape[:2]:
        raise InputError(f"payments must be one a row and bidder, {tuple(bids.shape[:2])}, got {tuple(payments.shape)}")
    return checked_finite(payments, "payments")


def cleared_money(
    game: Game, bids: Tensor, valuations: Tensor, context: Tensor | None
) -> tuple[Float[Tensor, "batch bidder"], Float[Tensor, "batch bidder"]]:
    """Return everybody's value v · e and payment when `bids` are cleared, rows being independent auctions.

    Raises:
        ValueError: The mechanism answers in a shape that does not fit the substrate.
    """
    outcome = cleared(game.mechanism, bids, context)
    checked_allocation(outcome.allocation, allocation_shape(game.substrate))
    if outcome.payments.shape != bids.shape[:2] or len(outcome.allocation) != len(bids):
        raise InputError(
            f"a mechanism must answer {tuple(bids.shape[:2])} bids with as many payments and allocation rows, "
            f"got {tuple(outcome.payments.shape)} and {len(outcome.allocation)}"
        )
    exposure = checked_finite(game.substrate.exposure(outcome.allocation, context), "exposure")
    return (valuations * exposure).sum(2), outcome.payments


def utilities(game: Game, bids: Tensor, valuations: Tensor, context: Tensor | None) -> Float[Tensor, "batch bidder"]:
    """Return everybody's utility when `bids` are cleared; see `cleared_money`."""
    return game.utility(*cleared_money(game, bids, valuations, context))


def reported_utilities(game: Game) -> Float[Tensor, "batch bidder"]:
    """Return everybody's utility when nobody deviates.

    Raises:
        ValueError: The mechanism or the substrate answers with NaN or infinity.
    """
    with torch.no_grad():
        truth = utilities(game, game.reports, game.valuations, game.context)
    if not bool(torch.isfinite(truth).all()):
        raise InputError("a mechanism must give finite payments and exposures; some utility at the reports is not")
    return truth


def misreport_utilities(
    game: Game, misreports: Float[Tensor, "misreport batch bidder feature"]
) -> Float[Tensor, "misreport batch bidder"]:
    """Return u_i when i alone deviates to its misreport, every other bidder submitting its report.

    One auction per misreport, row and deviator, all in one call of the deployed mechanism.
    """
    count, batch, n, m = misreports.shape
    bids, context = lone_deviations(game.reports, misreports, game.context)
    valuations = game.valuations.unsqueeze(1).expand(count, batch, n, n, m)
    everybody = utilities(game, bids, valuations.reshape(-1, n, m), context)
    return everybody.view(count, batch, n, n).diagonal(dim1=2, dim2=3)


def lone_deviations(
    reports: Float[Tensor, "batch bidder feature"],
    misreports: Float[Tensor, "misreport batch bidder feature"],
    context: Tensor | None,
) -> tuple[Float[Tensor, "rows bidder feature"], Tensor | None]:
    """Return bids and contexts when one bidder at a time misreports: an auction per (misreport, batch, deviator)."""
    count, batch, n, m = misreports.shape
    deviates = torch.eye(n, dtype=torch.bool, device=misreports.device).unsqueeze(2)
    bids = torch.where(deviates, misreports.unsqueeze(3), reports.unsqueeze(1))  # …, deviator, bidder, feature
    repeated = None if context is None else context.view(1, batch, 1).expand(count, batch, n).reshape(-1)
    return bids.reshape(-1, n, m), repeated
