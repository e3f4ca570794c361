"""The laws every substrate is held to: what its numbers are, whose they are, and what it refuses.

A law is a function (claim, case) that raises `BrokenClaimError`; its first line is what it claims.
"""

import copy
import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from auctionsim.claims import claimed
from auctionsim.errors import BrokenClaimError
from auctionsim.substrates.protocol import (
    BaseSubstrate,
    Observation,
    allocation_shape,
    charged_loss_of,
    contexts_of,
    losses_of,
    units_of,
)
from auctionsim.substrates.view import View
from auctionsim.testing.kit import watched_generators
from auctionsim.testing.sentences import vector
from auctionsim.testing.substrate_cases import SubstrateCase, SubstrateClaim, row_of, words

UNASKED = 0.7713  # of the way from the null to a drawn allocation: where no other law asks


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
    units = units_of(place)
    unnamed = [name for name in (*place.features, *losses_of(place)) if not _is_word(units.get(name))]
    if unnamed or not losses_of(place):
        raise BrokenClaimError(f"every feature and loss needs a unit, and there must be a loss: {unnamed or 'no loss'}")
    for lever in place.levers:
        if not lever.low <= lever.null <= lever.high:
            raise BrokenClaimError(f"the null of {lever.name} must lie in [{lever.low}, {lever.high}]: {lever.null}")
        if not math.isfinite(lever.high - lever.low):
            raise BrokenClaimError(f"the range of {lever.name} must be finite, got [{lever.low}, {lever.high}]")
    charged = charged_loss_of(place)
    if not _is_word(charged.name) or not _is_word(charged.unit):
        raise BrokenClaimError(f"the charged loss needs a name and a unit, got {charged!r}")
    if not isinstance(place, View) and charged.name not in losses_of(place):
        raise BrokenClaimError(f"the charged loss {charged.name!r} is none of the losses {losses_of(place)}")


def null(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """The null allocation has the batch, dtype and device that are asked for, is feasible, and is a fresh one."""
    del case
    shape = allocation_shape(claim.substrate)
    nulls = [lever.null for lever in claim.substrate.levers]
    for dtype in (torch.float32, torch.float64):
        for batch in (0, 1, 3):
            rows = claim.null(batch, dtype)
            if rows.shape != (batch, *shape) or rows.dtype != dtype:
                raise BrokenClaimError(f"the null of {batch} rows in {dtype} is {rows.dtype} {tuple(rows.shape)}")
            if not bool(claim.substrate.feasible(rows).all()):
                raise BrokenClaimError(f"the null {vector(rows[0])} is not feasible")
            is_levers = shape == (claim.substrate.num_bidders, len(nulls))
            if is_levers and not torch.equal(rows, rows.new_tensor(nulls).expand(batch, *shape)):
                raise BrokenClaimError(f"the null allocation is {vector(rows[0])}, and its levers' nulls are {nulls}")
    kept = rows.clone()
    _overwrite("null", rows)
    if not torch.equal(kept, claim.null(3, dtype)):
        raise BrokenClaimError("writing into one null allocation changes the next: the memory is shared")


def null_loss(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """At the null every loss is exactly 0, in every context and on average."""
    at_null = case._replace(allocation=claim.null(len(case.allocation), case.allocation.dtype))
    for what, loss in claim.losses(at_null).items():
        if bool((loss != 0).any()):
            raise BrokenClaimError(f"the {what} at {words(at_null, 0)} is {vector(loss)}, not 0")


def shapes(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """Exposure is (batch, bidder, feature), loss and feasibility (batch,), in the allocation's dtype, on its device."""
    place = claim.substrate
    nulls = [claim.null(2, dtype) for dtype in (torch.float32, torch.float64)]
    for rows, context in ((case.allocation, case.context), *((rows, None) for rows in nulls)):
        batch = len(rows)
        given = {
            "exposure": (place.exposure(rows, context), (batch, place.num_bidders, len(place.features)), rows.dtype),
            "feasible": (place.feasible(rows), (batch,), torch.bool),
        }
        told = claim.losses(case._replace(allocation=rows, context=context))
        given |= {f"the {name}": (loss, (batch,), rows.dtype) for name, loss in told.items()}
        for what, (answer, shape, dtype) in given.items():
            if tuple(answer.shape) != shape or answer.dtype != dtype or answer.device != rows.device:
                raise BrokenClaimError(
                    f"{what} of {rows.dtype} {tuple(rows.shape)} is {answer.dtype} {tuple(answer.shape)} on "
                    f"{answer.device}, not {dtype} {shape} on {rows.device}"
                )


def amounts(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """Exposure is finite, at least 0 and within the bounds that are claimed; losses are finite, of any sign."""
    exposure, bounds = claim.exposure(case), claimed(claim.substrate, "exposure_bounds")
    low, high = (0.0, math.inf) if bounds is None else bounds
    room, losses = claim.rounding(exposure), claim.losses(case)
    for row in range(len(exposure)):
        if not bool((exposure[row].isfinite() & (exposure[row] >= 0)).all()):
            raise BrokenClaimError(f"the exposure of {words(case, row)} is {vector(exposure[row])}")
        if not bool(((exposure[row] >= low - room) & (exposure[row] <= high + room)).all()):
            raise BrokenClaimError(
                f"the exposure of {words(case, row)} is {vector(exposure[row])}, outside of the claimed {bounds}"
            )
        for what, loss in losses.items():
            if not bool(loss[row].isfinite().all()):
                raise BrokenClaimError(f"the {what} of {words(case, row)} is {vector(loss[row])}")


def rows_independent(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """What a row gives does not depend on the rest of the batch."""
    exposure, losses, possible = claim.exposure(case), claim.losses(case), claim.substrate.feasible(case.allocation)
    for row in range(len(exposure)):
        alone = row_of(case, row)
        beside = f"{words(case, row)} alone and beside {len(exposure) - 1} others gives"
        claim.same(claim.exposure(alone)[0], exposure[row], f"{beside} exposure")
        for what, loss in claim.losses(alone).items():
            claim.same(loss[0], losses[what][row], f"{beside} {what}")
        if bool(claim.substrate.feasible(alone.allocation)[0]) != bool(possible[row]):
            raise BrokenClaimError(f"{beside} another answer about feasibility")


def deterministic(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """The same call gives the same numbers, bit for bit, and leaves its arguments as they were."""
    kept = [part.clone() for part in (case.allocation, case.weights)]
    once, twice = ({"exposure": claim.exposure(case), **claim.losses(case)} for _ in range(2))
    for what, one in once.items():
        if not torch.equal(one, twice[what]):
            raise BrokenClaimError(f"{words(case, 0)} … gives {what} {vector(one)} and then {vector(twice[what])}")
    chosen = claim.maximum(case)
    if chosen is not None and not torch.equal(chosen, claim.substrate.maximise(*case[2:], case.context)):
        raise BrokenClaimError(f"the maximum of weights {vector(case.weights)} is another one at the next call")
    for what, was, part in zip(("allocation", "weights"), kept, (case.allocation, case.weights), strict=True):
        if not torch.equal(was, part):
            raise BrokenClaimError(f"the {what} {vector(was)} are overwritten by {vector(part)}")


def own_memory(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """What is answered shares memory with nobody: not with the arguments, not with the substrate's own numbers."""
    calls: dict[str, Callable[[], Tensor | None]] = {
        "exposure": lambda: claim.exposure(case),
        "maximum": lambda: claim.maximum(case),
    }
    calls |= {what: partial(_one_loss, claim, case, what) for what in claim.losses(case)}
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


def no_global_randomness(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """Answering moves no global generator, nor sets one back: what is drawn comes from a generator of its own."""
    calls: dict[str, Callable[[], object]] = {
        "feasible": lambda: claim.substrate.feasible(case.allocation),
        "exposure": lambda: claim.exposure(case),
        "user_loss": lambda: claim.losses(case),
        "maximise": lambda: claim.maximum(case),
    }
    for what, call in calls.items():
        with watched_generators() as moved:
            call()
            if moved():
                raise BrokenClaimError(f"{what} draws from a global generator, or sets its seed")


def asked_before(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """An answer does not depend on what was asked before: not on other rows, nor on other contexts of the same."""
    null = claim.null(len(case.allocation), case.allocation.dtype)
    unasked = null + UNASKED * (case.allocation - null)  # so that no memory holds it yet
    fits = claim.substrate.feasible(unasked).view(-1, *[1] * (null.ndim - 1))
    case = case._replace(allocation=torch.where(fits, unasked, case.allocation))
    fresh = claim._replace(substrate=copy.deepcopy(claim.substrate))
    first = {"exposure": claim.exposure(case), **claim.losses(case)}
    for k in range(len(contexts_of(claim.substrate))):
        fresh.losses(case._replace(context=torch.full((len(case.allocation),), k)))
        fresh.exposure(case._replace(context=torch.full((len(case.allocation),), k)))
    fresh.losses(case._replace(context=None))
    fresh.exposure(case._replace(context=None))
    later = {"exposure": fresh.exposure(case), **fresh.losses(case)}
    for what, answer in first.items():
        claim.same(answer, later[what], f"{what} of {words(case, 0)} … asked first, and after the other contexts")


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
    name = charged_loss_of(place).name
    if name in observation.losses:
        what = f"loss of {words(case, 0)} … by user_loss, and {name}, which is said to be charged"
        claim.same(charged, observation.losses[name], what)


def _one_loss(claim: SubstrateClaim, case: SubstrateCase, what: str) -> Tensor:
    return claim.losses(case)[what]


def _is_word(name: object) -> bool:
    return isinstance(name, str) and bool(name.strip())


def _copied(answer: Tensor | None) -> Tensor | None:
    return None if answer is None else answer.detach().clone()


def _overwrite(what: str, answer: Tensor) -> None:
    try:
        answer.add_(1)
    except RuntimeError as error:  # "more than one element … refers to a single memory location"
        raise BrokenClaimError(f"the {what} cannot be overwritten, its parts share memory: {error}") from None
