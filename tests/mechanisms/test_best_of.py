"""Best-of-n and best-of-majority: laws against all draws listed one by one, what they spend, and their ends."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from auctionsim.mechanisms import ReverseKL, best_of_majority, best_of_n
from auctionsim.mechanisms.best_of import best_of_n_bound

F64 = torch.float64


def listed(rewards: Tensor, draws: int, least: int, p: Tensor, answers: list[int]) -> list[float]:
    """Return the law of best-of-majority by every sequence of draws."""
    law = [0.0] * len(p)
    for drawn in itertools.product(range(len(p)), repeat=draws):
        counts = {answer: sum(answers[y] == answer for y in drawn) for answer in set(answers)}
        kept = {a for a, c in counts.items() if c >= least} or {
            a for a, c in counts.items() if c == max(counts.values())
        }
        best = max((y for y in drawn if answers[y] in kept), key=lambda y: (float(rewards[y]), -y))
        law[best] += math.prod(float(p[y]) for y in drawn)
    return law


def drawn_case(seed: int, replies: int) -> tuple[Tensor, Tensor]:
    """Return rewards of which some are equal, and probabilities of which one may be 0."""
    generator = torch.Generator().manual_seed(seed)
    p = torch.rand(replies, generator=generator, dtype=F64) * (torch.rand(replies, generator=generator) > 0.2)
    p[0] += 0.1
    return torch.randint(0, 3, (1, replies), generator=generator).to(F64), p / p.sum()


@settings(max_examples=30)
@given(
    st.integers(0, 10**6),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    st.sampled_from([[0, 1, 2, 3], [0, 0, 1, 1], [0, 1, 0, 2]]),
)
def test_best_of_majority_is_the_law_of_all_draws(seed: int, draws: int, share: float, answers: list[int]) -> None:
    rewards, p = drawn_case(seed, 4)
    least = max(1, math.ceil(share * draws))
    found = best_of_majority(rewards, draws, share, p, torch.tensor(answers))
    assert found[0].tolist() == pytest.approx(listed(rewards[0], draws, least, p, answers), abs=1e-12)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 5))
def test_best_of_n_is_the_law_of_the_best_draw(seed: int, draws: int, replies: int) -> None:
    """Draws listed one by one; the first of equal ones is given out, so equals share in the proportions of p."""
    rewards, p = drawn_case(seed, replies)
    law = [0.0] * replies
    for drawn in itertools.product(range(replies), repeat=draws):
        law[max(drawn, key=lambda y: float(rewards[0, y]))] += math.prod(float(p[y]) for y in drawn)
    assert best_of_n(rewards, draws, p)[0].tolist() == pytest.approx(law, abs=1e-12)
    spent = float(ReverseKL().between(best_of_n(rewards, draws, p), p))
    assert spent <= best_of_n_bound(draws) + 1e-12


def test_best_of_n_spends_the_bound_where_no_reply_has_mass() -> None:
    rewards, p = torch.arange(20_000.0, dtype=F64).unsqueeze(0), torch.full((20_000,), 1 / 20_000, dtype=F64)
    for draws in (1, 2, 8):
        spent = float(ReverseKL().between(best_of_n(rewards, draws, p), p))
        assert spent == pytest.approx(best_of_n_bound(draws), abs=1e-3)


def test_ends_of_best_of_majority() -> None:
    """A share of 0 is best-of-n; with 1 and many draws the most probable reply wins, whatever its reward."""
    rewards, p = torch.tensor([[0.0, 1.0, 1.2]], dtype=F64), torch.tensor([0.7, 0.2, 0.1], dtype=F64)
    assert torch.allclose(best_of_majority(rewards, 8, 0.0, p), best_of_n(rewards, 8, p), atol=1e-12)
    assert float(best_of_majority(rewards, 64, 1.0, p)[0, 0]) > 0.999
    many = best_of_majority(rewards, 128, 0.15, p)[0]
    assert int(many.argmax()) == 1  # the best of those that are drawn in 15 % or more


def test_batches_are_rows() -> None:
    rewards = torch.tensor([[0.0, 1.0, 1.2], [2.0, 1.0, 1.0]], dtype=F64)
    p = torch.tensor([0.7, 0.2, 0.1], dtype=F64)
    for policy in (lambda r: best_of_n(r, 3, p), lambda r: best_of_majority(r, 5, 0.5, p)):
        for k in range(2):
            assert torch.equal(policy(rewards)[k : k + 1], policy(rewards[k : k + 1]))


def test_best_of_refusals() -> None:
    rewards, p = torch.ones(1, 2), torch.tensor([0.5, 0.5])
    with pytest.raises(ValueError, match="draws must be an integer >= 1"):
        best_of_n(rewards, 0, p)
    with pytest.raises(ValueError, match="probabilities over the replies"):
        best_of_n(rewards, 2, torch.tensor([0.5, 0.4]))
    with pytest.raises(ValueError, match="share lie in"):
        best_of_majority(rewards, 2, 1.5, p)
    with pytest.raises(ValueError, match="answers must be 2 numbers"):
        best_of_majority(rewards, 2, 0.5, p, torch.tensor([0, -1]))
