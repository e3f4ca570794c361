"""What every substrate promises, and functions that ask a substrate what it can, whether it inherits or not."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from auctionsim.claims import claimed, in_force, source_of
from auctionsim.errors import InputError, InputTypeError, UnsupportedError
from auctionsim.levers import Lever
from auctionsim.substrates.base import BaseSubstrate, ChargedLoss, FiniteRange, Observation, Substrate

__all__ = [
    "BaseSubstrate",
    "ChargedLoss",
    "FiniteRange",
    "Lever",
    "Observation",
    "Substrate",
    "allocation_shape",
    "bases_of",
    "charged_loss_of",
    "contexts_of",
    "drawn_contexts",
    "finite_range_of",
    "is_finite",
    "is_separable",
    "losses_of",
    "maximises_exactly",
    "null_of",
    "observe",
    "observer",
    "same_substrate",
    "speaks",
    "treats_bidders_alike",
    "units_of",
]


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


def bases_of(substrate: Substrate) -> Mapping[str, str]:
    """Return what the substrate's losses rest on beside replies and code, by name; see `BaseSubstrate.bases`."""
    return substrate.bases if isinstance(substrate, BaseSubstrate) else {}


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
        return partial(_in_one_call, substrate)
    return partial(_in_two_calls, substrate)  # both can be pickled, as environments are


def _in_one_call(substrate: BaseSubstrate, allocation: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
    exposure, losses = substrate.observe(allocation, context)
    return exposure, substrate.charged(losses)


def _in_two_calls(substrate: Substrate, allocation: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
    return substrate.exposure(allocation, context), substrate.user_loss(allocation, context)


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


def null_of(
    substrate: Substrate, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
) -> Tensor:
    """Return a substrate's null allocation of so many rows.

    One that does not inherit may write `null_allocation(batch)` alone: what it returns is converted.
    """
    method = substrate.null_allocation
    if isinstance(substrate, BaseSubstrate):
        return method(batch, dtype=dtype, device=device)
    parameters = inspect.signature(method).parameters
    if "dtype" in parameters or any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return method(batch, dtype=dtype, device=device)
    return method(batch).to(device=device, dtype=dtype)


def same_substrate(one: Substrate | None, other: Substrate | None) -> bool:
    """Tell whether two substrates give the same numbers: the same object, or equal by a comparison of their own.

    A subclass that changes what it inherits is not compared by the inherited `__eq__`, which does not know of the
    change.
    """
    if one is None or other is None:
        return False
    return one is other or (in_force(type(one), "__eq__") and bool(one == other))
