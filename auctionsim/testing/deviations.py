"""What any type gains by any report: one set of outcomes, looked for where exposure jumps, judges all pairs.

Truth and misreports face the same terms: against given rivals, a report buys exposure e(r) for a payment p(r). So every
report that is cleared is also taken for a valuation. A rule whose choice and prices do not belong together (an argmax
at rounded bids, a threshold that is off) shows it beside a jump of the exposure, which no fixed grid hits: jumps are
found by bisection, to a part in a hundred million.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.regret.estimate import AnyMechanism, lone_deviations
from auctionsim.substrates.protocol import Substrate

STEPS = (1e-6, 1e-4, 3e-3, 1e-2, 2.5e-2)  # of the scale: how far beside the truth and beside what rivals bid
JUMPS = 2  # looked for on each line of reports, the largest first
BISECTIONS = 24


class Terms(NamedTuple):
    """What reports buy against given rivals.

    Attributes:
        reports: (report, batch, bidder, feature).
        exposures: What the bidder gets for each of its reports, of the same shape.
        payments: (report, batch, bidder).
    """

    reports: Tensor
    exposures: Tensor
    payments: Tensor


class Deviation(NamedTuple):
    """Who gains most by which lie.

    Attributes:
        gain: (batch, bidder), the largest found.
        truth: (batch, bidder, feature), the valuation that gains it.
        misreport: The bid that brings it.
    """

    gain: Tensor
    truth: Tensor
    misreport: Tensor


def terms_of(
    mechanism: AnyMechanism,
    substrate: Substrate,
    bids: Float[Tensor, "batch bidder feature"],
    reports: Float[Tensor, "report batch bidder feature"],
    context: Tensor | None,
) -> Terms:
    """Return what each bidder gets and pays for each of its reports while the others bid `bids`."""
    count, (batch, n, _) = len(reports), bids.shape
    cleared, repeated = lone_deviations(bids, reports, context)
    with torch.no_grad():
        outcome = mechanism(cleared) if repeated is None else mechanism(cleared, repeated)
        exposures = substrate.exposure(outcome.allocation, repeated)
    own = exposures.view(count, batch, n, n, -1).diagonal(dim1=2, dim2=3).movedim(3, 2)
    return Terms(reports, own, outcome.payments.view(count, batch, n, n).diagonal(dim1=2, dim2=3))


def best_deviation(
    mechanism: AnyMechanism,
    substrate: Substrate,
    bids: Float[Tensor, "batch bidder feature"],
    context: Tensor | None,
    high: float,
) -> Deviation:
    """Return the largest gain of any type among the reports, by any other of them.

    Args:
        mechanism: What is judged.
        substrate: Pays out exposure.
        bids: What the others bid; reports are tried around each bidder's own.
        context: (batch,) or None.
        high: Scale of the money; no type above 3/2 of it is judged, though bids above it are tried.
    """
    found = []
    for line in _lines(bids, high):
        terms = terms_of(mechanism, substrate, bids, line, context)
        low, above = _steepest(terms)
        found += [terms, low, above]
        for _ in range(BISECTIONS):
            middle = terms_of(mechanism, substrate, bids, (low.reports + above.reports) / 2, context)
            upper_half = _distance(middle, above) > _distance(low, middle)
            low, above = _either(upper_half, middle, low), _either(upper_half, above, middle)
            found.append(middle)
    whole = Terms(*(torch.cat(parts) for parts in zip(*found, strict=True)))
    return _largest_gain(whole, 1.5 * high)


def _lines(bids: Float[Tensor, "batch bidder feature"], high: float) -> list[Tensor]:
    """Return reports in ascending order: with one feature changed at a time, and with all of them alike."""
    batch, n, m = bids.shape
    rungs = torch.arange(17, dtype=bids.dtype, device=bids.device) / 8 * high
    steps = torch.tensor([0.0, *STEPS], dtype=bids.dtype, device=bids.device) * high
    beside = torch.cat([-steps[1:], steps])
    lines = []
    for feature in range(m):
        near = (bids[..., feature].unsqueeze(2) + beside).clamp_min(0)  # (batch, bidder, step)
        anybody = near.view(batch, 1, -1).expand(batch, n, -1)
        values = torch.cat([rungs.expand(batch, n, -1), anybody], dim=2).sort(2).values.movedim(2, 0)
        lines.append(_with_feature(bids, feature, values))
    if m > 1:
        lines.append(rungs.view(-1, 1, 1, 1).expand(-1, batch, n, m))
    return lines


def _with_feature(bids: Tensor, feature: int, values: Float[Tensor, "report batch bidder"]) -> Tensor:
    changed = bids.expand(len(values), *bids.shape).clone()
    changed[..., feature] = values
    return changed


def _steepest(terms: Terms) -> tuple[Terms, Terms]:
    """Return the two ends of the steps between neighbouring reports on which exposure changes most."""
    change = (terms.exposures[1:] - terms.exposures[:-1]).abs().sum(3)
    index = change.topk(min(JUMPS, len(change)), dim=0).indices
    return _at(terms, index), _at(terms, index + 1)


def _at(terms: Terms, index: Tensor) -> Terms:
    wide = index.unsqueeze(3).expand(-1, -1, -1, terms.reports.shape[3])
    return Terms(terms.reports.gather(0, wide), terms.exposures.gather(0, wide), terms.payments.gather(0, index))


def _distance(one: Terms, other: Terms) -> Tensor:
    return (one.exposures - other.exposures).abs().sum(3)


def _either(first: Tensor, one: Terms, other: Terms) -> Terms:
    wide = first.unsqueeze(3)
    return Terms(
        torch.where(wide, one.reports, other.reports),
        torch.where(wide, one.exposures, other.exposures),
        torch.where(first, one.payments, other.payments),
    )


def _largest_gain(terms: Terms, most: float) -> Deviation:
    """Return the best pair of a truth, not above `most`, and a misreport."""
    bought = torch.einsum("tbif,rbif->trbi", terms.reports, terms.exposures)  # every type's value of every report
    worth = bought - terms.payments
    gain, misreport = (worth - worth.diagonal(dim1=0, dim2=1).movedim(2, 0).unsqueeze(1)).max(1)
    gain = gain.masked_fill((terms.reports > most).any(3), -torch.inf)
    best, truth = gain.max(0)
    chosen = misreport.gather(0, truth.unsqueeze(0))[0]
    return Deviation(best, _report(terms, truth), _report(terms, chosen))


def _report(terms: Terms, index: Tensor) -> Tensor:
    return terms.reports.gather(0, index[None, ..., None].expand(1, *terms.reports.shape[1:]))[0]
