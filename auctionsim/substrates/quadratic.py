"""The smallest substrate with crosstalk: one lever a bidder, quadratic loss, a maximum known exactly."""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from auctionsim.checks import (
    MOST_MONEY,
    checked_allocation,
    checked_context,
    checked_count,
    checked_money,
    checked_number,
    checked_weights,
)
from auctionsim.errors import UnsupportedError
from auctionsim.substrates.protocol import BaseSubstrate, Lever


@dataclass(frozen=True)
class QuadraticSubstrate(BaseSubstrate):
    """One lever x_i ∈ [0, 1] a bidder; e_i = x_i (1 − γ Σ_{j≠i} x_j); L = Σ_i (q x_i² / 2 + l x_i).

    γ is the crosstalk. At γ = 0 it is separable and every optimum has a closed form; at γ > 0 one bidder's lever
    lowers the others' exposure, as amplified neurons do. The loss is convex, and 0 at the null.

    Args:
        num_bidders: n ≥ 1.
        crosstalk: γ, 0 ≤ γ ≤ 1 / (n − 1), so that exposure never falls below 0.
        quadratic: q ≥ 0.
        linear: l, of either sign: below 0 the user gains by the first steps.
    """

    num_bidders: int
    crosstalk: float = 0.0
    quadratic: float = 1.0
    linear: float = 0.0
    features = ("exposure",)
    levers = (Lever("x", 0.0, 1.0, 0.0),)
    anonymous = True
    exposure_bounds = (0.0, 1.0)

    def __post_init__(self) -> None:
        checked_count(self.num_bidders, "num_bidders")
        checked_number(self.crosstalk, "crosstalk", 0.0, 1.0 / max(self.num_bidders - 1, 1))
        checked_money(self.quadratic, "quadratic")
        checked_number(self.linear, "linear", -MOST_MONEY, MOST_MONEY)

    @property
    def bases(self) -> dict[str, str]:
        """The loss by its coefficients, unless it is Σ x²/2: on others it is another loss."""
        if (self.quadratic, self.linear) == (1.0, 0.0):
            return {}
        return {"loss": f"quadratic {self.quadratic!r}, linear {self.linear!r}"}

    @property
    def separable(self) -> bool:
        """True without crosstalk."""
        return self.crosstalk == 0.0 or self.num_bidders == 1

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return zeros (batch, bidder, 1)."""
        checked_count(batch, "batch", 0)
        return torch.zeros(batch, self.num_bidders, 1, dtype=dtype, device=device)

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows lie in the unit box: (batch,) bool."""
        x = checked_allocation(allocation, (self.num_bidders, 1), finite=False)
        return ((x >= 0) & (x <= 1)).flatten(1).all(1)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return x_i (1 − γ Σ_{j≠i} x_j): (batch, bidder, 1)."""
        checked_context(context, len(allocation), self.contexts)
        x = checked_allocation(allocation, (self.num_bidders, 1))
        return x * (1 - self.crosstalk * (x.sum(1, keepdim=True) - x))

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return Σ_i (q x_i² / 2 + l x_i): (batch,)."""
        checked_context(context, len(allocation), self.contexts)
        x = checked_allocation(allocation, (self.num_bidders, 1))
        loss = x.square().sum((1, 2)) / 2
        if self.quadratic != 1:
            loss = self.quadratic * loss
        return loss if self.linear == 0 else loss + self.linear * x.sum((1, 2))

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        """Return the exact argmax over the box, by enumerating its faces.

        With w the weights and λ the user weight the objective is (w − λl)·x − x'Hx / 2, where H_ii = λq and H_ij =
        γ (w_i + w_j).
        On each of the 3ⁿ faces (every x_i at 0, at 1 or free) a maximum in the face's interior solves H x = w − λl on
        the free coordinates; where that system is singular the objective is flat along a line that ends on a smaller
        face, which is searched too. So the best feasible candidate is the global maximum, concave or not.

        Raises:
            NotImplementedError: More than 8 bidders (3⁸ faces).
        """
        checked_weights(weights, self.num_bidders, len(self.features))
        user_weight = checked_money(user_weight, "user_weight")
        checked_context(context, len(weights), self.contexts)
        n = self.num_bidders
        if n > 8:
            raise UnsupportedError(f"the exact maximum enumerates 3^n faces: at most 8 bidders, got {n}")
        w = weights.squeeze(2)
        slope = w - user_weight * self.linear if self.linear else w
        if self.separable:
            return _separable_argmax(slope, user_weight * self.quadratic).unsqueeze(2)
        hessian = self.crosstalk * (w.unsqueeze(2) + w.unsqueeze(1))
        hessian.diagonal(dim1=1, dim2=2).fill_(user_weight * self.quadratic)
        best_x = torch.zeros_like(w)
        best_value = torch.zeros_like(w[:, 0])  # the null comes first
        for face in itertools.product((0.0, 1.0, None), repeat=n):
            x, usable = _stationary_point(face, slope, hessian)
            value = (slope * x).sum(1) - torch.einsum("bi,bij,bj->b", x, hessian, x) / 2
            better = usable & (value > best_value)
            best_value = torch.where(better, value, best_value)
            best_x = torch.where(better.unsqueeze(1), x, best_x)
        return best_x.unsqueeze(2)


def _separable_argmax(slope: Tensor, curvature: float) -> Tensor:
    if curvature == 0:
        return (slope > 0).to(slope.dtype)
    return (slope / curvature).clamp(0, 1)


def _stationary_point(face: tuple[float | None, ...], slope: Tensor, hessian: Tensor) -> tuple[Tensor, Tensor]:
    """Return the stationary point on one face (batch, bidder) and where it exists inside the face (batch,)."""
    fixed = torch.tensor([0.0 if level is None else level for level in face], dtype=slope.dtype, device=slope.device)
    x = fixed.expand_as(slope).clone()
    free = [i for i, level in enumerate(face) if level is None]
    if not free:
        return x, torch.ones_like(slope[:, 0], dtype=torch.bool)
    target = (slope - torch.einsum("bij,j->bi", hessian, fixed))[:, free]
    solution, info = torch.linalg.solve_ex(hessian[:, free][:, :, free], target)
    inside = (solution >= 0) & (solution <= 1)  # False for NaN
    usable = (info == 0) & inside.all(1)
    x[:, free] = torch.where(usable.unsqueeze(1), solution, torch.zeros_like(solution))
    return x, usable
