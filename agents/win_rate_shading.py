"""A bidder with a memory: it shades its bids by a share that it moves until it wins as often as it wants to."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_number, checked_positive
from auctionsim.strategies import Memory, Situation
from auctionsim.strategy_memory import Turn


@dataclass(frozen=True)
class WinRateShading:
    """Bid a share of the valuation that rises after a loss and falls after a win.

    After round r the share is multiplied by exp(step · (target − won) / (r + 1)^½), won being 1 where the round brought
    any exposure, and capped at `most`. Where winning becomes likelier with the share it ends near the share that wins
    a `target` of the rounds, if one up to `most` does.

    Args:
        target: Share of rounds to win, in [0, 1].
        start: The share at first, > 0.
        step: How fast it moves, ≥ 0.
        most: The largest share, > 0.
    Source:
        Robbins and Monro (1951), "A stochastic approximation method"; here on the logarithm, with steps 1/√r.
    """

    target: float
    start: float = 1.0
    step: float = 1.0
    most: float = 1.0

    remembers: ClassVar[bool] = True
    observes: ClassVar[tuple[str, ...]] = ("round", "last_exposure")

    def __post_init__(self) -> None:
        checked_number(self.target, "target", 0.0, 1.0)
        checked_number(self.step, "step")
        checked_positive(self.most, "most")
        checked_number(self.start, "start", 0.0, self.most)

    def begin(self, batch: int) -> Memory:
        """Return the share that episodes begin with."""
        return {"share": torch.full((batch,), self.start, dtype=torch.float64)}

    def next(self, memory: Memory, valuations: Float[Tensor, "batch feature"], situation: Situation) -> Turn:
        """Return share × valuations, the share moved by what the last round brought."""
        assert situation.round is not None
        assert situation.last_exposure is not None
        rounds = situation.round.to(torch.float64)
        won = (situation.last_exposure > 0).any(1).to(torch.float64)
        move = torch.exp(self.step * (self.target - won) / (rounds + 1).sqrt())
        share = torch.where(rounds > 0, memory["share"] * move, memory["share"]).clamp_max(self.most)
        return Turn(share.to(valuations.dtype).unsqueeze(1) * valuations, {"share": share})
