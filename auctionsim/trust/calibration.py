"""Calibration of probabilities: Brier score, reliability, expected calibration error, and a mend on held-out labels."""

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from auctionsim.errors import InputError, MissingPackageError
from auctionsim.seeds import checked_seed
from auctionsim.trust.agreement import FEWEST, numbered

BINS = 10
MENDS = ("platt", "isotonic")
FEWEST_TO_CALIBRATE = 20
"""Labels that a mend is fitted on, and labels that it is tried on: at least so many of each."""
Mend = Callable[[Float[np.ndarray, " reply"]], Float[np.ndarray, " reply"]]


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


class Recalibration(NamedTuple):
    """A mend of probabilities, and what it does on labels that it was not fitted on.

    Attributes:
        mend: Takes probabilities, returns better ones.
        before: Calibration on the labels that were held out, as they were.
        after: Likewise once mended.
        num_fitted: Labels that the mend was fitted on.
        num_held_out: Labels that the two numbers are of.
    """

    mend: Mend
    before: Calibration
    after: Calibration
    num_fitted: int
    num_held_out: int


def recalibrate(
    probabilities: Float[np.ndarray, " reply"],
    bad: Bool[np.ndarray, " label"],
    method: str = "platt",
    share: float = 0.5,
    seed: int = 0,
    clusters: Sequence[Hashable] | None = None,
) -> Recalibration:
    """Fit a mend of probabilities on a random part of the labels, and try it on the rest.

    Platt's mend is σ(a + b · log odds): two numbers, so it needs few labels, and it cannot mend what is not S-shaped.
    The isotonic one is the closest rising step function: it needs hundreds of labels, and makes ties. Neither changes
    which of two replies is worse, so neither changes an AUC beyond ties.

    Args:
        probabilities: That a reply is bad, in [0, 1].
        bad: The labels.
        method: One of "platt", "isotonic".
        share: Of the labels (of the clusters, where they are given) that the mend is fitted on.
        seed: Draws the parts.
        clusters: What stays in one part together, such as prompts; None: every reply by itself.
    Raises:
        ValueError: Another method, a share out of (0, 1), what is no probability, or fewer than 20 labels, or fewer
            than three of either kind, in a part.
        ImportError: scikit-learn is not installed.
    Source:
        Platt (1999), "Probabilistic outputs for support vector machines"; Zadrozny and Elkan (2002), "Transforming
        classifier scores into accurate multiclass probability estimates"; by scikit-learn.
    """
    if method not in MENDS:
        raise InputError(f"the method must be one of {', '.join(MENDS)}, got {method!r}")
    if not 0 < share < 1:
        raise InputError(f"the share of labels that the mend is fitted on must be in (0, 1), got {share}")
    if len(probabilities) != len(bad):
        raise InputError(f"probabilities and labels must be of the same replies, got {len(probabilities)}, {len(bad)}")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise InputError("calibration needs probabilities in [0, 1]")
    of = numbered(clusters, len(bad))
    groups = int(of.max()) + 1 if len(of) else 0
    order = np.random.default_rng(checked_seed(seed)).permutation(groups)
    fitted = np.isin(of, order[: round(share * groups)])
    for what, part in (("fitted", bad[fitted]), ("tried", bad[~fitted])):
        few = min(int(part.sum()), int((~part).sum()))
        if len(part) < FEWEST_TO_CALIBRATE or few < FEWEST:
            rule = f"at least {FEWEST_TO_CALIBRATE} labels, {FEWEST} of them of either kind"
            raise InputError(f"a mend must be {what} on {rule}, got {len(part)} and {few} of the rarer")
    mend = (
        _platt(probabilities[fitted], bad[fitted])
        if method == "platt"
        else _isotonic(probabilities[fitted], bad[fitted])
    )
    rest, labels = probabilities[~fitted], bad[~fitted]
    numbers = int(fitted.sum()), int((~fitted).sum())
    return Recalibration(mend, calibration_of(rest, labels), calibration_of(mend(rest), labels), *numbers)


def _log_odds(probabilities: Float[np.ndarray, " reply"]) -> Float[np.ndarray, "reply 1"]:
    clipped = np.clip(probabilities, 1e-6, 1 - 1e-6)
    found: Float[np.ndarray, "reply 1"] = np.log(clipped / (1 - clipped))[:, None]
    return found


def _platt(probabilities: Float[np.ndarray, " reply"], bad: Bool[np.ndarray, " reply"]) -> Mend:
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise MissingPackageError("a mend needs scikit-learn: pip install 'auctionsim[panels]'") from None
    fit = LogisticRegression(C=1e6, max_iter=1000).fit(_log_odds(probabilities), bad)  # a penalty too small to matter
    return lambda others: np.asarray(fit.predict_proba(_log_odds(others))[:, 1], np.float64)


def _isotonic(probabilities: Float[np.ndarray, " reply"], bad: Bool[np.ndarray, " reply"]) -> Mend:
    try:
        from sklearn.isotonic import IsotonicRegression
    except ImportError:
        raise MissingPackageError("a mend needs scikit-learn: pip install 'auctionsim[panels]'") from None
    fit = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(probabilities, bad.astype(np.float64))
    return lambda others: np.asarray(fit.predict(others), np.float64)
