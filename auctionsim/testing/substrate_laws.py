"""The laws every substrate is held to: what its numbers are, whose they are, and what it refuses.

A law is a function (claim, case) that raises `BrokenClaimError`; its first line is what it claims.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from auctionsim.errors import BrokenClaimError
from auctionsim.substrates.protocol import (
    BaseSubstrate,
    Observation,
    allocation_shape,
    contexts_of,
    losses_of,
    units_of,
)
from auctionsim.testing.sentences import vector
from auctionsim.testing.substrate_cases import SubstrateCase, SubstrateClaim, row_of, words

REFUSALS = (ValueError, TypeError)


def declared(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """Bidders, features, losses, units, levers and contexts are declared; a lever's null lies in its range."""
    del case
    place = claim.substrate
    if not isinstance(place.num_bidders, int) or place.num_bidders < 1:
        raise BrokenClaimError(f"num_bidders must be an integer >= 1, got {place.num_bidders!r}")
    named = {"features": place.features, "contexts": contexts_of(place), "losses": losses_of(place)}
    named["levers"] = tuple(lever.name for lever in place.levers)
    for what, names in named.items():
        if not isinstance(names, tuple) or not all(isinstance(name, str) and name for name in names):
            raise BrokenClaimError(f"{what} must be a tuple of names, got {names!r}")
        if len(set(names)) < len(names) or (what == "features" and not names):
            raise BrokenClaimError(f"{what} must be named once each, got {names!r}")
    unnamed = {*place.features, *losses_of(place)} - set(units_of(place))
    if unnamed or not losses_of(place):
        raise BrokenClaimError(f"every feature and loss needs a unit, and there must be a loss: {unnamed or 'no loss'}")
    for lever in place.levers:
        if not lever.low <= lever.null <= lever.high:
            raise BrokenClaimError(f"the null of {lever.name} must lie in [{lever.low}, {lever.high}]: {lever.null}")


def null(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """The null allocation has the batch, dtype and device that are asked for, is feasible, and is a fresh one."""
    del case
    shape = allocation_shape(claim.substrate)
    for dtype in (torch.float32, torch.float64):
        for batch in (0, 1, 3):
            rows = claim.substrate.null_allocation(batch, dtype=dtype, device=torch.device("cpu"))
            if rows.shape != (batch, *shape) or rows.dtype != dtype:
                raise BrokenClaimError(f"the null of {batch} rows in {dtype} is {rows.dtype} {tuple(rows.shape)}")
            if not bool(claim.substrate.feasible(rows).all()):
                raise BrokenClaimError(f"the null {vector(rows[0])} is not feasible")
    kept = rows.clone()
    _overwrite("null", rows)
    if not torch.equal(kept, claim.substrate.null_allocation(3, dtype=dtype)):
        raise BrokenClaimError("writing into one null allocation changes the next: the memory is shared")


def null_loss(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """At the null every loss is exactly 0, in every context and on average."""
    rows = claim.substrate.null_allocation(len(case.allocation), dtype=case.allocation.dtype)
    losses = {"the loss": claim.substrate.user_loss(rows, case.context)}
    if isinstance(claim.substrate, BaseSubstrate):
        listed = claim.substrate.observe(rows, case.context).losses
        losses |= {f"the loss {name}": loss for name, loss in listed.items()}
    for what, loss in losses.items():
        if bool((loss != 0).any()):
            raise BrokenClaimError(f"{what} at {words(case._replace(allocation=rows), 0)} is {vector(loss)}, not 0")


def shapes(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """Exposure is (batch, bidder, feature), loss and feasibility (batch,), in the allocation's dtype, on its device."""
    place = claim.substrate
    nulls = [place.null_allocation(2, dtype=dtype) for dtype in (torch.float32, torch.float64)]
    for rows, context in ((case.allocation, case.context), *((rows, None) for rows in nulls)):
        batch = len(rows)
        given = {
            "exposure": (place.exposure(rows, context), (batch, place.num_bidders, len(place.features)), rows.dtype),
            "user_loss": (place.user_loss(rows, context), (batch,), rows.dtype),
            "feasible": (place.feasible(rows), (batch,), torch.bool),
        }
        for what, (answer, shape, dtype) in given.items():
            if tuple(answer.shape) != shape or answer.dtype != dtype or answer.device != rows.device:
                raise BrokenClaimError(
                    f"{what} of {rows.dtype} {tuple(rows.shape)} is {answer.dtype} {tuple(answer.shape)} on "
                    f"{answer.device}, not {dtype} {shape} on {rows.device}"
                )


def amounts(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """Exposure is finite and at least 0; loss is finite, of any sign."""
    exposure, loss = claim.exposure(case), claim.user_loss(case)
    for row in range(len(loss)):
        if not bool((exposure[row].isfinite() & (exposure[row] >= 0)).all()):
            raise BrokenClaimError(f"the exposure of {words(case, row)} is {vector(exposure[row])}")
        if not bool(loss[row].isfinite()):
            raise BrokenClaimError(f"the loss of {words(case, row)} is {vector(loss[row])}")


def rows_independent(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """What a row gives does not depend on the rest of the batch."""
    exposure, loss, possible = claim.exposure(case), claim.user_loss(case), claim.substrate.feasible(case.allocation)
    for row in range(len(loss)):
        alone = row_of(case, row)
        beside = f"{words(case, row)} alone and beside {len(loss) - 1} others gives"
        claim.same(claim.exposure(alone)[0], exposure[row], f"{beside} exposure")
        claim.same(claim.user_loss(alone)[0], loss[row], f"{beside} loss")
        if bool(claim.substrate.feasible(alone.allocation)[0]) != bool(possible[row]):
            raise BrokenClaimError(f"{beside} another answer about feasibility")


def deterministic(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """The same call gives the same numbers, bit for bit, and leaves its arguments as they were."""
    kept = [part.clone() for part in (case.allocation, case.weights)]
    once, twice = ([claim.exposure(case), claim.user_loss(case)] for _ in range(2))
    for what, one, other in zip(("exposure", "loss"), once, twice, strict=True):
        if not torch.equal(one, other):
            raise BrokenClaimError(f"{words(case, 0)} … gives {what} {vector(one)} and then {vector(other)}")
    chosen = _maximum(claim, case)
    if chosen is not None and not torch.equal(chosen, claim.substrate.maximise(*case[2:], case.context)):
        raise BrokenClaimError(f"the maximum of weights {vector(case.weights)} is another one at the next call")
    for what, was, part in zip(("allocation", "weights"), kept, (case.allocation, case.weights), strict=True):
        if not torch.equal(was, part):
            raise BrokenClaimError(f"the {what} {vector(was)} are overwritten by {vector(part)}")


def own_memory(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """What is answered shares memory with nobody: not with the arguments, not with the substrate's own numbers."""
    calls: dict[str, Callable[[], Tensor | None]] = {
        "exposure": lambda: claim.exposure(case),
        "loss": lambda: claim.user_loss(case),
        "maximum": lambda: _maximum(claim, case),
    }
    for what, call in calls.items():
        answer = call()
        if answer is None:
            continue
        kept, given = answer.detach().clone(), case.allocation.clone()
        _overwrite(what, answer.detach())
        after, moved = _copied(call()), not torch.equal(given, case.allocation)
        answer.detach().copy_(kept)  # what is shared is put back
        if moved or after is None or not torch.equal(kept, after):
            raise BrokenClaimError(f"overwriting the {what} {vector(kept)} changes what comes after: memory is shared")


def contexts(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """A context out of range, of another length or no integer is refused, and any where there are none."""
    batch, count = len(case.allocation), len(contexts_of(claim.substrate))
    wrong = {
        f"context {count} of {count}": torch.full((batch,), count),
        "context -1": torch.full((batch,), -1),
        "one context too many": torch.zeros(batch + 1, dtype=torch.int64),
        "a context that is no integer": torch.zeros(batch),
    }
    if not count:
        wrong["context 0 of none"] = torch.zeros(batch, dtype=torch.int64)
    for what, context in wrong.items():
        for name, call in (("exposure", claim.substrate.exposure), ("user_loss", claim.substrate.user_loss)):
            if not _is_refused(partial(call, case.allocation, context)):
                raise BrokenClaimError(f"{name} takes {what} instead of refusing it with a ValueError")


def context_mean(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """Without a context, exposure and loss are the means over the contexts."""
    count = len(contexts_of(claim.substrate))
    if not count:
        return
    by_context = [torch.full((len(case.allocation),), k) for k in range(count)]
    for what, call in (("exposure", claim.substrate.exposure), ("loss", claim.substrate.user_loss)):
        mean = torch.stack([call(case.allocation, context) for context in by_context]).mean(0)
        overall = call(case.allocation, None)
        claim.same(overall, mean, f"{what} without a context, and the mean over {count} contexts")


def refuses_bad_input(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """NaN, infinity, whole numbers and other shapes are refused, of allocations and weights, and a user weight < 0."""
    place, x = claim.substrate, case.allocation
    first = torch.zeros(1, dtype=torch.int64)
    allocations = {
        "a NaN lever": x.flatten(1).index_fill(1, first, torch.nan).view(x.shape),
        "an infinite lever": x.flatten(1).index_fill(1, first, torch.inf).view(x.shape),
        "an allocation of whole numbers": torch.zeros(x.shape, dtype=torch.int64),
        "an allocation without its first axis": x[0],
        "an allocation with one bidder too many": torch.cat([x, x[:, :1]], 1),
    }
    for what, rows in allocations.items():
        for name, call in (("exposure", place.exposure), ("user_loss", place.user_loss)):
            if not _is_refused(partial(call, rows)):
                raise BrokenClaimError(f"{name} takes {what} instead of refusing it")
    if _maximum(claim, case) is None:
        return
    w = case.weights
    weights = {
        "a NaN weight": (w.index_fill(2, first, torch.nan), case.user_weight),
        "weights without a feature axis": (w[..., 0], case.user_weight),
        "a negative user weight": (w, -1.0),
        "a user weight that is NaN": (w, torch.nan),
    }
    for what, given in weights.items():
        if not _is_refused(partial(place.maximise, *given)):
            raise BrokenClaimError(f"maximise takes {what} instead of refusing it")


def feasible(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """What is feasible is never refused by exposure and loss; NaN and infinity are not feasible."""
    place, x = claim.substrate, case.allocation
    middle = place.null_allocation(len(x), dtype=x.dtype)
    for stretch in (-0.5, 1.5, 3.0):
        wild = middle + stretch * (x - middle) + (stretch - 1) / 8
        for row in range(len(wild)):
            one = SubstrateCase(wild[row : row + 1], None, case.weights, 0.0)
            if bool(place.feasible(one.allocation)[0]) and _is_refused(partial(claim.exposure, one)):
                raise BrokenClaimError(f"{words(one, 0)} is called feasible, and its exposure is refused")
    for value in (torch.nan, torch.inf):
        spoilt = torch.full_like(x, value)
        if bool(place.feasible(spoilt).any()):
            raise BrokenClaimError(f"an allocation of {value} is called feasible")


def empty_batch(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """No rows give no rows."""
    place, none = claim.substrate, claim.substrate.null_allocation(0, dtype=case.allocation.dtype)
    sizes = (place.num_bidders, len(place.features))
    given = {
        "exposure": (place.exposure(none), (0, *sizes)),
        "user_loss": (place.user_loss(none), (0,)),
        "feasible": (place.feasible(none), (0,)),
    }
    if _maximum(claim, case) is not None:
        given["maximise"] = (place.maximise(case.weights[:0], case.user_weight), tuple(none.shape))
    for what, (answer, shape) in given.items():
        if tuple(answer.shape) != shape:
            raise BrokenClaimError(f"{what} of no rows has shape {tuple(answer.shape)}, not {shape}")


def observe(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """One call of observe says what exposure and user_loss say, and all losses by the names that are declared."""
    place = claim.substrate
    if not isinstance(place, BaseSubstrate):
        return
    observation = place.observe(case.allocation, case.context)
    if not isinstance(observation, Observation) or set(observation.losses) != set(place.losses):
        raise BrokenClaimError(f"observe must return an Observation of the losses {place.losses}: {observation!r:.80}")
    claim.same(observation.exposure, claim.exposure(case), f"exposure of {words(case, 0)} … by observe and by exposure")
    charged = place.charged(observation.losses)
    claim.same(charged, claim.user_loss(case), f"loss of {words(case, 0)} … by observe and by user_loss")


def _maximum(claim: SubstrateClaim, case: SubstrateCase) -> Tensor | None:
    """Return the case's maximum, or None where the substrate says that it is not available."""
    try:
        return claim.substrate.maximise(case.weights, case.user_weight, case.context)
    except NotImplementedError:
        return None


def _copied(answer: Tensor | None) -> Tensor | None:
    return None if answer is None else answer.detach().clone()


def _overwrite(what: str, answer: Tensor) -> None:
    try:
        answer.add_(1)
    except RuntimeError as error:  # "more than one element … refers to a single memory location"
        raise BrokenClaimError(f"the {what} cannot be overwritten, its parts share memory: {error}") from None


def _is_refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except REFUSALS:
        return True
    return False
