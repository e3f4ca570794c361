"""The shortlist: which campaign stands for each brand in a query, by bid × relevance, and what was the next score."""

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
    """

    campaign: Int[np.ndarray, "row brand"]
    score: Float[np.ndarray, "row brand"]


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
    campaign, score = np.full((rows, brands), NOBODY), np.zeros((rows, brands))
    every = np.arange(rows)
    for brand, (begin, end) in enumerate(spans):
        if begin < end:
            best = scores[:, begin:end].argmax(1) + begin
            top = scores[every, best]
            there = top >= 0
            campaign[:, brand] = np.where(there, best, NOBODY)
            score[:, brand] = np.where(there, top, 0.0)
    return Shortlist(campaign, score)


def next_scores(
    scores: Float[np.ndarray, "row campaign"], standing: Shortlist, spans: tuple[tuple[int, int], ...]
) -> Float[np.ndarray, "row brand"]:
    """Return the best score of each brand's other campaigns, 0 where there is none.

    Args:
        scores: As they were for `shortlist`.
        standing: What it returned.
        spans: As they were for it.
    Example:
        >>> scores, spans = np.array([[0.3, 0.5, 0.2]]), ((0, 2), (2, 3))
        >>> next_scores(scores, shortlist(scores, spans), spans)
        array([[0.3, 0. ]])
    """
    following = np.zeros(standing.score.shape)
    for brand, (begin, end) in enumerate(spans):
        if end - begin > 1:
            others = scores[:, begin:end].copy()
            there = standing.campaign[:, brand] != NOBODY
            others[there, standing.campaign[there, brand] - begin] = ABSENT
            following[:, brand] = np.maximum(others.max(1), 0.0)
    return following
