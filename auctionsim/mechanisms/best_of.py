"""Best of several draws: best-of-n and best-of-majority as distributions over replies, exact, without drawing.

Both draw replies from a reference law p, each independently, and give out one of them by a reward. What they give out
then is a distribution q over the same replies as a tilt's, so both are read on the same axes: KL(q‖p) spent, how often
q's reply beats p's, and what it is truly worth.

Source:
    Beirami et al. (2024), "Theoretical guarantees on the best-of-n alignment policy", for KL(q‖p) ≤ log n − (n − 1)/n,
    an equality where no reply has mass. Di et al. (2025), "Best-of-Majority: minimax-optimal strategy for pass@k
    inference scaling", arXiv:2510.03199, for the second, here with k = 1; what it does where no reply is frequent is
    ours.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.checks import checked_count, checked_tensor
from auctionsim.errors import InputError

MOST_DRAWS = 128
"""Of best-of-majority: beyond, counts of draws are too many to enumerate."""


def best_of_n(
    rewards: Float[Tensor, "batch reply"], draws: int, p: Float[Tensor, " reply"]
) -> Float[Tensor, "batch reply"]:
    """Return the distribution of the best of n draws: F(r)ⁿ − F(r−)ⁿ at each reward r, F the law of rewards under p.

    Args:
        rewards: What draws are ranked by.
        draws: n ≥ 1; with 1 it is p.
        p: Probabilities.
    Returns:
        q; replies of equal reward share their mass in the proportions of p, as the first of equals is given out.
    Raises:
        ValueError: No draw, or p that is no distribution over the replies.
    Example:
        >>> best_of_n(torch.tensor([[1.0, 0.0]]), 2, torch.tensor([0.5, 0.5]))
        tensor([[0.7500, 0.2500]])
    """
    count = checked_count(draws, "draws")
    p = _checked_reference(rewards, p)
    order = rewards.argsort(1)
    ranked, mass = rewards.gather(1, order), p.expand_as(rewards).gather(1, order)
    below = mass.cumsum(1)
    first = torch.searchsorted(ranked.contiguous(), ranked.contiguous(), right=False)
    last = torch.searchsorted(ranked.contiguous(), ranked.contiguous(), right=True) - 1
    up_to = below.gather(1, last).clamp_max(1)
    before = torch.where(first > 0, below.gather(1, (first - 1).clamp_min(0)), 0.0).clamp_max(1)
    level = up_to - before
    share = torch.where(level > 0, mass / level, 0.0)
    q = torch.zeros_like(ranked).scatter(1, order, share * (up_to**count - before**count))
    return q / q.sum(1, keepdim=True)


def best_of_n_bound(draws: int) -> float:
    """Return log n − (n − 1)/n, the most that best-of-n can spend in KL(q‖p), nats."""
    return math.log(draws) - (draws - 1) / draws


def best_of_majority(
    rewards: Float[Tensor, "batch reply"],
    draws: int,
    share: float,
    p: Float[Tensor, " reply"],
    answers: Int[Tensor, " reply"] | None = None,
) -> Float[Tensor, "batch reply"]:
    """Return the distribution of the best draw among the frequent ones.

    Of N draws those are kept whose answer was drawn at least share · N times; where no answer was, those of the most
    frequent answers. The kept draw of the highest reward is given out. With a share of 0 it is best-of-n; with 1 it is
    a majority vote whose ties go by reward. Where rewards are equal the reply that is listed first wins.

    With P_c the mass of an answer, F_c(y) that of its replies not better than y, and t = ⌈share · N⌉, the chance that
    something is kept and nothing kept is better than y is the coefficient of x^N in
    N! (Π_c (Σ_{k<t} (P_c x)^k/k! + Σ_{k≥t} (F_c(y) x)^k/k!) − Π_c Σ_{k<t} (P_c x)^k/k!), and likewise where the most
    frequent answers are kept.

    Args:
        rewards: What kept draws are ranked by.
        draws: N, from 1 to 128.
        share: From 0 to 1.
        p: Probabilities.
        answers: Which answer each reply gives, counted from 0, such as whom it names; None: every reply is its own.
    Raises:
        ValueError: Draws or a share out of range, p that is no distribution over the replies, or answers of another
            length or below 0.
    Example:
        >>> p = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
        >>> law = best_of_majority(torch.tensor([[0.0, 1.0, 1.2]], dtype=torch.float64), 16, 0.5, p)
        >>> [round(share, 4) for share in law[0].tolist()]
        [0.9846, 0.0146, 0.0008]
    """
    count = checked_count(draws, "draws")
    if count > MOST_DRAWS or not 0 <= share <= 1:
        raise InputError(f"draws must be at most {MOST_DRAWS} and share lie in [0, 1], got {draws} and {share:g}")
    p = _checked_reference(rewards, p)
    given = torch.arange(len(p)) if answers is None else checked_tensor(answers, "answers").long()
    if given.shape != p.shape or bool((given < 0).any()):
        raise InputError(f"answers must be {len(p)} numbers of at least 0, got {given.tolist()}")
    classes = torch.zeros(int(given.max()) + 1, len(p), dtype=torch.float64)
    classes[given, torch.arange(len(p))] = p.double()
    rows = [_majority_row(row, count, max(1, math.ceil(share * count - 1e-9)), classes) for row in rewards.double()]
    return torch.stack(rows).to(rewards.dtype) if rows else torch.zeros_like(rewards)


def _majority_row(
    rewards: Float[Tensor, " reply"], draws: int, least: int, classes: Float[Tensor, "answer reply"]
) -> Float[Tensor, " reply"]:
    """Return the law of what is given out, by the differences of its distribution function along the order of worth."""
    worst_first = (-rewards).argsort(stable=True).flip(0)
    not_better = classes[:, worst_first].cumsum(1)  # (answer, place)
    whole = classes.sum(1, keepdim=True).expand_as(not_better)
    up_to = torch.zeros(len(rewards), dtype=torch.float64)
    for top in range(1, least + 1):  # the highest count; `least` stands for all from there on
        kept = slice(top, None if top == least else top + 1)
        up_to += _coefficient(whole, not_better, draws, slice(0, top), kept)
        up_to -= _coefficient(whole, not_better, draws, slice(0, top), slice(0, 0))
    mass = up_to.diff(prepend=torch.zeros(1, dtype=torch.float64)).clamp_min(0)
    q = torch.zeros_like(mass).scatter(0, worst_first, mass)
    return q / q.sum()


def _coefficient(
    whole: Float[Tensor, "answer place"],
    not_better: Float[Tensor, "answer place"],
    draws: int,
    rare: slice,
    kept: slice,
) -> Float[Tensor, " place"]:
    """Return N! [x^N] of the product over answers of their counts' series: all of it rare, or kept and not better."""
    powers = torch.arange(draws + 1, dtype=torch.float64)
    inverse_factorials = torch.exp(-torch.lgamma(powers + 1))
    lags = torch.arange(draws + 1).unsqueeze(1) - torch.arange(draws + 1)
    lags = torch.where(lags < 0, draws + 1, lags)  # where a series has a 0 put behind its end
    product = torch.zeros(whole.shape[1], draws + 1, 1, dtype=torch.float64)
    product[:, 0] = 1.0
    for mass, part in zip(whole, not_better, strict=True):
        series = torch.zeros(whole.shape[1], draws + 2, dtype=torch.float64)
        series[:, : draws + 1][:, rare] = (mass.unsqueeze(1) ** powers * inverse_factorials)[:, rare]
        series[:, : draws + 1][:, kept] = (part.unsqueeze(1) ** powers * inverse_factorials)[:, kept]
        product = series[:, lags] @ product  # the series multiplied, up to x^N
    return product[:, draws, 0] * math.exp(math.lgamma(draws + 1))


def _checked_reference(rewards: Tensor, p: Tensor) -> Tensor:
    """Return p in the rewards' type, if it is a distribution over their replies."""
    checked_tensor(rewards, "rewards"), checked_tensor(p, "p")
    whole = rewards.ndim == 2 and p.shape == rewards.shape[1:] and len(p) > 0
    if not whole or not bool((p >= 0).all()) or not abs(float(p.sum()) - 1) <= 1e-6:
        raise InputError(
            f"rewards must be (batch, reply) and p probabilities over the replies that sum to 1, "
            f"got shapes {tuple(rewards.shape)} and {tuple(p.shape)}"
        )
    return (p.double() / p.double().sum()).to(rewards.dtype)
