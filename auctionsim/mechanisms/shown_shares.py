"""Distributions over the showings of a range that give each bidder its share of being shown."""

import itertools

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.mechanisms.showings import Showings, showings, strengths
from auctionsim.mechanisms.showings_codec import checked_showings
from auctionsim.mechanisms.table import Need
from auctionsim.substrates.randomised import Randomised


def shares_of_showings(
    shares: Float[Tensor, "row bidder"], shown: Showings, entries: int
) -> Float[Tensor, "row entry"]:
    """Return the distribution over entries that shows each bidder by its share.

    The set of the k bidders with the largest shares is shown together with probability k (s_k − s_{k+1}), s_k the k-th
    largest: for two bidders, both with twice the smaller share, and the larger alone with the difference. A bidder's
    part of the sets that it is in, one k-th each, adds up to its share; what is left of 1 shows nobody.

    Args:
        shares: ≥ 0, at most 1 in a row's sum.
        shown: Which entry shows whom.
        entries: How many the range has.
    Raises:
        ValueError: A set of bidders that no entry shows.
    """
    n = shares.shape[1]
    out = shares.new_zeros(len(shares), entries)
    left = torch.ones_like(shares[:, 0])
    for i in range(n):
        left = left - shares[:, i]
    out[:, shown.nobody] = left.clamp_min(0)  # negative only by rounding
    for members in _sets(n):
        least = shares[:, list(members)].amin(1)
        others = [i for i in range(n) if i not in members]
        rest = shares[:, others].amax(1) if others else torch.zeros_like(least)
        entry = shown.entry(frozenset(members))
        out[:, entry] = out[:, entry] + len(members) * (least - rest).clamp_min(0)
    return out


def shows_all_sets(shown: Showings) -> bool:
    """Tell whether an entry shows each set of bidders."""
    return all(len(members) == 1 or frozenset(members) in shown.together for members in _sets(len(shown.alone)))


def exposes_by_shares(shown: Showings, view: Randomised) -> bool:
    """Tell whether a bidder's exposure is its share of being shown times its worth, in every context.

    So it is where a bidder that is not shown has none, and one of k that are shown together has one k-th of its worth.
    Then rules that are truthful about shares are truthful about this exposure.
    """
    sets = [frozenset(members) for members in _sets(len(shown.alone))]
    for which in (None, *range(len(view.contexts))):
        exposures = view.entries(which).exposures[..., 0]
        worths = torch.stack([exposures[entry, i] for i, entry in enumerate(shown.alone)])
        for members in (frozenset[int](), *sets):
            part = torch.tensor([(i in members) / max(1, len(members)) for i in range(len(worths))]).to(worths)
            if not torch.equal(exposures[shown.entry(members)], worths * part):
                return False
    return True


def worths_of_rows(
    view: Randomised, shown: Showings, context: Tensor | None, rows: int, device: torch.device
) -> Float[Tensor, "row bidder"]:
    """Return each bidder's exposure where it alone is shown, in each row's own context, float64; one feature."""
    if context is None:
        return shown.worths(view).to(device).expand(rows, -1)
    exposures = [view.entries(which).exposures for which in range(len(view.contexts))]
    listed = [torch.stack([given[entry, i, 0] for i, entry in enumerate(shown.alone)]) for given in exposures]
    return torch.stack(listed).to(device)[context.long()]


def checked_sets(view: Randomised, shown: Showings) -> Showings:
    """Return showings unchanged if they fit the range and show each set of bidders by an entry.

    Raises:
        ValueError: They do not.
    """
    checked_showings(view, shown)
    if not shows_all_sets(shown):
        sets = [sorted(members) for members in shown.together]
        raise InputError(f"each set of {len(shown.alone)} bidders must be shown by an entry, got the sets {sets}")
    return shown


def _sets(bidders: int) -> list[tuple[int, ...]]:
    return [some for size in range(1, bidders + 1) for some in itertools.combinations(range(bidders), size)]


SHOWN_IN_SETS = Need(
    "a Randomised range over levers, with entries that show each bidder alone and each set of them",
    lambda view: strengths(view) > 0 and shows_all_sets(showings(view, 0)),
)
