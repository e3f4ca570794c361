"""What every substrate promises: from an allocation to each bidder's exposure and the user's loss."""

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from auctionsim.claims import claimed, in_force, source_of


class Lever(NamedTuple):
    """One continuous control that a bidder can be given.

    Attributes:
        name: What it is called in tables.
        low: Smallest value.
        high: Largest value.
        null: The value that leaves the substrate untouched.
    """

    name: str
    low: float
    high: float
    null: float


class FiniteRange(NamedTuple):
    """All joint allocations among which a substrate chooses, fixed before any bid; the null is entry 0.

    `batch` is 1 where no context was given or the substrate has none; it broadcasts over auctions.

    Attributes:
        allocations: (entry, …), each in the substrate's allocation shape.
        exposures: (batch, entry, bidder, feature).
        user_losses: (batch, entry).
    """

    allocations: Tensor
    exposures: Tensor
    user_losses: Tensor


@runtime_checkable
class Substrate(Protocol):
    """Turns an allocation into exposure and user loss.

    A context is a (batch,) integer tensor of indices into the substrate's contexts, the prompt's public group; None
    stands for the average over contexts. Exposures and losses follow the dtype and device of the allocation.

    More attributes are read where they exist: `contexts`, a tuple of names (see `contexts_of`), `separable` (see
    `is_separable`) and `anonymous` (see `treats_bidders_alike`).
    """

    @property
    def num_bidders(self) -> int:
        """How many bidders share the substrate."""
        ...

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the exposure's features."""
        ...

    @property
    def levers(self) -> tuple[Lever, ...]:
        """The controls of one bidder, the same for all."""
        ...

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return the allocation that gives nobody anything: (batch, bidder, lever)."""
        ...

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows can be carried out: (batch,) bool."""
        ...

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return what each bidder gets: (batch, bidder, feature), ≥ 0."""
        ...

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return what the user loses: (batch,), ≥ 0."""
        ...

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        """Return the exact argmax of Σ weights · exposure − user_weight · loss over a range fixed before the weights.

        Args:
            weights: (batch, bidder, feature), finite, of any sign.
            user_weight: ≥ 0, in money per unit of loss.
            context: (batch,) indices into `contexts`, or None.
        Returns:
            (batch, …) allocations; ties go to the first of the range, the null first.
        Raises:
            NotImplementedError: Where the exact argmax is not available.
        """
        ...


@runtime_checkable
class FiniteSubstrate(Substrate, Protocol):
    """A substrate whose maximum is always found on a finite list: grids (at their nodes), lists, lotteries."""

    def finite_range(self, context: Tensor | None = None) -> FiniteRange:
        """Return the list, with what each entry gives in each row's context."""
        ...


def contexts_of(substrate: Substrate) -> tuple[str, ...]:
    """Return the names of the substrate's public contexts, () where it has none."""
    return tuple(getattr(substrate, "contexts", ()))


def drawn_contexts(substrate: Substrate, count: int, context: int | None, generator: torch.Generator) -> Tensor | None:
    """Return (count,) contexts: all the one that is given, else drawn, all alike; None where there are none.

    Raises:
        ValueError: A context that the substrate does not have.
    """
    names = contexts_of(substrate)
    if context is not None:
        if not 0 <= context < len(names):
            raise ValueError(f"context must index {len(names)} contexts, got {context!r}")
        return torch.full((count,), context)
    return torch.randint(len(names), (count,), generator=generator) if names else None


def is_separable(substrate: Substrate) -> bool:
    """Tell whether the substrate claims that no bidder's levers touch another, and the claim is in force.

    Separable: each bidder's exposure depends on its own levers only, the loss is a sum over bidders, and any
    combination of feasible levers is feasible together. A substrate that says nothing is taken to have crosstalk, and
    so is one that inherits the claim but not the exposure that it was made for (see `auctionsim.claims`).
    """
    return bool(claimed(substrate, "separable"))


def treats_bidders_alike(substrate: Substrate) -> bool:
    """Tell whether the substrate claims that swapping two bidders' levers swaps their exposures and nothing else.

    Its maximum then treats bidders alike too, but for ties. Brands on a language model differ, so nothing measured
    claims it. In force as all claims are (see `auctionsim.claims`).
    """
    return bool(claimed(substrate, "anonymous"))


def maximises_exactly(substrate: Substrate) -> bool:
    """Tell whether the substrate's maximum is an exact argmax over a range fixed in advance, as proofs need it.

    Its own `finite_range` and `maximise` say so, unless a class below theirs replaced the exposure, the loss or
    anything else that they were written for. A view may answer for what it shows, as `maximises_exactly`.
    """
    answer = claimed(substrate, "maximises_exactly")
    if answer is not None:
        return bool(answer)
    needed = ("maximise", "finite_range") if is_finite(substrate) else ("maximise",)
    return all(claimed(substrate, name) is not None for name in needed)


def is_finite(substrate: Substrate) -> bool:
    """Tell whether the substrate has a `finite_range` of its own, not one that a wrapper passes on."""
    if "finite_range" in getattr(substrate, "__dict__", {}):
        return True
    return source_of(type(substrate), "finite_range") is not None


def allocation_shape(substrate: Substrate) -> tuple[int, ...]:
    """Return the shape of one allocation, without the batch axis."""
    return tuple(substrate.null_allocation(1).shape[1:])


def same_substrate(one: Substrate | None, other: Substrate | None) -> bool:
    """Tell whether two substrates give the same numbers: the same object, or equal by a comparison of their own.

    A subclass that changes what it inherits is not compared by the inherited `__eq__`, which does not know of the
    change.
    """
    if one is None or other is None:
        return False
    return one is other or (in_force(type(one), "__eq__") and bool(one == other))
