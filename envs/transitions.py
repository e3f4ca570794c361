"""Transitions of logged auctions: a row a round as offline learners read it, checked for what a log must be."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from auctionsim.errors import InputError
from auctionsim.records import LARGEST_WHOLE

MASS, DENSITY, NONE = "mass", "density", "none"
MEASURES = (MASS, DENSITY, NONE)
"""What a behaviour's probability is: of a bid among finitely many, a density, or not known."""


class LogSource(NamedTuple):
    """The game and the behaviour that transitions were logged of.

    Attributes:
        features: What is sold, one number of an action each.
        observed: The parts of an observation, in order.
        widths: How many numbers each has.
        action_high: The highest bid of each feature that the environment allows.
        rounds: Of a whole episode.
        learner: The bidder's seat.
        behaviour: What the strategy is called.
        measure: One of `MEASURES`.
        seed: Of the first episode; the others' are those that follow.
        setting: The named auction, or None.
    """

    features: tuple[str, ...]
    observed: tuple[str, ...]
    widths: tuple[int, ...]
    action_high: tuple[float, ...]
    rounds: int
    learner: int
    behaviour: str
    measure: str
    seed: int
    setting: str | None = None


@dataclass(frozen=True, eq=False)
class Transitions:
    """Rounds of one bidder, in order of episode and round.

    Attributes:
        source: What they were logged of.
        episode: From 0 on.
        round: Of the episode, from 0 on.
        observation: What the bidder saw.
        action: What it bid; what was cleared may be lower.
        reward: What it earned.
        next_observation: What it saw next; at the end of an episode the last one.
        terminated: The episode's last round.
        truncated: The log ends here, the episode would have gone on.
        cost: The round's cost of a missed target; NaN where the game has none.
        probability: Of the action under the behaviour, see `LogSource.measure`; NaN where it is not known.
    Raises:
        ValueError: Shapes that do not fit, numbers that are none, or rows that are no log: episodes not in order or not
            ended, or a next observation that is not the next one.
    """

    source: LogSource
    episode: Int[np.ndarray, " row"]
    round: Int[np.ndarray, " row"]
    observation: Float[np.ndarray, "row number"]
    action: Float[np.ndarray, "row feature"]
    reward: Float[np.ndarray, " row"]
    next_observation: Float[np.ndarray, "row number"]
    terminated: Bool[np.ndarray, " row"]
    truncated: Bool[np.ndarray, " row"]
    cost: Float[np.ndarray, " row"]
    probability: Float[np.ndarray, " row"]

    def __post_init__(self) -> None:
        check_source(self.source)
        _check_shapes(self)
        _check_numbers(self)
        _check_order(self)

    def __len__(self) -> int:
        return len(self.episode)

    def columns(self) -> Mapping[str, np.ndarray]:
        """Return the columns by name, in order."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "source"}

    def episodes(self) -> list[np.ndarray]:
        """Return the rows of each episode."""
        return np.split(np.arange(len(self)), np.flatnonzero(np.diff(self.episode)) + 1) if len(self) else []


def check_source(source: LogSource) -> None:
    """Refuse a source that says what cannot be.

    Raises:
        ValueError: Names the field and the rule.
    """
    if not source.features or not source.observed or len(source.observed) != len(source.widths):
        raise InputError("features and observed must not be empty, and widths one a part of the observation")
    if not all(width >= 1 for width in source.widths):
        raise InputError(f"widths must be >= 1, got {source.widths}")
    if len(source.action_high) != len(source.features):
        raise InputError(f"action_high must be one a feature ({len(source.features)}), got {len(source.action_high)}")
    if source.measure not in MEASURES:
        raise InputError(f"measure must be one of {MEASURES}, got {source.measure!r:.60}")
    if source.rounds < 1 or source.learner < 0 or not 0 <= source.seed <= LARGEST_WHOLE:
        raise InputError("rounds must be >= 1, learner >= 0, and seed in 0 … 2**63 - 1")


def _check_shapes(log: Transitions) -> None:
    rows, wide = len(log.episode), {"observation": sum(log.source.widths), "action": len(log.source.features)}
    wide["next_observation"] = wide["observation"]
    for name, column in log.columns().items():
        shape = (rows, wide[name]) if name in wide else (rows,)
        if column.shape != shape:
            raise InputError(f"{name} must have shape {shape}, got {column.shape}")


def _check_numbers(log: Transitions) -> None:
    for name in ("observation", "action", "reward", "next_observation"):
        column = log.columns()[name]
        if not bool(np.isfinite(column).all()):
            raise InputError(f"{name} must be finite, row {_first(~np.isfinite(column))} is not")
    if bool((log.action < 0).any()):
        raise InputError(f"an action is a bid >= 0, row {_first(log.action < 0)} has another")
    if bool(np.isinf(log.cost).any()):
        raise InputError(f"cost must be finite, or NaN for none, row {_first(np.isinf(log.cost))} is not")
    known = ~np.isnan(log.probability)
    most = 1.0 if log.source.measure == MASS else np.inf
    wrong = known & ~((log.probability > 0) & (log.probability <= most) & np.isfinite(log.probability))
    if log.source.measure == NONE and bool(known.any()):
        raise InputError(f"probability must be NaN where its measure is {NONE!r}, row {_first(known)} has one")
    if bool(wrong.any()):
        row = _first(wrong)
        raise InputError(f"probability must be a {log.source.measure} > 0, row {row} has {log.probability[row]}")


def _check_order(log: Transitions) -> None:
    """Refuse what is no log: whole episodes after one another, each observation the one that was announced."""
    if not len(log):
        return
    first = np.diff(log.episode, prepend=log.episode[0] - 1) != 0
    place = np.arange(len(log))
    begun = np.maximum.accumulate(np.where(first, place, 0))
    if log.episode[0] != 0 or bool((np.diff(log.episode) < 0).any() | (np.diff(log.episode) > 1).any()):
        raise InputError("episodes must be in order from 0 on, one after the other")
    if not np.array_equal(log.round, place - begun):
        raise InputError(f"rounds must count from 0 in each episode, row {_first(log.round != place - begun)} does not")
    last, ended = np.append(first[1:], True), log.terminated | log.truncated
    if not np.array_equal(ended, last) or bool((log.terminated & log.truncated).any()):
        raise InputError(
            "an episode must be terminated or truncated in its last row and in no other, "
            f"row {_first((ended != last) | (log.terminated & log.truncated))} is not"
        )
    if bool((log.round >= log.source.rounds).any()):
        raise InputError(f"an episode has at most {log.source.rounds} rounds, one has {int(log.round.max()) + 1}")
    broken = ~last[:-1] & (log.next_observation[:-1] != log.observation[1:]).any(1)
    if bool(broken.any()):
        raise InputError(f"next_observation must be the next row's observation, row {_first(broken)} has another")


def _first(places: np.ndarray) -> int:
    return int(np.argwhere(places)[0, 0])
