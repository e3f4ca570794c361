"""Confidence intervals of sampled means, with a guarantee at every sample size, for bounded samples.

Estimand: the common mean μ of independent samples x_1 … x_n that lie in a range of length R. The empirical Bernstein
bound of Maurer and Pontil holds at every n, two-sided with probability at least the confidence 1 − δ:

    |x̄ − μ| ≤ √(2 V ln(4/δ) / n) + 7 R ln(4/δ) / (3 (n − 1)),    V the sample variance.

It is about 1.5 times as wide as the normal interval at 95 % for large n. Where R is not known the observed range stands
in; the term it enters vanishes as 1/n, but then the guarantee is approximate.

Source: Maurer and Pontil (2009), "Empirical Bernstein bounds and sample variance penalization", theorem 4, at δ/2 a
side; it needs independence, not equal distributions (theorem 11).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_number, checked_tensor
from auctionsim.errors import InputError
from auctionsim.metrics import Interval


def bounded_mean_interval(samples: Tensor, confidence: float = 0.95, value_range: float | None = None) -> Interval:
    """Return the empirical Bernstein interval for the mean of independent bounded samples.

    Args:
        samples: (sample,), at least two, finite.
        confidence: In (0, 1).
        value_range: R, the length of an interval that holds every possible sample; None takes the observed range.
    Raises:
        ValueError: Fewer than two samples, or a range shorter than the observed one.
    """
    if checked_tensor(samples, "samples").ndim != 1 or len(samples) < 2 or not bool(torch.isfinite(samples).all()):
        raise InputError(f"samples must be a finite vector of at least two, got shape {tuple(samples.shape)}")
    values = samples.detach().double()
    seen = float(values.max() - values.min())
    if value_range is not None and checked_number(value_range, "value_range") < seen:
        raise InputError(f"samples must lie in a range of length {value_range}, got {seen}")
    span = torch.tensor(seen if value_range is None else value_range, dtype=torch.float64)
    reach = float(bernstein_reach(values.var(), span, len(values), confidence))
    mean = float(values.mean())
    return Interval(mean - reach, mean + reach)


def bernstein_reach(
    variance: Float[Tensor, "*any"], value_range: Float[Tensor, "*any"], count: int, confidence: float
) -> Float[Tensor, "*any"]:
    """Return half the width of the empirical Bernstein interval, elementwise."""
    log = math.log(4 / checked_miss(confidence))
    return (2 * variance * log / count).sqrt() + 7 * value_range * log / (3 * (count - 1))


def uniform_band(count: int, confidence: float) -> float:
    """Return ε = √(ln(2/δ) / 2n): how far an empirical distribution function is from the true one, everywhere at once.

    Source: Dvoretzky, Kiefer and Wolfowitz (1956), with Massart's (1990) constant.
    """
    return math.sqrt(math.log(2 / checked_miss(confidence)) / (2 * count))


def checked_miss(confidence: float) -> float:
    """Return δ = 1 − confidence.

    Raises:
        ValueError: Confidence not strictly between 0 and 1.
    """
    miss = 1 - checked_number(confidence, "confidence", 0.0, 1.0)
    if miss in (0.0, 1.0):
        raise InputError(f"confidence must lie strictly between 0 and 1, got {confidence!r}")
    return miss
