"""The laws that a substrate is held to for what it claims: its maximum, its finite range, who touches whom, its copies.

A law is a function (claim, case) that raises `BrokenClaimError`, or returns where nothing is claimed.
"""

import copy
import pickle

import torch
from torch import Tensor

from auctionsim.errors import BrokenClaimError
from auctionsim.substrates.protocol import (
    FiniteRange,
    Substrate,
    finite_range_of,
    is_finite,
    is_separable,
    maximises_exactly,
    treats_bidders_alike,
)
from auctionsim.substrates.view import View
from auctionsim.testing.sentences import money, vector
from auctionsim.testing.substrate_cases import SubstrateCase, SubstrateClaim, words

START, STEP = 0.3173, 1e-6  # where on a path, and how far beside it, a gradient is compared with a difference


def maximise(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """The maximum is feasible, and no feasible allocation is worth more: none drawn, none listed, not the null."""
    best = claim.maximum(case)
    if best is None:
        return
    place, null = claim.substrate, claim.null(len(case.weights), case.weights.dtype)
    if best.shape != null.shape or best.dtype != case.weights.dtype:
        raise BrokenClaimError(f"the maximum is {best.dtype} {tuple(best.shape)}, not {null.dtype} {tuple(null.shape)}")
    if not bool(place.feasible(best).all()):
        row = int((~place.feasible(best)).nonzero()[0])
        raise BrokenClaimError(f"the maximum of weights {vector(case.weights[row])} is infeasible: {vector(best[row])}")
    if not maximises_exactly(place):
        return
    reached = _worth(claim, case, best)
    rivals = [null, *(case.allocation.roll(shift, 0) for shift in range(len(best)))]
    for rival in rivals:
        _refuse_more(claim, case, best, reached, rival, _worth(claim, case, rival))
    if is_finite(place):
        listed = finite_range_of(place, case.context)
        worth = _listed_worth(case, listed)
        top, entry = worth.max(1)
        rival = listed.allocations[entry].to(best)
        _refuse_more(claim, case, best, reached, rival, top.to(reached))


def ties(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """Ties go to the first of the range, the null first."""
    best = claim.maximum(case)
    if best is None:
        return
    place, nothing = claim.substrate, torch.zeros_like(case.weights)
    null = claim.null(len(best), best.dtype)
    idle = place.maximise(nothing, 0.0, case.context)
    if not torch.equal(idle, null):
        row = int((idle != null).flatten(1).any(1).nonzero()[0])
        raise BrokenClaimError(f"where all is worth nothing, {vector(idle[row])} is chosen, not the null")
    moved = (best != null).flatten(1).any(1)
    no_better = moved & (_worth(claim, case, best) <= _worth(claim, case, null))
    if maximises_exactly(place) and bool(no_better.any()):
        row = int(no_better.nonzero()[0])
        raise BrokenClaimError(
            f"weights {vector(case.weights[row])} at user weight {money(case.user_weight)} choose {vector(best[row])}, "
            f"which is worth no more than the null"
        )
    if is_finite(place):
        _first_of_equals(case, best, finite_range_of(place, case.context))


def finite_range(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """The finite range begins with the null, holds what exposure and loss say, and the maximum; no weight moves it."""
    place = claim.substrate
    if not is_finite(place):
        return
    listed = finite_range_of(place, case.context)
    entries, batch = len(listed.allocations), listed.user_losses.shape[0]
    shape = (batch, entries, place.num_bidders, len(place.features))
    if tuple(listed.exposures.shape) != shape or tuple(listed.user_losses.shape) != shape[:2]:
        raise BrokenClaimError(
            f"a range of {entries} allocations has exposures {tuple(listed.exposures.shape)} and losses "
            f"{tuple(listed.user_losses.shape)}"
        )
    if not torch.equal(listed.allocations[:1], claim.null(1, listed.allocations.dtype)):
        raise BrokenClaimError(f"the range begins with {vector(listed.allocations[0])}, not with the null")
    if not bool(place.feasible(listed.allocations).all()):
        raise BrokenClaimError("the range holds allocations that are not feasible")
    for row in range(batch):
        there = None if case.context is None else case.context[min(row, len(case.context) - 1)].expand(entries)
        claim.same(listed.exposures[row], place.exposure(listed.allocations, there), "exposure on the range and asked")
        claim.same(listed.user_losses[row], place.user_loss(listed.allocations, there), "loss on the range and asked")
    best = claim.maximum(case)
    again = finite_range_of(place, case.context)
    if not all(torch.equal(one, other) for one, other in zip(listed, again, strict=True)):
        raise BrokenClaimError(f"the range is another one after the maximum of weights {vector(case.weights)}")
    if best is not None:
        on_it = (best.unsqueeze(1) == listed.allocations.to(best)).flatten(2).all(2).any(1)
        if not bool(on_it.all()):
            row = int((~on_it).nonzero()[0])
            raise BrokenClaimError(f"the maximum {vector(best[row])} is not on the finite range")


def separable(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """Where claimed, nobody's levers touch another's exposure, the loss is a sum, and all levers go together."""
    place, x = claim.substrate, case.allocation
    if not is_separable(place):
        return
    null = claim.null(len(x), x.dtype)
    others, total = x.roll(1, 0), torch.zeros(len(x), dtype=x.dtype)
    start = place.user_loss(null, case.context)
    for i in range(place.num_bidders):
        mixed, alone = x.clone(), null.clone()
        mixed[:, i], alone[:, i] = others[:, i], x[:, i]
        if not bool(place.feasible(mixed).all()):
            raise BrokenClaimError(f"bidder {i}'s levers {vector(others[0, i])} do not go with {vector(x[0])}")
        kept = [j for j in range(place.num_bidders) if j != i]
        what = f"others' exposure at {words(case, 0)} and when bidder {i}'s levers are {vector(others[0, i])}"
        moved = place.exposure(mixed, case.context)
        claim.same(claim.exposure(case)[:, kept], moved[:, kept], what)
        total = total + place.user_loss(alone, case.context) - start
    claim.same(claim.user_loss(case) - start, total, f"the loss of {words(case, 0)} and the sum over bidders alone")


def anonymous(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """Where claimed, bidders that swap levers swap exposures, and nothing else changes."""
    place = claim.substrate
    if not treats_bidders_alike(place):
        return
    count = place.num_bidders
    swapped = [1, 0, *range(2, count)] if count > 1 else [0]
    orders = {"move on by one bidder": [count - 1, *range(count - 1)], "of the first two are swapped": swapped}
    for how, order in orders.items():  # these two make every order
        turned = case._replace(allocation=case.allocation[:, order])
        if not torch.equal(place.feasible(turned.allocation), place.feasible(case.allocation)):
            raise BrokenClaimError(f"{words(case, 0)} is feasible, and not when levers {how}")
        when = f"at {words(case, 0)} when levers {how}"
        claim.same(claim.exposure(turned), claim.exposure(case)[:, order], f"exposure {when}")
        claim.same(claim.user_loss(turned), claim.user_loss(case), f"loss {when}")


def gradients(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """Where exposure or loss has a gradient by the allocation, it is the limit of the differences."""
    place, x = claim.substrate, case.allocation.double()
    far = x.roll(1, 0) if len(x) > 1 else claim.null(1, x.dtype)
    points = {shift: x + (START + shift) * (far - x) for shift in (-STEP, 0.0, STEP)}
    rows = torch.stack([place.feasible(point) for point in points.values()]).all(0)
    if not bool(rows.any()):
        return
    context = None if case.context is None else case.context[rows]
    for what, call in (("exposure", place.exposure), ("loss", place.user_loss)):
        variable = points[0.0][rows].clone().requires_grad_(True)
        answer = call(variable, context)
        if not answer.requires_grad:
            continue
        (gradient,) = torch.autograd.grad(answer.sum(), variable)
        slope = (gradient * (far - x)[rows]).sum()
        ends = [call(points[shift][rows], context).sum() for shift in (-STEP, STEP)]
        difference = (ends[1] - ends[0]) / (2 * STEP)
        most = 1e-4 * max(1.0, float(difference.abs()), float(answer.detach().abs().max()))
        if not abs(float(slope - difference)) <= most:
            raise BrokenClaimError(
                f"the gradient of {what} from {words(case, 0)} towards {vector(far[0])} is {money(slope)}, "
                f"the difference {money(difference)}"
            )


def copies(claim: SubstrateClaim, case: SubstrateCase) -> None:
    """A deep copy says the same, a pickled one too where there is one; both are equal to it where it compares."""
    place = claim.substrate
    for what, twin in (("deep copy", copy.deepcopy(place)), ("pickled copy", _pickled(place))):
        if twin is None:
            continue
        other = claim._replace(substrate=twin)
        if not torch.equal(other.exposure(case), claim.exposure(case)):
            raise BrokenClaimError(f"the exposure of {words(case, 0)} … is another one by a {what}")
        if not torch.equal(other.user_loss(case), claim.user_loss(case)):
            raise BrokenClaimError(f"the loss of {words(case, 0)} … is another one by a {what}")
        if _compares(place) and not (twin == place and place == twin and hash(twin) == hash(place)):
            raise BrokenClaimError(f"a {what} is not equal to the original, or has another hash")
    if place != place or place == object():  # noqa: PLR0124  (equality is what is checked)
        raise BrokenClaimError("it is not equal to itself, or equal to anything")


def _compares(place: Substrate) -> bool:
    """Tell whether a substrate compares by what it holds; a view of one that does not is its own copy's equal only."""
    own = type(place).__eq__ is not object.__eq__
    return own and (type(place) is not View or _compares(place.substrate))


def _worth(claim: SubstrateClaim, case: SubstrateCase, allocation: Tensor) -> Tensor:
    bought = (case.weights * claim.substrate.exposure(allocation, case.context)).sum((1, 2))
    return bought - case.user_weight * claim.substrate.user_loss(allocation, case.context)


def _listed_worth(case: SubstrateCase, listed: FiniteRange) -> Tensor:
    bought = (case.weights.unsqueeze(1).double() * listed.exposures).sum((2, 3))
    return bought - case.user_weight * listed.user_losses


def _refuse_more(
    claim: SubstrateClaim, case: SubstrateCase, best: Tensor, reached: Tensor, rival: Tensor, worth: Tensor
) -> None:
    sizes = case.weights.abs().sum((1, 2)).max() * claim.substrate.exposure(best, case.context).abs().max()
    row = int((worth - reached).argmax())
    if not float((worth - reached)[row]) <= claim.rounding(sizes, worth):
        raise BrokenClaimError(
            f"weights {vector(case.weights[row])} at user weight {money(case.user_weight)} choose {vector(best[row])}, "
            f"worth {money(reached[row])}; {vector(rival[row])} is worth {money(worth[row])}"
        )


def _first_of_equals(case: SubstrateCase, best: Tensor, listed: FiniteRange) -> None:
    """Refuse an entry before which another one gives exactly the same."""
    same = (best.unsqueeze(1) == listed.allocations.to(best)).flatten(2).all(2)
    for row in range(len(best)):
        places = same[row].nonzero().flatten().tolist()
        if not places:
            continue  # that is the finite range's law
        which = min(row, listed.user_losses.shape[0] - 1)
        exposures, losses = listed.exposures[which], listed.user_losses[which]
        twins = (exposures == exposures[places[0]]).flatten(1).all(1) & (losses == losses[places[0]])
        first = int(twins.nonzero()[0])
        if first < places[0]:
            raise BrokenClaimError(
                f"weights {vector(case.weights[row])} choose entry {places[0]} of the range, which gives what entry "
                f"{first} gives"
            )


def _pickled(place: Substrate) -> Substrate | None:
    """Return a copy by way of pickle, or None for an object that has no such form."""
    try:
        data = pickle.dumps(place)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None
    twin: Substrate = pickle.loads(data)
    return twin
