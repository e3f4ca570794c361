"""A list of joint settings whose entries show bidders alone and together, for mechanisms that pick winners."""

import itertools

import torch
from finite_list import FiniteList
from torch import Tensor

from auctionsim.mechanisms.showings import Showings
from auctionsim.substrates import FiniteRange, Lever, Randomised


class ShownList(FiniteList):
    """Entry k sets bidders' levers to levels (entry, bidder), the first all 0, and gives exposures and losses.

    Args:
        levels: (entry, bidder) in [0, 1].
        exposures: (context, entry, bidder), or (entry, bidder).
        losses: (context, entry), or (entry,).
    """

    def __init__(self, levels: Tensor, exposures: Tensor, losses: Tensor) -> None:
        exposures = exposures if exposures.ndim == 3 else exposures.unsqueeze(0)
        losses = losses if losses.ndim == 2 else losses.unsqueeze(0)
        super().__init__(exposures.unsqueeze(3), losses, with_contexts=len(exposures) > 1)
        self.levels = levels.double()
        self.levers = (Lever("strength", 0.0, 1.0, 0.0),)

    def finite_range(self, context: Tensor | None = None) -> FiniteRange:
        return super().finite_range(context)._replace(allocations=self.levels.unsqueeze(2))

    def _entry(self, allocation: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        same = (allocation.flatten(1).double().unsqueeze(1) == self.levels).all(2)
        return super()._entry(same.double().argmax(1).view(-1, 1, 1), context)


def levels_of(bidders: int, strengths: int) -> Tensor:
    """Return nobody, each bidder alone at strengths from weak to strong, and every larger set at the strongest."""
    rows = [[0.0] * bidders]
    for i in range(bidders):
        rows += [[(k + 1) / strengths * (j == i) for j in range(bidders)] for k in range(strengths)]
    for size in range(2, bidders + 1):
        rows += [[float(j in some) for j in range(bidders)] for some in itertools.combinations(range(bidders), size)]
    return torch.tensor(rows, dtype=torch.float64)


def shown_list(seed: int, bidders: int, strengths: int = 1, contexts: int = 1) -> ShownList:
    """Return random exposures in eighths, most for whom an entry shows, some for others, and losses of eighths."""
    generator = torch.Generator().manual_seed(seed)
    levels = levels_of(bidders, strengths)
    shape = (contexts, *levels.shape)
    shown = (torch.randint(1, 5, shape, generator=generator) / 8 + levels / 2) * (levels > 0)
    crosstalk = torch.randint(0, 2, shape, generator=generator) / 16
    losses = torch.randint(-1, 5, (contexts, len(levels)), generator=generator) / 8
    losses[:, 0] = 0
    return ShownList(levels, shown + crosstalk, losses)


def isolated(alone: list[float], together: dict[tuple[int, ...], list[float]]) -> tuple[Randomised, Showings]:
    """Return a range in which nobody has exposure where it is not shown, and its showings; no losses.

    Args:
        alone: (bidder,) exposure where it alone is shown.
        together: By sets of two or more, the exposures of its members in order.
    """
    n = len(alone)
    levels, exposures = torch.zeros(1 + n + len(together), n), torch.zeros(1 + n + len(together), n)
    levels[1 : n + 1], exposures[1 : n + 1] = torch.eye(n), torch.diag(torch.tensor(alone))
    sets = {}
    for k, (members, each) in enumerate(together.items(), n + 1):
        levels[k, list(members)], exposures[k, list(members)] = 1.0, torch.tensor(each)
        sets[frozenset(members)] = k
    place = ShownList(levels, exposures.double(), torch.zeros(len(levels)))
    return Randomised(place), Showings(0, tuple(range(1, n + 1)), sets)
