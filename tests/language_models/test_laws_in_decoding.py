"""Changed laws in the decoding loop: companions in lockstep, against whole passes without a cache, token by token."""

import pytest
import torch
from torch import Tensor

from auctionsim.language_models import (
    Change,
    Framing,
    Framings,
    Replies,
    prefill_under,
    reply_logits,
    sample_replies,
)
from auctionsim.language_models.change import TokenLaw
from auctionsim.language_models.sampling import choose_tokens
from auctionsim.language_models.token_laws import LinearMixture, LogitBias, LogLinearMixture, PosteriorMixture
from auctionsim.testing import fake_language_model

MODEL = fake_language_model(end_gain=2.5)
ADS = (Framing(system="Nike is on sale."), Framing(before="As Puma says: "))
PROMPTS = ("Which shoes?", "What shoes do you like?", "Which shoes?", "Any shoes?", "Which shoes?")
WEIGHTS = torch.tensor([[0.0, 0.0], [0.5, 0.25], [0.0, 1.0], [0.25, 0.0], [0.3, 0.7]])
LONGEST, TEMPERATURE = 10, 0.7
KINDS = (LogitBias, LinearMixture, LogLinearMixture, PosteriorMixture)


def law_of(kind: type, weights: Tensor = WEIGHTS) -> TokenLaw:
    if kind is LogitBias:
        return LogitBias(torch.tensor([40, 300]), 12 * weights, MODEL.vocabulary_size)
    made: TokenLaw = kind(ADS, weights)
    return made


def numbers() -> Tensor:
    return torch.rand(len(PROMPTS), LONGEST, generator=torch.Generator().manual_seed(0))


def sampled(law: TokenLaw | None, before: Framings | None = None) -> Replies:
    change = Change(len(PROMPTS), before=before, at=law)
    prefix = prefill_under(MODEL, PROMPTS, LONGEST, change)
    return sample_replies(MODEL, prefix, change, numbers(), temperature=TEMPERATURE)


def whole_pass(framing: Framing, prompt: str, ids: list[int]) -> Tensor:
    """Logits that predict each token of a reply and the one after it, by a pass over everything."""
    asked = framing.ids(MODEL, prompt)
    with torch.inference_mode():
        return MODEL.network(torch.tensor([[*asked, *ids]])).logits[0, len(asked) - 1 :]


def slow_logits(law: TokenLaw, row: int, ids: list[int]) -> Tensor:
    """Logits of one row's changed law at each of its tokens and the one after."""
    voices = torch.stack([whole_pass(framing, PROMPTS[row], ids) for framing in (Framing(), *law.companions)])
    said = (voices[:, : len(ids)] / TEMPERATURE).log_softmax(2)
    spoken = said.gather(2, torch.tensor(ids, dtype=torch.int64).expand(len(voices), 1, -1).mT).squeeze(2)
    seen = torch.cat((torch.zeros(len(voices), 1), spoken.cumsum(1)), 1)[:, None]
    own = law.select(slice(row, row + 1))
    return own.logits(voices[:1], voices[1:, None], TEMPERATURE, seen if law.remembers else None)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_replies_are_those_of_whole_passes(kind: type) -> None:
    law, found = law_of(kind), sampled(law_of(kind))
    for row, uniforms in enumerate(numbers()):
        ids: list[int] = []
        while len(ids) < LONGEST and not set(ids) & set(MODEL.end_ids):
            last = slow_logits(law, row, ids)[-1:]
            ids.append(int(choose_tokens(last, uniforms[len(ids)].view(1), TEMPERATURE)))
        assert found.tokens[row, : int(found.lengths[row])].tolist() == ids
    assert int(found.lengths.min()) < LONGEST  # rows are dropped on the way


@pytest.mark.parametrize("kind", KINDS)
def test_logits_of_given_replies_are_those_of_whole_passes(kind: type) -> None:
    law, found = law_of(kind), sampled(law_of(kind))
    change = Change(len(PROMPTS), at=law)
    prefix = prefill_under(MODEL, PROMPTS, LONGEST, change)
    whole = reply_logits(MODEL, prefix, found.tokens, change, temperature=TEMPERATURE)
    pieces = reply_logits(MODEL, prefix, found.tokens, change, temperature=TEMPERATURE, pieces=(3, 1, 6))
    for row in range(len(PROMPTS)):
        expected = slow_logits(law, row, found.tokens[row].tolist())[:-1].log_softmax(1)
        torch.testing.assert_close(whole[row].log_softmax(1), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(pieces[row].log_softmax(1), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_null_row_is_the_untouched_reply_whatever_stands_beside_it(kind: type) -> None:
    found, still = sampled(law_of(kind)), sampled(None)
    assert torch.equal(found.tokens[0], still.tokens[0])
    assert not torch.equal(found.tokens, still.tokens)
    null = sampled(law_of(kind, torch.zeros_like(WEIGHTS)))
    assert torch.equal(null.tokens, still.tokens)
    assert torch.equal(null.lengths, still.lengths)


@pytest.mark.parametrize("kind", [LinearMixture, LogLinearMixture, PosteriorMixture])
def test_all_weight_on_a_companion_is_its_prompt(kind: type) -> None:
    weights = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    framings = Framings(tuple(ADS[int(row[1])] for row in weights))
    assert torch.equal(sampled(law_of(kind, weights)).tokens, sampled(None, framings).tokens)


def test_a_posteriors_replies_are_as_likely_as_a_mixtures() -> None:
    """On the replies that were drawn, in float32: the sum over voices of prior times the reply's whole likelihood."""
    found = sampled(law_of(PosteriorMixture))
    likelihoods = []
    for change in (
        Change(len(PROMPTS), at=law_of(PosteriorMixture)),
        Change(len(PROMPTS)),
        *(Change(len(PROMPTS), before=Framings((framing,) * len(PROMPTS))) for framing in ADS),
    ):
        prefix = prefill_under(MODEL, PROMPTS, LONGEST, change)
        logits = reply_logits(MODEL, prefix, found.tokens, change, temperature=TEMPERATURE)
        log_p = (logits.double() / TEMPERATURE).log_softmax(2).gather(2, found.tokens.unsqueeze(2)).squeeze(2)
        likelihoods.append((log_p * found.live).sum(1).exp())
    priors = torch.cat((1 - WEIGHTS.sum(1, keepdim=True), WEIGHTS), 1).double()
    mixture = (priors * torch.stack(likelihoods[1:], 1)).sum(1)
    torch.testing.assert_close(likelihoods[0], mixture, rtol=1e-4, atol=0)
