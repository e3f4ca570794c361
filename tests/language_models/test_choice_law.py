"""The law of one reply chosen among several: known answers, all draws enumerated, and the bounds."""

import itertools
import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor

from auctionsim.language_models.choice_law import (
    choice_divergence,
    choice_gains,
    choice_law,
    most_divergence,
    pooled_divergence,
)
from auctionsim.language_models.laws import binary_divergence


def doubles(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def enumerated(reference: list[float], rewards: list[float], candidates: int) -> list[float]:
    """The marginal law of the chosen one, over every draw of the candidates."""
    law = [0.0] * len(reference)
    for drawn in itertools.product(range(len(reference)), repeat=candidates):
        chance = math.prod(reference[k] for k in drawn)
        top = max(rewards[k] for k in drawn)
        total = sum(math.exp(rewards[k] - top) for k in drawn)
        for k in drawn:
            law[k] += chance * math.exp(rewards[k] - top) / total
    return law


def test_four_candidates_and_a_softmax() -> None:
    law = choice_law(doubles([0.8, 0.15, 0.05]), doubles([0.0, 2.0, 3.0]), 4)
    assert law.tolist() == pytest.approx([0.527127, 0.325323, 0.147550], abs=5e-7)
    reference, rewards = doubles([0.8, 0.15, 0.05]), doubles([0.0, 2.0, 3.0])
    objective = float((law * rewards).sum()) - choice_divergence(reference, rewards, 4)
    assert objective == pytest.approx(0.901668, abs=1e-6)  # the best of all laws has 1.069058


@given(
    st.lists(st.tuples(st.floats(0.01, 1.0), st.floats(-30, 30)), min_size=1, max_size=4),
    st.integers(1, 5),
)
def test_the_integral_is_the_sum_over_all_draws(kinds: list[tuple[float, float]], candidates: int) -> None:
    masses, rewards = zip(*kinds, strict=True)
    reference = [mass / sum(masses) for mass in masses]
    law = choice_law(doubles(reference), doubles(rewards), candidates)
    assert law.tolist() == pytest.approx(enumerated(reference, list(rewards), candidates), abs=1e-12)


@given(st.floats(0.01, 0.99), st.floats(0.0, 20.0), st.integers(1, 32))
def test_a_divergence_is_bounded_and_all_of_it_is_named(share: float, tilt: float, candidates: int) -> None:
    """Where one brand is tilted, replies differ by whether they name it, and by nothing else: η = 1."""
    reference, rewards = doubles([1 - share, share]), doubles([0.0, tilt])
    found = choice_divergence(reference, rewards, candidates)
    assert 0 <= found <= most_divergence(candidates) + 1e-12
    named = choice_law(reference, rewards, candidates)[1]
    assert float(binary_divergence(named, doubles(share))) == pytest.approx(found, abs=1e-12)


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6), st.integers(1, 24))
def test_the_best_of_many_diverges_by_less(masses: list[float], candidates: int) -> None:
    """Rewards so far apart that the highest wins; the chance that the best is at most k has the closed form F_k^M."""
    reference = doubles(masses) / doubles(masses).sum()
    rewards = 100 * torch.arange(len(masses), dtype=torch.float64)
    below = torch.cat((doubles([0.0]), reference.cumsum(0)))
    expected = below[1:] ** candidates - below[:-1] ** candidates
    torch.testing.assert_close(choice_law(reference, rewards, candidates), expected, rtol=0, atol=1e-12)
    found = choice_divergence(reference, rewards, candidates)
    assert found <= most_divergence(candidates, best=True) + 1e-12
    assert most_divergence(candidates, best=True) == pytest.approx(math.log(candidates) - 1 + 1 / candidates)


def test_the_bounds_are_met_by_replies_that_all_differ() -> None:
    """With very many kinds, equally likely, the best of M comes close to its bound."""
    kinds = 200
    reference = torch.full((kinds,), 1 / kinds, dtype=torch.float64)
    found = choice_divergence(reference, 50 * torch.arange(kinds, dtype=torch.float64), 8)
    assert most_divergence(8, best=True) - 0.02 < found < most_divergence(8, best=True) < most_divergence(8)


def test_a_pools_divergence_has_little_bias() -> None:
    """Exact over all pools of 16 draws: shares in place of probabilities lose a seventh, the jackknife a fiftieth."""
    share, draws, rewards = 0.2, 16, doubles([0.0, 6.0])
    true = choice_divergence(doubles([1 - share, share]), rewards, 8)
    plain = jackknifed = 0.0
    for named in range(draws + 1):
        chance = math.comb(draws, named) * share**named * (1 - share) ** (draws - named)
        counts = doubles([draws - named, named])
        plain += chance * choice_divergence(counts / draws, rewards, 8)
        jackknifed += chance * pooled_divergence(counts, rewards, 8)
        assert 0 <= pooled_divergence(counts, rewards, 8) <= most_divergence(8)
    assert plain < 0.88 * true
    assert abs(jackknifed / true - 1) < 0.03


def test_one_candidate_and_equal_rewards_change_nothing() -> None:
    reference = doubles([0.3, 0.3, 0.4])
    for rewards, candidates in ((doubles([0.0, 5.0, 1.0]), 1), (doubles([2.0, 2.0, 2.0]), 6)):
        assert choice_gains(reference, rewards, candidates).tolist() == pytest.approx([1.0] * 3, abs=1e-12)
        assert choice_divergence(reference, rewards, candidates) == pytest.approx(0, abs=1e-12)


def test_what_is_no_law_is_refused() -> None:
    with pytest.raises(ValueError, match="must be probabilities that sum to 1"):
        choice_law(doubles([0.5, 0.6]), doubles([0.0, 1.0]), 2)
    with pytest.raises(ValueError, match="candidates must be an integer >= 1, got 0"):
        choice_law(doubles([1.0]), doubles([0.0]), 0)
    with pytest.raises(ValueError, match="estimated from two draws or more, got 1"):
        pooled_divergence(doubles([1.0, 0.0]), doubles([0.0, 1.0]), 2)
    with pytest.raises(ValueError, match="rewards must be finite"):
        choice_law(doubles([0.5, 0.5]), doubles([0.0, math.inf]), 2)
