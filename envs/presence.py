"""Presence of bidders: who takes part in which round, by a given schedule or by seeded entry and exit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from auctionsim.checks import checked_number
from auctionsim.envs.row_draws import EpisodeKeys, levels_of, words
from auctionsim.errors import InputError, InputTypeError

PURPOSE = 2**31  # of the counted numbers, far from those of valuations and contexts


@dataclass(frozen=True)
class EntryExit:
    """Seeded entry and exit: before every round but the first, who is absent may enter and who is present may leave.

    Presence is a Markov chain, one a bidder, independent of all else. With exit = 1 − entry rounds are independent, and
    each bidder is there with probability entry.

    Attributes:
        entry: Probability that an absent bidder enters before a round; one number, or one a bidder.
        exit: Probability that a present one leaves before a round, likewise.
        start: Probability to be there in the first round, likewise; None: entry / (entry + exit), which is then the
            share of rounds that it is there in, and 1 where both are 0.
    Raises:
        TypeError, ValueError: What is no probability.
    """

    entry: float | Sequence[float]
    exit: float | Sequence[float]
    start: float | Sequence[float] | None = None

    def __post_init__(self) -> None:
        for name in ("entry", "exit", "start"):
            given = getattr(self, name)
            for number in given if isinstance(given, Sequence | np.ndarray) else (given,):
                if number is not None:
                    checked_number(number, f"a probability of {name}", 0.0, 1.0)


Presence = EntryExit | Mapping[str, Any] | Sequence[Sequence[bool | int]] | np.ndarray


class PresenceDraws:
    """Who takes part in the rounds of episodes.

    Args:
        presence: An `EntryExit`, or a dict of its fields; or a schedule, one row of truth values (or 0 and 1) a round,
            one a bidder, the same in every episode; None: everybody, always.
        rounds: Of an episode.
        num_bidders: Of the game.
    Raises:
        TypeError: Neither a record nor a schedule.
        ValueError: Not one number or one a bidder; a schedule of another shape, or of other numbers than 0 and 1.
    """

    def __init__(self, presence: Presence | None, rounds: int, num_bidders: int) -> None:
        self.shape = rounds, num_bidders
        record = EntryExit(**presence) if isinstance(presence, Mapping) else presence
        self._chain = record if isinstance(record, EntryExit) else None
        self._schedule = torch.ones(self.shape, dtype=torch.bool)
        if self._chain is not None:
            self._rates = _rates(self._chain, num_bidders)
        elif record is not None:
            self._schedule = checked_schedule(record, rounds, num_bidders)

    def rows(self, episodes: EpisodeKeys) -> Bool[Tensor, "row round bidder"]:
        """Return who is there in these episodes, each the same as it would be alone."""
        batch = len(episodes.key)
        if self._chain is None:
            return self._schedule.expand(batch, *self.shape)
        levels = levels_of(words(episodes, self.shape[0] * self.shape[1], PURPOSE))
        return self._followed(torch.from_numpy(levels).view(batch, *self.shape))

    def batch(self, batch: int, generator: torch.Generator) -> Bool[Tensor, "batch round bidder"]:
        """Return who is there in episodes that are drawn from one generator; a schedule draws nothing."""
        if self._chain is None:
            return self._schedule.expand(batch, *self.shape)
        return self._followed(torch.rand(batch, *self.shape, generator=generator, dtype=torch.float64))

    def _followed(self, levels: Tensor) -> Tensor:
        """Return the chains that uniform numbers (batch, round, bidder) lead through."""
        entry, leave, start = self._rates
        there = [levels[:, 0] < start]
        for turn in range(1, self.shape[0]):
            there.append(torch.where(there[-1], levels[:, turn] >= leave, levels[:, turn] < entry))
        return torch.stack(there, dim=1)


def checked_schedule(schedule: object, rounds: int, num_bidders: int) -> Bool[Tensor, "round bidder"]:
    """Return a schedule as truth values.

    Raises:
        TypeError: No sequence of rows.
        ValueError: Another shape than (rounds, bidders), or something else than 0, 1, False and True.
    """
    if isinstance(schedule, str | bytes) or not isinstance(schedule, Sequence | np.ndarray | Tensor):
        raise InputTypeError(f"presence must be an EntryExit or a schedule of rounds, got {type(schedule).__name__}")
    wanted = f"presence must have {rounds} rows of {num_bidders} truth values, one a round and bidder"
    try:
        table = np.asarray(schedule)
    except ValueError:
        raise InputError(f"{wanted}, got rows of different lengths") from None
    if table.shape != (rounds, num_bidders):
        raise InputError(f"{wanted}, got shape {table.shape}")
    if table.dtype.kind not in "biuf" or not bool(((table == 0) | (table == 1)).all()):
        raise InputError(f"{wanted}, got {table.tolist()!r:.60}")
    return torch.from_numpy(table.astype(bool))


def _rates(chain: EntryExit, num_bidders: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the chain's probabilities, (bidder,) float64 each: to enter, to leave, to be there at first."""
    entry, leave = _each(chain.entry, "entry", num_bidders), _each(chain.exit, "exit", num_bidders)
    if chain.start is not None:
        return entry, leave, _each(chain.start, "start", num_bidders)
    moves = entry + leave
    return entry, leave, torch.where(moves > 0, entry / moves.clamp_min(1e-300), torch.ones_like(moves))


def _each(rate: float | Sequence[float], name: str, num_bidders: int) -> Tensor:
    numbers = torch.as_tensor(rate, dtype=torch.float64)
    if numbers.ndim > 1 or (numbers.ndim == 1 and len(numbers) != num_bidders):
        raise InputError(f"{name} must be one probability or one a bidder ({num_bidders}), got {rate!r:.60}")
    return numbers.expand(num_bidders)
