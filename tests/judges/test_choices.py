"""Verdicts are probabilities over all spellings of the options, and words count only where they are clear."""

import math

import pytest
import torch

from auctionsim.judges.choices import (
    RATING,
    YES_NO,
    VerdictOptions,
    option_in,
    option_tokens,
    verdict_listed,
    verdict_of,
)
from auctionsim.judges.positions import swap_averaged
from auctionsim.testing import fake_tokenizer


def test_all_single_tokens_of_an_option_are_summed() -> None:
    tokenizer = fake_tokenizer()
    tokens = option_tokens(tokenizer, VerdictOptions(("nike", "puma")))
    vocabulary = tokenizer.get_vocab()
    for name, ids in zip(("nike", "puma"), tokens, strict=True):
        expected = {k for word, k in vocabulary.items() if word.lower().lstrip("ġ") == name}
        assert set(ids) == expected
    assert len(tokens[0]) > 1
    logits = torch.randn(512, generator=torch.Generator().manual_seed(0))
    verdict = verdict_of(logits, ((3, 5, 8), (13, 21)))
    weights = [sum(math.exp(float(logits[k])) for k in some) for some in ((3, 5, 8), (13, 21))]
    assert verdict.probabilities[0] == pytest.approx(weights[0] / sum(weights))
    assert sum(verdict.probabilities) == pytest.approx(1)
    assert verdict.logits is not None
    assert verdict.logits[0] - verdict.logits[1] == pytest.approx(math.log(weights[0] / weights[1]))
    with pytest.raises(NotImplementedError, match="no single token that says 'yes'"):
        option_tokens(tokenizer, YES_NO)
    assert len(option_tokens(tokenizer, RATING)) == 5


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("Yes", 0), (" no.", 1), ("**Yes**, it is.", 0), ("NO!", 1), ("I would say yes.", 0), ("Yes, no doubt.", 0),
        ("Not yes", None), ("I can\u2019t say yes.", None), ("No, it is not.", 1),
        ("", None), ("Maybe", None), ("It is neither yes nor no", None), ("yesterday", None), ("I cannot judge.", None),
    ],
)  # fmt: skip
def test_words_are_verdicts_where_they_are_clear(text: str, option: int | None) -> None:
    assert option_in(text, YES_NO) == option


def test_numbers_are_whole_words() -> None:
    texts = ("4.5", "-1", "2,5 stars", "2nd", "5.", "3, since it drifts", "- 2")
    assert [option_in(text, RATING) for text in texts] == [None, None, None, None, 4, 2, 1]


def test_ratings_in_words() -> None:
    assert [option_in(text, RATING) for text in ("4", "4/5", "I give it 4.", "10", "a 4 out of 5")] == [
        3,
        3,
        3,
        None,
        None,
    ]


def test_listed_probabilities() -> None:
    listed = [(" Yes", math.log(0.5)), ("yes", math.log(0.1)), ("No", math.log(0.2)), ("Well", math.log(0.2))]
    verdict = verdict_listed(listed, YES_NO)
    assert verdict is not None
    assert verdict.probabilities == pytest.approx((0.75, 0.25))
    assert verdict.logits == pytest.approx((math.log(0.6), math.log(0.2)))
    assert verdict_listed(listed[:2], YES_NO) == ((1.0, 0.0), None)  # how improbable no is, nobody knows
    assert verdict_listed(listed[3:], YES_NO) is None


@pytest.mark.parametrize("bias", [2.0, -0.75, 0.0])
def test_swap_averaging_frees_a_margin_of_the_position(bias: float) -> None:
    margin = torch.tensor([1.0, -0.25, 0.0], dtype=torch.float64)
    pair = swap_averaged(margin + bias, margin - bias)
    assert pair.margin.tolist() == pytest.approx(margin.tolist())
    assert pair.position.tolist() == pytest.approx([bias] * 3)
    assert float(torch.sigmoid(pair.margin)[0]) == pytest.approx(0.731059, abs=1e-6)


def test_averaged_probabilities_do_not() -> None:
    assert (torch.sigmoid(torch.tensor(3.0)) + torch.sigmoid(torch.tensor(-1.0))).item() / 2 == pytest.approx(
        0.610758, abs=1e-6
    )
