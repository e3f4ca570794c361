"""The best honest mechanism for bidders of finitely many types, by linear programming: the referee of the optimum.

Variables: for every profile of types the probabilities q of the list's entries, and a payment of either sign for every
bidder. Constraints: whatever the others' types, no type gains by another report, and none ends below 0. No bid but a
type can be made, so nothing is said of any other. It knows nothing of virtual values.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linprog
from scipy.sparse import coo_array
from torch import Tensor


class Types(NamedTuple):
    """One bidder's types (type,), increasing, and their probabilities."""

    values: Tensor
    chances: Tensor


def best_honest_objective(
    bidders: Sequence[Types],
    exposures: Tensor,
    user_losses: Tensor,
    user_weight: float,
    *,
    in_expectation: bool = False,
) -> float:
    """Return the largest E[Σ t − user_weight · L] of any honest mechanism that draws from the list.

    Args:
        bidders: Their types.
        exposures: (entry, bidder).
        user_losses: (entry,).
        user_weight: Money per unit of loss.
        in_expectation: Honest on average over the others' types (Bayesian) instead of whatever they are.
    """
    sizes = [len(one.values) for one in bidders]
    entries, n = len(exposures), len(bidders)
    profiles = list(np.ndindex(*sizes))
    place = {profile: k for k, profile in enumerate(profiles)}
    chance = np.array([np.prod([bidders[i].chances[p[i]] for i in range(n)]) for p in profiles])
    q_count = len(profiles) * entries
    e, loss = exposures.numpy(), user_losses.numpy()
    cost = np.concatenate([(chance[:, None] * user_weight * loss).ravel(), -np.repeat(chance, n)])
    rows, columns, numbers = [], [], []  # of u_i(report) − u_i(truth) ≤ 0
    count = 0

    def add(profile: tuple[int, ...], bidder: int, valuation: float, factor: float) -> None:
        """Add factor · (utility of `bidder` at `profile`'s outcome, for this valuation) to the current row."""
        k = place[profile]
        rows.extend([count] * (entries + 1))
        columns.extend([*range(k * entries, (k + 1) * entries), q_count + k * n + bidder])
        numbers.extend([*(factor * valuation * e[:, bidder]), -factor])

    for i in range(n):
        others = list(np.ndindex(*(size for j, size in enumerate(sizes) if j != i)))
        groups = [others] if in_expectation else [[one] for one in others]
        for group in groups:
            for truth in range(sizes[i]):
                v = float(bidders[i].values[truth])
                for report in [*range(sizes[i]), None]:
                    if report == truth:
                        continue
                    for rest in group:
                        weight = float(np.prod([bidders[j if j < i else j + 1].chances[r] for j, r in enumerate(rest)]))
                        add((*rest[:i], truth, *rest[i:]), i, v, -weight)
                        if report is not None:
                            add((*rest[:i], report, *rest[i:]), i, v, weight)
                    count += 1
    honest = coo_array((numbers, (rows, columns)), shape=(count, len(cost)))
    once = coo_array(
        (np.ones(q_count), (np.repeat(np.arange(len(profiles)), entries), np.arange(q_count))),
        shape=(len(profiles), len(cost)),
    )
    bounds = [(0, None)] * q_count + [(None, None)] * (len(profiles) * n)
    found = linprog(
        cost, A_ub=honest.tocsr(), b_ub=np.zeros(count), A_eq=once.tocsr(), b_eq=np.ones(len(profiles)), bounds=bounds
    )
    assert found.status == 0, found.message
    return -float(found.fun)


def types_of(values: Tensor, chances: Tensor) -> Types:
    """Return types in increasing order."""
    order = torch.argsort(values)
    return Types(values[order].double(), (chances[order] / chances.sum()).double())
