"""What every substrate promises: from an allocation to each bidder's exposure and the user's losses."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from auctionsim.errors import UnsupportedError
from auctionsim.levers import Lever


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
        basis: What it rests on beside replies and code, such as fitted weights; "" where on nothing. A loss of the same
            name on another basis is another loss.
    """

    name: str
    unit: str
    basis: str = ""

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
    def units(self) -> Mapping[str, str]:
        """Units of features and losses by name: what has no other unit is counted in its own name."""
        features: tuple[str, ...] = self.features  # type: ignore[attr-defined]  # the subclass has it
        return {name: name.replace("_", " ") for name in (*features, *self.losses)}

    @property
    def bases(self) -> Mapping[str, str]:
        """What losses rest on beside replies and code, by name; those that rest on nothing more are left out."""
        return {}

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
    def charged_loss(self) -> ChargedLoss:
        """Name and unit of the loss that is charged."""
        name = self.losses[0]
        return ChargedLoss(name, self.units[name], self.bases.get(name, ""))

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Return the exact argmax, as `Substrate` has it.

        Raises:
            NotImplementedError: It is not available.
        """
        raise UnsupportedError(f"{type(self).__name__} has no exact argmax")
