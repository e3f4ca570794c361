"""The user's loss of menus: each entry alone, and all bidders' choices together."""

import itertools

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.substrates.protocol import Substrate, is_separable

MOST_JOINT = 2**12  # joint choices whose user loss is tabulated at each step
ROWS = 128  # profiles at which single moves are costed where a table would be too large


class MenuLosses:
    """The user's loss of menu entries, differentiable in levers and in how often entries are chosen.

    Args:
        substrate: Levers of each bidder's own.
        reference: (bidder, lever), where the others stand when an entry is costed alone.
    """

    def __init__(self, substrate: Substrate, reference: Float[Tensor, "bidder lever"]) -> None:
        self.substrate, self.reference = substrate, reference

    def alone(self, levers: Float[Tensor, "bidder entry lever"], context: int | None) -> Float[Tensor, "bidder entry"]:
        """Return L of each entry with the others at the reference."""
        n, entries, _ = levers.shape
        alone = self.reference.to(levers).expand(n, entries, n, -1).clone()
        for i in range(n):
            alone[i, :, i] = levers[i]
        return self._loss(alone.flatten(0, 1), context).view(n, entries)

    def expected(
        self,
        levers: Float[Tensor, "bidder entry lever"],
        chances: Float[Tensor, "bidder entry"],
        hard: Int[Tensor, "row bidder"],
        context: int | None,
    ) -> Tensor:
        """Return E[L], up to a constant, where bidder i chooses entry k with probability chances_ik, independently.

        Where joint choices are too many for a table the number only has the gradient of E[L], estimated at some
        profiles' hard choices of the others: Σ_i Σ_k chances_ik L(k, others).

        Args:
            levers: The menus, the null included.
            chances: How often each entry is chosen.
            hard: Profiles of hard choices, looked at only without a table.
            context: Index into the substrate's contexts, or None.
        """
        n, entries, _ = levers.shape
        if is_separable(self.substrate):
            return (chances * self.alone(levers, context)).sum()
        if entries**n <= MOST_JOINT:
            index = torch.tensor(list(itertools.product(range(entries), repeat=n)))
            losses = self._loss(levers[torch.arange(n), index], context).view([entries] * n)
            for i in reversed(range(n)):
                losses = losses @ chances[i]
            return losses
        rows = hard[:ROWS]
        standing = levers[torch.arange(n), rows].detach()
        total = levers.new_zeros(())
        for i in range(n):
            moved = standing.unsqueeze(1).expand(-1, entries, -1, -1).clone()
            moved[:, :, i] = levers[i]
            losses = self._loss(moved.flatten(0, 1), context).view(len(rows), entries)
            total = total + (losses.mean(0) * chances[i]).sum()
        return total

    def _loss(self, allocation: Tensor, context: int | None) -> Tensor:
        repeated = None if context is None else torch.full((len(allocation),), context)
        return self.substrate.user_loss(allocation, repeated)
