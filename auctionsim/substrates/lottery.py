"""A lottery over a fixed set of replies: what is allocated is the distribution that the reply is drawn from."""

import torch
from torch import Tensor

from auctionsim.blocks import row_blocks
from auctionsim.checks import (
    checked_allocation,
    checked_context,
    checked_count,
    checked_money,
    checked_tensor,
    checked_weights,
)
from auctionsim.errors import InputError
from auctionsim.substrates.protocol import BaseSubstrate, FiniteRange, Lever


class Lottery(BaseSubstrate):
    """Replies y with exposures e_i(y) and user losses L(y); an allocation is a distribution q over them.

    e_i(q) = E_q e_i(y) and L(q) = E_q L(y). The null is the reference distribution, what the untouched model says. No
    lever is a bidder's own. The numbers are copied: changing what it was made from does not change it.

    Args:
        exposures: (reply, bidder, feature), finite, ≥ 0.
        user_losses: (reply,), finite, of either sign.
        reference: (reply,), probabilities; None for uniform.
    """

    levers: tuple[Lever, ...] = ()
    separable = False

    def __init__(self, exposures: Tensor, user_losses: Tensor, reference: Tensor | None = None) -> None:
        checked_tensor(exposures, "exposures"), checked_tensor(user_losses, "user_losses")
        if reference is not None:
            checked_tensor(reference, "reference")
        replies = len(exposures) if exposures.ndim else 0
        if exposures.ndim != 3 or not all(exposures.shape) or user_losses.shape != (replies,):
            raise InputError(
                f"a lottery needs exposures (reply, bidder, feature) and user_losses (reply,), "
                f"got {tuple(exposures.shape)} and {tuple(user_losses.shape)}"
            )
        if not bool((torch.isfinite(exposures) & (exposures >= 0)).all()):
            raise InputError("exposures must be finite and >= 0")
        if not bool(torch.isfinite(user_losses).all()):
            raise InputError("user_losses must be finite")
        reference = torch.full((replies,), 1 / replies) if reference is None else reference
        reference = reference.detach().double()
        if reference.shape != (replies,) or not bool((reference >= 0).all()) or abs(float(reference.sum()) - 1) > 1e-6:
            raise InputError(f"reference must be {replies} probabilities that sum to 1, got {reference.tolist()}")
        self.exposures, self.user_losses = (
            numbers.detach().to(torch.float64, copy=True) for numbers in (exposures, user_losses)
        )
        self.reference = reference / reference.sum()
        self.num_bidders = exposures.shape[1]
        self.features = tuple(f"feature_{k}" for k in range(exposures.shape[2]))

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return the reference: (batch, reply)."""
        checked_count(batch, "batch", 0)
        dtype = dtype or torch.get_default_dtype()
        return self.reference.to(device=device, dtype=dtype).repeat(batch, 1)

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows are distributions, up to float rounding: (batch,) bool."""
        q = checked_allocation(allocation, (len(self.reference),), finite=False)
        slack = 8 * len(self.reference) * torch.finfo(q.dtype).eps
        return (q >= 0).all(1) & ((q.sum(1) - 1).abs() <= slack)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return E_q e: (batch, bidder, feature)."""
        checked_context(context, len(allocation), self.contexts)
        q = self._checked(allocation)
        return torch.einsum("by,yif->bif", q, self.exposures.to(q.device, q.dtype))

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return E_q L: (batch,)."""
        checked_context(context, len(allocation), self.contexts)
        q = self._checked(allocation)
        return q @ self.user_losses.to(q.device, q.dtype)

    def finite_range(self, context: Tensor | None = None) -> FiniteRange:
        """Return the reference and every sure reply: a linear objective is greatest at one of them."""
        if context is not None:
            checked_context(context, len(context), self.contexts)
        sure = torch.cat([self.reference.unsqueeze(0), torch.eye(len(self.reference), dtype=torch.float64)])
        return FiniteRange(sure, self.exposure(sure).unsqueeze(0), self.user_loss(sure).unsqueeze(0))

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        """Return the best sure reply, or the reference where none is better."""
        checked_weights(weights, self.num_bidders, len(self.features))
        user_weight = checked_money(user_weight, "user_weight")
        checked_context(context, len(weights), self.contexts)
        exposures = torch.cat([self._expected(self.exposures).unsqueeze(0), self.exposures]).to(weights)
        losses = torch.cat([self._expected(self.user_losses).unsqueeze(0), self.user_losses]).to(weights)
        best = torch.cat(
            [_best(weights[rows], exposures, user_weight * losses) for rows in row_blocks(len(weights), len(losses))]
        )
        sure = torch.zeros(len(best), len(self.reference), dtype=weights.dtype, device=weights.device)
        sure.scatter_(1, (best - 1).clamp_min(0).unsqueeze(1), 1.0)
        sure[best == 0] = self.reference.to(weights)
        return sure

    def _expected(self, values: Tensor) -> Tensor:
        """Return the mean of values (reply, …) under the reference."""
        mean: Tensor = torch.tensordot(self.reference, values, dims=1)
        return mean

    def _checked(self, allocation: Tensor) -> Tensor:
        return checked_allocation(allocation, (len(self.reference),))


def _best(weights: Tensor, exposures: Tensor, costs: Tensor) -> Tensor:
    """Return each row's best entry, the first of equals, summed term by term: equal weights give equal floats."""
    total = (-costs).expand(len(weights), -1)
    for i in range(weights.shape[1]):
        for f in range(weights.shape[2]):
            total = torch.addcmul(total, weights[:, i, f, None], exposures[:, i, f])
    return total.argmax(1)
