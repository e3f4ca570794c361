"""Strategies with a memory: what a bidder carries from round to round of an episode, one row an episode.

A strategy that declares `remembers = True` is an object with two pure methods in place of a call:

    class Patient:
        remembers, observes = True, ("last_payment",)

        def begin(self, batch):
            return {"paid": torch.zeros(batch)}

        def next(self, memory, valuations, situation):
            paid = memory["paid"] + situation.last_payment
            return valuations / (1 + paid).unsqueeze(1), {"paid": paid}

`begin` gives the memory of episodes that begin; `next` takes it, the valuations and, where the strategy observes
anything, the `Situation` (context, budget left, round, what the last round brought and cost), and gives bids and the
next memory. The environment keeps the memory and begins a new one in every row that begins an episode.
"""

from collections.abc import Mapping
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auctionsim.errors import InputError, InputTypeError
from auctionsim.strategies import (
    AnyStrategy,
    Memory,
    MemoryStrategy,
    Situation,
    bids_of,
    called,
    checked_bids,
    declared_by,
    known_to,
)


class Turn(NamedTuple):
    """What a strategy does in one round.

    Attributes:
        bids: (batch, feature).
        memory: What it carries on; empty where it remembers nothing.
    """

    bids: Float[Tensor, "batch feature"]
    memory: Memory


def begun(strategy: AnyStrategy | None, batch: int) -> Memory:
    """Return a strategy's memory of episodes that begin; empty where it remembers nothing.

    Raises:
        ValueError: A tensor that has not one row an episode.
        TypeError: No mapping of tensors.
    """
    if not declared_by(strategy).remembers:
        return {}
    return _checked_memory(strategy, cast("MemoryStrategy", strategy).begin(batch), batch)


def renewed(strategy: AnyStrategy | None, memory: Memory, fresh: Bool[Tensor, " batch"]) -> Memory:
    """Return a memory in which the rows of `fresh` begin anew.

    Raises:
        ValueError: The memory of episodes that begin has other parts, or parts of another shape.
    """
    if not bool(fresh.any()):
        return memory
    new = begun(strategy, len(fresh))
    if bool(fresh.all()) or not new:
        return new
    for name in {*new, *memory}:
        shapes = [tuple(part[name].shape) if name in part else None for part in (memory, new)]
        if shapes[0] != shapes[1]:
            raise InputError(f"{called(strategy)} must keep its memory's parts: {name!r} of {shapes[1]} is {shapes[0]}")
    return {name: torch.where(fresh.view(-1, *[1] * (part.ndim - 1)), new[name], part) for name, part in memory.items()}


@torch.no_grad()
def turn_of(
    strategy: AnyStrategy | None,
    memory: Memory,
    valuations: Float[Tensor, "batch feature"],
    situation: Situation | None = None,
) -> Turn:
    """Return what a strategy bids, and what it carries on; one without a memory is simply called.

    Args:
        strategy: Any strategy; None tells the truth.
        memory: What it carried from the round before, or `begun`.
        valuations: (batch, feature).
        situation: What is known beside them.
    Raises:
        ValueError: It observes what the situation does not tell, or answers in another shape.
        TypeError: It answers with something else than bids and a memory.
    """
    if strategy is None or not declared_by(strategy).remembers:
        return Turn(bids_of(strategy, valuations, situation), {})
    known = known_to(strategy, situation)
    kept = {name: part.clone() for name, part in memory.items()}  # so that one that computes in place changes nothing
    answer = cast("MemoryStrategy", strategy).next(kept, valuations.clone(), *(() if known is None else (known,)))
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise InputTypeError(f"{called(strategy)}.next must return bids and a memory, got {type(answer).__name__}")
    bids, following = answer
    return Turn(checked_bids(strategy, bids, valuations), _checked_memory(strategy, following, len(valuations)))


def _checked_memory(strategy: object, memory: object, batch: int) -> Memory:
    tensors = isinstance(memory, Mapping) and all(isinstance(part, Tensor) for part in memory.values())
    if not tensors or not isinstance(memory, Mapping):
        raise InputTypeError(f"the memory of {called(strategy)} must be tensors by name, got {type(memory).__name__}")
    for name, part in memory.items():
        if part.ndim < 1 or len(part) != batch:
            raise InputError(
                f"the memory of {called(strategy)} must have one row an episode ({batch}), "
                f"got {tuple(part.shape)} in {name!r}"
            )
    return memory
