"""f-divergences between distributions over replies, and the distribution that trades reward against them."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_number
from auctionsim.errors import InputError

BISECTIONS = 200


class Divergence(ABC):
    """An f-divergence D_f(q‖p) = E_p f(q/p), f convex with f(1) = 0.

    The maximiser of E_q r − β D_f(q‖p) is q = p · (f')⁻¹((r − λ)/β) with the multiplier λ that makes it sum to 1,
    solved by bisection. Only for the reverse KL does λ come out as a factor.

    Wang et al. scale two of them otherwise: their Jensen–Shannon is twice ours, so their β is half of ours at the same
    tilt, and their α-divergence at α is ours at 1 − α (both KLs being limits). The rest are the same.

    Source:
        Wang et al. (2024), "Beyond reverse KL: generalizing direct preference optimization with diverse divergence
        constraints", for the stationarity condition.
    """

    name: ClassVar[str]
    alpha: float | None = None
    """The parameter of a family of divergences, None where there is none."""

    @abstractmethod
    def f(self, ratio: Tensor) -> Tensor:
        """Return f(t) for t ≥ 0, its limit at 0."""

    @abstractmethod
    def ratio(self, slope: Tensor) -> Tensor:
        """Return (f')⁻¹(s), a t of which s is a slope of f: 0 below the range of f', infinite above it."""

    @property
    @abstractmethod
    def slope_at_one(self) -> float:
        """Return f'(1), a slope of f at 1."""

    def between(self, q: Float[Tensor, "batch reply"], p: Float[Tensor, " reply"]) -> Float[Tensor, " batch"]:
        """Return D_f(q‖p), replies outside p's support left out."""
        inside = p > 0
        return (p[inside] * self.f(q[:, inside] / p[inside])).sum(1)

    def tilt(
        self, rewards: Float[Tensor, "batch reply"], beta: float, p: Float[Tensor, " reply"]
    ) -> Float[Tensor, "batch reply"]:
        """Return argmax_q E_q r − β D_f(q‖p)."""
        inside = p > 0
        r = rewards[:, inside]
        lower = r.amin(1, keepdim=True) - beta * self.slope_at_one  # every ratio ≥ 1
        upper = r.amax(1, keepdim=True) - beta * self.slope_at_one  # every ratio ≤ 1
        for _ in range(BISECTIONS):
            middle = (lower + upper) / 2
            heavy = (p[inside] * self.ratio((r - middle) / beta)).sum(1, keepdim=True) > 1
            lower, upper = torch.where(heavy, middle, lower), torch.where(heavy, upper, middle)
        q = torch.zeros_like(rewards)
        q[:, inside] = p[inside] * self.ratio((r - upper) / beta)
        return q / q.sum(1, keepdim=True)


class ReverseKL(Divergence):
    """KL(q‖p): f(t) = t log t."""

    name = "reverse_kl"
    slope_at_one = 1.0

    def f(self, ratio: Tensor) -> Tensor:
        """Return t log t."""
        return torch.xlogy(ratio, ratio)

    def ratio(self, slope: Tensor) -> Tensor:
        """Return exp(s − 1)."""
        return torch.exp(slope - 1)

    def tilt(
        self, rewards: Float[Tensor, "batch reply"], beta: float, p: Float[Tensor, " reply"]
    ) -> Float[Tensor, "batch reply"]:
        """Return p exp(r/β), normalised."""
        short = rewards - rewards[:, p > 0].amax(1, keepdim=True)  # of the best: no quotient is infinite from above
        return torch.softmax((short / beta).clamp_max(0) + p.log(), 1)


class ForwardKL(Divergence):
    """KL(p‖q): f(t) = −log t."""

    name = "forward_kl"
    slope_at_one = -1.0

    def f(self, ratio: Tensor) -> Tensor:
        """Return −log t."""
        return -ratio.log()

    def ratio(self, slope: Tensor) -> Tensor:
        """Return −1/s, infinite for s ≥ 0."""
        return torch.where(slope < 0, -1 / slope.clamp_max(-1e-300), torch.inf)


class ChiSquared(Divergence):
    """Pearson's χ²: f(t) = (t − 1)². Replies of low reward may lose all their weight."""

    name = "chi_squared"
    slope_at_one = 0.0

    def f(self, ratio: Tensor) -> Tensor:
        """Return (t − 1)²."""
        return (ratio - 1).square()

    def ratio(self, slope: Tensor) -> Tensor:
        """Return max(1 + s/2, 0)."""
        return (1 + slope / 2).clamp_min(0)


class JensenShannon(Divergence):
    """Jensen–Shannon: f(t) = ½ [t log t − (t + 1) log((t + 1)/2)]; half of what Wang et al. call so."""

    name = "jensen_shannon"
    slope_at_one = 0.0

    def f(self, ratio: Tensor) -> Tensor:
        """Return ½ [t log t − (t + 1) log((t + 1)/2)]."""
        return (torch.xlogy(ratio, ratio) - (ratio + 1) * ((ratio + 1) / 2).log()) / 2

    def ratio(self, slope: Tensor) -> Tensor:
        """Return z/(2 − z), z = exp(2 s), infinite for z ≥ 2."""
        z = torch.exp(2 * slope)
        return torch.where(z < 2, z / (2 - z).clamp_min(1e-300), torch.inf)


class Alpha(Divergence):
    """α-divergence: f(t) = (t^α − α t + α − 1)/(α (α − 1)), α ≠ 0, 1; at α = 2 half of χ².

    As α goes to 1 it is the reverse KL, as α goes to 0 the forward KL. Wang et al. count the other way round: their α
    is 1 − ours.

    Args:
        alpha: Above 0, not 1.
    """

    name = "alpha"
    alpha: float
    slope_at_one = 0.0

    def __init__(self, alpha: float) -> None:
        self.alpha = checked_number(alpha, "alpha")
        if self.alpha in (0.0, 1.0):
            raise InputError(f"alpha must differ from 0 and 1 (the KL limits), got {alpha!r}")

    def f(self, ratio: Tensor) -> Tensor:
        """Return (t^α − α t + α − 1)/(α (α − 1))."""
        a = self.alpha
        return (ratio**a - a * ratio + a - 1) / (a * (a - 1))

    def ratio(self, slope: Tensor) -> Tensor:
        """Return (1 + (α − 1) s)^(1/(α − 1))."""
        base = 1 + (self.alpha - 1) * slope
        power = base.clamp_min(1e-300) ** (1 / (self.alpha - 1))
        return torch.where(base > 0, power, 0.0 if self.alpha > 1 else torch.inf)


class TotalVariation(Divergence):
    """Total variation ½ Σ|q − p|: f(t) = ½ |t − 1|. Replies keep their weight or lose all of it to the best.

    Moving mass from a reply to the best one gains the difference of their rewards and costs β. So replies whose reward
    is more than β below the best's lose all their mass to the best, and the others keep theirs. Ties: a reply that is
    exactly β below the best keeps its mass, as no move gains anything; several best replies share what comes to them
    in the proportions of p.
    """

    name = "total_variation"
    slope_at_one = 0.0  # one of the slopes there, from −½ to ½

    def f(self, ratio: Tensor) -> Tensor:
        """Return ½ |t − 1|."""
        return (ratio - 1).abs() / 2

    def ratio(self, slope: Tensor) -> Tensor:
        """Return 0 below −½, 1 up to ½, infinite above."""
        kept = torch.where(slope < -0.5, 0.0, 1.0).to(slope)
        return torch.where(slope > 0.5, torch.inf, kept)

    def tilt(
        self, rewards: Float[Tensor, "batch reply"], beta: float, p: Float[Tensor, " reply"]
    ) -> Float[Tensor, "batch reply"]:
        """Return p with the mass of replies more than β below the best moved to the best."""
        inside = p > 0
        best = rewards[:, inside].amax(1, keepdim=True)
        kept = torch.where(best - rewards > beta, 0.0, p)
        mass = torch.where(inside & (rewards == best), p, 0.0)
        q = kept + (1 - kept.sum(1, keepdim=True)).clamp_min(0) * mass / mass.sum(1, keepdim=True)
        return q / q.sum(1, keepdim=True)


PLAIN: tuple[type[Divergence], ...] = (ReverseKL, ForwardKL, ChiSquared, JensenShannon, TotalVariation)
"""Those without a parameter."""
