"""Disagreement kept as a signal: shares of votes as soft labels, their spread per reply, and what it says of errors.

A reply on which raters split is not a reply with a wrong label: the split is information. A majority throws it away.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from auctionsim.errors import InputError
from auctionsim.trust.agreement import FEWEST, IntervalEstimate, auc
from auctionsim.trust.raters.ratings import RatingTable, checked_ratings


class ItemDisagreement(NamedTuple):
    """Spread of ratings, per reply.

    Attributes:
        entropy: Of the shares of values, in bits: 0 where all agree, 1 where two values split evenly.
        variance: Of the ratings as numbers, divided by their number.
        num_ratings: How many there are; with few of them both numbers are too low.
    """

    entropy: Float[np.ndarray, " item"]
    variance: Float[np.ndarray, " item"]
    num_ratings: Float[np.ndarray, " item"]


class ErrorsByDisagreement(NamedTuple):
    """Errors of a judge where raters agree and where they differ.

    Attributes:
        agreed: Replies on which all raters agree.
        agreed_error: Share of wrong judgements among them; NaN where there are none.
        split: Replies on which they differ.
        split_error: Share of wrong judgements among those; NaN likewise.
        auc: Probability that a wrongly judged reply has more disagreement than a rightly judged one, ties half; None
            where fewer than three are wrong or right.
    """

    agreed: int
    agreed_error: float
    split: int
    split_error: float
    auc: IntervalEstimate | None


def soft_labels(
    table: RatingTable,
) -> tuple[Float[np.ndarray, " value"], Float[np.ndarray, "item value"]]:
    """Return the values that occur, in order, and each reply's share of ratings per value.

    Replies without a rating have NaN.

    Raises:
        ValueError: See `RatingTable`: one rater alone, or no reply with two ratings.
    """
    checked_ratings(table)
    domain = np.unique(table.values[~np.isnan(table.values)])
    counts = np.stack([(table.values == one).sum(0) for one in domain], 1).astype(np.float64)
    total = counts.sum(1, keepdims=True)
    shares = np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)
    return domain, shares


def disagreement_of(table: RatingTable) -> ItemDisagreement:
    """Return the spread of ratings per reply; NaN where a reply has none.

    Raises:
        ValueError: One rater alone, or no reply with two ratings.
    """
    domain, shares = soft_labels(table)
    logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    entropy = np.where(np.isnan(shares[:, 0]), np.nan, np.maximum(-(np.nan_to_num(shares) * logs).sum(1), 0.0))
    mean = shares @ domain
    variance = np.maximum(shares @ domain**2 - mean**2, 0.0)
    return ItemDisagreement(entropy, variance, (~np.isnan(table.values)).sum(0).astype(np.float64))


def errors_by_disagreement(
    spread: Float[np.ndarray, " item"], wrong: Bool[np.ndarray, " wrong"], clusters: Sequence[Hashable] | None = None
) -> ErrorsByDisagreement:
    """Return whether a judge errs where raters differ.

    Whether a judgement is wrong must not rest on the same ratings: a majority of three is itself unsure on a split
    reply, and makes any judge look worse there. Take a rating that is not in the table, or an adjudication.

    Args:
        spread: Disagreement per reply, such as the entropy.
        wrong: Whether the judge is wrong about it.
        clusters: What draws belong to.
    Raises:
        ValueError: Unequal numbers, none, or a disagreement that is not finite.
    """
    if len(spread) != len(wrong) or not len(spread):
        raise InputError(f"disagreements and errors must be of the same replies, got {len(spread)} and {len(wrong)}")
    if not np.isfinite(spread).all():
        raise InputError("disagreements must be finite: leave out replies that nobody rated")
    split = spread > 0
    few = min(int(wrong.sum()), int((~wrong).sum()))
    found = auc(spread, wrong, clusters) if few >= FEWEST else None
    shares = [float(wrong[some].mean()) if some.any() else float("nan") for some in (~split, split)]
    return ErrorsByDisagreement(int((~split).sum()), shares[0], int(split.sum()), shares[1], found)
