"""The shortlist: which campaign stands for each brand in a query, by bid × relevance, and which was next."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

ABSENT = -1.0
"""Score of a campaign that does not take part."""
NOBODY = -1
"""Where no campaign stands for a brand."""


class Shortlist(NamedTuple):
    """Who stands for each brand, row by row.

    Attributes:
        campaign: Column of the campaign with the highest score, the first of several; `NOBODY` where none takes part.
        score: Its score, in money per unit of exposure; 0 where none takes part.
        runner_up: The next best score of the brand; 0 where there is none.
    """

    campaign: Int[np.ndarray, "row brand"]
    score: Float[np.ndarray, "row brand"]
    runner_up: Float[np.ndarray, "row brand"]


def shortlist(scores: Float[np.ndarray, "row campaign"], spans: tuple[tuple[int, int], ...]) -> Shortlist:
    """Return who stands for each brand.

    Args:
        scores: bid × relevance, ≥ 0; `ABSENT` where a campaign does not take part.
        spans: First and last column (exclusive) of each brand's campaigns.
    Example:
        >>> shortlist(np.array([[0.3, 0.5, 0.2]]), ((0, 2), (2, 3))).campaign
        array([[1, 2]])
    """
    rows, brands = len(scores), len(spans)
    campaign = np.full((rows, brands), NOBODY)
    score, runner_up = np.zeros((rows, brands)), np.zeros((rows, brands))
    every = np.arange(rows)
    for brand, (begin, end) in enumerate(spans):
        if begin == end:
            continue
        own = scores[:, begin:end]
        best = own.argmax(1)
        top = own[every, best]
        there = top >= 0
        campaign[:, brand] = np.where(there, begin + best, NOBODY)
        score[:, brand] = np.where(there, top, 0.0)
        if end - begin > 1:
            others = own.copy()
            others[every, best] = ABSENT
            runner_up[:, brand] = np.maximum(others.max(1), 0.0)
    return Shortlist(campaign, score, runner_up)
