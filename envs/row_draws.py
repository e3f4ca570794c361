"""Draws of a row's episode: numbers that are counted, not drawn in turn.

A block of Philox4x32-10 is a function of a key and a counter. Here the key is the row's seed, and the counter is the
episode's number, the purpose and the place in the episode. So a row gets the same numbers whoever else is drawn with
it, and thousands of rows are drawn by a few array operations.

Source: Salmon, Moraes, Dror and Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3", section 3.3; the constants
are those of the authors' library Random123.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.errors import InputError

MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
KEY_STEPS = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
ROUNDS = 10
LEVELS, INDICES = 0, 1  # purposes; an index that is drawn again takes the next one
LONGEST = 2**32  # blocks an episode and purpose, and episodes a row

Words = np.ndarray  # uint64


class EpisodeKeys(NamedTuple):
    """Keys of the episodes that are drawn, one a row.

    Attributes:
        key: (row,) uint64, from the row's seed.
        stream: (row,) uint64 below 2³², beside it.
        number: (row,) uint64 below 2³², how many episodes the row began before.
    """

    key: Words
    stream: Words
    number: Words


def philox4x32(counter: tuple[Words, Words, Words, Words], key: tuple[Words, Words]) -> tuple[Words, ...]:
    """Return four words of Philox4x32-10.

    Args:
        counter: Four uint64 arrays that hold 32-bit numbers; their shapes broadcast.
        key: Two such arrays.
    Returns:
        Four uint64 arrays that hold uniform 32-bit numbers.
    """
    a, b, c, d = counter
    left, right = key
    for turn in range(ROUNDS):
        if turn:
            left, right = (left + KEY_STEPS[0]) & LOW, (right + KEY_STEPS[1]) & LOW
        first, second = a * MULTIPLIERS[0], c * MULTIPLIERS[1]
        a, b, c, d = (second >> HALF) ^ b ^ left, second & LOW, (first >> HALF) ^ d ^ right, first & LOW
    return a, b, c, d


def words(episodes: EpisodeKeys, count: int, purpose: int = LEVELS) -> Words:
    """Return `count` uniform 64-bit numbers of each episode: uint64 (row, count).

    The first ones do not depend on `count`.

    Raises:
        ValueError: More than an episode can have.
    """
    blocks = (count + 1) // 2
    if blocks > LONGEST:
        raise InputError(f"an episode has at most {2 * LONGEST} numbers, {count} are needed: play fewer rounds")
    place = np.arange(blocks, dtype=np.uint64)[:, None]
    counter = (place, episodes.number[None], episodes.stream[None], np.full((1, 1), purpose, np.uint64))
    a, b, c, d = philox4x32(counter, (episodes.key & LOW, episodes.key >> HALF))
    pairs = np.stack([(b << HALF) | a, (d << HALF) | c], axis=1)  # (block, two, row)
    return np.ascontiguousarray(pairs.reshape(2 * blocks, len(episodes.key))[:count].T)


def uniform_levels(episodes: EpisodeKeys, count: int) -> Float[Tensor, "row count"]:
    """Return numbers uniform in (0, 1), float64: multiples of 2⁻⁵³, and 2⁻⁵⁴ instead of 0."""
    return torch.from_numpy(levels_of(words(episodes, count)))


def levels_of(drawn: Words) -> np.ndarray:
    """Return 64-bit words as numbers in (0, 1), by their upper 53 bits."""
    levels: np.ndarray = np.maximum((drawn >> np.uint64(11)).astype(np.float64), 0.5) * 2.0**-53
    return levels


def uniform_indices(episodes: EpisodeKeys, count: int, below: int) -> Int[Tensor, "row count"]:
    """Return whole numbers uniform in 0 … below − 1, int64.

    A word that lies beyond the last whole multiple of `below` is drawn again, so that no number is preferred.

    Args:
        episodes: Whose.
        count: How many of each.
        below: ≥ 1.
    """
    drawn = words(episodes, count, INDICES)
    again = beyond(drawn, below)
    attempt = 1
    while again.any():
        drawn = np.where(again, words(episodes, count, INDICES + attempt), drawn)
        again &= beyond(drawn, below)
        attempt += 1
    return torch.from_numpy((drawn % np.uint64(below)).astype(np.int64))


def beyond(drawn: Words, below: int) -> np.ndarray:
    """Tell which 64-bit words lie beyond the last whole multiple of `below`."""
    last = 2**64 - 2**64 % below - 1
    lies: np.ndarray = drawn > np.uint64(last)
    return lies
