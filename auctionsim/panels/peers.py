"""Peer rank: judges who grade each other, each grade weighted by how good the grader is found to be.

Source:
    Walsh (2014), "The PeerRank method for peer assessment", equations of PeerRank and of its generalised form, which
    rewards grading well. Grades of oneself are left out here, so weights add up over the other graders.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from auctionsim.errors import FailedRunError, InputError


class PeerRank(NamedTuple):
    """Grades of judges at the fixed point.

    Attributes:
        grades: (judge,) from 0 to 1.
        rounds: Until no grade moved by more than the tolerance.
    """

    grades: Float[np.ndarray, " judge"]
    rounds: int


def peer_rank(
    grades: Float[np.ndarray, "graded grader"],
    *,
    step: float = 0.5,
    reward: float = 0.0,
    rounds: int = 10_000,
    tolerance: float = 1e-10,
) -> PeerRank:
    """Return each judge's grade, the mean of what the others give, weighted by their own grades.

    X_i ← (1 − α − β) X_i + α Σ_j X_j A_ij / Σ_j X_j + β (1 − mean_j |A_ji − X_j|), sums over graders j ≠ i who gave a
    grade; X starts at the plain mean. With β = 0 the fixed point is that of the weighted mean whatever α is.

    Args:
        grades: A_ij from 0 to 1, what judge j gives judge i; NaN where none was given. The diagonal is not read.
        step: α, above 0.
        reward: β, at least 0: for grading others as they are found to be. α + β is at most 1.
        rounds: Most of them.
        tolerance: Largest change at which it ends.
    Raises:
        ValueError: Grades that are none, one judge alone, or a judge whom nobody grades.
        RuntimeError: The grades still move after all rounds.
    """
    judges = len(grades)
    if grades.shape != (judges, judges) or judges < 2:
        raise InputError(f"grades must be of at least two judges by each other, got shape {grades.shape}")
    if not (step > 0 and reward >= 0 and step + reward <= 1):
        raise InputError(f"step must be above 0, reward at least 0, together at most 1, got {step:g} and {reward:g}")
    there = ~np.isnan(grades) & ~np.eye(judges, dtype=bool)
    given = np.where(there, grades, 0.0)
    if given.min() < 0 or given.max() > 1:
        raise InputError(f"grades must be from 0 to 1, got {given.min():g} to {given.max():g}")
    if not there.any(1).all():
        raise InputError(f"every judge must be graded by another, and nobody grades judge {int(there.any(1).argmin())}")
    found = given.sum(1) / there.sum(1)
    for done in range(1, rounds + 1):
        weights = there * found
        total = weights.sum(1)
        plain = given.sum(1) / there.sum(1)
        mean = np.where(total > 0, (weights * given).sum(1) / np.where(total > 0, total, 1.0), plain)
        number = there.sum(0)
        far = (there * np.abs(given - found[:, None])).sum(0) / np.maximum(number, 1)
        well = np.where(number > 0, 1 - far, found)
        after = (1 - step - reward) * found + step * mean + reward * well
        moved = float(np.abs(after - found).max())
        found = after
        if moved < tolerance:
            return PeerRank(found, done)
    raise FailedRunError(f"grades still move by {moved:.2g} after {rounds} rounds: take a smaller step")
