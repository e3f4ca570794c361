"""An audience whose kind is known before the auction: a context, so that the allocation may depend on it."""

from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from auctionsim.audiences.kinds import Audience
from auctionsim.checks import checked_context, checked_money, checked_weights
from auctionsim.errors import InputError
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
)


class PublicAudience(BaseSubstrate):
    """A substrate whose user is of a kind that everybody knows.

    Its contexts are pairs of the substrate's context and a kind, "context/kind", the kind last; only kinds where the
    substrate has no contexts. Exposure is the substrate's and does not depend on the kind; the loss does. Without a
    context the kind is unknown, and the loss is the mean over kinds by their shares. Kinds are seldom equally likely:
    `draw` draws contexts by the shares.

    Args:
        substrate: Any substrate.
        audience: Kinds whose losses the substrate has.
    Raises:
        ValueError: A kind loses by a name that the substrate does not have.
    """

    def __init__(self, substrate: Substrate, audience: Audience) -> None:
        self.substrate, self.audience = substrate, audience
        self.views = tuple(View(substrate, Offer(substrate.features, kind.loss)) for kind in audience.kinds)
        self.mean_view = View(substrate, Offer(substrate.features, _plain_mean(audience)))

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

    @cached_property
    def contexts(self) -> tuple[str, ...]:
        """Pairs of the substrate's context and a kind, the kind changing first."""
        own = contexts_of(self.substrate)
        return tuple(f"{context}/{name}" for context in own for name in self.audience.names) or self.audience.names

    @property
    def separable(self) -> bool:
        """Whether the substrate is, under every kind's loss."""
        return all(is_separable(view) for view in (*self.views, self.mean_view))

    @property
    def maximises_exactly(self) -> bool:
        """Whether the substrate does, under every kind's loss."""
        return all(maximises_exactly(view) for view in (*self.views, self.mean_view))

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
        """Return the substrate's exposure in its own part of the context: (batch, bidder, feature)."""
        own, _ = self._parts(context, len(allocation))
        return self.substrate.exposure(allocation, own)

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the loss of the row's kind, without a context the plain mean over kinds: (batch,)."""
        own, kinds = self._parts(context, len(allocation))
        if kinds is None:
            return self.mean_view.user_loss(allocation, own)
        loss = allocation.new_zeros(len(allocation))
        for kind, view in enumerate(self.views):
            rows = (kinds == kind).nonzero().squeeze(1)
            if len(rows):
                loss[rows] = view.user_loss(allocation[rows], None if own is None else own[rows]).to(loss)
        return loss

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        """Return the substrate's argmax under the loss of the row's kind.

        Raises:
            NotImplementedError: The substrate has no exact argmax under one of the losses.
        """
        checked_weights(weights, self.num_bidders, len(self.features))
        price = checked_money(user_weight, "user_weight")
        own, kinds = self._parts(context, len(weights))
        if kinds is None:
            return self.mean_view.maximise(weights, price, own)
        best = null_of(self.substrate, len(weights), dtype=weights.dtype, device=weights.device)
        for kind, view in enumerate(self.views):
            rows = (kinds == kind).nonzero().squeeze(1)
            if len(rows):
                best[rows] = view.maximise(weights[rows], price, None if own is None else own[rows])
        return best

    def finite_range(self, context: Tensor | None = None) -> FiniteRange:
        """Return the substrate's finite range with the loss of each row's kind."""
        own, kinds = self._parts(context, 0 if context is None else len(context))
        if kinds is None:
            return finite_range_of(self.mean_view, own)
        if own is None:
            listed = finite_range_of(self.substrate)
            each = torch.cat([finite_range_of(view).user_losses for view in self.views])
            exposures = listed.exposures.expand(len(kinds), *listed.exposures.shape[1:])
            return FiniteRange(listed.allocations, exposures, each[kinds])
        ranges = [finite_range_of(view, own) for view in self.views]
        losses = torch.stack([one.user_losses for one in ranges])
        return ranges[0]._replace(user_losses=losses[kinds, torch.arange(len(kinds))])

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Return (count,) contexts: the substrate's own alike, kinds by their shares."""
        kinds = self.audience.draw(count, generator)
        groups = len(contexts_of(self.substrate))
        if not groups:
            return kinds
        own = torch.randint(groups, (count,), generator=generator)
        return own * len(self.audience.kinds) + kinds

    def _parts(self, context: Tensor | None, batch: int) -> tuple[Tensor | None, Tensor | None]:
        """Return the substrate's own context and the kind of each row."""
        checked = checked_context(context, batch, self.contexts)
        if checked is None:
            return None, None
        count = len(self.audience.kinds)
        own = checked.div(count, rounding_mode="floor") if contexts_of(self.substrate) else None
        return own, checked.remainder(count)


def _plain_mean(audience: Audience) -> dict[str, float]:
    """Return the mean over kinds, all alike, as weights of losses."""
    share = 1 / len(audience.kinds)
    mean = Audience(tuple(replace(kind, share=share) for kind in audience.kinds)).mean_loss
    if not mean:
        raise InputError("the kinds' losses cancel: their mean is 0 everywhere, which is no loss")
    return mean
