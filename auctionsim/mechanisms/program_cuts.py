"""Honesty constraints of the program: those between neighbours, those that a solution breaks, and their rows.

Of a bidder i, a group g of the others' types, a type τ and a report τ':

- `BETWEEN`: U(τ, g) ≥ U(τ', g) + Δ(τ, τ') · E(τ', g).
- `CORNER`, where types are cells: the lower corner of τ does not gain by the reports of the types in τ', whose mean
  payment is the worth less U: C(τ, g) ≥ corner(τ) · E(τ', g) − Σ_f worth_f(τ', g) + U(τ', g).
"""

import numpy as np
from scipy.sparse import coo_array, csr_array

from auctionsim.mechanisms.program_cells import BidderRows, Numbers, Places
from auctionsim.mechanisms.program_rows import ProgramRows
from auctionsim.mechanisms.program_types import ProgramTypes

BETWEEN, CORNER = 0, 1


def near_cuts(rows: ProgramRows) -> Places:
    """Return the constraints between neighbouring types, and of a cell's corner and itself: (cut, 5)."""
    cuts = []
    for i, types in enumerate(rows.program.bidders):
        near = types.near.numpy()
        cuts.append(_every_group(rows, i, BETWEEN, near))
        if types.inside is not None:
            own = np.arange(rows.sizes[i])
            cuts.append(_every_group(rows, i, CORNER, np.concatenate([near, np.column_stack([own, own])])))
    return np.concatenate(cuts)


def _every_group(rows: ProgramRows, i: int, kind: int, pairs: Places) -> Places:
    groups = len(rows.bidders[i].chances)
    repeated = np.repeat(pairs, groups, axis=0)
    group = np.tile(np.arange(groups), len(pairs))
    return np.column_stack([np.full(len(group), i), np.full(len(group), kind), group, repeated])


def broken_cuts(rows: ProgramRows, others: Numbers, exact: float) -> Places:
    """Return the constraints that a solution breaks by more than `exact`: (cut, 5).

    Args:
        rows: Of the program.
        others: The solution's variables that are no shares.
        exact: Money.
    """
    cuts = []
    for i, (bidder, types) in enumerate(zip(rows.bidders, rows.program.bidders, strict=True)):
        e, u, corner = others[bidder.exposures], others[bidder.utilities], others[bidder.corners]
        steps = types.steps.numpy()
        paid = others[bidder.worths].sum(2) - u
        for truth in range(rows.sizes[i]):  # one at a time: all pairs at once may not fit
            gains = [u + np.einsum("rf,rgf->rg", steps[truth], e) - u[truth]]
            if types.inside is not None:
                gains.append(e @ types.inside.corners.numpy()[truth] - paid - corner[truth])
            for kind, gain in enumerate(gains):
                report, group = np.nonzero(gain > exact)
                same = [np.full(len(group), number) for number in (i, kind, truth)]
                cuts.append(np.column_stack([same[0], same[1], group, same[2], report]))
    return np.concatenate(cuts)


def cut_rows(rows: ProgramRows, which: Places) -> csr_array:
    """Return constraints as rows ≤ 0 over the variables that are no shares."""
    parts = []
    for i, (bidder, types) in enumerate(zip(rows.bidders, rows.program.bidders, strict=True)):
        for kind, numbers in ((BETWEEN, _between), (CORNER, _corner)):
            at = np.flatnonzero((which[:, 0] == i) & (which[:, 1] == kind))
            if len(at):
                parts += [(at, *part) for part in numbers(bidder, types, *which[at, 2:].T)]
    place = np.concatenate([np.repeat(at, columns.size // len(at)) for at, columns, _ in parts])
    columns = np.concatenate([columns.ravel() for _, columns, _ in parts])
    values = np.concatenate([values.ravel() for _, _, values in parts])
    return coo_array((values, (place, columns)), shape=(len(which), rows.others)).tocsr()


def _between(
    bidder: BidderRows, types: ProgramTypes, group: Places, truth: Places, report: Places
) -> list[tuple[Places, Numbers]]:
    ones = np.ones(len(group))
    return [
        (bidder.utilities[report, group], ones),
        (bidder.utilities[truth, group], -ones),
        (bidder.exposures[report, group], types.steps.numpy()[truth, report]),
    ]


def _corner(
    bidder: BidderRows, types: ProgramTypes, group: Places, truth: Places, report: Places
) -> list[tuple[Places, Numbers]]:
    assert types.inside is not None
    ones, worths = np.ones(len(group)), bidder.worths[report, group]
    return [
        (bidder.utilities[report, group], ones),
        (bidder.corners[truth, group], -ones),
        (bidder.exposures[report, group], types.inside.corners.numpy()[truth]),
        (worths, -np.ones(worths.shape)),
    ]
