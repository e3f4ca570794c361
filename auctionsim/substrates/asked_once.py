"""A slow substrate, asked about each distinct allocation once: what makes evaluators affordable on a live model.

A regret search tries hundreds of misreports a bidder, but menus and finite ranges answer them with a handful of
allocations. A live model's numbers may also depend in the last digits on what shares its batch; asked once, an
allocation is worth the same to every misreport that leads to it.
"""

import torch
from torch import Tensor

from auctionsim.checks import checked_context
from auctionsim.claims import claimed
from auctionsim.substrates.protocol import Lever, Substrate, allocation_shape, contexts_of, maximises_exactly

Answer = tuple[Tensor, Tensor]  # exposure (bidder, feature) and user loss ()


class AskedOnce:
    """The given substrate with a memory, and with the features that are sold.

    Args:
        substrate: What is asked; its `observe(allocation, context)`, where it has one, gives exposure and loss at once.
        features: Names of the features to report, in this order; default all of them.
    Raises:
        ValueError: A feature that the substrate has not, or one twice.
    """

    separable = False  # claims nothing: proofs are about the substrate itself

    def __init__(self, substrate: Substrate, features: tuple[str, ...] | None = None) -> None:
        known = tuple(substrate.features)
        chosen = known if features is None else tuple(features)
        if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(known):
            raise ValueError(f"features must be some of {known}, each once, got {chosen}")
        self.substrate, self.features = substrate, chosen
        self.num_bidders: int = substrate.num_bidders
        self.levers: tuple[Lever, ...] = substrate.levers
        self.contexts: tuple[str, ...] = contexts_of(substrate)
        self._places = torch.tensor([known.index(name) for name in chosen])
        self._known: dict[bytes, Answer] = {}

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
        return self.substrate.null_allocation(batch, dtype=dtype, device=device)

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which allocations the substrate can carry out."""
        return self.substrate.feasible(allocation)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return exposure (batch, bidder, sold feature), asking only what is new."""
        return self._answers(allocation, context)[0][..., self._places.to(allocation.device)]

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the user's loss (batch,), asking only what is new."""
        return self._answers(allocation, context)[1]

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        """Return the substrate's exact argmax, features that are not sold weighing 0."""
        every = weights.new_zeros(*weights.shape[:2], len(self.substrate.features))
        every[..., self._places.to(weights.device)] = weights
        return self.substrate.maximise(every, user_weight, context)

    def _answers(self, allocation: Tensor, context: Tensor | None) -> Answer:
        checked_context(context, len(allocation), self.contexts)
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
        observe = claimed(self.substrate, "observe")
        if observe is None:
            exposure = self.substrate.exposure(allocation, context)
            loss = self.substrate.user_loss(allocation, context)
        else:
            exposure, loss = observe(allocation, context)
        self._known.update(zip(keys, zip(exposure.detach(), loss.detach(), strict=True), strict=True))
