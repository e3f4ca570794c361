"""Covariances of losses that were read off the same replies, within each cell."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from auctionsim.measurement.relation import relative, summarise
from auctionsim.readings.protocol import HIGHER, Reading
from auctionsim.substrates.covariances import Pair, pairs_of


def loss_covariances(readings: Sequence[Reading], values: Mapping[str, Tensor]) -> dict[Pair, Tensor]:
    """Return the covariance of every two losses' means, relative to the untouched reply: (context, intervention).

    Two means over n_a and n_b replies, n_ab of them scored by both, have the covariance n_ab σ_ab / (n_a n_b): replies
    that only one reading scored are independent of the other's. σ_ab is estimated of the n_ab pairs, divided by
    n_ab − 1; fewer than two pairs tell nothing, and give 0. A loss by difference shares the untouched reply's mean with
    every other such loss, whose covariance adds to it. None is larger than the product of the two errors.

    Args:
        readings: The losses.
        values: By loss, of every reply: (context, intervention, reply), the null first, NaN where unscored or not
            drawn.
    """
    by_name = {one.name: one for one in readings}
    errors = {one.name: relative(one, summarise(values[one.name])).standard_error for one in readings}
    found = {}
    for one, other in pairs_of(by_name):
        own = _covariance(values[one], values[other])
        sign = -1 if (by_name[one].loss == HIGHER) != (by_name[other].loss == HIGHER) else 1
        total = sign * (own + own[:, :1])  # of a loss as it stands, every untouched value is 0
        total[:, 0] = 0
        most = errors[one] * errors[other]
        found[one, other] = total.clamp(-most, most)
    return found


def _covariance(one: Tensor, other: Tensor) -> Tensor:
    """Return the covariance of two means over the last axis; absent entries are NaN."""
    both = ~(one.isnan() | other.isnan())
    n = both.sum(2)
    counts = (~one.isnan()).sum(2) * (~other.isnan()).sum(2)
    centred = [torch.where(both, part, 0.0) for part in (one, other)]
    means = [part.sum(2, keepdim=True) / n.unsqueeze(2).clamp_min(1) for part in centred]
    parts = [torch.where(both, part - mean, 0.0) for part, mean in zip((one, other), means, strict=True)]
    return (parts[0] * parts[1]).sum(2) / (n - 1).clamp_min(1) * n / counts
