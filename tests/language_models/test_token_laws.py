"""Laws of the next token against closed forms: mixtures, a bias, and a posterior whose replies are a mixture, too."""

import itertools
import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor

from auctionsim.errors import UnsupportedError
from auctionsim.language_models.change import Change, TokenLaw
from auctionsim.language_models.framing import Framing
from auctionsim.language_models.laws import binary_divergence, divergence, linear_mixture, log_linear_mixture
from auctionsim.language_models.token_laws import (
    CompanionMixture,
    LinearMixture,
    LogitBias,
    LogLinearMixture,
    PosteriorMixture,
)

ADS = (Framing(system="Nike is on sale."), Framing(system="Adidas is on sale."))
MIXTURES = (LinearMixture, LogLinearMixture, PosteriorMixture)
FIRST, SECOND = [0.7, 0.2, 0.1], [0.1, 0.3, 0.6]


def doubles(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def law_of(kind: type[CompanionMixture], laws: list[list[float]], weights: list[float], temperature: float) -> Tensor:
    """The law that a mixture of these companions' laws leaves, the model's own being another."""
    own = doubles([[[0.2, 0.5, 0.3]]]).log() * temperature
    others = doubles(laws).log()[:, None, None] * temperature
    mixture = kind(ADS[: len(laws)], doubles([weights]))
    return (mixture.logits(own, others, temperature, None) / temperature).softmax(2)[0, 0]


@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_known_mixtures(temperature: float) -> None:
    """p_1 = (.7, .2, .1), p_2 = (.1, .3, .6), weights (2/3, 1/3), nothing left for the own law."""
    thirds = [2 / 3, 1 / 3]
    linear = law_of(LinearMixture, [FIRST, SECOND], thirds, temperature)
    torch.testing.assert_close(linear, doubles([0.5, 0.7 / 3, 0.8 / 3]), rtol=0, atol=1e-12)
    log_linear = law_of(LogLinearMixture, [FIRST, SECOND], thirds, temperature)
    torch.testing.assert_close(log_linear, doubles([0.471205, 0.294807, 0.233988]), rtol=0, atol=1e-6)
    product = doubles(FIRST) ** (2 / 3) * doubles(SECOND) ** (1 / 3)
    torch.testing.assert_close(log_linear, product / product.sum(), rtol=0, atol=1e-12)


def test_a_log_linear_mixture_is_not_monotone() -> None:
    """Token 2 has .2 under both laws, and more under every mixture of them."""
    for weight in (0.0, 1.0):
        end = law_of(LogLinearMixture, [[0.6, 0.2, 0.2], [0.2, 0.2, 0.6]], [1 - weight, weight], 1.0)
        assert float(end[1]) == pytest.approx(0.2, abs=1e-12)
    half = law_of(LogLinearMixture, [[0.6, 0.2, 0.2], [0.2, 0.2, 0.6]], [0.5, 0.5], 1.0)
    assert float(half[1]) == pytest.approx(0.224009, abs=5e-7)


def test_what_the_weights_leave_is_the_own_laws() -> None:
    linear = law_of(LinearMixture, [FIRST, SECOND], [0.3, 0.2], 0.7)
    expected = 0.5 * doubles([0.2, 0.5, 0.3]) + 0.3 * doubles(FIRST) + 0.2 * doubles(SECOND)
    torch.testing.assert_close(linear, expected, rtol=0, atol=1e-12)
    log_linear = law_of(LogLinearMixture, [FIRST, SECOND], [0.3, 0.2], 0.7)
    product = doubles([0.2, 0.5, 0.3]) ** 0.5 * doubles(FIRST) ** 0.3 * doubles(SECOND) ** 0.2
    torch.testing.assert_close(log_linear, product / product.sum(), rtol=0, atol=1e-12)


def test_laws_are_mixed_at_the_temperature_of_sampling() -> None:
    """At temperature ½ each law is squared first, and then mixed: not the mixture squared."""
    own, other = doubles([[[0.2, 0.5, 0.3]]]).log(), doubles([[[FIRST]]]).log()
    found = (LinearMixture(ADS[:1], doubles([[0.4]])).logits(own, other, 0.5, None) / 0.5).softmax(2)[0, 0]
    squares = [law / law.sum() for law in (doubles([0.2, 0.5, 0.3]) ** 2, doubles(FIRST) ** 2)]
    torch.testing.assert_close(found, 0.6 * squares[0] + 0.4 * squares[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", [LinearMixture, PosteriorMixture])
def test_a_linear_mixture_needs_a_temperature(kind: type[CompanionMixture]) -> None:
    own, other = torch.zeros(1, 1, 3), torch.zeros(1, 1, 1, 3)
    with pytest.raises(UnsupportedError, match="needs a temperature above 0, got 0"):
        kind(ADS[:1], torch.tensor([[0.5]])).logits(own, other, 0.0, torch.zeros(2, 1, 1))
    lone = LogLinearMixture(ADS[:1], torch.tensor([[0.5]]))
    assert lone.logits(own, other + torch.tensor([0.0, 2.0, 0.0]), 0.0, None).argmax(2).item() == 1


def test_decoding_by_a_posterior_is_the_mixture_of_the_voices_replies() -> None:
    """All 4³ replies of three tokens, each voice a law of its own behind every beginning, in float64."""
    tokens, length, temperature = 4, 3, 0.7
    generator = torch.Generator().manual_seed(0)
    beginnings = [start for n in range(length) for start in itertools.product(range(tokens), repeat=n)]
    tables = {start: torch.randn(3, tokens, generator=generator, dtype=torch.float64) for start in beginnings}
    replies = list(itertools.product(range(tokens), repeat=length))
    prior = doubles([0.5, 0.2])
    logits = torch.stack([torch.stack([tables[y[:t]] for t in range(length)], 1) for y in replies], 1)
    ids = torch.tensor(replies)[None, :, :, None].expand(3, -1, -1, -1)
    log_p = (logits / temperature).log_softmax(3).gather(3, ids).squeeze(3)  # (voice, reply, position)
    seen = log_p.cumsum(2) - log_p
    mixture = PosteriorMixture(ADS, prior[None])
    assert mixture.remembers
    law = (mixture.logits(logits[0], logits[1:], temperature, seen) / temperature).log_softmax(2)
    whole = law.gather(2, ids[0]).sum((1, 2)).exp()
    expected = (doubles([0.3, 0.5, 0.2])[:, None] * log_p.sum(2).exp()).sum(0)
    torch.testing.assert_close(whole, expected, rtol=0, atol=1e-12)
    assert float(whole.sum()) == pytest.approx(1, abs=1e-12)
    anew = LinearMixture(ADS, prior[None]).logits(logits[0], logits[1:], temperature, None) / temperature
    by_token = anew.log_softmax(2).gather(2, ids[0]).sum((1, 2)).exp()
    assert float((by_token - expected).abs().max()) > 1e-3  # mixing anew at every token is something else


@given(st.integers(0, 999), st.floats(0.1, 9.0), st.sampled_from([0.5, 0.7, 1.0]))
def test_a_bias_on_one_token_is_worth_its_divergence(seed: int, bias: float, temperature: float) -> None:
    """η = d(p_x ‖ p_0) / KL = 1: beside the one token, the law is the untouched one, renormalised."""
    own = torch.randn(1, 1, 50, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    moved = LogitBias(torch.tensor([7]), doubles([[bias]]), 50).logits(own, own[None][:0], temperature, None)
    p, q = ((logits / temperature).softmax(2)[0, 0] for logits in (moved, own))
    kl = (p * (p.log() - q.log())).sum()
    assert float(binary_divergence(p[7], q[7]) / kl) == pytest.approx(1, abs=1e-6)
    assert float((p[7] / q[7] * q[0] / p[0]).log()) == pytest.approx(bias / temperature, abs=1e-9)
    assert float(divergence(moved / temperature, own / temperature)) == pytest.approx(float(kl), rel=1e-3, abs=1e-6)


def test_a_bias_on_two_tokens_is_worth_less() -> None:
    """Of two tokens that are moved apart, the names' share says less than the law: η < 1."""
    own = doubles([[[0.0, 1.0, 2.0, 0.5]]])
    moved = LogitBias(torch.tensor([0, 3]), doubles([[4.0, 1.0]]), 4).logits(own, own[None][:0], 1.0, None)
    p, q = moved.softmax(2)[0, 0], own.softmax(2)[0, 0]
    kl = (p * (p.log() - q.log())).sum()
    assert float(binary_divergence(p[[0, 3]].sum(), q[[0, 3]].sum()) / kl) < 0.99


@given(st.integers(0, 10**6), st.sampled_from((LogitBias, *MIXTURES)), st.floats(0.1, 3.0))
def test_no_event_tells_more_than_the_tokens_divergences(seed: int, kind: type, spread: float) -> None:
    """Chain rule and data processing, over all 3³ replies: d(p_x ‖ p_0) ≤ E Σ_t KL_t = KL of the replies, so η ≤ 1."""
    generator = torch.Generator().manual_seed(seed)
    replies = list(itertools.product(range(3), repeat=3))
    beginnings = [start for n in range(3) for start in itertools.product(range(3), repeat=n)]
    tables = {s: spread * torch.randn(3, 3, generator=generator, dtype=torch.float64) for s in beginnings}
    logits = torch.stack([torch.stack([tables[y[:t]] for t in range(3)], 1) for y in replies], 1)
    ids = torch.tensor(replies)[:, :, None]
    said = (logits / 0.7).log_softmax(3).gather(3, ids.expand(3, -1, -1, -1)).squeeze(3)
    weights = torch.rand(1, 2, generator=generator, dtype=torch.float64) / 2
    law = LogitBias(torch.tensor([2, 0]), 5 * weights, 3) if kind is LogitBias else kind(ADS, weights)
    others = logits[1:] if kind is not LogitBias else logits[:0]
    log_p = (law.logits(logits[0], others, 0.7, said.cumsum(2) - said) / 0.7).log_softmax(2)
    log_q = (logits[0] / 0.7).log_softmax(2)
    p, q = (part.gather(2, ids).sum((1, 2)).exp() for part in (log_p, log_q))
    by_token = (p * (log_p.exp() * (log_p - log_q)).sum((1, 2))).sum()
    whole = float((p * (p / q).log()).sum())
    assert float(by_token) == pytest.approx(whole, rel=1e-9, abs=1e-12)
    event = torch.rand(27, generator=generator) < 0.4
    assert float(binary_divergence((p * event).sum(), (q * event).sum().clamp_max(1))) <= whole + 1e-12


def some(kind: type, weights: Tensor) -> TokenLaw:
    made: TokenLaw = LogitBias(torch.tensor([5, 2]), weights, 11) if kind is LogitBias else kind(ADS, weights)
    return made


WEIGHTS = torch.tensor([[0.0, 0.0], [0.5, 0.25], [0.0, 1.0], [0.125, 0.0], [0.0, 0.0]])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("kind", [LogitBias, *MIXTURES])
def test_rows_stand_alone_and_null_rows_are_the_models_own(kind: type, dtype: torch.dtype) -> None:
    """Over several positions, more of them than are combined at once."""
    generator = torch.Generator().manual_seed(0)
    own, others = (4 * torch.randn(*shape, 5, 40, 11, generator=generator) for shape in ((), (2,)))
    own, others = own.to(dtype), (others if kind is not LogitBias else others[:0]).to(dtype)
    seen = -torch.rand(3, 5, 40, generator=generator).cumsum(2) if kind is PosteriorMixture else None
    law = some(kind, WEIGHTS)
    assert isinstance(law, TokenLaw)
    assert law.null.tolist() == [True, False, False, False, True]
    out = law.logits(own, others, 0.7, seen)
    assert torch.equal(out[[0, 4]], own[[0, 4]].to(out.dtype))
    assert out.dtype == torch.promote_types(dtype, torch.float32)
    for row in range(5):
        at = slice(row, row + 1)
        alone = law.select(at).logits(own[at], others[:, at], 0.7, None if seen is None else seen[:, at])
        torch.testing.assert_close(alone.to(out.dtype), out[at], rtol=1e-6, atol=1e-6)
    untouched = law.select(torch.tensor([0, 4])).logits(own[[0, 4]], others[:, [0, 4]], 0.7, None)
    assert untouched.dtype == dtype
    assert torch.equal(untouched, own[[0, 4]])


@pytest.mark.parametrize("kind", [LogitBias, *MIXTURES])
def test_laws_are_values_of_rows(kind: type) -> None:
    law = some(kind, WEIGHTS)
    mask = torch.tensor([False, True, False, True, True])

    def rows(value: TokenLaw) -> Tensor:
        return value.bias if isinstance(value, LogitBias) else value.weights  # type: ignore[attr-defined, no-any-return]

    assert torch.equal(rows(law.select(mask)), WEIGHTS[mask])
    assert torch.equal(rows(law.select(slice(1, 3)).repeat(2)), WEIGHTS[[1, 1, 2, 2]])
    assert torch.equal(rows(law.repeat(2).select(slice(2, 6))), WEIGHTS[[1, 1, 2, 2]])
    lone = law.select(slice(1, 2))
    assert lone.select(torch.tensor([0, 0, 0])) is lone
    served = Change(5, at=lone).select(mask)
    assert served.num_rows == 3
    assert not served.null.any()
    assert Change(5, at=law).companions == (() if kind is LogitBias else ADS)


def test_one_row_serves_all() -> None:
    own = torch.randn(4, 2, 11, generator=torch.Generator().manual_seed(0))
    others = torch.stack((own.flip(2), own.roll(1, 2)))
    for kind in (LinearMixture, LogLinearMixture):
        lone, each = some(kind, WEIGHTS[1:2]), some(kind, WEIGHTS[1:2].repeat(4, 1))
        assert torch.equal(lone.logits(own, others, 0.7, None), each.logits(own, others, 0.7, None))
    with pytest.raises(ValueError, match="a law of 5 rows for logits of 4"):
        some(LinearMixture, WEIGHTS).logits(own, others, 0.7, None)


@pytest.mark.parametrize("weights", [[[0.7, 0.4]], [[-0.1, 0.3]]])
def test_weights_off_the_simplex_are_refused(weights: list[list[float]]) -> None:
    with pytest.raises(ValueError, match=r"weights must be >= 0 and sum to at most 1, got .* in row 0"):
        LinearMixture(ADS, torch.tensor(weights))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="2 companions need a weight each, got 1"):
        LinearMixture(ADS, torch.tensor([[0.5]]))
    with pytest.raises(ValueError, match="a mixture of 2 companions got the logits of 1"):
        LinearMixture(ADS, torch.tensor([[0.5, 0.1]])).logits(torch.zeros(1, 1, 3), torch.zeros(1, 1, 1, 3), 1.0, None)
    with pytest.raises(ValueError, match="a posterior needs the likelihood of the tokens before"):
        PosteriorMixture(ADS, torch.tensor([[0.5, 0.1]])).logits(
            torch.zeros(1, 1, 3), torch.zeros(2, 1, 1, 3), 1.0, None
        )
    with pytest.raises(ValueError, match="takes each token once"):
        LogitBias(torch.tensor([1, 1]), torch.ones(1, 2), 9)
    with pytest.raises(ValueError, match=r"tokens must lie in \[0, 9\)"):
        LogitBias(torch.tensor([9]), torch.ones(1, 1), 9)
    with pytest.raises(ValueError, match="the bias is for 9 tokens, the model has 3"):
        LogitBias(torch.tensor([1]), torch.ones(1, 1), 9).logits(
            torch.zeros(1, 1, 3), torch.zeros(0, 1, 1, 3), 1.0, None
        )


def test_laws_of_one_voice_and_events_that_cannot_be() -> None:
    law = doubles([[[0.25, 0.75, 0.0]], [[0.5, 0.0, 0.5]]]).log()
    one = doubles([[1.0], [0.0]])
    assert torch.equal(linear_mixture(law, one).exp(), law[0].exp())
    assert torch.equal(log_linear_mixture(law[:, :, :1], one), law[0, :, :1])
    shares, references = doubles([0.0, 1.0, 0.3, 0.0, 0.5]), doubles([0.0, 1.0, 0.3, 0.5, 0.0])
    assert binary_divergence(shares, references).tolist() == pytest.approx([0, 0, 0, math.log(2), math.inf])
