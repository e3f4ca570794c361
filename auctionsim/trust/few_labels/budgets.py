"""The number of labels that an interval of a given width needs, alone and beside a judge."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from auctionsim.errors import InputError
from auctionsim.trust.few_labels.estimates import Z, checked_count, checked_numbers, one_each


class LabelPilot(NamedTuple):
    """A first few labels and the judge's readings of the same replies, in three numbers.

    Attributes:
        label_variance: σ² of labels.
        correlation: ρ of label and reading; 0 where one of the two does not vary.
        num_labels: That these rest on.
    """

    label_variance: float
    correlation: float
    num_labels: int

    @property
    def rectifier_variance(self) -> float:
        """Variance of label less λ times reading, at the λ that leaves the least: σ² (1 − ρ²)."""
        return self.label_variance * (1 - self.correlation**2)


class LabelBudget(NamedTuple):
    """Labels that a 95 % interval of some full width needs.

    Attributes:
        width: From its lower to its upper end.
        alone: Labels that are used alone; None: more than there are replies.
        beside_judge: Labels beside a judge's reading of every reply, by PPI++; None likewise.
    """

    width: float
    alone: int | None
    beside_judge: int | None


def label_pilot(labels: Float[np.ndarray, " label"], judged: Float[np.ndarray, " judgement"]) -> LabelPilot:
    """Return what a first few labels say of a judge.

    Raises:
        ValueError: Fewer than ten labels, or values that are not finite.
    """
    one_each(labels, {"judgements": judged})
    checked_count(len(labels), 1)
    checked_numbers("labels", labels)
    checked_numbers("judgements", judged)
    varies = labels.std() > 0 and judged.std() > 0
    correlation = float(np.corrcoef(labels, judged)[0, 1]) if varies else 0.0
    return LabelPilot(float(labels.var(ddof=1)), float(np.clip(correlation, -1, 1)), len(labels))


def labels_needed(widths: Sequence[float], pilot: LabelPilot, num_judged: int) -> tuple[LabelBudget, ...]:
    """Return how many labels intervals of these widths need, of a mean over replies of one kind.

    With n of T judged replies labelled at random, PPI++ has variance σ² ((1 − ρ²)/n + ρ²/T): the rectifier's variance
    over n, and a part that no label lowers, since the T replies are themselves a sample. So
    n = σ² (1 − ρ²) / (v − σ² ρ²/T) with v = (width / 2z)². Labels alone need σ²/v. A judge of negative correlation is
    of no use, as λ ≥ 0. The pilot's own error is not in it: with few labels in it the answer may be off by a third.

    Args:
        widths: Full widths of 95 % intervals, above 0.
        pilot: Of `label_pilot`.
        num_judged: T, replies that the judge reads, those that are labelled too.
    Raises:
        ValueError: A width that is not above 0, or fewer than two replies.
    Source:
        Angelopoulos, Duchi and Zrnic (2023), "PPI++", section 6, solved for n.
    Example:
        >>> labels_needed([0.2553], LabelPilot(1.0, 0.8, 100), 1000)
        (LabelBudget(width=0.2553, alone=236, beside_judge=100),)
    """
    if num_judged < 2:
        raise InputError(f"a judge must read at least 2 replies, got {num_judged}")
    wrong = [width for width in widths if not (math.isfinite(width) and width > 0)]
    if wrong:
        raise InputError(f"a width must be finite and above 0, got {wrong[0]}")
    helps = max(pilot.correlation, 0.0) ** 2

    def count(width: float, share: float) -> int | None:
        left = (width / 2 / Z) ** 2 - pilot.label_variance * share / num_judged
        wanted = pilot.label_variance * (1 - share)
        if left <= 0 or wanted / left > num_judged * (1 + 1e-12):
            return None
        return max(math.ceil(wanted / left * (1 - 1e-12)), 1)

    return tuple(LabelBudget(float(width), count(width, 0.0), count(width, helps)) for width in widths)
