"""Laws of the next token: mixtures of several, and how far one is from another, in nats."""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_finite
from auctionsim.errors import InputError, InputTypeError

_ROWS = 64  # distributions compared at once
_ROUNDING = 1e-6  # by which weights may sum to more than 1: what float32 makes of thirds


def divergence(logits: Tensor, reference: Tensor) -> Tensor:
    """Return KL(softmax(logits) ‖ softmax(reference)) over the last axis, exact over the vocabulary, in nats.

    Computed in float32, a few rows at a time: a batch's float32 probabilities would take gigabytes. What rounding does
    to the two normalising sums is taken out again, so that near 0 the error is some 10⁻⁸, not 10⁻⁶.
    """
    flat = logits.flatten(0, -2)
    other = reference.expand_as(logits).flatten(0, -2)
    parts = [_divergence(flat[k : k + _ROWS], other[k : k + _ROWS]) for k in range(0, len(flat), _ROWS)]
    return torch.cat(parts).view(logits.shape[:-1])


def _divergence(logits: Tensor, reference: Tensor) -> Tensor:
    log_p = torch.log_softmax(logits.float(), dim=-1)
    log_q = torch.log_softmax(reference.float(), dim=-1)
    p, q = log_p.exp(), log_q.exp()
    mass = p.sum(-1, dtype=torch.float64)  # 1 but for rounding
    shift = mass.log() - q.sum(-1, dtype=torch.float64).log()
    moved = p.mul_(log_p.sub_(log_q)).sum(-1, dtype=torch.float64)
    return (moved / mass - shift).clamp_min(0).float()  # negative only by rounding


def linear_mixture(
    log_laws: Float[Tensor, "voice ... token"], weights: Float[Tensor, "voice ..."]
) -> Float[Tensor, "... token"]:
    """Return log Σ_v w_v p_v, the logarithm of the mixture of laws.

    Args:
        log_laws: Logarithms of the laws that are mixed, one a voice.
        weights: Each voice's, ≥ 0 and summing to 1 over voices; 0 leaves a voice out.
    """
    return torch.logsumexp(log_laws + weights.log().unsqueeze(-1), dim=0)


def log_linear_mixture(
    logits: Float[Tensor, "voice ... token"], weights: Float[Tensor, "voice ..."]
) -> Float[Tensor, "... token"]:
    """Return Σ_v w_v l_v, logits of the law that is proportional to Π_v p_v^{w_v}.

    It is not monotone in the weights: a token that all voices deem rather likely gains on those that one of them deems
    unlikely, whoever's weight rises.

    Args:
        logits: Of the laws that are mixed, at one temperature, up to a constant each.
        weights: Each voice's, ≥ 0 and summing to 1 over voices.
    """
    return (logits * weights.unsqueeze(-1)).sum(0)


def binary_divergence(share: Float[Tensor, " *shape"], reference: Float[Tensor, " *shape"]) -> Float[Tensor, " *shape"]:
    """Return d(a ‖ b) = a log(a/b) + (1 − a) log((1 − a)/(1 − b)), nats: that of "it happens" under two laws.

    By the data-processing inequality it is never more than the divergence of the two laws themselves. It is 0 where
    both are equal, and infinite where the reference rules out what happens.

    Args:
        share: The event's probability under the first law.
        reference: Under the second.
    """
    happens: Tensor = torch.special.xlogy(share, share / reference).where(share > 0, 0.0)
    other = (1 - share) * torch.log1p((reference - share) / (1 - reference))  # exact to rounding for rare events, too
    return happens + other.where(share < 1, 0.0)


def checked_shares(weights: Tensor, what: str) -> Float[Tensor, "row part"]:
    """Return `weights` (row, part) unchanged if each is ≥ 0 and a row's sum is at most 1, but for rounding.

    Raises:
        TypeError: No floating-point tensor.
        ValueError: Another shape, or a row off the simplex; names it.
    """
    if not isinstance(weights, Tensor) or not weights.is_floating_point():
        raise InputTypeError(f"{what} must be a floating-point tensor, got {type(weights).__name__}")
    if weights.ndim != 2:
        raise InputError(f"{what} must have shape (row, part), got {tuple(weights.shape)}")
    off = ~fit_shares(checked_finite(weights, what))
    if bool(off.any()):
        row = int(off.nonzero()[0])
        raise InputError(f"{what} must be >= 0 and sum to at most 1, got {weights[row].tolist()} in row {row}")
    return weights


def fit_shares(weights: Float[Tensor, "row part"]) -> Tensor:
    """Tell which rows of weights are ≥ 0 and sum to at most 1, but for rounding."""
    return (weights >= 0).all(1) & (weights.sum(1) <= 1 + _ROUNDING)
