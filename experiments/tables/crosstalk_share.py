"""How much crosstalk a measured brand set has, as one number with its standard error, and what moves along with it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats

from auctionsim.substrates import ResponseSurface


class Crosstalk(NamedTuple):
    """One brand set's crosstalk.

    Attributes:
        value: Share of the lifts that is moved when everybody is amplified; None where no brand has a lift.
        standard_error: Of it; None with it.
        net: The same with signs: negative where rivals take away.
        lift: Σ of the lifts, in exposure.
    """

    value: float | None
    standard_error: float | None
    net: float | None
    lift: float


def crosstalk(view: ResponseSurface) -> Crosstalk:
    """Return the share of what brands could buy alone that is moved by their rivals' amplification.

    With e_i(·; c) brand i's exposure in context c, every amplified brand at its highest levers,

        crosstalk = Σ_{c,i} |e_i(all on; c) − e_i(own only; c)| / Σ_{c,i} max(e_i(own only; c) − e_i(null; c), 0):

    the mean over contexts and brands of |e_i(all on) − e_i(own only)| / lift, weighted by the lift, so that a tiny
    lift, whose own ratio is noise, weighs little. 0 where brands are apart; 1 where rivals move as much as is for sale.

    The standard error is the delta method's, from the cells' standard errors, taken as independent. Noise also makes
    the absolute differences larger than they are, by at most their own standard errors: where the value is not well
    above its standard error, read it as "not told from 0".

    Args:
        view: Sells one feature; the replicate it reports is the one that is asked.
    """
    n = view.num_bidders
    states = torch.cat([torch.zeros(1, n), torch.eye(n), torch.ones(1, n)]).bool()  # null, each alone, all
    highest = torch.tensor([lever.high for lever in view.levers], dtype=torch.float64)
    allocation = torch.where(states.unsqueeze(2), highest, view.null_allocation(len(states), dtype=torch.float64))
    contexts = len(view.contexts)
    rows, context = allocation.repeat(contexts, 1, 1), torch.arange(contexts).repeat_interleave(len(states))
    exposure = view.exposure(rows, context)[..., 0].view(contexts, n + 2, n)
    variance = view.standard_error(rows, context).exposure[..., 0].square().view(contexts, n + 2, n)
    null, own, every = exposure[:, 0], exposure[:, 1:-1].diagonal(dim1=1, dim2=2), exposure[:, -1]
    null_noise, own_noise, every_noise = variance[:, 0], variance[:, 1:-1].diagonal(dim1=1, dim2=2), variance[:, -1]
    moved, lift = every - own, (own - null).clamp_min(0)
    total = float(lift.sum())
    if total <= 0:
        return Crosstalk(None, None, None, 0.0)
    value = float(moved.abs().sum()) / total
    sign, counts = moved.sign(), value * (lift > 0)
    noise = sign.square() * every_noise + (sign + counts).square() * own_noise + counts.square() * null_noise
    return Crosstalk(value, math.sqrt(float(noise.sum())) / total, float(moved.sum()) / total, total)


class RankCorrelation(NamedTuple):
    """Spearman's rank correlation.

    Attributes:
        value: In [−1, 1]; None for fewer than four pairs, or where one side is constant.
        low: Of the 95 % bootstrap interval over the pairs; None with it.
        high: Of it.
        n: How many pairs.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    @property
    def word(self) -> str:
        """Return the verdict: "rises", "falls", or "is not told apart from unordered" where the interval holds 0."""
        if self.low is None or self.high is None:
            return "cannot be ordered"
        return "rises" if self.low > 0 else "falls" if self.high < 0 else "is not told apart from unordered"


def rank_correlation(x: Sequence[float], y: Sequence[float], *, seed: int, resamples: int) -> RankCorrelation:
    """Return Spearman's correlation of pairs and its percentile bootstrap interval.

    Args:
        x: One number a brand set.
        y: The other.
        seed: Of the resamples.
        resamples: How many; those in which one side is constant are left out.
    """
    pairs = np.array([x, y], dtype=float)
    value = _spearman(pairs)
    if pairs.shape[1] < 4 or value is None:
        return RankCorrelation(None, None, None, pairs.shape[1])
    generator = np.random.default_rng(seed)
    picked = generator.integers(pairs.shape[1], size=(resamples, pairs.shape[1]))
    drawn = [each for each in (_spearman(pairs[:, rows]) for rows in picked) if each is not None]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return RankCorrelation(value, float(low), float(high), pairs.shape[1])


def _spearman(pairs: np.ndarray) -> float | None:
    ranks = stats.rankdata(pairs, axis=1)
    if pairs.shape[1] < 2 or bool((ranks == ranks[:, :1]).all(1).any()):
        return None
    return float(np.asarray(np.corrcoef(ranks))[0, 1])
