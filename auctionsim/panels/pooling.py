"""Pooled scores: mean, largest and trimmed mean of what judges give, item by item, with gaps."""

import numpy as np
from jaxtyping import Float

from auctionsim.errors import InputError


def mean_score(scores: Float[np.ndarray, "item judge"]) -> Float[np.ndarray, " item"]:
    """Return each item's mean score; NaN is a gap, and an item of gaps alone gives NaN.

    Best among unbiased pools where judges' errors are normal, independent and equally wide.
    """
    return trimmed_score(scores, 0.0)


def max_score(scores: Float[np.ndarray, "item judge"]) -> Float[np.ndarray, " item"]:
    """Return each item's largest score; NaN is a gap, and an item of gaps alone gives NaN.

    One judge who finds a failure is enough, and so is one who is mistaken: false alarms grow with the panel.
    """
    _check(scores)
    found = np.where(np.isnan(scores), -np.inf, scores).max(1)
    return np.where(np.isnan(scores).all(1), np.nan, found)


def trimmed_score(scores: Float[np.ndarray, "item judge"], share: float = 0.2) -> Float[np.ndarray, " item"]:
    """Return each item's mean score without the lowest and the highest.

    Of m scores that are there ⌊share · m⌋ are left out at either end, so `share` − 1/m of the judges can say what they
    like without moving it beyond the others' scores. At .5 and above a third nothing but the middle would be left: the
    median is what the share just below .5 gives.

    Args:
        scores: NaN is a gap; an item of gaps alone gives NaN.
        share: Left out at either end, at least 0 and below .5.
    Example:
        >>> trimmed_score(np.array([[0.1, 0.2, 0.3, 0.2, 9.0]])).round(4).tolist()
        [0.2333]
    """
    _check(scores)
    if not 0 <= share < 0.5:
        raise InputError(f"the share that is trimmed must be at least 0 and below .5, got {share:g}")
    there = (~np.isnan(scores)).sum(1)
    cut = np.floor(share * there + 1e-9).astype(int)
    ranked = np.sort(scores, axis=1)  # gaps come last
    place = np.arange(scores.shape[1])
    kept = (place >= cut[:, None]) & (place < (there - cut)[:, None])
    total = np.where(kept, ranked, 0.0).sum(1)
    return np.where(there > 0, total / np.maximum(kept.sum(1), 1), np.nan)


def _check(scores: Float[np.ndarray, "item judge"]) -> None:
    if not scores.shape[1] or np.isinf(scores).any():
        raise InputError(f"scores must be finite, or NaN for a gap, of at least one judge, got shape {scores.shape}")
