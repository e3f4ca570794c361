"""Positions inside a text whose ads compete for one click: multinomial logit over what is shown."""

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.blocks import row_blocks
from auctionsim.checks import (
    checked_allocation,
    checked_context,
    checked_count,
    checked_money,
    checked_number,
    checked_weights,
)
from auctionsim.errors import InputError
from auctionsim.substrates.protocol import BaseSubstrate, FiniteRange, Lever

MOST_PLACEMENTS = 2**16
"""Ways to place bidders that are listed at most."""
MOST_ATTRACTION = 1e30
"""So that sums of attractions stay finite in float32."""


@dataclass(frozen=True)
class MNLPositions(BaseSubstrate):
    """Bidder i in position s attracts a_is, and is clicked with probability e_i = a_is / (1 + Σ of what is shown).

    A lever is 1 for being in a position; each position holds one bidder at most, each bidder has one at most, and
    positions may stay empty. Shares of a placement are not feasible: clicks are no linear function of them. L = 0. The
    range is finite: nobody first, then by how many are placed, bidders and positions in order.

    Args:
        attraction: a, one row a bidder with one number ≥ 0 a position; at most 65,536 placements in all.
    Source:
        Balseiro, Bhawalkar, Deng, Feng, Mao, Mehta, Mirrokni, Paes Leme, Wang and Zuo (2025), "Position auctions in
        AI-generated content", arXiv 2506.03309, the model in which the order of ads does not matter. Theirs is solved
        without enumeration and may limit how many are placed; here all placements are listed.
    Example:
        >>> place = MNLPositions(((1.5, 0.8), (1.2, 0.9), (0.6, 0.5)))
        >>> place.maximise(torch.tensor([[[1.0], [0.8], [1.8]]]), 0.0)[0]
        tensor([[1., 0.],
                [0., 0.],
                [0., 1.]])
    """

    attraction: tuple[tuple[float, ...], ...]
    features = ("clicks",)

    def __post_init__(self) -> None:
        rows = tuple(
            tuple(checked_number(one, "attraction", 0.0, MOST_ATTRACTION) for one in row) for row in self.attraction
        )
        widths = {len(row) for row in rows}
        if len(widths) != 1 or widths == {0}:
            raise InputError(f"attraction must be one row a bidder, with as many positions each, got {rows!r:.80}")
        object.__setattr__(self, "attraction", rows)
        listed = sum(
            math.comb(len(rows), size) * math.perm(self._positions, size)
            for size in range(min(len(rows), self._positions) + 1)
        )
        if listed > MOST_PLACEMENTS:
            raise InputError(
                f"{len(rows)} bidders in {self._positions} positions can be placed in {listed} ways, "
                f"at most {MOST_PLACEMENTS} are listed"
            )

    @property
    def num_bidders(self) -> int:
        """One row of attractions a bidder."""
        return len(self.attraction)

    @property
    def levers(self) -> tuple[Lever, ...]:
        """One a position."""
        return tuple(Lever(f"position_{s}", 0.0, 1.0, 0.0) for s in range(self._positions))

    @property
    def exposure_bounds(self) -> tuple[float, float]:
        """From nothing to the greatest attraction alone: whoever joins takes clicks away."""
        most = max(one for row in self.attraction for one in row)
        return 0.0, most / (1 + most)

    @property
    def separable(self) -> bool:
        """With one bidder and one position."""
        return self.num_bidders == 1 and self._positions == 1

    @property
    def anonymous(self) -> bool:
        """Whether all bidders attract alike."""
        return len(set(self.attraction)) == 1

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return nobody anywhere: zeros (batch, bidder, position)."""
        checked_count(batch, "batch", 0)
        return torch.zeros(batch, self.num_bidders, self._positions, dtype=dtype, device=device)

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows give each position and each bidder at most one, none in part: (batch,) bool."""
        x = checked_allocation(allocation, (self.num_bidders, self._positions), finite=False)
        whole = ((x == 0) | (x == 1)).flatten(1).all(1)
        return whole & (x.sum(1) <= 1).all(1) & (x.sum(2) <= 1).all(1)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the probability of a click on each bidder: (batch, bidder, 1)."""
        checked_context(context, len(allocation), self.contexts)
        return self._clicks(self._checked(allocation)).unsqueeze(2)

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return zeros (batch,)."""
        checked_context(context, len(allocation), self.contexts)
        return self._checked(allocation).new_zeros(len(allocation))

    def finite_range(self, context: Tensor | None = None) -> FiniteRange:
        """Return every placement."""
        if context is not None:
            checked_context(context, len(context), self.contexts)
        x = self._placements.clone()
        return FiniteRange(x, self._clicks(x).view(1, len(x), self.num_bidders, 1), torch.zeros(1, len(x)).double())

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        """Return the best placement by enumeration, the first of equals, summed term by term."""
        checked_weights(weights, self.num_bidders, len(self.features))
        checked_money(user_weight, "user_weight")
        checked_context(context, len(weights), self.contexts)
        placements = self._placements.to(weights.device)
        clicks = self._clicks(placements).T  # (bidder, placement)
        w, best = weights.double().squeeze(2), torch.zeros(len(weights), dtype=torch.int64, device=weights.device)
        for rows in row_blocks(len(weights), len(placements)):
            total = w.new_zeros(len(w[rows]), len(placements))
            for i in range(self.num_bidders):
                total = torch.addcmul(total, w[rows, i, None], clicks[i])
            best[rows] = total.argmax(1)
        return placements[best].to(weights.dtype)

    @property
    def _positions(self) -> int:
        return len(self.attraction[0])

    @cached_property
    def _placements(self) -> Tensor:
        """All ways to place bidders (placement, bidder, position), float64."""
        places = [
            (bidders, positions)
            for size in range(min(self.num_bidders, self._positions) + 1)
            for bidders in itertools.combinations(range(self.num_bidders), size)
            for positions in itertools.permutations(range(self._positions), size)
        ]
        x = torch.zeros(len(places), self.num_bidders, self._positions, dtype=torch.float64)
        for k, (bidders, positions) in enumerate(places):
            x[k, list(bidders), list(positions)] = 1
        return x

    def _clicks(self, x: Float[Tensor, "row bidder position"]) -> Float[Tensor, "row bidder"]:
        shown = (x * x.new_tensor(self.attraction)).sum(2)
        return shown / (1 + shown.sum(1, keepdim=True))

    def _checked(self, allocation: Tensor) -> Tensor:
        return checked_allocation(allocation, (self.num_bidders, self._positions))
