"""Where bids meet: misreports made of the row's own and rival numbers, where learned auctions change fastest.

Attention compares bids, so a symmetric network may change within a thousandth of the box where the own bid meets a
rival's: as it is, with items exchanged, or in some items only. An even filling misses such needles.

One list per row, in an order that never changes, what is likelier first. Each point is made of numbers in the row (its
valuations and reports) and steps that are shares of its largest, so it scales with the currency and no other row
enters it. With many bidders and items there are more meeting points than a search has evaluations for: the list ends at
`most`.
"""

import itertools
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.regret.estimate import Game

STEPS = (0.005, 0.014, -0.005, 0.024, 0.034, -0.014)
"""How far beside a meeting point, shares of the row's largest number; more often above, where a bid begins to win."""
FINER = (0.0025, 0.0075, 0.0105, 0.019, -0.0025, -0.009)
"""Between them, where there are few points and so evaluations left."""
ORDERS = 5  # of the items, at most, beside their own


def meeting_points(
    game: Game, high: Float[Tensor, "batch bidder feature"], most: int
) -> Float[Tensor, "misreport batch bidder feature"]:
    """Return at most `most` misreports, the likeliest first, none above `high`."""
    rivals = [game.reports.roll(shift, 1) for shift in range(1, game.reports.shape[1])]
    turned = [*_reordered(rivals), *_reordered([game.valuations])]
    unit = torch.minimum(high, torch.maximum(game.valuations, game.reports).amax((1, 2), keepdim=True))
    kinds = itertools.chain(
        rivals if game.reports.shape[2] > 1 else [],  # one number that equals a rival's is a telling misreport already
        turned,
        _beside(rivals, unit, STEPS[:2]),
        _mixed(game.valuations, rivals),
        _crossed(game.valuations, rivals),
        _beside(rivals, unit, STEPS[2:]),
        _beside(turned, unit, STEPS),
        _beside(rivals, unit, FINER),
        _beside(turned, unit, FINER),
    )
    points = list(itertools.islice(kinds, most))
    if not points:
        return game.valuations.new_zeros(0, *game.valuations.shape)
    return torch.minimum(torch.stack(points).clamp_min(0), high)


def _reordered(bids: list[Tensor]) -> Iterator[Tensor]:
    """Yield bids with their items in other orders, exchanges of two before turns of all, every bid in each."""
    m = bids[0].shape[2] if bids else 1
    turns = sorted(itertools.islice(itertools.permutations(range(m)), 1, 721), key=_moved)
    for order in turns[:ORDERS]:
        for bid in bids:
            yield bid[..., list(order)]


def _moved(order: tuple[int, ...]) -> int:
    return sum(place != item for place, item in enumerate(order))


def _beside(points: list[Tensor], unit: Tensor, steps: tuple[float, ...]) -> Iterator[Tensor]:
    """Yield every point moved by each step in all items at once."""
    for step in steps:
        for point in points:
            yield point + step * unit


def _mixed(own: Tensor, rivals: list[Tensor]) -> Iterator[Tensor]:
    """Yield the highest rival bid for each item, and for each rival its bid in some items, the truth in the others."""
    m = own.shape[2]
    if not rivals or m == 1:
        return
    if len(rivals) > 1:
        yield torch.stack(rivals).amax(0)
    for taken in itertools.islice(itertools.product((True, False), repeat=m), 1, 2**m - 1):
        mask = torch.tensor(taken, device=own.device)
        for rival in rivals:
            yield torch.where(mask, rival, own)


def _crossed(own: Tensor, rivals: list[Tensor]) -> Iterator[Tensor]:
    """Yield mixtures of rivals' bids, then the truth with one item's bid taken from a rival's for another item."""
    m = own.shape[2]
    if m > 1:
        for picks in itertools.product(range(len(rivals)), repeat=m):
            if len(set(picks)) > 1:
                yield torch.stack([rivals[k][..., j] for j, k in enumerate(picks)], -1)
    for item, source in itertools.permutations(range(m), 2):
        for rival in rivals:
            swapped = own.clone()
            swapped[..., item] = rival[..., source]
            yield swapped
