"""The standard error of a sum of losses: exact where their covariances within a cell are known, else an upper bound."""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.records import Record

Pair = tuple[str, str]
"""Two losses, in alphabetical order."""
LARGEST_SLACK = 1e-3
"""By how much of it a covariance may pass the product of its two errors: a loss that is read again rounds otherwise."""
_ROUNDING = 1e-14  # of the squared sum of errors: a variance below it is what rounding leaves of 0


def pair_of(one: str, other: str) -> Pair:
    """Return two losses as a pair."""
    return (one, other) if one < other else (other, one)


def pairs_of(names: Iterable[str]) -> list[Pair]:
    """Return all pairs of these losses."""
    return list(itertools.combinations(sorted(names), 2))


def sum_error(
    charges: Sequence[tuple[str, float]], errors: Mapping[str, Tensor], covariances: Mapping[Pair, Tensor]
) -> Tensor:
    """Return the standard error of Σ weight · loss.

    Its square is Σ w_i² s_i² + 2 Σ_{i<j} w_i w_j c_ij, with s the standard errors and c the covariances of the means.
    Where c_ij is not known, |w_i w_j| s_i s_j stands for w_i w_j c_ij, the most that it can be: then the result is an
    upper bound, and with no pair known at all it is Σ |w_i| s_i.

    Args:
        charges: Losses with their weights, of either sign.
        errors: By loss, of one shape.
        covariances: By pair, of that shape.
    Returns:
        ≥ 0, of that shape; 0 where the losses cancel.
    """
    first, *more = (abs(weight) * errors[name] if abs(weight) != 1 else errors[name] for name, weight in charges)
    bound = first
    for part in more:
        bound = bound + part
    weights = dict(charges)
    if not any(pair in covariances for pair in pairs_of(weights)):
        return bound
    total = torch.stack([(weight * errors[name]).square() for name, weight in charges]).sum(0)
    for one, other in pairs_of(weights):
        product = weights[one] * weights[other]
        most = abs(product) * errors[one] * errors[other]
        known = covariances.get((one, other))
        total = total + 2 * (most if known is None else (product * known).clamp(-most, most))
    return torch.where(total > _ROUNDING * bound.square(), total, 0.0).clamp_min(0).sqrt()


def all_known(names: Iterable[str], covariances: Collection[Pair]) -> bool:
    """Tell whether the covariance of every pair of these losses is known, so that errors of sums are exact."""
    return all(pair in covariances for pair in pairs_of(names))


def covariance_record(covariances: Collection[Pair]) -> list[list[str]]:
    """Return the pairs as a file's record lists them, in the order of the last axis of its arrays."""
    return [list(pair) for pair in sorted(covariances)]


def pairs_from(record: Record) -> list[Pair]:
    """Return the pairs that `covariance_record` wrote, none where a file has none.

    Raises:
        ValueError: A pair that is none, or is there twice.
    """
    if "covariances" not in record:
        return []
    found = []
    for item in record.items("covariances"):
        names = Record({"pair": item}, "covariances").texts("pair")
        if len(names) != 2 or not names[0] < names[1] or names in found:
            raise InputError(f"covariances must be different pairs of losses, in order, got {names!r:.80}")
        found.append((names[0], names[1]))
    return found
