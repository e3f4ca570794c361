"""The Kullback–Leibler divergence of two next-token laws, from their logits."""

import torch
from torch import Tensor

_ROWS = 64  # distributions compared at once


def divergence(logits: Tensor, reference: Tensor) -> Tensor:
    """Return KL(softmax(logits) ‖ softmax(reference)) over the last axis, exact over the vocabulary, in nats.

    Computed in float32, a few rows at a time: a batch's float32 probabilities would take gigabytes. What rounding does
    to the two normalising sums is taken out again, so that near 0 the error is some 10⁻⁸, not 10⁻⁶.
    """
    flat = logits.flatten(0, -2)
    other = reference.expand_as(logits).flatten(0, -2)
    parts = [_divergence(flat[k : k + _ROWS], other[k : k + _ROWS]) for k in range(0, len(flat), _ROWS)]
    return torch.cat(parts).view(logits.shape[:-1])


def _divergence(logits: Tensor, reference: Tensor) -> Tensor:
    log_p = torch.log_softmax(logits.float(), dim=-1)
    log_q = torch.log_softmax(reference.float(), dim=-1)
    p, q = log_p.exp(), log_q.exp()
    mass = p.sum(-1, dtype=torch.float64)  # 1 but for rounding
    shift = mass.log() - q.sum(-1, dtype=torch.float64).log()
    moved = p.mul_(log_p.sub_(log_q)).sum(-1, dtype=torch.float64)
    return (moved / mass - shift).clamp_min(0).float()  # negative only by rounding
