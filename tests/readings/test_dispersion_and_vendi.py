"""Vendi scores of sets that are known in closed form; dispersion and closeness of real replies."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from auctionsim import readings
from auctionsim.readings import ReferenceReading, Reply, TextReading, Unscored
from auctionsim.readings.relevance_margin import other_questions
from auctionsim.readings.values import read_beside, read_set, read_texts
from auctionsim.readings.vendi import vendi_score

QUESTION = "Which running shoes would you choose?"
NEAR = "For the road I would choose light running shoes with a soft sole."
LIKE = "I would choose soft and light running shoes for the road."
FAR = "The committee met on Tuesday to discuss the budget for next year."


def replies(*texts: str, prompt: str = QUESTION) -> list[Reply]:
    return [Reply(prompt, text, [1], (k,)) for k, text in enumerate(texts)]


def text_reading(name: str) -> TextReading:
    reading = readings.reading(name)
    assert isinstance(reading, TextReading)
    return reading


def compared(name: str, texts: list[Reply], references: list[list[Reply]]) -> list[readings.Value]:
    reading = readings.reading(name)
    assert isinstance(reading, ReferenceReading)
    return read_beside(reading, texts, (), references)


@given(st.floats(-1, 1))
def test_vendi_of_a_pair_is_that_of_two_shares(cosine: float) -> None:
    """The eigenvalues of a pair's kernel over 2 are (1 ± cosine)/2; at ½ that is 1.754765."""
    shares = [(1 + cosine) / 2, (1 - cosine) / 2]
    entropy = -sum(share * math.log(share) for share in shares if share > 0)
    pair = torch.tensor([[1, cosine], [cosine, 1]], dtype=torch.float64)
    assert vendi_score(pair) == pytest.approx(math.exp(entropy), abs=1e-6)


def test_vendi_counts_what_differs() -> None:
    assert vendi_score(torch.tensor([[1.0, 0.5], [0.5, 1.0]])) == pytest.approx(1.754765, abs=5e-7)
    assert vendi_score(torch.eye(5)) == pytest.approx(5)
    assert vendi_score(torch.ones(5, 5)) == pytest.approx(1)
    groups = torch.block_diag(torch.ones(3, 3), torch.ones(3, 3))
    assert vendi_score(groups) == pytest.approx(2)
    for wrong in (torch.zeros(0, 0), torch.eye(2) * 2):
        with pytest.raises(ValueError, match="a Vendi score needs texts, each 1 like itself"):
            vendi_score(wrong)


def test_weighted_vendi_counts_by_probability() -> None:
    """Even weights change nothing; a text drawn twice as often is two copies; orthogonal ones go by their entropy."""
    like = torch.tensor([[1.0, 0.5, 0.2], [0.5, 1.0, 0.1], [0.2, 0.1, 1.0]], dtype=torch.float64)
    assert vendi_score(like, torch.full((3,), 1 / 3)) == pytest.approx(vendi_score(like), abs=1e-6)
    twice = like[[0, 0, 1, 2]][:, [0, 0, 1, 2]]
    weights = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    assert vendi_score(like, weights) == pytest.approx(vendi_score(twice))
    entropy = 0.5 * math.log(2) + 2 * 0.25 * math.log(4)
    assert vendi_score(torch.eye(3), weights) == pytest.approx(math.exp(entropy))
    with pytest.raises(ValueError, match="needs 3 probabilities"):
        vendi_score(like, torch.tensor([0.5, 0.5]))


def test_the_other_questions_are_different_and_of_no_packaged_market() -> None:
    questions = other_questions()
    assert len(set(map(str.casefold, questions))) == len(questions) == 32
    assert all(question == question.strip() and question.endswith("?") for question in questions)
    words = " ".join(questions).lower()
    assert not [market for market in ("shoe", "phone", "coffee", "hotel", "charit") if market in words]


@pytest.mark.model
def test_sets_of_replies_that_differ_are_dispersed() -> None:
    dispersion, vendi = text_reading("dispersion"), text_reading("vendi")
    same, alike, mixed = (replies(*texts) for texts in ((NEAR, NEAR, ""), (NEAR, LIKE), (NEAR, FAR)))
    assert read_set(dispersion, same, ()) == pytest.approx(0, abs=1e-6)
    assert read_set(vendi, same, ()) == pytest.approx(1, abs=1e-6)
    for reading in (dispersion, vendi):
        of_alike, of_mixed = read_set(reading, alike, ()), read_set(reading, mixed, ())
        assert isinstance(of_alike, float)
        assert isinstance(of_mixed, float)
        assert of_alike < of_mixed
    assert read_set(dispersion, replies(NEAR, ""), ()) == Unscored("fewer than two replies with text")
    assert read_set(vendi, replies(""), ()) == Unscored("no text to embed")


@pytest.mark.model
def test_closeness_is_the_mean_and_the_highest_cosine() -> None:
    texts = replies(NEAR, FAR, "", NEAR)
    references = [replies(NEAR, FAR), replies(NEAR, LIKE, " "), replies(NEAR), replies("")]
    mean, nearest = (compared(name, texts, references) for name in ("closeness", "closeness_nearest"))
    assert isinstance(mean[0], float)
    assert isinstance(mean[1], float)
    assert nearest[0] == pytest.approx(1, abs=1e-6)
    (far,) = compared("closeness", texts[:1], [replies(FAR)])
    assert mean[0] == pytest.approx((1 + far) / 2, abs=1e-6)
    assert mean[1] < mean[0]
    unscored = [Unscored("no text to embed"), Unscored("no untouched reply with text to compare with")]
    assert mean[2:] == nearest[2:] == unscored


@pytest.mark.model
def test_a_margin_is_above_chance_for_ones_own_question_only() -> None:
    margin, plain = text_reading("relevance_margin"), text_reading("relevance")
    own, off = read_texts(margin, replies(NEAR, FAR), ())
    assert own > 0.4 > 0.1 > off
    other = other_questions()[0]
    text = "Pour boiling water on them, or pull the weeds out by hand after rain."
    (value,) = read_texts(margin, replies(text, prompt=other), ())
    (cosine,) = read_texts(plain, replies(text, prompt=other), ())
    others = [read_texts(plain, replies(text, prompt=one), ())[0] for one in other_questions()[1:]]
    assert value == pytest.approx(cosine - sum(others) / 31, abs=1e-6), "one's own question is none of the others"
