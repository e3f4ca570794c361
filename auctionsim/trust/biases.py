"""Biases of a judge: for a slot, for length, for its own model's replies, and for a brand's name.

Each is estimated with an interval, and each estimate says what it holds constant. A judge of one reply has no slots.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.special import expit

from auctionsim.errors import InputError
from auctionsim.judges.positions import swap_averaged
from auctionsim.trust.agreement import IntervalEstimate

_Z = 1.959964


class PositionBias(NamedTuple):
    """A pairwise judge's leaning to a slot, from its logits in both orders.

    Attributes:
        bias: Mean over pairs of β, the logit that the first slot gets whatever stands in it.
        median_margin: Median over pairs of |Δ|, what is left once the orders are averaged.
        first_slot_share: Share of presentations in which the first slot is ahead.
        consistent_share: Share of pairs in which the same reply is ahead in both orders.
    """

    bias: IntervalEstimate
    median_margin: float
    first_slot_share: float
    consistent_share: float


class DrawnConsistency(NamedTuple):
    """Verdicts drawn in both orders: how often they agree, and how often they are right where they do.

    Attributes:
        consistent: Probability, or share, of pairs whose verdicts name one reply in both orders.
        accuracy: Among those, that it is the better one.
    """

    consistent: float
    accuracy: float


class LengthControl(NamedTuple):
    """A win rate with the effect of length taken out.

    Attributes:
        equal_length: σ(θ), the win rate between replies of one length.
        raw: Share of wins as they are.
        length_effect: Coefficient of tanh z in the log odds; 0 where length does not matter.
    """

    equal_length: IntervalEstimate
    raw: float
    length_effect: IntervalEstimate


def swap_average(
    logit_ab: Float[np.ndarray, " pair"], logit_ba: Float[np.ndarray, " pair"]
) -> Float[np.ndarray, " pair"]:
    """Return the log odds that reply a is better, free of any leaning to a slot.

    A judge's log odds for the *first* slot are Δ + β with a first and −Δ + β with b first; half their difference is Δ
    whatever β is. Averaging probabilities instead pulls towards ½: with Δ = 1, β = 2 it gives .610758 for σ(1) =
    .731059.

    Args:
        logit_ab: Log odds that the first slot is better, a in it.
        logit_ba: Likewise with b in the first slot.
    """
    first, second = (torch.as_tensor(np.asarray(part, np.float64)) for part in (logit_ab, logit_ba))
    return swap_averaged(first, -second).margin.numpy()


def position_bias(logit_ab: Float[np.ndarray, " pair"], logit_ba: Float[np.ndarray, " pair"]) -> PositionBias:
    """Estimate a judge's leaning to a slot; arguments as those of `swap_average`.

    The interval is Student's over pairs. A judge whose bias is above its median margin names a slot, not a reply, in
    most presentations.

    Raises:
        ValueError: Fewer than two pairs, or logits that are not finite.
    """
    first, second = np.asarray(logit_ab, np.float64), np.asarray(logit_ba, np.float64)
    if first.shape != second.shape or len(first) < 2 or not np.isfinite([first, second]).all():
        raise InputError(f"logits of at least two pairs in both orders are needed, got {first.shape}, {second.shape}")
    margins = swap_average(first, second)
    ahead = np.sign(first) == -np.sign(second)
    return PositionBias(
        mean_estimate((first + second) / 2),
        float(np.median(np.abs(margins))),
        float(np.concatenate([first > 0, second > 0]).mean()),
        float((ahead & (first != 0)).mean()),
    )


def drawn_consistency(margin: float, bias: float) -> DrawnConsistency:
    """Return what becomes of verdicts that are drawn with probability σ(Δ ± β), by enumerating all four outcomes.

    Among consistent verdicts the accuracy is σ(2Δ) for any β: both orders name a with probability σ(Δ + β) σ(Δ − β),
    both name b with that of the complements, and the ratio is e^{2Δ}. Verdicts that are the likelier answer instead of
    a draw have no such law: for |β| > |Δ| none is consistent, for |β| < |Δ| all are.

    Args:
        margin: Δ ≥ 0, the judge's log odds for the better reply.
        bias: β.
    """
    with_first, with_second = (float(expit(margin + turn * bias)) for turn in (1, -1))  # names the better one, by order
    right, wrong = with_first * with_second, (1 - with_first) * (1 - with_second)
    return DrawnConsistency(right + wrong, right / (right + wrong))


def length_controlled(wins: Bool[np.ndarray, " pair"], length_difference: Float[np.ndarray, " pair"]) -> LengthControl:
    """Estimate a win rate at equal length: P(win) = σ(θ + φ tanh z), z = length difference / its standard deviation.

    Args:
        wins: Whether the first of each pair won.
        length_difference: Words of the first less those of the second.
    Returns:
        Maximum likelihood of θ and φ, with Wald intervals; pairs count as independent.
    Raises:
        ValueError: Lengths are not finite or do not differ, or wins are separated by length so that no maximum exists.
    Source:
        Dubois, Galambosi, Liang and Hashimoto (2024), "Length-controlled AlpacaEval: a simple way to debias automatic
        evaluators". Theirs has a term for each instruction's difficulty beside; this has none.
    """
    from statsmodels.discrete.discrete_model import Logit

    difference = np.asarray(length_difference, np.float64)
    if not np.isfinite(difference).all():
        raise InputError("length control needs finite differences of lengths")
    spread = float(difference.std()) if len(difference) else 0.0
    if spread == 0 or len(set(wins.tolist())) < 2:
        raise InputError("length control needs lengths that differ, and both wins and losses")
    won, lost = difference[wins], difference[~wins]
    if won.min() >= lost.max() or won.max() <= lost.min():
        raise InputError("length separates wins from losses, so no effect of it can be estimated")
    design = np.column_stack([np.ones(len(difference)), np.tanh(difference / spread)])
    fit = Logit(wins.astype(np.float64), design).fit(disp=False, maxiter=100)
    (theta, effect), (theta_error, effect_error) = fit.params, fit.bse
    return LengthControl(
        IntervalEstimate(*(float(expit(theta + k * _Z * theta_error)) for k in (0, -1, 1))),
        float(wins.mean()),
        IntervalEstimate(*(float(effect + k * _Z * effect_error) for k in (0, -1, 1))),
    )


def self_preference(
    score: Float[np.ndarray, " reply"],
    own: Float[np.ndarray, " reply"],
    bad: Bool[np.ndarray, " reply"],
    clusters: Sequence[Hashable],
) -> IntervalEstimate:
    """Estimate how much a judge favours its own replies, given the label.

    The coefficient of `own` in a least-squares fit of the score (in its own standard deviations) on the label and
    `own`, with errors clustered. Positive: a high score goes with `own`.

    Args:
        score: Of each reply.
        own: 1 for a reply of the judge's own model and 0 for others, or how likely the judge finds the reply.
        bad: The labels.
        clusters: Prompts.
    Raises:
        ValueError: Something that does not vary, own replies that are exactly the good or the bad ones, or fewer than
            two prompts.
    """
    from statsmodels.regression.linear_model import OLS

    if not len(score) or min(float(np.std(score)), float(np.std(own)), float(np.std(bad))) == 0:
        raise InputError("a preference needs scores, labels and replies of its own and of others that vary")
    design = np.column_stack([np.ones(len(score)), bad.astype(np.float64), own])
    numbers = {cluster: k for k, cluster in enumerate(dict.fromkeys(clusters))}
    groups = np.array([numbers[cluster] for cluster in clusters])
    if len(numbers) < 2 or np.linalg.matrix_rank(design) < design.shape[1]:
        raise InputError("a preference needs two prompts, and own replies that the label does not give away")
    fit = OLS((score - score.mean()) / score.std(), design).fit(cov_type="cluster", cov_kwds={"groups": groups})
    value, error = float(fit.params[2]), float(fit.bse[2])
    return IntervalEstimate(value, value - _Z * error, value + _Z * error)


def mean_estimate(samples: Float[np.ndarray, " draw"], clusters: Sequence[Hashable] | None = None) -> IntervalEstimate:
    """Return a mean with Student's interval; where clusters are given they are the draws, each by its size.

    With clusters the variance is that of a ratio of sums: C/(C − 1) Σ_c (Σ_{k in c} (x_k − mean))² / n².
    """
    from scipy.stats import t

    values = np.asarray(samples, np.float64)
    names = list(range(len(values))) if clusters is None else list(clusters)
    numbers = {cluster: k for k, cluster in enumerate(dict.fromkeys(names))}
    sums = np.bincount([numbers[name] for name in names], values - values.mean(), len(numbers))
    count = len(numbers)
    if count < 2 or not np.isfinite(values).all():
        raise InputError(f"an interval for a mean needs at least two draws, all finite, got {count}")
    error = float(np.sqrt(count / (count - 1) * (sums @ sums))) / len(values)
    reach = float(t.ppf(0.975, count - 1)) * error
    mean = float(values.mean())
    return IntervalEstimate(mean, mean - reach, mean + reach)
