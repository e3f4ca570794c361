"""A small substrate that keeps every law and claims all there is to claim, and that can be spoilt in one place."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from auctionsim.checks import checked_allocation, checked_context, checked_money, checked_weights
from auctionsim.substrates import BaseSubstrate, FiniteRange, Lever, Observation

CORNERS = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 2).unsqueeze(2)  # the null first


class Sound(BaseSubstrate):
    """e_i = x_i (1 + c/2), L = Σ x_i / 2, x in the unit square, chosen among its corners: separable, anonymous, exact.

    Args:
        spoil: By method or member, what is made of the honest answer: (answer, *arguments) to another one.
    """

    num_bidders = 2
    features = ("exposure",)
    levers = (Lever("x", 0.0, 1.0, 0.0),)
    contexts = ("plain", "rich")
    separable = True
    anonymous = True

    def __init__(self, **spoil: Callable[..., Any]) -> None:
        self.spoil = spoil

    def _given(self, name: str, honest: Any, *arguments: Any) -> Any:
        return self.spoil[name](honest, *arguments) if name in self.spoil else honest

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        return self._given("null_allocation", torch.zeros(batch, 2, 1, dtype=dtype, device=device))

    def feasible(self, allocation: Tensor) -> Tensor:
        x = checked_allocation(allocation, (2, 1), finite=False)
        return self._given("feasible", ((x >= 0) & (x <= 1)).flatten(1).all(1), x)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        if "unchecked" not in self.spoil:
            checked_allocation(allocation, (2, 1))
        if "any_context" not in self.spoil:
            checked_context(context, len(allocation), self.contexts)
        c = torch.full((len(allocation),), 0.5) if context is None else context
        return self._given("exposure", allocation * (1 + c.to(allocation).view(-1, 1, 1) / 2), allocation, context)

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        checked_context(context, len(allocation), self.contexts)
        x = checked_allocation(allocation, (2, 1))
        return self._given("user_loss", x.sum((1, 2)) / 2, x, context)

    def observe(self, allocation: Tensor, context: Tensor | None = None) -> Observation:
        losses = {"loss": self.user_loss(allocation, context)}
        return self._given("observe", Observation(self.exposure(allocation, context), losses))

    def finite_range(self, context: Tensor | None = None) -> FiniteRange:
        batch = 1 if context is None else len(context)
        rows = None if context is None else context.repeat_interleave(4)
        listed = CORNERS.repeat(batch, 1, 1)
        exposures = self.exposure(listed, rows).view(batch, 4, 2, 1)
        honest = FiniteRange(CORNERS.clone(), exposures, self.user_loss(listed, rows).view(batch, 4))
        return self._given("finite_range", honest)

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        checked_weights(weights, 2, 1)
        checked_money(user_weight, "user_weight")
        listed = self.finite_range(context)
        worth = (weights.double().unsqueeze(1) * listed.exposures).sum((2, 3)) - user_weight * listed.user_losses
        return self._given("maximise", CORNERS[worth.argmax(1)].to(weights), weights, user_weight)

    def __eq__(self, other: object) -> bool:
        return self._given("__eq__", isinstance(other, Sound) and self.spoil == other.spoil)

    def __hash__(self) -> int:
        return hash(Sound)
