"""When a shard has seen enough replies: decided between rounds, from what earlier rounds stored and nothing else.

A *shard* is a slice of the interventions in one context of one replicate. A round draws `samples` more replies to each
of its prompts under each of its interventions. After a round, with at least `min_replies` replies an intervention, the
shard stops when the interval of every brand's mention probability under every one of its interventions is at most
`half_width` to either side, or when another round would go beyond `max_replies`. So all interventions of a shard have
the same count, and a unit's numbers depend on the plan alone; only whether it is measured at all depends on others.

What stopping by the data does to the numbers. A half-width is smallest where the observed share is near 0 or 1, so a
shard that by luck looks extreme stops early: means are pushed away from ½. `stopping_row` computes by how much,
exactly, for the worst case, a shard of one intervention and one brand. With rounds of 16, a half-width of .1 and at
most 128 replies, the mean is off by at most .018, which is .41 of its standard deviation (at true probabilities near .1
and .9; by less than .004 between .35 and .65), and the Wilson interval at the end covers in 92 % or more, 95 % on
average. A shard of many interventions stops by its widest, so most of them are stopped by luck that is not theirs.

The reported standard errors treat the count as if it had been fixed. They remain usable: a bias below half of one, and
intervals that cover. They are not to be trusted where nearly all replies agree, stopping or not: where all do they are
0, and the interval is what to look at. Features that are scored, not sampled, do not depend on the count. Replicate B
stops by its own data, so what is scored on B owes nothing to A's luck.

Source:
    Wilson (1927), "Probable inference"; Brown, Cai, DasGupta (2001), "Interval estimation for a binomial proportion",
    for both intervals (Jeffreys: the Beta(½, ½) posterior, with the ends at 0 and 1 as they say there).
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from auctionsim.measurement.settings import MeasurementSettings


def interval(
    successes: NDArray[np.int64], trials: int, *, kind: str, confidence: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the confidence interval of a probability after `successes` (…) of `trials` draws.

    Args:
        successes: 0 … trials.
        trials: ≥ 1.
        kind: "wilson" or "jeffreys".
        confidence: In (0, 1), two-sided.
    """
    tail = (1 - confidence) / 2
    if kind == "wilson":
        z = float(stats.norm.isf(tail))
        share = successes / trials
        centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
        spread = z * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2)) / (1 + z * z / trials)
        return centre - spread, centre + spread
    low = np.where(successes == 0, 0.0, special.betaincinv(successes + 0.5, trials - successes + 0.5, tail))
    high = np.where(successes == trials, 1.0, special.betaincinv(successes + 0.5, trials - successes + 0.5, 1 - tail))
    return low, high


def half_width(successes: NDArray[np.int64], trials: int, settings: MeasurementSettings) -> NDArray[np.float64]:
    """Return half the interval's length."""
    low, high = interval(successes, trials, kind=settings.interval, confidence=settings.confidence)
    return (high - low) / 2


def is_enough(mentioned: NDArray[np.int64], rounds: int, prompts: int, settings: MeasurementSettings) -> bool:
    """Tell whether a shard stops.

    Args:
        mentioned: (intervention, brand), in how many of its replies so far a brand is mentioned.
        rounds: Rounds done, ≥ 1.
        prompts: The context's prompts.
        settings: Target and limits.
    """
    if settings.half_width is None:
        return True
    a_round = prompts * settings.samples
    replies = rounds * a_round
    if replies < settings.min_replies:
        return False
    if replies + a_round > settings.max_replies:
        return True
    return bool((half_width(mentioned, replies, settings) <= settings.half_width).all())


def most_rounds(prompts: int, settings: MeasurementSettings) -> int:
    """Return how many rounds a shard has at most."""
    if settings.half_width is None:
        return 1
    a_round = prompts * settings.samples
    return max(math.ceil(settings.min_replies / a_round), settings.max_replies // a_round)


class StoppedShard(NamedTuple):
    """What stopping does to a shard of one intervention and one brand, exactly.

    Attributes:
        probability: The true mention probability.
        replies: Expected count.
        bias: Expected share of mentions minus the truth.
        standard_deviation: Of that share.
        coverage: How often the interval at the end holds the truth.
    """

    probability: float
    replies: float
    bias: float
    standard_deviation: float
    coverage: float


def stopping_row(probability: float, prompts: int, settings: MeasurementSettings) -> StoppedShard:
    """Follow the distribution of the mentions round by round: no sampling."""
    a_round = prompts * settings.samples
    step = stats.binom.pmf(np.arange(a_round + 1), a_round, probability)
    open_mass = np.ones(1)
    replies = first = second = coverage = 0.0
    for rounds in range(1, most_rounds(prompts, settings) + 1):
        trials = rounds * a_round
        open_mass = np.convolve(open_mass, step)
        counts = np.arange(trials + 1)
        stops = np.array([is_enough(np.array([[k]]), rounds, prompts, settings) for k in counts])
        ended = np.where(stops, open_mass, 0.0)
        low, high = interval(counts, trials, kind=settings.interval, confidence=settings.confidence)
        replies += trials * float(ended.sum())
        first += float((ended * counts / trials).sum())
        second += float((ended * (counts / trials) ** 2).sum())
        coverage += float(ended[(low <= probability) & (probability <= high)].sum())
        open_mass = np.where(stops, 0.0, open_mass)
    return StoppedShard(probability, replies, first - probability, math.sqrt(max(second - first**2, 0.0)), coverage)
