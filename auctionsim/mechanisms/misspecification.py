"""Reward misspecification: what a tilt by a proxy reward is truly worth, against the tilt by the true reward.

    J(π*) − J(π̂) = (E* − Ê)(r − r̂) + (E* − Ê) r̂

r the true reward, r̂ the proxy, π* and π̂ their tilts by one divergence at one β, E* and Ê their means, J the mean of r.
It is exact for every divergence. π̂ is the best distribution for Ê r̂ − β D, so the last term is at most
β (D(π*‖π_ref) − D(π̂‖π_ref)).

Beside it stands E*[exp(ε/β) ε], ε = |r − r̂|, which Wachi states for the reverse KL as a rough estimate. It leaves out
the normalising constants and the other terms, so it bounds nothing by itself; where it falls short is counted.

Source:
    Wachi (2024), "RLHF/DPO, part 3", a column in Japanese, for the split and the rough estimate.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_number
from auctionsim.errors import InputError
from auctionsim.mechanisms.divergences import Divergence


class Misspecification(NamedTuple):
    """Values of a proxy's tilt and of the true reward's, and the terms of their difference, all (batch,).

    Attributes:
        reference_value: E r under the reference.
        best_value: J(π*), of the tilt by the true reward.
        value: J(π̂), of the tilt by the proxy.
        proxy_value: Ê r̂, what the proxy promises of its tilt.
        reward_gap: (E* − Ê)(r − r̂).
        proxy_gap: (E* − Ê) r̂.
        proxy_gap_bound: β (D(π*‖π_ref) − D(π̂‖π_ref)), at least the proxy gap.
        rough_estimate: E*[exp(ε/β) ε], made for the reverse KL; infinite where it overflows.
    """

    reference_value: Tensor
    best_value: Tensor
    value: Tensor
    proxy_value: Tensor
    reward_gap: Tensor
    proxy_gap: Tensor
    proxy_gap_bound: Tensor
    rough_estimate: Tensor

    @property
    def loss(self) -> Tensor:
        """J(π*) − J(π̂), of either sign: π* is the best for r less β D, not for r alone."""
        return self.best_value - self.value


def misspecified(rewards: Tensor, proxies: Tensor, beta: float, p: Tensor, divergence: Divergence) -> Misspecification:
    """Tilt by a proxy and by the true reward, and value both by the true one.

    Args:
        rewards: r, the true reward of each reply: (batch, reply).
        proxies: r̂, what is tilted by, in the same unit: (batch, reply).
        beta: β > 0, reward per unit of divergence.
        p: π_ref: (reply,).
        divergence: D.
    Raises:
        ValueError: β is not above 0, or rewards and proxies are not of one shape with as many replies as p.
    Example:
        >>> from auctionsim.mechanisms import ReverseKL
        >>> p = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
        >>> true, proxy = torch.tensor([[0, 1, 0], [0, 1, 1.2]], dtype=torch.float64).unsqueeze(1)
        >>> round(float(misspecified(true, proxy, 0.5, p, ReverseKL()).value), 4)
        0.4505
    """
    if checked_number(beta, "beta") == 0:
        raise InputError("beta must be positive, got 0")
    if rewards.ndim != 2 or rewards.shape != proxies.shape or p.shape != rewards.shape[1:]:
        raise InputError(
            f"rewards and proxies must both be (batch, {len(p)}), got {tuple(rewards.shape)} and {tuple(proxies.shape)}"
        )
    best, tilted = divergence.tilt(rewards, beta, p), divergence.tilt(proxies, beta, p)
    error = rewards - proxies
    size = error.abs()
    shift = best - tilted
    return Misspecification(
        reference_value=(p * rewards).sum(1),
        best_value=(best * rewards).sum(1),
        value=(tilted * rewards).sum(1),
        proxy_value=(tilted * proxies).sum(1),
        reward_gap=(shift * error).sum(1),
        proxy_gap=(shift * proxies).sum(1),
        proxy_gap_bound=beta * (divergence.between(best, p) - divergence.between(tilted, p)),
        rough_estimate=torch.where(best > 0, best * torch.exp(size / beta) * size, 0.0).sum(1),
    )


def win_rate(
    q: Float[Tensor, "batch reply"], p: Float[Tensor, " reply"], rewards: Float[Tensor, "batch reply"]
) -> Float[Tensor, " batch"]:
    """Return how often a reply drawn from q is better than one drawn from p, a tie counted as half: in [0, 1]."""
    ahead = torch.sign(rewards.unsqueeze(2) - rewards.unsqueeze(1)).to(q.dtype)
    return (torch.einsum("by,byz,z->b", q, ahead, p.to(q.dtype)) + 1) / 2
