"""Calibration of probabilities: the Brier score, the reliability table, and the expected calibration error."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from auctionsim.errors import InputError

BINS = 10


class ReliabilityRow(NamedTuple):
    """Replies whose probability lies in one bin.

    Attributes:
        low: Of the bin, its end included.
        high: Of the bin; included in the last one alone.
        num_replies: How many.
        predicted: Their mean probability.
        observed: Their share of bad ones.
    """

    low: float
    high: float
    num_replies: int
    predicted: float
    observed: float


class Calibration(NamedTuple):
    """Calibration of probabilities of a bad reply on some labels.

    Attributes:
        brier: mean (p − y)², 0 at best; the base rate's own is `base_rate` · (1 − `base_rate`).
        expected_error: Σ over bins of count/n · |observed − predicted|.
        base_rate: Share of bad replies.
        table: Bins that have replies.
    """

    brier: float
    expected_error: float
    base_rate: float
    table: tuple[ReliabilityRow, ...]


def calibration_of(
    probabilities: Float[np.ndarray, " reply"], bad: Bool[np.ndarray, " reply"], bins: int = BINS
) -> Calibration:
    """Return the calibration of probabilities that replies are bad.

    The expected calibration error depends on the bins and is biased upwards with few replies: some .05 at 100 replies
    even for a perfect probability.

    Args:
        probabilities: In [0, 1].
        bad: The labels.
        bins: Of equal width.
    Raises:
        ValueError: No replies, or what is no probability.
    Source:
        Brier (1950), "Verification of forecasts expressed in terms of probability"; Naeini, Cooper and Hauskrecht
        (2015), "Obtaining well calibrated probabilities using Bayesian binning".
    """
    if not len(bad) or not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise InputError("calibration needs replies, and probabilities in [0, 1]")
    observed = bad.astype(np.float64)
    place = np.minimum((probabilities * bins).astype(int), bins - 1)
    rows = []
    for k in range(bins):
        inside = place == k
        if inside.any():
            means = float(probabilities[inside].mean()), float(observed[inside].mean())
            rows.append(ReliabilityRow(k / bins, (k + 1) / bins, int(inside.sum()), *means))
    error = sum(row.num_replies * abs(row.observed - row.predicted) for row in rows) / len(bad)
    brier = float(((probabilities - observed) ** 2).mean())
    return Calibration(brier, error, float(observed.mean()), tuple(rows))
