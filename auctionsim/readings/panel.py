"""Panel of readings: several readings of a reply made into one, by votes, by weighted votes or by pooled probabilities.

A member votes "bad" where its value passes a threshold; a member that leaves a reply unscored abstains. The rules:

- majority: the share of the votes that say bad;
- weights: σ(intercept + Σ log likelihood ratios of the votes), the probability of a bad reply if members err
  independently given the label;
- pooled: the mean of the members' calibrated probabilities σ(intercept_k + slope_k x_k).

Thresholds, ratios and calibrations are fitted on gold labels by `auctionsim.trust.fit_panel`. The basis names the rule,
the members with what each rests on, the numbers and the labels. A panel is no loss by itself: it passes the gate as any
score does. A reply without a word is bad by rule, as in `quality`.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from typing import NamedTuple

from auctionsim.brands import Brand
from auctionsim.errors import InputError
from auctionsim.readings.protocol import LOWER, ReferenceReading, Reply, TextReading, Unscored, Value
from auctionsim.readings.registry import reading
from auctionsim.readings.values import read_beside, read_texts
from auctionsim.readings.words import words

RULES = ("majority", "weights", "pooled")
"""What votes and probabilities are made into one number by."""
UNIT = "share or probability of a bad reply"
NO_WORDS = 1.0
"""Of a reply without a word, by rule."""


class PanelMember(NamedTuple):
    """A reading's part in a panel.

    Attributes:
        reading: Its name.
        basis: What its values rested on when the panel was fitted; "" for nothing beside its code.
        better: `LOWER` or `HIGHER`.
        threshold: It votes bad where its badness, the value or its negative, is at least this.
        if_bad: Log likelihood ratio of a vote for bad; at least 0.
        if_good: Of a vote for good; at most 0.
        intercept: Log odds of a bad reply at a badness of 0.
        slope: Log odds per unit of badness; at least 0.
    """

    reading: str
    basis: str
    better: str
    threshold: float
    if_bad: float
    if_good: float
    intercept: float
    slope: float

    def badness(self, value: float) -> float:
        """Return a value turned so that high is bad."""
        return value if self.better == LOWER else -value

    def says_bad(self, value: float) -> bool:
        """Return the vote on a value."""
        return self.badness(value) >= self.threshold

    def probability(self, value: float) -> float:
        """Return the calibrated probability of a bad reply."""
        return _logistic(self.intercept + self.slope * self.badness(value))


class PanelWeights(NamedTuple):
    """A fitted panel.

    Attributes:
        rule: One of `RULES`.
        members: At least one.
        intercept: Log odds of a bad reply before any vote.
        labels: Digest of the labels that it was fitted on.
    """

    rule: str
    members: tuple[PanelMember, ...]
    intercept: float
    labels: str

    @property
    def digest(self) -> str:
        """16 hex digits that name the numbers."""
        return hashlib.sha256(json.dumps([self.rule, self.members, self.intercept]).encode()).hexdigest()[:16]

    def without(self, name: str) -> "PanelWeights":
        """Return the panel without a member; members' numbers do not depend on each other."""
        return self._replace(members=tuple(one for one in self.members if one.reading != name))

    def combined(self, values: Sequence[Value]) -> Value:
        """Return the panel's value from the members' values, in their order; unscored where all abstain."""
        there = [
            (member, float(value))
            for member, value in zip(self.members, values, strict=True)
            if not isinstance(value, Unscored | list)
        ]
        if not there:
            return Unscored("no member of the panel scored it")
        if self.rule == "pooled":
            return sum(member.probability(value) for member, value in there) / len(there)
        votes = [(member, member.says_bad(value)) for member, value in there]
        if self.rule == "majority":
            return sum(bad for _, bad in votes) / len(votes)
        return _logistic(self.intercept + sum(one.if_bad if bad else one.if_good for one, bad in votes))

    @property
    def basis(self) -> str:
        """What the panel rests on: its rule, numbers, labels, and its members with what each rests on.

        Raises:
            ValueError: A member rests on something else now than when the panel was fitted.
        """
        for member in self.members:
            own = reading(member.reading).basis
            now = "" if own is None else own()
            if now != member.basis:
                raise InputError(
                    f"the panel was fitted on {member.reading} that rests on {member.basis or 'its code'!r}, "
                    f"and now it rests on {now or 'its code'!r}: fit it anew"
                )
        named = (f"{one.reading}: {one.basis}" if one.basis else one.reading for one in self.members)
        return "; ".join((f"panel by {self.rule} {self.digest}", f"labels {self.labels}", *named))


def panel_reading(weights: PanelWeights, name: str = "panel") -> TextReading | ReferenceReading:
    """Return a panel as a reading, which `auctionsim.trust.as_loss` makes a loss where it passed the gate.

    Args:
        weights: The fitted panel.
        name: Of the reading.
    Raises:
        ValueError: No member, a rule that is none, or a member that is no reading of single replies.
    """
    if weights.rule not in RULES or not weights.members:
        raise InputError(f"a panel has members and one of the rules {', '.join(RULES)}, got {weights.rule!r}")
    members = [reading(one.reading) for one in weights.members]
    for one in members:
        if not isinstance(one, TextReading | ReferenceReading) or one.per not in ("user", "reply"):
            raise InputError(f"a panel's member is a reading of single replies, and {one.name} is per {one.per}")
    if any(isinstance(one, ReferenceReading) for one in members):
        return ReferenceReading(
            name,
            UNIT,
            per="user",
            bounds=(0.0, 1.0),
            basis=lambda: weights.basis,
            read=lambda replies, brands, references: panel_values(weights, replies, brands, references),
        )
    return TextReading(
        name,
        UNIT,
        per="user",
        bounds=(0.0, 1.0),
        basis=lambda: weights.basis,
        read=lambda replies, brands: panel_values(weights, replies, brands, [()] * len(replies)),
    )


def panel_values(
    weights: PanelWeights,
    replies: Sequence[Reply],
    brands: tuple[Brand, ...],
    references: Sequence[Sequence[Reply]],
) -> list[Value]:
    """Return the panel's value of each reply.

    Args:
        weights: The fitted panel.
        replies: A value each.
        brands: The bidders.
        references: Untouched replies to each reply's prompt, for members that need them.
    """
    wordy = [k for k, reply in enumerate(replies) if words(reply.text)]
    some, beside = [replies[k] for k in wordy], [references[k] for k in wordy]
    columns = []
    for member in weights.members:
        one = reading(member.reading)
        if isinstance(one, ReferenceReading):
            columns.append(read_beside(one, some, brands, beside))
        else:
            assert isinstance(one, TextReading)
            columns.append(read_texts(one, some, brands))
    values: list[Value] = [NO_WORDS] * len(replies)
    for place, k in enumerate(wordy):
        values[k] = weights.combined([column[place] for column in columns])
    return values


def _logistic(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds)) if log_odds > -700 else 0.0  # beyond that exp is no double
