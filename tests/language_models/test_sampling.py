"""Tokens are drawn from exactly the distribution that transformers' warpers leave, one uniform number each."""

import hypothesis.strategies as st
import pytest
import scipy.stats
import torch
from hypothesis import given
from torch import Tensor
from transformers import TemperatureLogitsWarper, TopPLogitsWarper

from auctionsim.language_models.sampling import choose_tokens, kept_weights

TOKENS = 700  # three blocks, the last one not full


def some_logits(rows: int, seed: int = 0, spread: float = 3.0) -> Tensor:
    return spread * torch.randn(rows, TOKENS, generator=torch.Generator().manual_seed(seed))


def warped(logits: Tensor, temperature: float, top_p: float) -> Tensor:
    """The library's distribution."""
    ids = torch.zeros(len(logits), 1, dtype=torch.int64)
    scores = TemperatureLogitsWarper(temperature)(ids, logits)
    if top_p < 1:
        scores = TopPLogitsWarper(top_p)(ids, scores)
    return torch.softmax(scores.double(), -1)


@given(
    st.integers(0, 10_000),
    st.sampled_from([0.3, 0.7, 1.0, 1.8]),
    st.sampled_from([0.05, 0.3, 0.8, 0.95, 0.999, 1.0]),
    st.sampled_from([0.1, 1.0, 3.0]),  # flat ones need more candidates than are sorted first
)
def test_the_distribution_is_that_of_the_librarys_warpers(
    seed: int, temperature: float, top_p: float, spread: float
) -> None:
    logits = some_logits(3, seed, spread)
    weights = kept_weights(logits, temperature, top_p)[:, :TOKENS].double()
    found, expected = weights / weights.sum(1, keepdim=True), warped(logits, temperature, top_p)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-6)
    differing = (found > 0) != (expected > 0)
    assert expected[differing].sum() + found[differing].sum() < 1e-2  # at most the token at the very edge, by rounding
    assert (differing.sum(1) <= 1).all()


def test_the_nucleus_is_the_definition_with_ties_too() -> None:
    """A slow loop: by probability, then by id, until the mass is reached."""
    logits = (2 * some_logits(6, 3)).round() / 2  # quarter-grid logits: many ties
    for top_p in (0.1, 0.5, 0.9):
        weights = kept_weights(logits, 1.0, top_p)
        whole = kept_weights(logits, 1.0)
        for row in range(6):
            order = sorted(range(TOKENS), key=lambda k: (-float(whole[row, k]), k))
            mass, kept = 0.0, set()
            for token in order:
                if mass >= top_p * float(whole[row].double().sum()):
                    break
                kept.add(token)
                mass += float(whole[row, token])
            assert set(weights[row].nonzero().flatten().tolist()) == kept


@pytest.mark.parametrize("top_p", [0.7, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_draws_have_the_distribution(top_p: float, dtype: torch.dtype) -> None:
    draws = 20_000
    logits = some_logits(1, 5).to(dtype)
    uniforms = torch.rand(draws, generator=torch.Generator().manual_seed(6))
    tokens = choose_tokens(logits.expand(draws, -1), uniforms, 0.8, top_p)
    counts = torch.bincount(tokens, minlength=TOKENS).double()

    def p_value(expected: Tensor) -> float:
        rare = expected * draws < 5
        observed = torch.cat([counts[~rare], counts[rare].sum().view(1)])
        wanted = torch.cat([expected[~rare], expected[rare].sum().view(1)]) * draws
        nonzero = wanted > 0
        assert (observed[~nonzero] == 0).all()
        return float(scipy.stats.chisquare(observed[nonzero].numpy(), wanted[nonzero].numpy()).pvalue)

    assert p_value(warped(logits.float(), 0.8, top_p)[0]) > 1e-3
    assert p_value(warped(logits.float(), 0.9, 1.0)[0].clamp_min(1e-12)) < 1e-3  # the test has power


@given(st.integers(0, 10_000), st.sampled_from([0.5, 1.0]))
def test_a_token_inverts_the_distribution_function(seed: int, top_p: float) -> None:
    """A slow loop in float64; and a row's token is the same alone as in its batch."""
    logits = some_logits(20, seed)
    uniforms = torch.rand(20, generator=torch.Generator().manual_seed(seed))
    tokens = choose_tokens(logits, uniforms, 1.0, top_p)
    weights = kept_weights(logits, 1.0, top_p).double()
    above = weights.cumsum(1) / weights.sum(1, keepdim=True)
    for row in range(20):
        token = int(tokens[row])
        assert above[row, token] >= float(uniforms[row]) - 1e-6
        assert token == 0 or above[row, token - 1] <= float(uniforms[row]) + 1e-6
        assert weights[row, token] > 0
        assert choose_tokens(logits[row : row + 1], uniforms[row : row + 1], 1.0, top_p) == token


def test_the_ends_of_the_unit_interval_pick_possible_tokens() -> None:
    logits = torch.full((4, TOKENS), -torch.inf)
    logits[0, 0], logits[1, TOKENS - 1], logits[2, [255, 256]], logits[3, [0, TOKENS - 1]] = 0.0, 0.0, 0.0, 0.0
    last = float(torch.nextafter(torch.tensor(1.0), torch.tensor(0.0)))
    assert choose_tokens(logits, torch.zeros(4), 1.0).tolist() == [0, TOKENS - 1, 255, 0]
    assert choose_tokens(logits, torch.full((4,), last), 1.0).tolist() == [0, TOKENS - 1, 256, TOKENS - 1]
    assert choose_tokens(logits, torch.full((4,), last), 1.0, 0.5).tolist() == [0, TOKENS - 1, 255, 0]
    assert choose_tokens(logits, torch.full((4,), last), 0.0).tolist() == [0, TOKENS - 1, 255, 0]
