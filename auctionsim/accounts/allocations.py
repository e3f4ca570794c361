"""Allocations in words: what each bidder was given, on any substrate."""

from torch import Tensor

from auctionsim.levers import setting_words
from auctionsim.substrates.protocol import Substrate, allocation_shape, finite_range_of
from auctionsim.substrates.randomised import Randomised
from auctionsim.wording import listed, percent

NOTHING_GIVEN = "nothing"
MOST_NAMED = 3
"""Settings of a draw that are named; the others are counted together."""
_LEAST_CHANCE = 5e-4


def allocation_words(substrate: Substrate, allocation: Tensor) -> tuple[str, ...]:
    """Return what each bidder was given, in words: (bidder,).

    Args:
        substrate: What it was chosen on.
        allocation: One row, in the shape of the substrate's null allocation.
    """
    n = substrate.num_bidders
    levers = substrate.levers
    if allocation_shape(substrate) == (n, len(levers)) and levers:
        return tuple(_given(values, substrate) for values in allocation[0].tolist())
    if isinstance(substrate, Randomised) and substrate.substrate is not None:
        return _drawn(substrate.substrate, allocation[0])
    chances = ", ".join(percent(share) for share in allocation[0].flatten().tolist()[:MOST_NAMED])
    return (f"a share of a joint outcome ({chances} …)",) * n


def own_levers(substrate: Substrate, allocation: Tensor) -> tuple[tuple[float, ...], ...]:
    """Return each bidder's own levers, () for all where none is a bidder's own."""
    n = substrate.num_bidders
    if allocation_shape(substrate) != (n, len(substrate.levers)):
        return ((),) * n
    return tuple(tuple(values) for values in allocation[0].tolist())


def _given(values: list[float], substrate: Substrate) -> str:
    """Write one bidder's levers; of items and units, which are given one by one, those that it gets."""
    names = [lever.name for lever in substrate.levers]
    if tuple(names) != tuple(substrate.features):
        return setting_words(values, substrate.levers)
    parts = [
        (name.replace("_", " ") if share == 1 else f"{name.replace('_', ' ')} with {percent(share)}")
        for name, share in zip(names, values, strict=True)
        if share
    ]
    return listed(parts) or NOTHING_GIVEN


def _drawn(base: Substrate, chances: Tensor) -> tuple[str, ...]:
    """Write what each bidder is given in the entries that may be drawn."""
    entries = finite_range_of(base).allocations
    said = []
    for bidder in range(base.num_bidders):
        shares: dict[str, float] = {}
        for entry, chance in zip(entries, chances.tolist(), strict=True):
            if chance > _LEAST_CHANCE:
                words = allocation_words(base, entry.unsqueeze(0))[bidder]
                shares[words] = shares.get(words, 0.0) + chance
        said.append(_shares_in_words(shares))
    return tuple(said)


def _shares_in_words(shares: dict[str, float]) -> str:
    moved = sorted(((share, words) for words, share in shares.items() if words != NOTHING_GIVEN), reverse=True)
    if not moved:
        return NOTHING_GIVEN
    if len(moved) == 1 and moved[0][0] > 1 - _LEAST_CHANCE:
        return moved[0][1]
    parts = [f"{words} in {percent(share)} of replies" for share, words in moved[:MOST_NAMED]]
    rest = sum(share for share, _ in moved[MOST_NAMED:])
    return listed([*parts, f"others in {percent(rest)}"] if rest > _LEAST_CHANCE else parts)
