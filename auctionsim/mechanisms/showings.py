"""Which entries of a finite range show whom: what rules that pick winners allocate on a carrier's list."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.levers import at_null
from auctionsim.mechanisms.table import Need
from auctionsim.substrates.protocol import Substrate, contexts_of
from auctionsim.substrates.randomised import Randomised


class Showings(NamedTuple):
    """Entries of a `Randomised` range, by whom they show at one strength.

    Attributes:
        nobody: The entry that shows nobody.
        alone: (bidder,) the entry that shows this bidder and nobody else.
        together: By sets of two or more bidders, the entry that shows exactly these; sets that were not measured are
            left out.
    """

    nobody: int
    alone: tuple[int, ...]
    together: Mapping[frozenset[int], int]

    def entry(self, shown: frozenset[int]) -> int:
        """Return the entry that shows exactly these bidders.

        Raises:
            ValueError: There is none.
        """
        if not shown:
            return self.nobody
        if len(shown) == 1:
            return self.alone[next(iter(shown))]
        if shown not in self.together:
            raise InputError(f"no entry of the range shows the bidders {sorted(shown)} together")
        return self.together[shown]

    def worths(self, view: Randomised) -> Float[Tensor, " bidder"]:
        """Return each bidder's exposure where it alone is shown, contexts averaged, float64; one feature."""
        return torch.stack([view.exposures[entry, i, 0] for i, entry in enumerate(self.alone)])

    def isolates(self, view: Randomised) -> bool:
        """Tell whether a bidder's exposure is 0 wherever another alone or nobody is shown, in every context.

        Then there is no crosstalk, and nothing is unpaid.
        """
        given = [view.entries(which).exposures for which in (None, *range(len(contexts_of(view))))]
        return all(
            not bool(exposures[entry, i, 0])
            for exposures in given
            for i in range(len(self.alone))
            for entry in (self.nobody, *(own for j, own in enumerate(self.alone) if j != i))
        )


def strengths(view: Substrate) -> int:
    """Return at how many strengths bidders can be shown: the most settings that a bidder was measured alone at.

    0 where the range says not whom its entries show, or shows some bidder never alone.
    """
    moved = _moved(view)
    if moved is None or bool(moved[0].any()):
        return 0
    counts = [len(_alone(moved, i)) for i in range(moved.shape[1])]
    return max(counts) if min(counts) else 0


def showings(view: Randomised, strength: int) -> Showings:
    """Return the entries that show bidders at a strength.

    Entries in which one bidder alone moves are its strengths, in the order of the range, which carriers' lists hold
    from weak to strong; a bidder with fewer stays at its last. Of several entries that show the same set the one is
    taken whose levers are nearest to those that its bidders have alone, each lever by its share of the range.

    Args:
        view: A `Randomised` range over levers of each bidder's own, such as a carrier's list.
        strength: 0 for the weakest.
    Raises:
        ValueError: No such strength, or a range that says not whom its entries show.
    """
    count = strengths(view)
    if not count:
        raise InputError("the entries of this range do not say whom they show alone: pass Showings")
    if not 0 <= strength < count:
        raise InputError(f"strength must be one of 0 … {count - 1}, got {strength}")
    moved, base = _moved(view), _base(view)
    if moved is None or base is None:  # strengths would be 0
        raise InputError("the entries of this range do not say whom they show alone")
    alone = tuple(own[min(strength, len(own) - 1)] for own in (_alone(moved, i) for i in range(moved.shape[1])))
    levers = base.levers
    allocations = at_null(base.finite_range().allocations.double(), levers)
    spans = torch.tensor([max(lever.high - lever.low, 1e-300) for lever in levers], dtype=torch.float64)
    wanted = torch.stack([allocations[entry, i] for i, entry in enumerate(alone)])
    found: dict[frozenset[int], tuple[float, int]] = {}
    for entry, row in enumerate(moved):
        shown = frozenset(row.nonzero().flatten().tolist())
        if len(shown) < 2:
            continue
        members = sorted(shown)
        distance = float(((allocations[entry, members] - wanted[members]) / spans).abs().sum())
        found[shown] = min(found.get(shown, (float("inf"), entry)), (distance, entry))
    return Showings(0, alone, {shown: entry for shown, (_, entry) in found.items()})


def _base(view: Substrate) -> Any:
    return view.substrate if isinstance(view, Randomised) else None


def _moved(view: Substrate) -> Bool[Tensor, "entry bidder"] | None:
    """Return which bidders each entry moves, None where entries are no levers of each bidder's own."""
    base = _base(view)
    if base is None or not base.levers:
        return None
    allocations = base.finite_range().allocations
    if allocations.shape[1:] != (base.num_bidders, len(base.levers)):
        return None
    nulls = torch.tensor([lever.null for lever in base.levers], dtype=allocations.dtype)
    return (at_null(allocations, base.levers) != nulls).any(2)


def _alone(moved: Bool[Tensor, "entry bidder"], bidder: int) -> list[int]:
    only = moved[:, bidder] & (moved.sum(1) == 1)
    return [int(entry) for entry in only.nonzero().flatten()]


SHOWN_ALONE = Need(
    "a Randomised range over levers, with entries that show each bidder alone", lambda view: strengths(view) > 0
)
