"""Policies that trade a reward against a reference: tilts by every divergence over β, and best-of draws over n."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim.mechanisms import (
    Alpha,
    ChiSquared,
    Divergence,
    ForwardKL,
    JensenShannon,
    ReverseKL,
    TotalVariation,
    best_of_majority,
    best_of_n,
)

DIVERGENCES: dict[str, Divergence] = {
    "reverse KL": ReverseKL(),
    "forward KL": ForwardKL(),
    "χ²": ChiSquared(),
    "Jensen–Shannon": JensenShannon(),
    "α = ½": Alpha(0.5),
    "total variation": TotalVariation(),
}
REVERSE, FORWARD = "reverse KL", "forward KL"
BEST_OF_N, BEST_OF_MAJORITY = "best of n", "best of majority"


class PolicyGrid(NamedTuple):
    """Which policies are compared.

    Attributes:
        betas: β of the tilts, largest last.
        draws: n of best-of-n and of best-of-majority.
        share: Of draws that an answer must have for best-of-majority to keep it.
    """

    betas: tuple[float, ...]
    draws: tuple[int, ...]
    share: float

    def settings(self) -> list[tuple[str, float]]:
        """Return family and setting of each policy, in the order of `laws`."""
        tilts = [(name, beta) for name in DIVERGENCES for beta in self.betas]
        return tilts + [(name, float(n)) for name in (BEST_OF_N, BEST_OF_MAJORITY) for n in self.draws]


def tilts(rewards: Tensor, p: Tensor, betas: Sequence[float]) -> dict[str, Tensor]:
    """Return every divergence's tilts of one reward, (beta, reply), by name; a tilt of r at β is one of r/β at 1."""
    scaled = rewards.double() / torch.tensor(betas, dtype=torch.float64).unsqueeze(1)
    return {name: divergence.tilt(scaled, 1.0, p) for name, divergence in DIVERGENCES.items()}


def laws(rewards: Tensor, p: Tensor, grid: PolicyGrid, answers: Tensor | None = None) -> Tensor:
    """Return what each policy of the grid gives out: (policy, reply), float64.

    Args:
        rewards: What policies see: (reply,).
        p: The reference: (reply,).
        grid: Which policies.
        answers: Which answer each reply gives, see `best_of_majority`.
    """
    row = rewards.double().unsqueeze(0)
    drawn = [best_of_n(row, n, p) for n in grid.draws]
    drawn += [best_of_majority(row, n, grid.share, p, answers) for n in grid.draws]
    return torch.cat([*tilts(rewards, p, grid.betas).values(), *drawn])
