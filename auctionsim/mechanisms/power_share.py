"""Myerson's payment where exposure is a power of the bidder's share of all bids."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

TERMS = 64  # of a series whose terms shrink at least by half: what is left is below rounding


def payment_by_power(
    bids: Float[Tensor, "row bidder"], others: Float[Tensor, "row bidder"], exponent: float
) -> Float[Tensor, "row bidder"]:
    """Return b e(b) − ∫_0^b e(s) ds for e(s) = (s / (s + B))^α, B the sum of the others' bids; 0 where B = 0.

    With u = b / (b + B) that is α B Σ_{k≥1} u^(k+α) / (k + α), summed as it stands up to u = ½. Beyond, where it grows
    as −log(1 − u), it is B (α J − u^α) with J = ∫_0^u y^(α−1) / (1 − y) dy = −log(1 − u) + ψ(1) − ψ(α) −
    Σ_{k≥1} (1 − α)_k / k! · (1 − u)^k / k, ψ the digamma function and (·)_k the rising factorial. Both sums end after
    64 terms, each less than half of the one before up to a constant. For α = ½ it is B (artanh √u − √u).

    Args:
        bids: b ≥ 0, float64.
        others: B ≥ 0, float64.
        exponent: α, 0 < α ≤ 4: beyond, the second sum loses digits to cancellation.
    Returns:
        Payments in money, ≥ 0 and at most b e(b).
    """
    rivalled = (bids > 0) & (others > 0)
    b, rest = torch.where(rivalled, bids, 1.0), torch.where(rivalled, others, 1.0)
    own, left = b / (b + rest), rest / (b + rest)
    power = own.pow(exponent)
    small, near = own.clamp_max(0.5), left.clamp_max(0.5)
    tail, correction = torch.zeros_like(own), torch.zeros_like(own)
    for k in range(TERMS, 0, -1):
        tail = small * (1 / (k + exponent) + tail)
    rising = 1.0
    terms = []
    for k in range(1, TERMS + 1):
        rising *= (k - exponent) / k
        terms.append(rising / k)
    for term in reversed(terms):
        correction = near * (term + correction)
    constant = float(torch.digamma(torch.tensor([1.0, exponent], dtype=torch.float64)).diff().neg())
    whole = constant - left.clamp_min(math.ulp(0.0)).log() - correction
    payments = rest * torch.where(own <= 0.5, exponent * power * tail, exponent * whole - power)
    value = b * power
    return torch.where(rivalled, torch.minimum(payments.clamp_min(0), value), 0.0)  # outside only by rounding
