"""What an outcome was worth: to each bidder, to the platform, to all bidders together, and to the user.

Every metric is a pure function of one outcome per row, the substrate that turns its allocation into exposure, and the
bidders' *valuations* (not their bids). No metric averages: over rows, use `mean_interval` or `bootstrap_interval`.

With v_i the valuation, e_i(x; c) the exposure and t_i the payment: value v_i · e_i = Σ_features v_if e_if, utility
u_i = v_i · e_i − t_i, welfare Σ_i v_i · e_i. Welfare counts the bidders' values before payments, and neither the
platform's revenue (payments are transfers) nor the user's loss, which has its own metric and its own unit.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from auctionsim.checks import (
    checked_allocation,
    checked_amounts,
    checked_context,
    checked_count,
    checked_finite,
    checked_number,
    checked_tensor,
)
from auctionsim.errors import InputError
from auctionsim.outcome import Outcome
from auctionsim.substrates.protocol import Substrate, allocation_shape, contexts_of, null_of

__all__ = [
    "Interval",
    "bootstrap_interval",
    "efficiency",
    "ir_violation",
    "mean_interval",
    "participation_gain",
    "revenue",
    "user_loss",
    "utility",
    "welfare",
]


def utility(
    outcome: Outcome, substrate: Substrate, valuations: Tensor, context: Tensor | None = None
) -> Float[Tensor, "batch bidder"]:
    """Return u_i = v_i · e_i(x; c) − t_i, in money.

    Args:
        outcome: One cleared auction per row.
        substrate: What its allocation is carried out on.
        valuations: (batch, bidder, feature), what exposure is really worth.
        context: (batch,) indices into the substrate's contexts, or None: what is given on average over them, the
            outcome being one for all.
    Raises:
        TypeError: Valuations that are no floating-point tensor.
        ValueError: Valuations that are NaN, infinite or negative, a shape that does not fit the substrate, rows that do
            not match, or a lever, a payment or an exposure that is NaN or infinite: every metric refuses these.
    Example:
        >>> import torch
        >>> from auctionsim.mechanisms import SecondPrice
        >>> from auctionsim.substrates import Items
        >>> valuations = torch.tensor([[[1.0], [0.25]]])
        >>> utility(SecondPrice()(valuations), Items(2), valuations)
        tensor([[0.7500, 0.0000]])
    """
    return _values(outcome, substrate, valuations, context) - outcome.payments


def revenue(
    outcome: Outcome, substrate: Substrate, valuations: Tensor, context: Tensor | None = None
) -> Float[Tensor, " batch"]:
    """Return Σ_i t_i, in money; a subsidy counts negative."""
    _check(outcome, substrate, valuations, context)
    return outcome.payments.sum(1)


def welfare(
    outcome: Outcome, substrate: Substrate, valuations: Tensor, context: Tensor | None = None
) -> Float[Tensor, " batch"]:
    """Return Σ_i v_i · e_i(x; c), in money: before payments, without the user's loss."""
    return _values(outcome, substrate, valuations, context).sum(1)


def efficiency(
    outcome: Outcome, substrate: Substrate, valuations: Tensor, context: Tensor | None = None
) -> Float[Tensor, " batch"]:
    """Return welfare as a share of the most that the substrate allows, max_x Σ_i v_i · e_i(x; c), at user weight 0.

    Returns:
        In [0, 1] where the allocation lies in the range that `maximise` searches; 1 where nothing can be gained.
    Raises:
        NotImplementedError: The substrate has no exact maximum.
    """
    reached = welfare(outcome, substrate, valuations, context)
    ideal = substrate.maximise(valuations, 0.0, context)
    best = (valuations * _exposure(substrate, ideal, context)).sum((1, 2))
    return torch.where(best > 0, reached / best, torch.ones_like(reached))


def ir_violation(
    outcome: Outcome, substrate: Substrate, valuations: Tensor, context: Tensor | None = None
) -> Float[Tensor, "batch bidder"]:
    """Return max(−u_i, 0), in money: what bidder i lost by being there at all, against nothing."""
    return (-utility(outcome, substrate, valuations, context)).clamp_min(0)


def participation_gain(
    outcome: Outcome, substrate: Substrate, valuations: Tensor, context: Tensor | None = None
) -> Float[Tensor, "batch bidder"]:
    """Return u_i − v_i · e_i(null; c), in money: what the auction is worth to i against the untouched substrate.

    No mechanism guarantees its sign. Its negative part is what i lost because others suppressed its organic exposure.
    """
    gained = utility(outcome, substrate, valuations, context)
    x = outcome.allocation
    null = null_of(substrate, len(valuations), dtype=x.dtype, device=x.device)
    return gained - (valuations * _exposure(substrate, null, context)).sum(2)


def user_loss(
    outcome: Outcome, substrate: Substrate, valuations: Tensor, context: Tensor | None = None
) -> Float[Tensor, " batch"]:
    """Return L(x; c), the loss that the substrate charges, in its own unit."""
    _check(outcome, substrate, valuations, context)
    return checked_finite(substrate.user_loss(outcome.allocation, context), "user_loss")


class Interval(NamedTuple):
    """An interval for a mean: `low, high = interval`."""

    low: float
    high: float


def mean_interval(samples: Tensor, confidence: float = 0.95) -> Interval:
    """Return Student's interval for the mean of independent, identically distributed samples.

    mean ± t · s / √n with t the (1 + confidence)/2 quantile at n − 1 degrees of freedom. Exact for normal samples and
    asymptotically right for others; for bounded samples with a guarantee at every n see
    `auctionsim.regret.bounded_mean_interval`.

    Args:
        samples: (sample,), at least two, finite. Average dependent ones (the bidders of one auction) into one first.
        confidence: In (0, 1).
    """
    values = _checked_samples(samples)
    level = _checked_confidence(confidence)
    n, mean = len(values), float(values.mean())
    reach = float(stats.t.ppf((1 + level) / 2, n - 1)) * float(values.std()) / math.sqrt(n)
    return Interval(mean - reach, mean + reach)


def bootstrap_interval(
    samples: Tensor, generator: torch.Generator, confidence: float = 0.95, resamples: int = 2000
) -> Interval:
    """Return the percentile bootstrap interval for the mean: no normality, but too narrow for a dozen samples.

    Args:
        samples: (sample,), at least two, finite, independent.
        generator: Draws the resamples.
        confidence: In (0, 1).
        resamples: How many.
    """
    values = _checked_samples(samples)
    level = _checked_confidence(confidence)
    n = len(values)
    rows = max(1, 2**22 // n)  # resamples at a time, so that memory stays bounded
    means = torch.cat(
        [
            values[torch.randint(n, (count, n), generator=generator, device=generator.device).to(values.device)].mean(1)
            for count in _parts(checked_count(resamples, "resamples"), rows)
        ]
    )
    tail = (1 - level) / 2
    low, high = torch.quantile(means, torch.tensor([tail, 1 - tail], dtype=means.dtype, device=means.device))
    return Interval(float(low), float(high))


def _parts(total: int, most: int) -> list[int]:
    return [min(most, total - done) for done in range(0, total, most)]


def _values(
    outcome: Outcome, substrate: Substrate, valuations: Tensor, context: Tensor | None
) -> Float[Tensor, "batch bidder"]:
    _check(outcome, substrate, valuations, context)
    return (valuations * _exposure(substrate, outcome.allocation, context)).sum(2)


def _exposure(
    substrate: Substrate, allocation: Tensor, context: Tensor | None
) -> Float[Tensor, "batch bidder feature"]:
    return checked_finite(substrate.exposure(allocation, context), "exposure")


def _check(outcome: Outcome, substrate: Substrate, valuations: Tensor, context: Tensor | None) -> None:
    n = substrate.num_bidders
    checked_amounts(valuations, n, len(substrate.features), "valuations")
    checked_allocation(outcome.allocation, allocation_shape(substrate))
    batch, paid = len(outcome.allocation), tuple(checked_tensor(outcome.payments, "payments").shape)
    if paid != (batch, n):
        raise InputError(f"payments must have shape (batch={batch}, bidder={n}), got {paid}")
    if not outcome.payments.is_floating_point():
        raise InputError(f"payments must be floating point, got {outcome.payments.dtype}")
    checked_finite(outcome.payments, "payments")
    if len(valuations) != batch:
        raise InputError(f"valuations must have one row an auction: {len(valuations)} rows for {batch} auctions")
    checked_context(context, len(valuations), contexts_of(substrate))


def _checked_samples(samples: Tensor) -> Float[Tensor, " sample"]:
    if checked_tensor(samples, "samples").ndim != 1 or len(samples) < 2:
        raise InputError(f"samples must be a vector of at least two, got shape {tuple(samples.shape)}")
    if not bool(torch.isfinite(samples).all()):
        raise InputError("samples must be finite")
    return samples.detach().double()


def _checked_confidence(confidence: float) -> float:
    level = checked_number(confidence, "confidence", 0.0, 1.0)
    if level in (0.0, 1.0):
        raise InputError(f"confidence must lie strictly between 0 and 1, got {confidence!r}")
    return level
