"""The laws a mechanism is checked against: each looks at one drawn case and says what is broken, in one sentence.

A law is a function (claim, case) that raises `BrokenClaimError`. What counts as rounding is a share of the amounts at
stake: of the drawn money times what a unit of it buys.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.errors import BrokenClaimError
from auctionsim.metrics import utility
from auctionsim.outcome import Outcome
from auctionsim.regret.estimate import (
    AnyMechanism,
    Game,
    checked_game,
    checked_outcome,
    lone_deviations,
    misreport_utilities,
    quasi_linear,
    reported_utilities,
)
from auctionsim.regret.search import search
from auctionsim.substrates.protocol import Substrate, allocation_shape
from auctionsim.testing.deviations import Deviation, best_deviation
from auctionsim.testing.sentences import everybody, money, others, vector, worst

SEARCH_BUDGET = 48  # misreports beyond the grid, for each bidder of each case


class MechanismClaim(NamedTuple):
    """What is checked, and how exactly.

    Attributes:
        mechanism: Any callable bids, context → outcome.
        substrate: What its allocations are carried out on.
        tolerance: Share of the amounts at stake that counts as rounding.
        high: Scale of the drawn money.
    """

    mechanism: AnyMechanism
    substrate: Substrate
    tolerance: float
    high: float

    def clear(self, case: "MechanismCase") -> Outcome:
        """Clear the case's bids."""
        return _clear(self.mechanism, case.bids, case.context)

    def rounding(self, case: "MechanismCase") -> float:
        """Return the money that counts as rounding in a case, so that a mechanism is judged alike in every currency.

        It is `tolerance` times `high` for each unit of exposure that anybody gets, one at least, and what the dtype
        loses of the payments' digits.
        """
        outcome = self.clear(case)
        unit = max(1.0, float(self.substrate.exposure(outcome.allocation, case.context).abs().max()))
        lost = 16 * torch.finfo(outcome.payments.dtype).eps * float(outcome.payments.abs().max())
        return self.tolerance * self.high * unit + lost


class MechanismCase(NamedTuple):
    """One drawn batch of auctions: bids (batch, bidder, feature), also taken for valuations, and contexts or None."""

    bids: Tensor
    context: Tensor | None


def feasible(claim: MechanismClaim, case: MechanismCase) -> None:
    """The outcome fits the substrate, its numbers are finite, and the allocation can be carried out."""
    outcome = claim.clear(case)
    shape, paid = (len(case.bids), *allocation_shape(claim.substrate)), tuple(case.bids.shape[:2])
    if tuple(outcome.allocation.shape) != shape:
        raise BrokenClaimError(
            f"the allocation has shape {tuple(outcome.allocation.shape)}, the substrate needs {shape}"
        )
    if tuple(outcome.payments.shape) != paid:
        raise BrokenClaimError(f"payments have shape {tuple(outcome.payments.shape)}, not (batch, bidder) = {paid}")
    for name, amounts in (("payment", outcome.payments), ("allocation", outcome.allocation)):
        bad = ~torch.isfinite(amounts)
        if bad.any():
            row = worst(bad.double())[0]
            raise BrokenClaimError(f"{everybody(case.bids, row, case.context)} get a {name} that is not finite")
    possible = claim.substrate.feasible(outcome.allocation)
    if not possible.all():
        row = worst((~possible).double())[0]
        given = [vector(levers) for levers in outcome.allocation[row]]
        raise BrokenClaimError(
            f"{everybody(case.bids, row, case.context)} get an infeasible allocation: {', '.join(given)}"
        )


def dsic(claim: MechanismClaim, case: MechanismCase) -> None:
    """No bidder gains by any bid other than its valuation, whatever the others bid."""
    ladder, rounding = _eighths(claim, case, most=16), claim.rounding(case)
    with torch.no_grad():
        scored = misreport_utilities(_truthful(claim, case), torch.cat([case.bids.unsqueeze(0), ladder]))
    gain, index = (scored[1:] - scored[0]).max(0)
    misreports = ladder.gather(0, index[None, ..., None].expand(1, *case.bids.shape))[0]
    if float(gain.max()) <= rounding:  # plain numbers make the better story, so they come first
        game = _truthful(claim, case)
        best, _ = search(game, torch.full_like(case.bids, 2 * claim.high), SEARCH_BUDGET, None)
        gain, misreports = best.utility - reported_utilities(game), best.bids
    _refuse_gain(Deviation(gain, case.bids, misreports), case, rounding)


def dsic_of_every_type(claim: MechanismClaim, case: MechanismCase) -> None:
    """No type of a bidder gains by the bid of another, whatever the others bid; types are those beside jumps too."""
    _refuse_gain(best_deviation(*claim[:2], *case, claim.high), case, claim.rounding(case))


def _refuse_gain(found: Deviation, case: MechanismCase, rounding: float) -> None:
    row, i = worst(found.gain)
    if not float(found.gain[row, i]) <= rounding:
        raise BrokenClaimError(
            f"bidder {i} with valuation {vector(found.truth[row, i])} gains {money(found.gain[row, i])} by bidding "
            f"{vector(found.misreport[row, i])}{others(case.bids, i, case.context, row)}"
        )


def individually_rational(claim: MechanismClaim, case: MechanismCase) -> None:
    """A truthful bidder's utility is never below 0."""
    outcome = claim.clear(case)
    loss = -utility(outcome, claim.substrate, case.bids, case.context)
    row, i = worst(loss)
    if not float(loss[row, i]) <= claim.rounding(case):
        paid = outcome.payments[row, i]
        raise BrokenClaimError(
            f"bidder {i} with valuation {vector(case.bids[row, i])} loses {money(loss[row, i])} by bidding it: it pays "
            f"{money(paid)} for a value of {money(paid - loss[row, i])}{others(case.bids, i, case.context, row)}"
        )


def opt_out(claim: MechanismClaim, case: MechanismCase) -> None:
    """Truth is at least as good as bidding 0."""
    with torch.no_grad():
        pair = torch.stack([torch.zeros_like(case.bids), case.bids])
        nothing, truth = misreport_utilities(_truthful(claim, case), pair)
    gain = nothing - truth
    row, i = worst(gain)
    if not float(gain[row, i]) <= claim.rounding(case):
        raise BrokenClaimError(
            f"bidder {i} with valuation {vector(case.bids[row, i])} is {money(gain[row, i])} better off bidding 0 than "
            f"the truth{others(case.bids, i, case.context, row)}"
        )


def monotone_exposure(claim: MechanismClaim, case: MechanismCase) -> None:
    """Whoever bids more gets no less: Σ_f (b_f − b'_f)(e_f(b) − e_f(b')) ≥ 0 for any two bids of one bidder."""
    ladder = _eighths(claim, case, most=16, step=2)
    bids, context = lone_deviations(case.bids, ladder, case.context)
    given = claim.substrate.exposure(_clear(claim.mechanism, bids, context).allocation, context)
    n = case.bids.shape[1]
    own = given.view(len(ladder), len(case.bids), n, n, -1).diagonal(dim1=2, dim2=3)
    exposures = own.movedim(3, 2)  # (bid, batch, bidder, feature)
    step = ladder.unsqueeze(1) - ladder.unsqueeze(0)
    change = (step * (exposures.unsqueeze(1) - exposures.unsqueeze(0))).sum(4)  # (bid, other bid, batch, bidder)
    a, b, row, i = worst(-change)
    a, b = max(a, b), min(a, b)  # told upwards; the change is the same either way
    if not float(change[a, b, row, i]) >= -claim.rounding(case):
        raise BrokenClaimError(
            f"bidder {i}'s exposure goes from {vector(exposures[b, row, i])} to {vector(exposures[a, row, i])} as its "
            f"bid goes from {vector(ladder[b, row, i])} to {vector(ladder[a, row, i])}"
            f"{others(case.bids, i, case.context, row)}"
        )


def payments_nonnegative(claim: MechanismClaim, case: MechanismCase) -> None:
    """Nobody is paid."""
    payments = claim.clear(case).payments
    row, i = worst(-payments)
    if not float(payments[row, i]) >= -claim.rounding(case):
        raise BrokenClaimError(
            f"{everybody(case.bids, row, case.context)} make bidder {i} pay {money(payments[row, i])}: it is paid"
        )


def anonymous(claim: MechanismClaim, case: MechanismCase) -> None:
    """Bidders that swap their bids swap what they get and pay.

    Bids are moved off the grid by amounts that no tie survives, since a tie must be broken by somebody's name.
    """
    place = torch.arange(1, case.bids[0].numel() + 1, dtype=case.bids.dtype, device=case.bids.device)
    untied = case.bids + claim.high * ((place * 0.618033988749895) % 1).view(1, *case.bids.shape[1:]) / 16
    plain = claim.clear(MechanismCase(untied, case.context))
    turned = claim.clear(MechanismCase(untied.roll(1, 1), case.context))
    exposed = claim.substrate.exposure(plain.allocation, case.context).roll(1, 1)
    differs = (claim.substrate.exposure(turned.allocation, case.context) - exposed).abs().sum(2) * claim.high
    differs = differs + (turned.payments - plain.payments.roll(1, 1)).abs()
    row, i = worst(differs)
    if not float(differs[row, i]) <= claim.rounding(case):
        was = (i - 1) % case.bids.shape[1]
        raise BrokenClaimError(
            f"with {everybody(untied, row, case.context)}, bidder {was} pays {money(plain.payments[row, was])} for "
            f"exposure {vector(exposed[row, i])}; when everybody's bid moves on by one bidder, bidder {i} pays "
            f"{money(turned.payments[row, i])} for "
            f"{vector(claim.substrate.exposure(turned.allocation, case.context)[row, i])} with that bid"
        )


def rows_independent(claim: MechanismClaim, case: MechanismCase) -> None:
    """An auction's outcome does not depend on which other auctions are cleared beside it."""
    together = claim.clear(case)
    levers = claim.tolerance * max(1.0, float(together.allocation.abs().max()))
    most = (levers, claim.rounding(case))
    for row in range(len(case.bids)):
        context = None if case.context is None else case.context[row : row + 1]
        alone = _clear(claim.mechanism, case.bids[row : row + 1], context)
        for name, one, all_, rounding in zip(Outcome._fields, alone, together, most, strict=True):
            gap = float((one[0] - all_[row]).abs().max())
            if not gap <= rounding:
                raise BrokenClaimError(
                    f"{everybody(case.bids, row, case.context)} cleared alone and beside {len(case.bids) - 1} other "
                    f"auctions give {name} that differ by {money(gap)}"
                )


def deterministic(claim: MechanismClaim, case: MechanismCase) -> None:
    """The same bids give the same outcome, bit for bit, and are left as they were."""
    before = case.bids.clone()
    once, twice = claim.clear(case), claim.clear(case)
    if not torch.equal(before, case.bids):
        raise BrokenClaimError(f"the mechanism overwrites its input: bids {vector(before)} became {vector(case.bids)}")
    for name, one, other in zip(Outcome._fields, once, twice, strict=True):
        if not torch.equal(one, other):
            row = worst((one - other).abs())[0]
            raise BrokenClaimError(
                f"{everybody(case.bids, row, case.context)} cleared twice give {name} that differ by "
                f"{money((one - other).abs().max())}"
            )


def own_memory(claim: MechanismClaim, case: MechanismCase) -> None:
    """The outcome shares memory with nobody: neither the bids, nor the mechanism's own numbers, nor its other rows."""
    bids = case.bids.clone()
    outcome = _clear(claim.mechanism, bids, case.context)
    kept = _copied(outcome)
    bids.add_(1 + claim.high)
    _compare_memory(kept, outcome, f"when bids {vector(case.bids)} are overwritten by {vector(bids)}")
    if not _alike(kept, _clear(claim.mechanism, case.bids.clone(), case.context)):
        return  # it draws: that is another law's
    with torch.no_grad():
        for name, part in outcome._asdict().items():
            try:
                part.add_(1)
            except RuntimeError as error:  # "more than one element … refers to a single memory location"
                raise BrokenClaimError(f"the {name} cannot be overwritten, its parts share memory: {error}") from None
        again = _copied(_clear(claim.mechanism, case.bids.clone(), case.context))
        for part, was in zip(outcome, kept, strict=True):
            part.copy_(was)  # what the mechanism shares is put back
    _compare_memory(kept, again, f"of bids {vector(case.bids)} when an earlier outcome of theirs has been overwritten")


def _copied(outcome: Outcome) -> Outcome:
    return Outcome(*(part.clone() for part in outcome))


def _alike(one: Outcome, other: Outcome) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.allclose(*pair, rtol=0, atol=0, equal_nan=True) for pair in pairs)


def _compare_memory(kept: Outcome, now: Outcome, when: str) -> None:
    if not _alike(kept, now):
        parts = zip(Outcome._fields, kept, now, strict=True)
        name, was, is_now = next(part for part in parts if not torch.equal(part[1], part[2]))
        raise BrokenClaimError(f"the {name} {vector(was)} become {vector(is_now)} {when}: the memory is shared")


def refuses_bad_input(claim: MechanismClaim, case: MechanismCase) -> None:
    """NaN, infinite and negative bids, whole numbers and a missing axis raise ValueError or TypeError."""
    broken = {"a NaN bid": torch.nan, "an infinite bid": torch.inf, "a negative bid": -claim.high}
    inputs = {name: case.bids.index_fill(2, torch.tensor([0]), value) for name, value in broken.items()}
    inputs["integer bids"] = torch.ones(case.bids.shape, dtype=torch.int64)
    inputs["bids without a feature axis"] = case.bids[..., 0]
    for name, bids in inputs.items():
        try:
            _clear(claim.mechanism, bids, case.context)
        except (ValueError, TypeError):
            continue
        raise BrokenClaimError(f"{name} is cleared instead of refused with a ValueError or TypeError")


def _eighths(
    claim: MechanismClaim, case: MechanismCase, most: int, step: int = 1
) -> Float[Tensor, "misreport batch bidder feature"]:
    """Misreports from 0 up to `most` eighths: in all features alike, and in one at a time with the rest true."""
    bids, m = case.bids, case.bids.shape[2]
    rungs = torch.arange(0, most + 1, step, dtype=bids.dtype, device=bids.device) / 8 * claim.high
    alike = rungs.view(-1, 1, 1, 1).expand(-1, *bids.shape)
    if m == 1:
        return alike
    one = torch.eye(m, dtype=torch.bool, device=bids.device).view(-1, 1, 1, 1, m)
    return torch.cat([alike, torch.where(one, alike, bids).flatten(0, 1)])


def _truthful(claim: MechanismClaim, case: MechanismCase) -> Game:
    return checked_game(claim.mechanism, claim.substrate, case.bids, None, context=case.context, utility=quasi_linear)


def _clear(mechanism: AnyMechanism, bids: Tensor, context: Tensor | None) -> Outcome:
    with torch.no_grad():
        return checked_outcome(mechanism(bids) if context is None else mechanism(bids, context))
