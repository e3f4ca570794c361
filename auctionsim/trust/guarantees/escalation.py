"""Selective judging with escalation: a judge decides only where it is sure enough, else the next one, else a human.

How sure is enough comes from labels, by a test, so that of what the judges decide at most a share α disagrees with
humans, with probability 1 − δ over the draw of the labels.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from auctionsim.errors import InputError
from auctionsim.seeds import checked_seed

HUMAN = -1
"""In `Cascade.decided_by`: left to a human."""


class JudgeVerdicts(NamedTuple):
    """A judge's verdicts on all replies, labelled ones too.

    Attributes:
        name: Of the judge.
        verdicts: One per reply: whole numbers or truth values, as the labels are.
        confidence: One per reply, high where the judge is sure; any scale.
        cost: Per reply that it reads, in any unit.
    """

    name: str
    verdicts: Shaped[np.ndarray, " reply"]
    confidence: Float[np.ndarray, " reply"]
    cost: float


class CascadeStage(NamedTuple):
    """A judge's place in a cascade.

    Attributes:
        name: Of the judge.
        threshold: Confidence from which it decides; infinite where the test allows none.
        num_labels: Labelled replies at or above the threshold that the test rests on.
        num_wrong: Of these, verdicts that differ from the label.
        bound: Upper end of the disagreement; at most α. NaN where it never decides.
        share: Of all replies, those that it decides.
    """

    name: str
    threshold: float
    num_labels: int
    num_wrong: int
    bound: float
    share: float


class Cascade(NamedTuple):
    """A cascade of judges that was fitted, and what it decides.

    Attributes:
        stages: Judges in their order.
        decided_by: Per reply the judge's place, or `HUMAN`.
        verdicts: Per reply the deciding judge's verdict; of what is left to a human the last judge's, which is no
            decision.
        human_share: Of all replies, those that are left to a human.
        cost: Mean per reply: every judge that reads it, and the human where it comes to that.
        risk: α.
        confidence: 1 − δ.
    """

    stages: tuple[CascadeStage, ...]
    decided_by: Int[np.ndarray, " reply"]
    verdicts: Shaped[np.ndarray, " reply"]
    human_share: float
    cost: float
    risk: float
    confidence: float


def disagreement_bound(num_wrong: int, num_labels: int, delta: float) -> float:
    """Return the upper end of a probability of disagreement that holds with probability 1 − δ (Clopper and Pearson).

    Example:
        >>> round(disagreement_bound(0, 29, 0.05), 4)  # 1 − δ^(1/n)
        0.0981
    """
    from scipy.stats import beta

    return 1.0 if num_wrong >= num_labels else float(beta.ppf(1 - delta, num_wrong + 1, num_labels - num_wrong))


def escalate(
    judges: Sequence[JudgeVerdicts],
    labelled: Bool[np.ndarray, " reply"],
    labels: Shaped[np.ndarray, " label"],
    risk: float,
    delta: float = 0.05,
    human_cost: float = 1.0,
    seed: int = 0,
    steps: int = 20,
) -> Cascade:
    """Find the confidence from which each judge of a cascade decides.

    The labelled replies, a simple random draw, are dealt out evenly, one part per judge. Judge m is tested on those of
    its part that no earlier judge decides. Thresholds are tried from the strictest on, and the first whose bound on
    the disagreement, at level δ/M, is above α ends it: the one before holds (fixed-sequence testing). They are
    quantiles of the judge's confidence over replies *without* a label that reach it, so that no tried label chose them.
    So P(disagreement of what judge m decides > α) ≤ δ/M for each, and with probability 1 − δ none exceeds α, nor does
    the whole. It is a statement about new replies of the same kind and about agreement with these labels.

    Args:
        judges: The cheapest first.
        labelled: Which replies have a label.
        labels: One per reply; what stands where `labelled` is false is not looked at.
        risk: α in (0, 1).
        delta: δ in (0, 1).
        human_cost: Per reply that is left to a human.
        seed: Deals out the labels.
        steps: How many thresholds are tried at most.
    Raises:
        ValueError: No judge, unequal lengths, a confidence that is not finite, no reply without a label, or too few
            labels for any judge to pass: ⌈log(δ/M)/log(1 − α)⌉ are needed per judge.
    Source:
        Jung, Brahman and Choi (2024), "Trust or escalate: LLM judges with provable guarantees for human agreement";
        Angelopoulos et al. (2021), "Learn then test", section 2.3 for fixed sequences. Parts per judge are ours: they
        make the bound of a later judge hold given the thresholds before it.
    """
    fewest = _check(judges, labelled, labels, risk, delta, steps)
    part = np.full(len(labelled), -1)
    order = np.random.default_rng(checked_seed(seed)).permutation(np.flatnonzero(labelled))
    part[order] = np.arange(len(order)) % len(judges)
    open_to = np.ones(len(labelled), dtype=bool)
    decided_by = np.full(len(labelled), HUMAN)
    verdicts = np.asarray(judges[-1].verdicts).copy()
    stages, cost = [], 0.0
    for place, judge in enumerate(judges):
        cost += judge.cost * float(open_to.mean())
        tested = open_to & (part == place)
        wrong = judge.verdicts[tested] != labels[tested]
        grid = _grid(judge.confidence[open_to & ~labelled], int(tested.sum()), fewest, steps)
        found = _threshold(judge.confidence[tested], wrong, grid, risk, delta / len(judges))
        decides = open_to & (judge.confidence >= found[0])
        stages.append(CascadeStage(judge.name, *found, float(decides.mean())))
        decided_by[decides] = place
        verdicts[decides] = judge.verdicts[decides]
        open_to &= ~decides
    human = float(open_to.mean())
    return Cascade(tuple(stages), decided_by, verdicts, human, cost + human * human_cost, risk, 1 - delta)


def _grid(pool: Float[np.ndarray, " reply"], num_tested: int, fewest: int, steps: int) -> Float[np.ndarray, " step"]:
    """Return thresholds from the strictest on; the first leaves about half as many labels again as a test needs."""
    if not len(pool) or num_tested < fewest:
        return np.zeros(0)
    first = min(1.5 * fewest / num_tested, 1.0)
    shares = np.linspace(first, 1.0, steps if first < 1 else 1)
    return np.unique(np.quantile(pool, 1 - shares, method="lower"))[::-1]


def _threshold(
    confidence: Float[np.ndarray, " label"],
    wrong: Bool[np.ndarray, " label"],
    grid: Float[np.ndarray, " step"],
    risk: float,
    delta: float,
) -> tuple[float, int, int, float]:
    """Return the lowest threshold that holds, with the labels, the errors and the bound that it rests on."""
    held = (math.inf, 0, 0, math.nan)
    for threshold in grid:
        above = confidence >= threshold
        counts = int(wrong[above].sum()), int(above.sum())
        bound = disagreement_bound(*counts, delta)
        if bound > risk:
            break
        held = (float(threshold), counts[1], counts[0], bound)
    return held


def _check(
    judges: Sequence[JudgeVerdicts],
    labelled: Bool[np.ndarray, " reply"],
    labels: Shaped[np.ndarray, " label"],
    risk: float,
    delta: float,
    steps: int,
) -> int:
    """Refuse what no cascade comes of; return how many labels without an error let a judge pass."""
    if not judges:
        raise InputError("a cascade needs at least one judge, got none")
    if not 0 < risk < 1 or not 0 < delta < 1 or steps < 1:
        raise InputError(f"risk and delta must be in (0, 1) and steps at least 1, got {risk}, {delta} and {steps}")
    for judge in judges:
        if not len(judge.verdicts) == len(judge.confidence) == len(labelled) == len(labels):
            got = f"{len(judge.verdicts)} verdicts, {len(judge.confidence)} confidences and {len(labels)} labels"
            raise InputError(f"{judge.name} must have one verdict and one confidence per reply, got {got}")
        if not np.isfinite(judge.confidence).all():
            raise InputError(f"{judge.name}: a confidence must be finite: give what it did not score the lowest")
    if labelled.all():
        raise InputError("a cascade needs replies without a label: there is nothing to decide")
    fewest = math.ceil(math.log(delta / len(judges)) / math.log(1 - risk))
    if int(labelled.sum()) < fewest * len(judges):
        rule = f"risk {risk:g} needs at least {fewest} labels for each of {len(judges)} judges"
        raise InputError(f"{rule}, got {int(labelled.sum())} in all")
    return fewest
