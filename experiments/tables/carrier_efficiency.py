"""Efficiency of a carrier: how much of what the reply's law moved went into naming the brand.

η = d(p_x‖p_0) / reply_kl, with p_x and p_0 the probabilities that the reply's text names the brand under the carrier
and untouched, d the binary divergence p ln(p/q) + (1 − p) ln((1 − p)/(1 − q)), and reply_kl the divergence of the whole
reply's law. Naming the brand is a function of the reply, so η ≤ 1 (data processing); 1 means that nothing else moved.

Over several prompts d is taken of the mean probabilities: d is jointly convex, so d(mean p_x‖mean p_0) is at most the
mean of the prompts' own d, hence at most the mean reply_kl. The pooled η is a lower bound of the prompts' η weighted by
their reply_kl.

Few replies say little about a probability near 0, and the estimate of d by shares is biased. So the interval is made of
exact ones: p_x and p_0 each by Clopper and Pearson (which also covers a mean of unequal probabilities, see Hoeffding),
the mean reply_kl by Student, each at 1 − .05/3, so that all three hold together in 95 % at least. The ends are the
least and greatest η in that box; the upper one is infinite where p_0 may be 0.

Source:
    Clopper and Pearson (1934), "The use of confidence or fiducial limits illustrated in the case of the binomial";
    Hoeffding (1956), "On the distribution of the number of successes in independent trials"; Cover and Thomas (2006),
    "Elements of Information Theory", theorems 2.7.2 (convexity) and 2.8.1 (data processing).
"""

import math
from typing import NamedTuple

import numpy as np
import torch

from auctionsim.errors import InputError
from auctionsim.experiments.running.prompt_intervals import CONFIDENCE, Array, PromptMean, Stratum, mean_of
from auctionsim.language_models.laws import binary_divergence

_EACH = 1 - (1 - CONFIDENCE) / 3
"""Confidence of each of three intervals that hold together."""


class NamedCounts(NamedTuple):
    """Replies to some prompts, and how many of them name the brand.

    Attributes:
        changed: (prompt,) replies that name it under the carrier.
        untouched: (prompt,) untouched replies that do.
        replies: Of each prompt, the same number of both.
    """

    changed: Array
    untouched: Array
    replies: int


class Efficiency(NamedTuple):
    """η with the ends of an interval that holds in 95 % at least; the upper end may be infinite."""

    mean: float
    low: float
    high: float
    divergence: float


def exact_interval(successes: float, trials: int, confidence: float) -> tuple[float, float]:
    """Return Clopper's and Pearson's interval of a probability.

    Example:
        >>> tuple(round(end, 4) for end in exact_interval(0, 10, 0.95))
        (0.0, 0.3085)
    """
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(betaincinv(successes + 1, trials - successes, 1 - tail))
    return low, high


def efficiency(counts: NamedCounts, reply_kl: Array) -> Efficiency | None:
    """Return η pooled over prompts, or of one prompt; None where reply_kl is 0 in every reply.

    Args:
        counts: Replies that name the brand.
        reply_kl: (prompt, reply) nats of each reply under the carrier; two replies or more.
    Raises:
        ValueError: Shapes that do not fit, or a divergence below 0.
    """
    if reply_kl.shape != (len(counts.changed), counts.replies) or counts.replies < 2:
        raise InputError(f"reply_kl must be (prompt, reply), two replies or more, got {reply_kl.shape}")
    if float(reply_kl.min()) < 0:
        raise InputError(f"reply_kl must be >= 0, got {float(reply_kl.min()):g}")
    if not reply_kl.any():
        return None
    trials = counts.replies * len(counts.changed)
    p, q = (float(part.sum()) / trials for part in (counts.changed, counts.untouched))
    p_low, p_high = exact_interval(float(counts.changed.sum()), trials, _EACH)
    q_low, q_high = exact_interval(float(counts.untouched.sum()), trials, _EACH)
    cost = _mean_cost(reply_kl)
    apart = max(p_low - q_high, q_low - p_high)
    nearest = (p_low, q_high) if p_low > q_high else (p_high, q_low)
    least = _divergence(*nearest) if apart > 0 else 0.0
    most = max(_divergence(p_high, q_low), _divergence(p_low, q_high))
    moved = _divergence(p, q)
    return Efficiency(moved / cost.mean, least / cost.high, most / cost.low if cost.low > 0 else math.inf, moved)


def _divergence(p: float, q: float) -> float:
    return float(binary_divergence(*torch.tensor([p, q], dtype=torch.float64)))


def _mean_cost(reply_kl: Array) -> PromptMean:
    """Return the mean over these prompts with its interval: each prompt's replies are draws of it.

    Where all replies to a prompt have one number, it is an estimate of the chosen reply's law (`ShownPage.divergence`),
    whose error replies do not show: then prompts are the draws, which is wider, and of one prompt nothing is known.
    """
    if np.ptp(reply_kl, axis=1).any():
        share = 1 / len(reply_kl)
        strata = [Stratum(share, np.asarray(row, dtype=np.float64), np.zeros(len(row))) for row in reply_kl]
    elif len(reply_kl) > 1:
        strata = [Stratum(1.0, np.asarray(reply_kl[:, 0], dtype=np.float64), np.zeros(len(reply_kl)))]
    else:
        return PromptMean(float(reply_kl.mean()), 0.0, math.inf)
    return mean_of(strata, (0.0, math.inf), _EACH)
