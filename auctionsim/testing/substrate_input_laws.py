"""The laws of what a substrate is given: contexts, input that it must refuse, what it calls feasible, and no rows."""

from collections.abc import Callable
from functools import partial

import torch

from auctionsim.errors import BrokenClaimError
from auctionsim.substrates.protocol import contexts_of
from auctionsim.testing.sentences import vector
from auctionsim.testing.substrate_cases import SubstrateCase, SubstrateClaim, words

REFUSALS = (ValueError, TypeError)


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
    if claim.maximum(case) is None:
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
    """What is feasible is never refused by exposure and loss and has amounts; NaN and infinity are not feasible."""
    place, x = claim.substrate, case.allocation
    middle = claim.null(len(x), x.dtype)
    for stretch in (-0.5, 1.5, 3.0):
        wild = middle + stretch * (x - middle) + (stretch - 1) / 8
        for row in range(len(wild)):
            one = SubstrateCase(wild[row : row + 1], None, case.weights, 0.0)
            if not bool(place.feasible(one.allocation)[0]):
                continue
            if _is_refused(partial(claim.exposure, one)):
                raise BrokenClaimError(f"{words(one, 0)} is called feasible, and its exposure is refused")
            exposure = claim.exposure(one)
            if not bool((exposure.isfinite() & (exposure >= 0)).all()):
                raise BrokenClaimError(f"{words(one, 0)} is called feasible, and its exposure is {vector(exposure)}")
    for value in (torch.nan, torch.inf):
        spoilt = torch.full_like(x, value)
        if bool(place.feasible(spoilt).any()):
            raise BrokenClaimError(f"an allocation of {value} is called feasible")


def empty_batch(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """No rows give no rows."""
    place, none = claim.substrate, claim.null(0, case.allocation.dtype)
    sizes = (place.num_bidders, len(place.features))
    given = {
        "exposure": (place.exposure(none), (0, *sizes)),
        "user_loss": (place.user_loss(none), (0,)),
        "feasible": (place.feasible(none), (0,)),
    }
    if claim.maximum(case) is not None:
        given["maximise"] = (place.maximise(case.weights[:0], case.user_weight), tuple(none.shape))
    for what, (answer, shape) in given.items():
        if tuple(answer.shape) != shape:
            raise BrokenClaimError(f"{what} of no rows has shape {tuple(answer.shape)}, not {shape}")


def _is_refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except REFUSALS:
        return True
    return False
