"""Intervals for the mean of bounded samples that hold at every sample size, rare and large values included: by betting.

Estimand: the common mean μ of independent samples x_1 … x_n in [0, R]. If μ were m or less, whoever stakes the share
c ∈ (0, 1] on "more" in every sample would on average not grow richer:

    E Π_i (1 + c (x_i − m) / m) ≤ 1,      and as well     E Π_i (1 + c (m − x_i) / (R − m)) ≤ 1  if μ were m or more.

The average of several shares' capital keeps that, so by Markov's inequality it exceeds 2/δ with probability δ/2 at
most. The interval holds every m that neither capital refutes: coverage is at least 1 − δ, whatever the distribution. It
contains the sample mean. The lower end does not need R. Where all of n samples are 0 the upper end is still about
R · ln(k · 2/δ) / n with k shares: what was not seen in n rows may happen in one of n, a Student interval would say 0.

Source: Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting", section 4, with a
fixed mixture of stakes instead of a predictable sequence, so that the order of the samples does not matter.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.metrics import Interval
from auctionsim.regret.confidence import checked_miss

STAKES = tuple(2.0**-k for k in range(11))
HALVINGS = 60


def betting_interval(samples: Tensor, largest: float, confidence: float = 0.95) -> Interval:
    """Return an interval for the mean of independent samples in [0, largest].

    Args:
        samples: (sample,), at least one, finite.
        largest: R, at least as large as every possible sample, in the samples' unit.
        confidence: In (0, 1).
    Raises:
        ValueError: No samples, or samples outside [0, largest].
    """
    values = samples.detach().double()
    if values.ndim != 1 or len(values) < 1 or not bool(torch.isfinite(values).all()):
        raise InputError(f"samples must be a finite vector of at least one, got shape {tuple(samples.shape)}")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > largest:
        raise InputError(f"samples must lie in [0, {largest}], got {low} … {high}")
    refuted = math.log(2 / checked_miss(confidence)) + math.log(len(STAKES))
    if largest == 0:
        return Interval(0.0, 0.0)
    shares, mean = values / largest, float(values.mean()) / largest
    ends = (
        _last(lambda m: _log_capital(shares / m - 1) < refuted, mean, 0.0),
        _last(lambda m: _log_capital((m - shares) / (1 - m)) < refuted, mean, 1.0),
    )
    return Interval(ends[0] * largest, ends[1] * largest)


def _log_capital(gains: Tensor) -> float:
    """Return the log of the stakes' capitals added up, each sample returning 1 + stake · gain."""
    stakes = torch.tensor(STAKES, dtype=gains.dtype, device=gains.device).unsqueeze(1)
    return float(torch.log1p((stakes * gains).clamp_min(-1)).sum(1).logsumexp(0))


def log_capital_path(gains: Float[Tensor, "sequence sample"]) -> Float[Tensor, "sequence sample"]:
    """Return the log of the stakes' mean capital after each sample, each sample returning 1 + stake · gain.

    It starts at a capital of 1. Where no gain is above 0 on average given the past, the probability that the capital
    ever reaches 1/δ is at most δ (Ville's inequality).

    Args:
        gains: At least −1.
    """
    stakes = torch.tensor(STAKES, dtype=gains.dtype, device=gains.device).reshape(-1, 1, 1)
    return torch.log1p((stakes * gains).clamp_min(-1)).cumsum(-1).logsumexp(0) - math.log(len(STAKES))


def _last(holds: Callable[[float], bool], inside: float, outside: float) -> float:
    """Return where between `inside`, where it holds, and `outside` a condition ceases to hold, by halving."""
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        if middle in (inside, outside):
            break
        if holds(middle):
            inside = middle
        else:
            outside = middle
    return outside
