"""A reply's own words: what it copies from the question does not count, however it is written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auctionsim import readings
from auctionsim.readings import Reply
from auctionsim.readings.own_relevance import own_text
from auctionsim.readings.values import read_texts
from auctionsim.readings.words import word_spans, words

QUESTION = "Which running shoes would you choose?"


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("Which running shoes would you choose? Light ones.", "? Light ones."),
        ("WHICH Running, shoes would — you choose: light ones", ", — : light ones"),
        ("You would choose running shoes", "You would choose running shoes"),
        ("Running shoes, yes", "Running shoes, yes"),
        ("I choose running shoes would you believe it", "I choose  believe it"),
        ("which running shoes which running shoes", ""),
        ("", ""),
    ],
)
def test_stretches_of_three_words_or_more_are_taken_out(text: str, own: str) -> None:
    assert " ".join(own_text(QUESTION, text).split()) == " ".join(own.split())


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(["which", "running", "shoes", "Would", "you", "İ", "ß", "no", "𝒩ike", "靴"]), max_size=12)
)
def test_no_copied_stretch_is_left_unless_the_cut_joins_one(listed: list[str]) -> None:
    text = " ".join(listed)
    own = words(own_text(QUESTION, text))
    assert len(own) <= len(words(text))
    assert own == words(text) or len(words(text)) - len(own) >= 3
    assert [word for word, _, _ in word_spans(text)] == words(text)


@pytest.mark.model
def test_repeating_the_question_buys_relevance_and_not_that_of_own_words() -> None:
    drift = "The committee met on Tuesday to discuss the budget for next year, and the roof of the school."
    texts = (drift, f"{QUESTION} {drift}", f"{drift} {QUESTION} {QUESTION}", QUESTION, "🙂")
    replies = [Reply(QUESTION, text, [1], (k,)) for k, text in enumerate(texts)]
    whole, own = (read_texts(readings.reading(name), replies, ()) for name in ("relevance", "own_relevance"))
    assert float(whole[1]) > float(whole[0]) + 0.2
    assert float(own[1]) == pytest.approx(float(own[0]), abs=0.1)
    assert float(own[2]) == pytest.approx(float(own[0]), abs=0.1)
    assert own[3] == 0.0
