"""A slow substrate that is asked about each distinct allocation once: what makes evaluators affordable on a live model.

A regret search tries hundreds of misreports a bidder, but menus and finite ranges answer them with a handful of
allocations. A live model's numbers may also depend in the last digits on what shares its batch; asked once, an
allocation is worth the same to every misreport that leads to it.
"""

import torch
from torch import Tensor

from auctionsim.checks import checked_allocation, checked_context
from auctionsim.substrates.protocol import (
    BaseSubstrate,
    ChargedLoss,
    Lever,
    Substrate,
    allocation_shape,
    charged_loss_of,
    contexts_of,
    maximises_exactly,
    null_of,
    observer,
    units_of,
)

Answer = tuple[Tensor, Tensor]  # exposure (bidder, feature) and user loss ()


class AskedOnce(BaseSubstrate):
    """The given substrate with a memory.

    It claims neither separability nor a finite range: proofs are about the substrate itself.

    Args:
        substrate: What is asked, such as a view of a live model that sells one feature.
    """

    def __init__(self, substrate: Substrate) -> None:
        self.substrate = substrate
        self.features: tuple[str, ...] = tuple(substrate.features)
        self.num_bidders: int = substrate.num_bidders
        self.levers: tuple[Lever, ...] = substrate.levers
        self._observe = observer(substrate)
        self._known: dict[bytes, Answer] = {}

    @property
    def contexts(self) -> tuple[str, ...]:
        """The substrate's contexts."""
        return contexts_of(self.substrate)

    @property
    def losses(self) -> tuple[str, ...]:
        """The loss that the substrate charges."""
        return (charged_loss_of(self.substrate).name,)

    @property
    def units(self) -> dict[str, str]:
        """The substrate's, and that of what it charges."""
        charged = charged_loss_of(self.substrate)
        return {**units_of(self.substrate), charged.name: charged.unit}

    @property
    def bases(self) -> dict[str, str]:
        """What the loss that the substrate charges rests on beside replies and code."""
        charged = charged_loss_of(self.substrate)
        return {charged.name: charged.basis} if charged.basis else {}

    @property
    def charged_loss(self) -> ChargedLoss:
        """The substrate's."""
        return charged_loss_of(self.substrate)

    @property
    def maximises_exactly(self) -> bool:
        """Whether the substrate does."""
        return maximises_exactly(self.substrate)

    @property
    def asked(self) -> int:
        """How many distinct allocations, each in its context, the substrate has been asked about."""
        return len(self._known)

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return the substrate's null allocation."""
        return null_of(self.substrate, batch, dtype=dtype, device=device)

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which allocations the substrate can carry out."""
        return self.substrate.feasible(allocation)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return exposure (batch, bidder, feature), asking only what is new."""
        return self._answers(allocation, context)[0]

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the user's loss (batch,), asking only what is new."""
        return self._answers(allocation, context)[1]

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        """Return the substrate's exact argmax."""
        return self.substrate.maximise(weights, user_weight, context)

    def _answers(self, allocation: Tensor, context: Tensor | None) -> Answer:
        checked_allocation(allocation, allocation_shape(self.substrate))
        checked_context(context, len(allocation), self.contexts)
        if not len(allocation):
            return self._observe(allocation, context)
        where = torch.full((len(allocation), 1), -1) if context is None else context.view(-1, 1)
        rows = torch.cat([allocation.detach().flatten(1).double(), where.to(allocation.device).double()], 1)
        distinct, which = torch.unique(rows, dim=0, return_inverse=True)
        keys = [row.numpy().tobytes() for row in distinct.cpu()]
        missing = [k for k, key in enumerate(keys) if key not in self._known]
        if missing:
            self._ask(distinct[missing], [keys[k] for k in missing], allocation, asks_context=context is not None)
        exposure, loss = (torch.stack(part) for part in zip(*(self._known[key] for key in keys), strict=True))
        return exposure.to(allocation)[which], loss.to(allocation)[which]

    def _ask(self, rows: Tensor, keys: list[bytes], like: Tensor, *, asks_context: bool) -> None:
        allocation = rows[:, :-1].view(-1, *allocation_shape(self.substrate)).to(like)
        context = rows[:, -1].long() if asks_context else None
        exposure, loss = self._observe(allocation, context)
        self._known.update(zip(keys, zip(exposure.detach(), loss.detach(), strict=True), strict=True))
