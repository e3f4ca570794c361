"""Split conformal intervals: a judge's reading plus or minus what held-out labels show, for one new label at a time."""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from auctionsim.errors import InputError, MissingPackageError


class ConformalIntervals(NamedTuple):
    """Intervals for new labels.

    Attributes:
        low: Lower ends.
        high: Upper ends.
        radius: Half their width, before bounds cut them: the k-th smallest error of n.
        coverage: k/(n + 1), the probability that is guaranteed: at least the one that was asked for.
        num_labels: n.
    """

    low: Float[np.ndarray, " reply"]
    high: Float[np.ndarray, " reply"]
    radius: float
    coverage: float
    num_labels: int


def fewest_labels(coverage: float) -> int:
    """Return how many labels an interval of some coverage needs: the smallest n with ⌈(n + 1) · coverage⌉ ≤ n.

    Raises:
        ValueError: A coverage out of (0, 1).
    Example:
        >>> fewest_labels(0.9), fewest_labels(0.95)
        (9, 19)
    """
    if not 0 < coverage < 1:
        raise InputError(f"the coverage must be in (0, 1), got {coverage}")
    return math.ceil(coverage / (1 - coverage) - 1e-9)


def split_conformal(
    labels: Float[np.ndarray, " label"],
    judged: Float[np.ndarray, " judgement"],
    judged_new: Float[np.ndarray, " reply"],
    coverage: float = 0.9,
    bounds: tuple[float, float] | None = None,
) -> ConformalIntervals:
    """Return intervals for the labels of new replies from a judge's readings and its errors on labelled ones.

    The radius is the k-th smallest |y − f| of n labelled replies, k = ⌈(n + 1) · coverage⌉. If labelled and new replies
    are exchangeable, and the judge was not fitted on these labels, a new label lies inside with probability at least
    k/(n + 1), exactly so without ties, whatever the judge is worth. That is over draws of the labels *and* of the
    reply: given the labels it varies as Beta(k, n + 1 − k), with n = 99 and .9 from .83 to .95. It holds over all
    replies, not at each dose. Intervals for a mean are another thing (`few_labels`).

    Args:
        labels: y of n labelled replies.
        judged: f of the same.
        judged_new: f of the new ones.
        coverage: Wanted probability.
        bounds: Of labels; intervals are cut there.
    Raises:
        ValueError: Fewer labels than the coverage needs, unequal lengths, values that are not finite, a coverage out of
            (0, 1), or bounds the wrong way round.
        ImportError: crepes is not installed.
    Source:
        Vovk, Gammerman and Shafer (2005), "Algorithmic learning in a random world"; Lei et al. (2018),
        "Distribution-free predictive inference for regression", theorem 2; by crepes, which is given (k − ½)/(n + 1)
        for the coverage, since it takes (1 − .9) · 100 to be 9.
    """
    needed = fewest_labels(coverage)
    n = len(labels)
    if n != len(judged):
        raise InputError(f"labels and judgements must be of the same replies, got {n} and {len(judged)}")
    if n < needed:
        raise InputError(f"coverage {coverage:g} needs at least {needed} labels, got {n}")
    for what, values in (("labels", labels), ("judgements", judged), ("judgements of new replies", judged_new)):
        if not np.isfinite(values).all():
            raise InputError(f"{what} must be finite, and {int((~np.isfinite(values)).sum())} are not")
    if bounds is not None and not bounds[0] < bounds[1]:
        raise InputError(f"bounds must be a lower and a higher number, got {bounds}")
    rank = math.ceil((n + 1) * coverage - 1e-9)
    fitted = _regressor().fit(labels - judged)
    ends = fitted.predict_int(np.append(judged_new, 0.0), confidence=(rank - 0.5) / (n + 1))
    radius = float(ends[-1, 1])
    low, high = ends[:-1].T if bounds is None else np.clip(ends[:-1], *bounds).T
    return ConformalIntervals(low, high, radius, rank / (n + 1), n)


def _regressor() -> Any:
    try:
        from crepes import ConformalRegressor
    except ImportError:
        rule = "conformal intervals need the package crepes"
        raise MissingPackageError(f"{rule}: pip install 'auctionsim[panels]'") from None
    return ConformalRegressor()
