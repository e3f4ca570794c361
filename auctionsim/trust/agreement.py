"""Agreement of a score with labels: area under the ROC curve, Cohen's κ, partial rank correlation, with intervals.

Replies to one prompt are alike, so where clusters are given (prompts, as a rule) the intervals take clusters as the
draws: they hold for new replies to new prompts of the same kind, asked and labelled in the same way. They say nothing
of other categories, other models or other labellers.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import expit

from auctionsim.errors import InputError

FEWEST = 3
"""Labels of either kind that an interval needs, and clusters that they come of."""
RESAMPLES = 1000


class IntervalEstimate(NamedTuple):
    """An estimate and the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """As tables have it."""
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def auc(
    badness: Float[np.ndarray, " reply"], bad: Bool[np.ndarray, " reply"], clusters: Sequence[Hashable] | None = None
) -> IntervalEstimate:
    """Return the probability that a bad reply's score is above a good one's, ties half, with its interval.

    A = mean over bad i and good j of ψ(x_i, y_j), ψ = 1, ½ or 0. Its variance comes from the placements
    V_i = mean_j ψ(x_i, y_j) and V_j = mean_i ψ(x_i, y_j), summed within clusters; without clusters that is DeLong's.
    The interval is normal on the scale of log A/(1 − A). Where A is 0 or 1 the placements show no variance: its end is
    then that of n successes without a failure, n the clusters of the rarer label, which is wider than it need be.
    Labels of either kind from fewer than three clusters exclude nothing. With few more the interval is too narrow: of
    simulated scores that knew the prompt alone it held ½ in 74 % with three prompts, 90 % with six, 94 % with 24.

    Args:
        badness: Scores, high for a bad reply.
        bad: The labels.
        clusters: What draws belong to; None: every reply is its own draw.
    Raises:
        ValueError: Scores that are not finite, or fewer than three replies of either label.
    Source:
        DeLong, DeLong and Clarke-Pearson (1988), "Comparing the areas under two or more correlated receiver operating
        characteristic curves"; Obuchowski (1997), "Nonparametric analysis of clustered ROC curve data", equation 4.
    """
    _check(badness, bad)
    of = numbered(clusters, len(bad))
    x, y = badness[bad], badness[~bad]
    psi = (x[:, None] > y[None]) + (x[:, None] == y[None]) / 2
    value = float(psi.mean())
    groups_x, groups_y = of[bad], of[~bad]
    rarer = min(len(np.unique(groups_x)), len(np.unique(groups_y)))
    if value in (0.0, 1.0):
        end = float(0.025 ** (1 / rarer))
        return IntervalEstimate(value, end if value else 0.0, 1.0 if value else 1 - end)
    if rarer < FEWEST:
        return IntervalEstimate(value, 0.0, 1.0)
    total = int(of.max()) + 1
    deviation_x = np.bincount(groups_x, psi.mean(1) - value, total)
    deviation_y = np.bincount(groups_y, psi.mean(0) - value, total)
    variance = (
        _spread(deviation_x, deviation_x, groups_x) / len(x) ** 2
        + _spread(deviation_y, deviation_y, groups_y) / len(y) ** 2
        + 2 * total / max(total - 1, 1) * float(deviation_x @ deviation_y) / (len(x) * len(y))
    )
    reach = 1.959964 * float(np.sqrt(max(variance, 0.0))) / (value * (1 - value))
    odds = float(np.log(value / (1 - value)))
    return IntervalEstimate(value, float(expit(odds - reach)), float(expit(odds + reach)))


def _spread(first: Float[np.ndarray, " c"], second: Float[np.ndarray, " c"], groups: Int[np.ndarray, " k"]) -> float:
    there = len(np.unique(groups))
    return there / max(there - 1, 1) * float(first @ second)


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> IntervalEstimate:
    """Return Cohen's κ of two labellings of the same replies, with its large-sample interval.

    κ = (p_o − p_e) / (1 − p_e). The interval takes replies as independent draws, so it is too narrow where they are
    not. Where they agree on all, there is no variance: the lower end is that of n agreements without a failure. Where
    both give one and the same label to all, κ is 1 by agreement (0/0), and nothing is excluded.

    Raises:
        ValueError: Unequal numbers of labels, or none.
    Source:
        Fleiss, Cohen and Everitt (1969), "Large sample standard errors of kappa and weighted kappa", by statsmodels.
    """
    if len(first) != len(second) or not first:
        raise InputError(f"two labellings must be of the same replies, got {len(first)} and {len(second)}")
    from statsmodels.stats.inter_rater import cohens_kappa

    names = sorted({*first, *second}, key=str)
    if len(names) == 1:
        return IntervalEstimate(1.0, -1.0, 1.0)
    table = np.zeros((len(names), len(names)))
    for one, other in zip(first, second, strict=True):
        table[names.index(one), names.index(other)] += 1
    if (table == np.diag(table.diagonal())).all():
        by_chance = float((table.diagonal() / len(first)) @ (table.diagonal() / len(first)))
        share = float(0.025 ** (1 / len(first)))
        return IntervalEstimate(1.0, max((share - by_chance) / (1 - by_chance), -1.0), 1.0)
    found = cohens_kappa(table)
    return IntervalEstimate(float(found.kappa), float(max(found.kappa_low, -1)), float(min(found.kappa_upp, 1)))


def partial_rank_correlation(
    score: Float[np.ndarray, " reply"],
    labels: Float[np.ndarray, " reply"],
    control: Float[np.ndarray, " reply"],
    generator: np.random.Generator,
    clusters: Sequence[Hashable] | None = None,
    resamples: int = RESAMPLES,
) -> IntervalEstimate:
    """Return the rank correlation of a score with labels that is left once a control is known, with its interval.

    Pearson's partial correlation of the ranks (ties share their mean rank): (r_xy − r_xz r_yz) /
    √((1 − r_xz²)(1 − r_yz²)). The interval is the percentile bootstrap over clusters; resamples in which one of the
    three is constant are left out, and fewer than three clusters exclude nothing. Where a control makes variables
    independent, ranks may leave a little: .03 of normal ones that have correlation .89 with it.

    Args:
        score: x.
        labels: y: bad or not, or ratings.
        control: z, such as mentions per word.
        generator: Draws the resamples.
        clusters: What draws belong to; None: every reply is its own draw.
        resamples: How many.
    Raises:
        ValueError: Values that are not finite, or one of the three is constant or follows the control exactly.
    """
    columns = np.stack([score, labels, control]).astype(np.float64)
    if not np.isfinite(columns).all() or columns.shape[1] <= FEWEST:
        raise InputError(f"a partial correlation needs more than {FEWEST} finite values, got {columns.shape[1]}")
    value = _partial(columns)
    if not np.isfinite(value):
        raise InputError("a partial correlation needs values that vary, and do not follow the control exactly")
    of = numbered(clusters, columns.shape[1])
    if int(of.max()) + 1 < FEWEST:
        return IntervalEstimate(value, -1.0, 1.0)
    members = [np.flatnonzero(of == group) for group in range(int(of.max()) + 1)]
    drawn = []
    for _ in range(resamples):
        chosen = generator.integers(len(members), size=len(members))
        drawn.append(_partial(columns[:, np.concatenate([members[k] for k in chosen])]))
    finite = [one for one in drawn if np.isfinite(one)]
    low, high = np.quantile(finite, [0.025, 0.975]) if finite else (-1.0, 1.0)
    return IntervalEstimate(value, float(low), float(high))


def _partial(columns: Float[np.ndarray, "3 reply"]) -> float:
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(column) for column in columns])
    if (ranks.std(1) == 0).any():
        return float("nan")
    (_, xy, xz), (_, _, yz), _ = np.corrcoef(ranks)
    left = (1 - xz**2) * (1 - yz**2)
    return float((xy - xz * yz) / np.sqrt(left)) if left > 1e-12 else float("nan")


def _check(scores: Float[np.ndarray, " reply"], bad: Bool[np.ndarray, " reply"]) -> None:
    if not np.isfinite(scores).all():
        raise InputError("scores must be finite: leave unscored replies out, and say how many")
    few = min(int(bad.sum()), int((~bad).sum()))
    if few < FEWEST:
        raise InputError(f"at least {FEWEST} bad and {FEWEST} good replies are needed, got {few} of the rarer")


def numbered(clusters: Sequence[Hashable] | None, count: int) -> Int[np.ndarray, " reply"]:
    """Return each draw's cluster as a number from 0."""
    if clusters is None:
        return np.arange(count)
    if len(clusters) != count:
        raise InputError(f"every one of {count} replies needs its cluster, got {len(clusters)}")
    numbers = {cluster: k for k, cluster in enumerate(dict.fromkeys(clusters))}
    return np.array([numbers[cluster] for cluster in clusters])
