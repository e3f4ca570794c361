"""What rows draw: the generator's published answers, the same numbers in any company, no two rows alike."""

from itertools import product as every

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from auctionsim.envs.game import AuctionGame
from auctionsim.envs.row_draws import (
    EpisodeKeys,
    beyond,
    levels_of,
    philox4x32,
    uniform_indices,
    uniform_levels,
    words,
)
from auctionsim.envs.row_seeds import (
    RowStreams,
    fresh_rows,
    seeded_rows,
    spread_seeds,
    worker_rows,
)
from auctionsim.priors import Beta, Exponential, Mixture, Uniform
from auctionsim.seeds import checked_seed
from auctionsim.substrates import Items

# counter, key, answer: "philox4x32 10" in Random123's file kat_vectors
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]
SEEDS = st.one_of(st.integers(0, 3), st.integers(0, 2**70), st.sampled_from([2**32, 2**32 + 1, 2**63, 2**64, 2**200]))


def numbers(text: str) -> list[np.ndarray]:
    return [np.array([int(word, 16)], np.uint64) for word in text.split()]


def keys(seeds: list[int], number: int = 0) -> EpisodeKeys:
    rows = seeded_rows(seeds)
    return EpisodeKeys(rows.key, rows.stream, np.full(len(seeds), number, np.uint64))


def slow_philox(counter: list[int], key: list[int]) -> list[int]:
    """The ten rounds in Python's whole numbers, as the paper writes them."""
    for _ in range(10):
        first, second = counter[0] * 0xD2511F53, counter[2] * 0xCD9E8D57
        counter = [
            (second >> 32) ^ counter[1] ^ key[0],
            second % 2**32,
            (first >> 32) ^ counter[3] ^ key[1],
            first % 2**32,
        ]
        key = [(key[0] + 0x9E3779B9) % 2**32, (key[1] + 0xBB67AE85) % 2**32]
    return counter


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_the_published_answers(counter: str, key: str, answer: str) -> None:
    first, second, third, fourth = numbers(counter)
    left, right = numbers(key)
    assert philox4x32((first, second, third, fourth), (left, right)) == tuple(numbers(answer))


@given(st.lists(st.integers(0, 2**32 - 1), min_size=4, max_size=4), st.lists(st.integers(0, 2**32 - 1), min_size=2))
def test_arrays_count_as_whole_numbers_do(counter: list[int], key: list[int]) -> None:
    a, b, c, d = (np.array([word], np.uint64) for word in counter)
    left, right = (np.array([word], np.uint64) for word in key[:2])
    assert [int(word[0]) for word in philox4x32((a, b, c, d), (left, right))] == slow_philox(counter, key[:2])


def test_a_word_has_its_place() -> None:
    """Word 3 of episode 5 of seed 7·2³² + 9: the upper half of block 1, key (9, 7), counter (1, 5, 0, 0)."""
    block = slow_philox([1, 5, 0, 0], [9, 7])
    assert int(words(keys([7 * 2**32 + 9], 5), 4)[0, 3]) == block[3] * 2**32 + block[2]


@given(st.lists(SEEDS, min_size=1, max_size=5), st.integers(1, 9), st.integers(0, 4))
def test_a_row_draws_the_same_alone(seeds: list[int], count: int, number: int) -> None:
    together = keys(seeds, number)
    levels, indices = uniform_levels(together, count), uniform_indices(together, count, 3)
    for row, seed in enumerate(seeds):
        assert torch.equal(levels[row : row + 1], uniform_levels(keys([seed], number), count))
        assert torch.equal(levels[row], uniform_levels(keys([seed], number), count + 3)[0, :count])
        assert torch.equal(indices[row : row + 1], uniform_indices(keys([seed], number), count, 3))


def test_levels_are_uniform_and_never_at_the_ends() -> None:
    levels = uniform_levels(keys(list(range(4096))), 64).flatten().numpy()
    shares = np.histogram(levels, bins=64, range=(0, 1))[0] / len(levels)
    assert np.abs(shares * 64 - 1).max() < 0.1  # six standard errors
    assert 0 < levels.min() < 1e-4
    assert 1 - 1e-4 < levels.max() < 1
    steps = levels * 2.0**53
    assert (steps == np.round(steps)).all()
    assert (steps % 2 == 1).mean() == pytest.approx(0.5, abs=0.01)  # all 53 bits are used
    pairs = uniform_levels(keys(list(range(4096))), 2).numpy()
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 0.08
    neighbours = uniform_levels(keys(list(range(4097))), 1).numpy()[:, 0]
    assert abs(np.corrcoef(neighbours[:-1], neighbours[1:])[0, 1]) < 0.08


def test_the_ends_of_words() -> None:
    ends = levels_of(np.array([0, 2**11 - 1, 2**11, 2**63, 2**64 - 1], np.uint64))
    assert ends.tolist() == [2.0**-54, 2.0**-54, 2.0**-53, 0.5, 1 - 2.0**-53]
    last = np.array([2**64 - 3, 2**64 - 2, 2**64 - 1], np.uint64)  # 2⁶⁴ is 1 more than a multiple of 3 and of 5
    assert beyond(last, 3).tolist() == beyond(last, 5).tolist() == [False, False, True]
    assert beyond(last, 7).tolist() == [False, True, True]
    assert beyond(last, 4).tolist() == beyond(last, 1).tolist() == [False, False, False]


@pytest.mark.parametrize("below", [1, 2, 3, 7])
def test_indices_are_uniform(below: int) -> None:
    drawn = uniform_indices(keys(list(range(3000))), 10, below)
    assert set(drawn.unique().tolist()) == set(range(below))
    shares = torch.bincount(drawn.flatten()).double() / drawn.numel()
    assert float((shares * below - 1).abs().max()) < 0.09


def test_no_index_is_preferred_where_words_do_not_divide() -> None:
    """A plain remainder of 64-bit words below 3·2⁶² would give the first third of the numbers half of all draws."""
    drawn = uniform_indices(keys(list(range(2000))), 10, 3 * 2**61)
    assert float((drawn < 2**61).double().mean()) == pytest.approx(1 / 3, abs=0.02)
    below = 3 * 2**62  # every fourth word is drawn again
    drawn = uniform_indices(keys(list(range(2000))), 10, below)
    unsigned = drawn.numpy().view(np.uint64)
    assert (unsigned < below).all()
    assert (unsigned < 2**62).mean() == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize("persistent", [False, True])
def test_a_game_begins_each_row_as_alone(persistent: bool) -> None:
    priors = [[Exponential(2.0), Uniform(1, 3)], [Beta(2.0, 5.0), Mixture([Uniform(0, 1), Uniform(2, 3)], [0.5, 0.5])]]
    game = AuctionGame(
        lambda bids, _: None,  # type: ignore[arg-type,return-value]
        Items(2, 2),
        priors,
        rounds=5,
        persistent=persistent,
    )
    together = game.draw_rows(keys(list(range(9)), 2))
    assert together.valuations.shape == (9, 5, 2, 2)
    assert len(together.valuations.unique()) == 9 * 4 * (1 if persistent else 5)
    for seed in range(9):
        alone = game.draw_rows(keys([seed], 2))
        assert all(torch.equal(a[seed : seed + 1], b) for a, b in zip(together, alone, strict=True))


def test_no_two_rows_are_the_same() -> None:
    seeds = [
        *range(64),
        *(2**32 + k for k in range(64)),
        *(2**64 + k for k in range(64)),
        *(2**k for k in range(7, 300)),
    ]
    streams = [(int(k), int(s)) for k, s in zip(*seeded_rows(sorted(set(seeds))), strict=True)]
    for seed, evaluation in every(range(4), (False, True)):
        for worker in range(4):
            rows = worker_rows(seed, worker, range(16), evaluation=evaluation)
            streams += [(int(k), int(s)) for k, s in zip(*rows, strict=True)]
    streams += [(int(k), int(s)) for k, s in zip(*fresh_rows(64), strict=True)]
    assert len(set(streams)) == len(streams)
    assert max(s for _, s in streams) < 2**32
    several = [uniform_levels(keys([5], number), 4) for number in range(3)]
    assert len(torch.cat(several).unique()) == 12


def test_a_stream_counts_its_episodes() -> None:
    streams = RowStreams(3)
    streams.seed([0, 2], seeded_rows([4, 2**32 + 4]))
    first, second = streams.begin([0, 2]), streams.begin([2])
    assert first.number.tolist() == [0, 0]
    assert second.number.tolist() == [1]
    assert first.key.tolist() == [4, 2**32 + 4]
    unseeded, again = streams.begin([1]), streams.begin([1])
    assert unseeded.key.tolist() == again.key.tolist() != [0]
    assert again.number.tolist() == [1]
    streams.seed([2], seeded_rows([9]))
    assert streams.begin([2]).number.tolist() == [0]
    streams._numbers[0] = 2**32
    with pytest.raises(OverflowError, match="reset it with a seed"):
        streams.begin([0])


def test_what_a_seed_is() -> None:
    assert spread_seeds(np.int64(3), 3) == spread_seeds(3, 3) == spread_seeds([3, 4, 5], 3) == [3, 4, 5]
    assert spread_seeds(np.array([3, 4], np.uint8), 2) == [3, 4]
    assert spread_seeds((np.int32(1), None), 2) == [1, None]
    assert spread_seeds(np.array(7), 1) == [7]
    assert spread_seeds(None, 2) == [None, None]
    assert spread_seeds(2**64 - 1, 2) == [2**64 - 1, 2**64]
    assert type(checked_seed(np.uint64(2**63))) is int
    for wrong in (True, np.bool_(False), 1.0, np.float64(2), "3", b"3", [[1]], {1: 2}):
        with pytest.raises(TypeError, match="whole number >= 0"):
            spread_seeds(wrong, 1)
    for wrong in ([True], [1.5], ["1"]):
        with pytest.raises(TypeError, match="whole number >= 0"):
            spread_seeds(wrong, 1)
    for negative in (-1, np.int8(-5), [-1]):
        with pytest.raises(ValueError, match="whole number >= 0, got -"):
            spread_seeds(negative, 1)
    with pytest.raises(ValueError, match=r"one a row \(3\), got 2"):
        spread_seeds([1, 2], 3)
    with pytest.raises(ValueError, match="play fewer rounds"):
        words(keys([0]), 2**34)
