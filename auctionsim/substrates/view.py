"""A view: a substrate seen through an offer, with the features that are sold and the loss that is charged for."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from auctionsim.checks import checked_money, checked_weights
from auctionsim.claims import claimed
from auctionsim.errors import UnsupportedError
from auctionsim.substrates.offer import Charge, Offer
from auctionsim.substrates.protocol import (
    BaseSubstrate,
    ChargedLoss,
    FiniteRange,
    Lever,
    Observation,
    Substrate,
    bases_of,
    contexts_of,
    finite_range_of,
    is_finite,
    is_separable,
    losses_of,
    maximises_exactly,
    null_of,
    observe,
    speaks,
    units_of,
)


def own_charge(substrate: Substrate) -> Charge:
    """Return the loss that a substrate charges by itself, as it is named."""
    return substrate.offer.loss if isinstance(substrate, View) else losses_of(substrate)[0]


def own_weights(substrate: Substrate) -> dict[str, float]:
    """Return the loss that a substrate charges by itself, as weights by name: a name may hold a plus sign."""
    return dict(substrate.offer.charges) if isinstance(substrate, View) else {losses_of(substrate)[0]: 1.0}


class View(BaseSubstrate):
    """A substrate under an `Offer`; levers, contexts and all losses are the substrate's.

    A live model measures everything it can; an auction of one feature is played on a view that sells that one. Every
    number is the view's own, and so is every claim. What was measured is the view of its own numbers: a
    `ResponseSurface` or `MeasuredList` sells by `sell`, and is read without a detour.

    Args:
        substrate: Any substrate.
        offer: What is sold and at whose cost; names only: the substrate's charged loss.
    Raises:
        ValueError: A feature or a loss that the substrate does not have.
    Example:
        >>> from auctionsim.substrates import Items
        >>> View(Items(2, 3), ["item_2"]).exposure(torch.ones(1, 2, 3) / 2).shape
        torch.Size([1, 2, 1])
    """

    def __init__(self, substrate: Substrate, offer: Offer | Sequence[str]) -> None:
        whole = offer if isinstance(offer, Offer) else Offer(offer, own_weights(substrate))
        whole.refuse_unknown(substrate.features, losses_of(substrate))
        self.substrate, self.offer = substrate, whole
        self._sold = [substrate.features.index(name) for name in whole.features]

    @property
    def num_bidders(self) -> int:
        """How many bidders share the substrate."""
        return self.substrate.num_bidders

    @property
    def levers(self) -> tuple[Lever, ...]:
        """The controls of one bidder."""
        return self.substrate.levers

    @property
    def contexts(self) -> tuple[str, ...]:
        """The substrate's public contexts."""
        return contexts_of(self.substrate)

    @property
    def features(self) -> tuple[str, ...]:
        """The features that are sold."""
        return self.offer.features

    @property
    def losses(self) -> tuple[str, ...]:
        """All losses of the substrate, charged by this view or not."""
        return losses_of(self.substrate)

    @property
    def units(self) -> Mapping[str, str]:
        """Units of features and losses by name."""
        return units_of(self.substrate)

    @property
    def bases(self) -> Mapping[str, str]:
        """What the substrate's losses rest on beside replies and code."""
        return bases_of(self.substrate)

    @property
    def charged_loss(self) -> ChargedLoss:
        """Name, unit and basis of the loss that is charged."""
        return ChargedLoss(self.offer.loss_name, self.offer.loss_unit(self.units), self.offer.loss_basis(self.bases))

    def sell(self, *features: str, loss: Charge | None = None) -> "View":
        """Return the view that sells these features of all that there are, at the cost of this loss.

        Args:
            *features: Names, in this order.
            loss: A loss by name, or weights by name; None: the loss that this view charges.
        Raises:
            ValueError: A feature or a loss that there is not, or no feature.
        """
        return View(self.substrate, Offer(features, dict(self.offer.charges) if loss is None else loss))

    @property
    def separable(self) -> bool:
        """Whether the substrate is, under this loss: its bidders' features do not depend on others' levers."""
        return is_separable(self.substrate) and self._own_loss() is not None

    @property
    def maximises_exactly(self) -> bool:
        """Whether the substrate does: features that are not sold weigh 0."""
        return maximises_exactly(self.substrate) and (self._own_loss() is not None or is_finite(self.substrate))

    @property
    def exposure_bounds(self) -> tuple[float, float] | None:
        """The substrate's bounds."""
        bounds: tuple[float, float] | None = claimed(self.substrate, "exposure_bounds")
        return bounds

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return the substrate's null."""
        return null_of(self.substrate, batch, dtype=dtype, device=device)

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows the substrate can carry out: (batch,) bool."""
        return self.substrate.feasible(allocation)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the sold features: (batch, bidder, feature)."""
        return self.substrate.exposure(allocation, context)[..., self._sold]

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the loss that is charged: (batch,)."""
        weight = self._own_loss()
        if weight is None:
            return self.offer.charge(observe(self.substrate, allocation, context).losses)
        loss = self.substrate.user_loss(allocation, context)
        return loss if weight == 1 else weight * loss

    def observe(self, allocation: Tensor, context: Tensor | None = None) -> Observation:
        """Return the sold features and all losses, in one call where the substrate can."""
        exposure, losses = observe(self.substrate, allocation, context)
        return Observation(exposure[..., self._sold], losses)

    def charged(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return the loss that is charged, of all losses: (batch,)."""
        return self.offer.charge(losses)

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        """Return the substrate's argmax, features that are not sold at weight 0; over its list for another loss.

        Raises:
            NotImplementedError: The substrate maximises its own loss only, and has no finite range.
        """
        checked_weights(weights, self.num_bidders, len(self.features))
        weight = self._own_loss()
        if weight is None:
            return self._best_of_list(weights, user_weight, context)
        every = weights.new_zeros(*weights.shape[:2], len(self.substrate.features))
        every[..., self._sold] = weights
        return self.substrate.maximise(every, user_weight * weight, context)

    @property
    def finite(self) -> bool:
        """Whether the substrate is."""
        return is_finite(self.substrate)

    def finite_range(self, context: Tensor | None = None) -> FiniteRange:
        """Return the substrate's finite range with the sold features and the charged loss."""
        whole = finite_range_of(self.substrate, context)
        losses, weight = whole.user_losses, self._own_loss()
        if weight is None:
            rows = 1 if context is None else len(context)
            entries = whole.allocations.repeat(rows, *[1] * (whole.allocations.ndim - 1))
            where = None if context is None else context.repeat_interleave(len(whole.allocations))
            losses = self.user_loss(entries, where).view(rows, -1).to(losses)
        elif weight != 1:
            losses = weight * losses
        return FiniteRange(whole.allocations, whole.exposures[..., self._sold], losses)

    @property
    def speaks(self) -> bool:
        """Whether the substrate is a live model."""
        return speaks(self.substrate)

    def _own_loss(self) -> float | None:
        """Return the weight of the loss that the substrate itself charges, None where another is charged.

        At a negative weight it is another: the substrate's maximum is that of a price for its loss.
        """
        own, (charge, *more) = own_weights(self.substrate), self.offer.charges
        return None if more or own != {charge[0]: 1.0} or charge[1] < 0 else charge[1]

    def _best_of_list(self, weights: Tensor, user_weight: float, context: Tensor | None) -> Tensor:
        if not is_finite(self.substrate):
            raise UnsupportedError(
                f"{type(self.substrate).__name__} has no exact argmax under the loss {self.offer.loss_name}"
            )
        price = checked_money(user_weight, "user_weight")
        entries = self.finite_range(context)
        scores = torch.einsum("bif,bkif->bk", weights, entries.exposures.to(weights).expand(len(weights), -1, -1, -1))
        best = (scores - price * entries.user_losses.to(weights)).argmax(1)
        return entries.allocations.to(weights)[best]

    def __eq__(self, other: object) -> bool:
        return (
            type(other) is type(self) is View and self.offer == other.offer and bool(self.substrate == other.substrate)
        )

    def __hash__(self) -> int:
        return hash((View, self.offer, self.num_bidders))

    def __deepcopy__(self, memo: dict[int, Any]) -> "View":
        """Return a view of the same substrate: a live model is not copied with it; what is its own is copied."""
        twin = copy.copy(self)
        memo[id(self)] = twin
        own = {name: part for name, part in vars(self).items() if name != "substrate"}
        vars(twin).update(copy.deepcopy(own, memo))
        return twin


def live_model(substrate: Substrate) -> Any:
    """Return the live model behind a substrate that speaks, through its views: it has `replies` and `prompts`."""
    while isinstance(substrate, View):
        substrate = substrate.substrate
    return substrate
