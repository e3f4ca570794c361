"""An audience whose kind nobody knows: one allocation for all kinds, charged for a number made of their losses."""

from functools import cached_property
from typing import Literal, get_args

import torch
from torch import Tensor

from auctionsim.audiences.kinds import Audience, KindLosses, tail_mean
from auctionsim.checks import checked_money, checked_number, checked_weights
from auctionsim.errors import InputError, UnsupportedError
from auctionsim.levers import Lever
from auctionsim.substrates import BaseSubstrate, Offer, View
from auctionsim.substrates.base import FiniteRange, Substrate
from auctionsim.substrates.protocol import (
    contexts_of,
    finite_range_of,
    is_finite,
    is_separable,
    maximises_exactly,
    null_of,
    observe,
)

Risk = Literal["mean", "worst", "tail"]
"""The number that losses of kinds become: "mean" over kinds, the "worst" kind, or the mean of a "tail" of users."""


class PrivateAudience(BaseSubstrate):
    """A substrate whose user is of a kind that nobody knows.

    The loss of an allocation is the mean over kinds by their shares, the largest of all kinds, or the mean of the users
    that lose most, a share `tail` of all (the conditional value at risk over kinds). All three are 0 at the null. The
    mean is linear, so it is maximised wherever the substrate is; the other two over a finite range only. Without a
    context it is the mean of that number over the substrate's contexts.

    Args:
        substrate: Any substrate.
        audience: Kinds whose losses the substrate has.
        risk: "mean", "worst" or "tail".
        tail: In (0, 1]; of "tail" only.
    Raises:
        ValueError: Another word for `risk`, a tail outside (0, 1], a loss that the substrate does not have.
    """

    def __init__(self, substrate: Substrate, audience: Audience, risk: Risk = "mean", *, tail: float = 0.1) -> None:
        if risk not in get_args(Risk):
            raise InputError(f"risk must be one of {get_args(Risk)}, got {risk!r:.60}")
        if checked_number(tail, "tail", 0.0, 1.0) == 0:
            raise InputError("tail must be above 0: it is a share of users, got 0")
        self.substrate, self.audience, self.risk, self.tail = substrate, audience, risk, tail
        mean = audience.mean_loss or audience.kinds[0].weights  # losses that cancel are no view's; "mean" refuses them
        if risk == "mean" and not audience.mean_loss:
            raise InputError("the kinds' losses cancel: their mean is 0 everywhere, which is no loss")
        self.mean_view = View(substrate, Offer(substrate.features, mean))
        for kind in audience.kinds:
            View(substrate, Offer(substrate.features, kind.loss))  # refuses what the substrate lacks

    @property
    def num_bidders(self) -> int:
        """How many bidders share the substrate."""
        return self.substrate.num_bidders

    @property
    def features(self) -> tuple[str, ...]:
        """The substrate's features."""
        return self.substrate.features

    @property
    def levers(self) -> tuple[Lever, ...]:
        """The controls of one bidder."""
        return self.substrate.levers

    @property
    def contexts(self) -> tuple[str, ...]:
        """The substrate's contexts."""
        return contexts_of(self.substrate)

    @property
    def separable(self) -> bool:
        """Whether the substrate is; a largest loss and a tail are no sums over bidders."""
        return self.risk == "mean" and is_separable(self.mean_view)

    @property
    def maximises_exactly(self) -> bool:
        """Whether the mean is maximised exactly; the other two are over a finite range."""
        return is_finite(self.substrate) or (self.risk == "mean" and maximises_exactly(self.mean_view))

    @property
    def exposure_bounds(self) -> tuple[float, float] | None:
        """The substrate's bounds."""
        return self.mean_view.exposure_bounds

    @property
    def finite(self) -> bool:
        """Whether the substrate is."""
        return is_finite(self.substrate)

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return the substrate's null."""
        return null_of(self.substrate, batch, dtype=dtype, device=device)

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows the substrate can carry out: (batch,) bool."""
        return self.substrate.feasible(allocation)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the substrate's exposure: (batch, bidder, feature)."""
        return self.substrate.exposure(allocation, context)

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the number that is charged for the kinds' losses: (batch,)."""
        if self.risk == "mean":
            return self.mean_view.user_loss(allocation, context)
        if context is not None or not self.contexts:
            return self._number(self.kind_losses(allocation, context))
        places = (torch.full((len(allocation),), k, device=allocation.device) for k in range(len(self.contexts)))
        return torch.stack([self._number(self.kind_losses(allocation, place)) for place in places]).mean(0)

    def kind_losses(self, allocation: Tensor, context: Tensor | None = None) -> KindLosses:
        """Return what each kind loses by each allocation."""
        return self.audience.losses_of(observe(self.substrate, allocation, context).losses)

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        """Return the argmax under that number: the substrate's own for the mean, else over its finite range.

        Raises:
            NotImplementedError: "worst" or "tail" on a substrate without a finite range.
        """
        checked_weights(weights, self.num_bidders, len(self.features))
        if self.risk == "mean":
            return self.mean_view.maximise(weights, user_weight, context)
        if not self.finite:
            raise UnsupportedError(f"{type(self.substrate).__name__} has no finite range: charge the mean over kinds")
        price = checked_money(user_weight, "user_weight")
        entries = self.finite_range(context)
        scores = torch.einsum("bif,bkif->bk", weights, entries.exposures.to(weights).expand(len(weights), -1, -1, -1))
        best = (scores - price * entries.user_losses.to(weights)).argmax(1)
        return entries.allocations.to(weights)[best]

    def finite_range(self, context: Tensor | None = None) -> FiniteRange:
        """Return the substrate's finite range with that number as the loss."""
        if self.risk == "mean":
            return finite_range_of(self.mean_view, context)
        whole = finite_range_of(self.substrate, context)
        table = self._listed_losses.to(whole.user_losses)
        losses = table.mean(0, keepdim=True) if context is None else table[context.to(table.device).long()]
        return whole._replace(user_losses=losses)

    @cached_property
    def _listed_losses(self) -> Tensor:
        """The number for each context, or once without contexts, and each entry of the finite range."""
        entries = finite_range_of(self.substrate).allocations.double()
        if not self.contexts:
            return self.user_loss(entries).unsqueeze(0)
        places = (torch.full((len(entries),), k) for k in range(len(self.contexts)))
        return torch.stack([self.user_loss(entries, place) for place in places])

    def _number(self, kinds: KindLosses) -> Tensor:
        if self.risk == "worst":
            return kinds.losses.max(1).values
        return tail_mean(kinds.losses, kinds.shares, self.tail)
