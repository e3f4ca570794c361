"""What every substrate promises: from an allocation to each bidder's exposure and the user's losses."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from auctionsim.claims import claimed, in_force, source_of
from auctionsim.errors import InputError, InputTypeError, UnsupportedError


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


class Observation(NamedTuple):
    """Exposure of the bidders and losses of the user under an allocation.

    Attributes:
        exposure: (batch, bidder, feature), ≥ 0.
        losses: By name, each (batch,), relative to the untouched reply and of either sign.
    """

    exposure: Tensor
    losses: Mapping[str, Tensor]


class ChargedLoss(NamedTuple):
    """The name and unit of the one loss that `user_loss` charges.

    Attributes:
        name: Of the loss, or of the sum.
        unit: In words, such as "nats a token".
    """

    name: str
    unit: str

    def __str__(self) -> str:
        return self.name if self.name == self.unit else f"{self.name}, {self.unit}"


class FiniteRange(NamedTuple):
    """All joint allocations among which a substrate chooses, fixed before any bid; the null is entry 0.

    `batch` is 1 where no context was given or the substrate has none; it broadcasts over auctions.

    Attributes:
        allocations: (entry, …), each in the substrate's allocation shape.
        exposures: (batch, entry, bidder, feature).
        user_losses: (batch, entry), the loss that is charged.
    """

    allocations: Tensor
    exposures: Tensor
    user_losses: Tensor


@runtime_checkable
class Substrate(Protocol):
    """Turns an allocation into exposure and user loss: what a substrate must have, and all that it must have.

    A context is a (batch,) integer tensor of indices into the substrate's contexts, the prompt's public group; None
    stands for the average over contexts. Exposures and losses follow the dtype and device of the allocation.

    What a substrate can do besides is declared by inheriting from `BaseSubstrate`. One that satisfies this protocol
    without inheriting works all the same. It can do nothing more than it must: it has one loss, called "loss". It may
    have four of the declared members and is believed in them: `contexts`, `separable`, `anonymous` and `finite_range`.
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
        """Return what the user loses, of either sign: (batch,)."""
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


class BaseSubstrate:
    """The declared capabilities of a substrate beyond the protocol; each member says no until the class says more.

    Write `num_bidders`, `features`, `levers`, `null_allocation` and `feasible`, and either `observe` or both `exposure`
    and `user_loss`; each is made of the other. `maximise` refuses until it is written.
    """

    @property
    def contexts(self) -> tuple[str, ...]:
        """Names of the prompts' public groups."""
        return ()

    @property
    def losses(self) -> tuple[str, ...]:
        """Names of the user's losses; the first is the one that is charged."""
        return ("loss",)

    @property
    def separable(self) -> bool:
        """Whether each bidder's exposure depends on its own levers only, and the loss is a sum over bidders.

        Any combination of feasible levers must then be feasible together.
        """
        return False

    @property
    def anonymous(self) -> bool:
        """Whether swapping two bidders' levers swaps their exposures and nothing else."""
        return False

    @property
    def exposure_bounds(self) -> tuple[float, float] | None:
        """The least and the greatest exposure by definition, where there are such; a finite range tells them too."""
        return None

    @property
    def speaks(self) -> bool:
        """Whether it is a live model, with `prompts` and `replies(prompt, allocation, place, samples)`."""
        return False

    @property
    def units(self: Substrate) -> Mapping[str, str]:
        """Units of features and losses by name: what has no other unit is counted in its own name."""
        return {name: name.replace("_", " ") for name in (*self.features, *losses_of(self))}

    @property
    def finite(self) -> bool:
        """Whether the maximum is always found on a finite list, which `finite_range` returns."""
        return type(self).finite_range is not BaseSubstrate.finite_range

    def finite_range(self, context: Tensor | None = None) -> FiniteRange:  # noqa: ARG002
        """Return the list, with what each entry gives in each row's context.

        Raises:
            NotImplementedError: There is none.
        """
        raise UnsupportedError(f"{type(self).__name__} has no finite range")

    def observe(self, allocation: Tensor, context: Tensor | None = None) -> Observation:
        """Return exposure and losses at once."""
        kind = type(self)
        if BaseSubstrate.exposure is kind.exposure or BaseSubstrate.user_loss is kind.user_loss:
            raise UnsupportedError(f"{kind.__name__} must have observe, or both exposure and user_loss")
        return Observation(self.exposure(allocation, context), {self.losses[0]: self.user_loss(allocation, context)})

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return what each bidder gets: (batch, bidder, feature), ≥ 0."""
        return self.observe(allocation, context).exposure

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return what the user loses, by the loss that is charged: (batch,)."""
        return self.charged(self.observe(allocation, context).losses)

    def charged(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return the loss that is charged, of an observation's losses: (batch,)."""
        return losses[self.losses[0]]

    @property
    def charged_loss(self: Substrate) -> ChargedLoss:
        """Name and unit of the loss that is charged."""
        name = losses_of(self)[0]
        return ChargedLoss(name, units_of(self)[name])

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Return the exact argmax, as `Substrate` has it.

        Raises:
            NotImplementedError: It is not available.
        """
        raise UnsupportedError(f"{type(self).__name__} has no exact argmax")


def contexts_of(substrate: Substrate) -> tuple[str, ...]:
    """Return the names of the substrate's public contexts, () where it has none."""
    if isinstance(substrate, BaseSubstrate):
        return substrate.contexts
    return tuple(getattr(substrate, "contexts", ()))  # may be there without inheriting, see `Substrate`


def losses_of(substrate: Substrate) -> tuple[str, ...]:
    """Return the names of the substrate's losses, the charged one first."""
    return substrate.losses if isinstance(substrate, BaseSubstrate) else ("loss",)


def units_of(substrate: Substrate) -> Mapping[str, str]:
    """Return the units of the substrate's features and losses by name."""
    if isinstance(substrate, BaseSubstrate):
        return substrate.units
    return {name: name.replace("_", " ") for name in (*substrate.features, *losses_of(substrate))}


def observe(substrate: Substrate, allocation: Tensor, context: Tensor | None = None) -> Observation:
    """Return exposure and losses, in one call where the substrate can.

    One that only satisfies the protocol is asked twice, and so is a subclass that changed `exposure` or `user_loss`
    below the class whose `observe` it inherits.

    Raises:
        TypeError: Its `observe` returns something else.
    """
    both = claimed(substrate, "observe") if isinstance(substrate, BaseSubstrate) else None
    if both is None:
        loss = losses_of(substrate)[0]
        return Observation(substrate.exposure(allocation, context), {loss: substrate.user_loss(allocation, context)})
    observation = both(allocation, context)
    if not isinstance(observation, Observation):
        raise InputTypeError(f"{type(substrate).__name__}.observe must return an Observation, got {observation!r:.80}")
    return observation


def charged_loss_of(substrate: Substrate) -> ChargedLoss:
    """Return name and unit of what the substrate's `user_loss` is."""
    return substrate.charged_loss if isinstance(substrate, BaseSubstrate) else ChargedLoss("loss", "loss")


def speaks(substrate: Substrate) -> bool:
    """Tell whether the substrate is a live model, which has `replies` and `prompts`."""
    return isinstance(substrate, BaseSubstrate) and substrate.speaks


def observer(substrate: Substrate) -> Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]]:
    """Return how exposure and the charged loss are read of (allocation, context), in one call where that is cheaper."""
    if isinstance(substrate, BaseSubstrate) and claimed(substrate, "observe") is not None:
        base = substrate

        def both(allocation: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
            exposure, losses = base.observe(allocation, context)
            return exposure, base.charged(losses)

        return both
    return lambda allocation, context: (
        substrate.exposure(allocation, context),
        substrate.user_loss(allocation, context),
    )


def finite_range_of(substrate: Substrate, context: Tensor | None = None) -> FiniteRange:
    """Return the finite range of a substrate that `is_finite`.

    Raises:
        NotImplementedError: It is not.
    """
    if not is_finite(substrate):
        raise UnsupportedError(f"{type(substrate).__name__} has no finite range")
    listed: FiniteRange = substrate.finite_range(context)  # type: ignore[attr-defined]  # not of the protocol
    return listed


def drawn_contexts(substrate: Substrate, count: int, context: int | None, generator: torch.Generator) -> Tensor | None:
    """Return (count,) contexts: all the one that is given, else drawn, all alike; None where there are none.

    Raises:
        ValueError: A context that the substrate does not have.
    """
    names = contexts_of(substrate)
    if context is not None:
        if not 0 <= context < len(names):
            raise InputError(f"context must index {len(names)} contexts, got {context!r}")
        return torch.full((count,), context)
    return torch.randint(len(names), (count,), generator=generator) if names else None


def is_separable(substrate: Substrate) -> bool:
    """Tell whether the substrate claims that no bidder's levers touch another, and the claim is in force.

    A substrate that says nothing is taken to have crosstalk, and so is one that inherits the claim but not the exposure
    that it was made for (see `auctionsim.claims`).
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
    if isinstance(substrate, BaseSubstrate):
        return substrate.finite
    return "finite_range" in vars(type(substrate)) or source_of(type(substrate), "finite_range") is not None


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
