"""Seeds of rows: from a seed, or from a worker and its place, never two rows the same."""

import secrets
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from auctionsim.envs.row_draws import LONGEST, EpisodeKeys
from auctionsim.errors import InputError, TooLargeError
from auctionsim.seeds import checked_seed

WORD = 2**64
STREAM_WORD = 2**32


class RowSeeds(NamedTuple):
    """Starting points of rows that draw.

    Attributes:
        key: (row,) uint64.
        stream: (row,) uint64 below 2³².
    """

    key: np.ndarray
    stream: np.ndarray


def spread_seeds(seed: object, size: int) -> list[int | None]:
    """Return one seed a row as Gymnasium does: seed, seed + 1, …; a list as it is; None for all.

    Raises:
        TypeError, ValueError: Not one seed a row, or no whole number ≥ 0.
    """
    if seed is None:
        return [None] * size
    if isinstance(seed, Sequence | np.ndarray) and not isinstance(seed, str | bytes) and np.ndim(seed) == 1:
        if len(seed) != size:
            raise InputError(f"seeds must be one a row ({size}), got {len(seed)}")
        return [None if one is None else checked_seed(one) for one in seed]
    first = checked_seed(seed)
    return [first + row for row in range(size)]


def seeded_rows(seeds: Sequence[int]) -> RowSeeds:
    """Return where rows of these seeds begin: different for different seeds.

    A seed below 2⁶⁴ is the key itself. A larger one is hashed to 96 bits, so that two of them are the same with
    probability 2⁻⁹⁶.
    """
    return _row_seeds([(seed, 0) if seed < WORD else _hashed(seed) for seed in seeds])


def worker_rows(
    seed: int, worker: int, rows: range | Sequence[int], *, evaluation: bool = False, steps: int = 0
) -> RowSeeds:
    """Return where the rows of one worker among many begin: hashed, so that they share nothing.

    Neither the rows of two workers nor those of two seeds meet, as they would if a worker's index were added to the
    seed.

    Args:
        seed: Of the whole experiment, ≥ 0.
        worker: Its index.
        rows: Their places in the worker's batch.
        evaluation: Whether it evaluates; then it plays other auctions than the training worker of its index.
        steps: How many steps the experiment had taken before this worker began: 0 but where one goes on after a stop.
    """
    return _row_seeds([_hashed(seed, worker, row, int(evaluation), steps) for row in rows])


def fresh_rows(size: int) -> RowSeeds:
    """Return where rows without a seed begin: the operating system's entropy."""
    return _row_seeds([(secrets.randbits(64), secrets.randbits(32)) for _ in range(size)])


def _hashed(*numbers: int) -> tuple[int, int]:
    digest = blake2b(",".join(map(str, numbers)).encode(), digest_size=12, person=b"auctionsim rows").digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")


def _row_seeds(pairs: Sequence[tuple[int, int]]) -> RowSeeds:
    key, stream = zip(*pairs, strict=True) if pairs else ((), ())
    return RowSeeds(np.array(key, dtype=np.uint64), np.array(stream, dtype=np.uint64))


class RowStreams:
    """The random streams of a fixed number of rows: where each began, and how many episodes it has drawn.

    A row that is never seeded takes fresh entropy when it first begins an episode.

    Args:
        size: Number of rows.
    """

    def __init__(self, size: int) -> None:
        self._seeds = RowSeeds(np.zeros(size, np.uint64), np.zeros(size, np.uint64))
        self._numbers = np.zeros(size, np.uint64)
        self._seeded = np.zeros(size, dtype=bool)

    def seed(self, rows: Sequence[int] | np.ndarray, seeds: RowSeeds) -> None:
        """Let these rows begin anew at their seeds."""
        rows = np.asarray(rows, dtype=np.int64)
        self._seeds.key[rows], self._seeds.stream[rows] = seeds.key, seeds.stream
        self._numbers[rows] = 0
        self._seeded[rows] = True

    def begin(self, rows: Sequence[int] | np.ndarray) -> EpisodeKeys:
        """Return the next episode of these rows, and count it.

        Raises:
            OverflowError: A row has begun 2³² episodes.
        """
        rows = np.asarray(rows, dtype=np.int64)
        new = rows[~self._seeded[rows]]
        if len(new):
            self.seed(new, fresh_rows(len(new)))
        numbers = self._numbers[rows]
        if len(numbers) and int(numbers.max()) >= LONGEST:
            raise TooLargeError("a row has begun 2**32 episodes: reset it with a seed")
        self._numbers[rows] += np.uint64(1)
        return EpisodeKeys(self._seeds.key[rows], self._seeds.stream[rows], numbers)
