"""Votes of judges on items: the record that every method of a panel takes, and what it refuses."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from auctionsim.errors import InputError

NO_VOTE = -1
"""In place of a class where a judge did not vote."""


@dataclass(frozen=True, eq=False)
class Votes:
    """Votes of a panel: the class that each judge gives each item, with gaps.

    Attributes:
        labels: (item, judge), a class from 0 to `num_classes` − 1, or `NO_VOTE`.
        num_classes: K, at least 2. Two-class methods call class 1 "yes".
        judges: Their names, one per column; none: "judge 1" and so on.
    """

    labels: Int[np.ndarray, "item judge"]
    num_classes: int = 2
    judges: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no panel.

        Raises:
            ValueError: One judge alone, labels out of range, names that do not fit, votes that never overlap, or judges
                who never disagree.
        """
        items, judges = self.labels.shape
        if self.num_classes < 2:
            raise InputError(f"votes need at least 2 classes, got {self.num_classes}")
        if not self.judges:
            object.__setattr__(self, "judges", tuple(f"judge {k + 1}" for k in range(judges)))
        if len(self.judges) != judges or len(set(self.judges)) < judges:
            raise InputError(f"every one of {judges} judges needs a name of its own, got {self.judges}")
        wrong = self.labels[(self.labels < NO_VOTE) | (self.labels >= self.num_classes)]
        if len(wrong):
            raise InputError(f"labels must be 0 to {self.num_classes - 1}, or {NO_VOTE} for no vote, got {wrong[0]}")
        voting = int(self.voted.any(0).sum())
        if voting < 2:
            raise InputError(f"a panel needs the votes of at least two judges, got {voting} on {items} items")
        shared = self.voted.sum(1) > 1
        if not shared.any():
            raise InputError(f"votes must overlap: no item of {items} has the votes of two judges")
        highest = self.labels.max(1)
        lowest = np.where(self.voted, self.labels, self.num_classes).min(1)
        if (highest == lowest)[shared].all():
            raise InputError(
                f"judges must differ somewhere: on all {int(shared.sum())} items with two votes or more they are "
                "alike, so they count as one judge"
            )

    @property
    def voted(self) -> Bool[np.ndarray, "item judge"]:
        """Whether each judge voted on each item."""
        voted: np.ndarray = self.labels != NO_VOTE
        return voted

    @property
    def counts(self) -> Int[np.ndarray, "item label"]:
        """Votes for each class on each item."""
        classes = np.arange(self.num_classes)
        counts: np.ndarray = (self.labels[:, :, None] == classes).sum(1)
        return counts

    @property
    def signs(self) -> Int[np.ndarray, "item judge"]:
        """Two-class votes as 1 for yes, −1 for no and 0 for none.

        Raises:
            ValueError: More classes than two.
        """
        self.require_two_classes()
        return np.where(self.voted, 2 * self.labels - 1, 0)

    def require_two_classes(self) -> None:
        """Refuse more classes than two.

        Raises:
            ValueError: There are more.
        """
        if self.num_classes != 2:
            raise InputError(f"this method takes votes of two classes, got {self.num_classes}")


def checked_accuracies(accuracies: Iterable[float], *, certain: bool = False) -> np.ndarray:
    """Return accuracies of judges as a vector.

    Args:
        accuracies: Probabilities that a judge is right, one per judge.
        certain: Whether 0 and 1 are allowed.
    Raises:
        ValueError: None, or one that is no such probability.
    """
    values = np.array(list(accuracies), dtype=np.float64)
    if not len(values):
        raise InputError("at least one judge's accuracy is needed, got none")
    inside = (values >= 0) & (values <= 1) if certain else (values > 0) & (values < 1)
    if not inside.all():
        rule = "from 0 to 1" if certain else "above 0 and below 1"
        raise InputError(f"accuracies must be {rule}, got {values[~inside][0]:g}")
    return values


def checked_prior(prior: float) -> float:
    """Return the prior probability of class 1.

    Raises:
        ValueError: It is not above 0 and below 1.
    """
    if not 0 < prior < 1:
        raise InputError(f"the prior must be above 0 and below 1, got {prior:g}")
    return float(prior)
