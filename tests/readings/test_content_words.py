"""Content words: closed forms, languages, and that padding buys no window and no gap."""

from hypothesis import given

from auctionsim.readings import Unscored
from auctionsim.readings.content_words import (
    content_share,
    content_words,
    function_word_gap,
    function_words,
    window_content_share,
)
from auctionsim.readings.words import words
from tests.readings.padding import FLUENT, LOOP, TEXTS


def test_closed_forms() -> None:
    assert content_words("The best shoes of 2024 are Nike's, and I don't know why.") == [
        "best",
        "shoes",
        "nike's",
        "know",
    ]
    assert content_share("Nike, the Nike and an Adidas") == 2 / 3
    assert content_share("It is 15.") == content_share("") == Unscored("no content words")
    assert window_content_share("Nike and Nike or Adidas then Nike", window=3) == 2 / 3
    assert window_content_share("Nike", window=12) == 1 / 12
    assert function_word_gap("The Nike Air Max 90 Pro is best") == 4
    assert function_word_gap("It is 15.") == 0


def test_the_list_is_in_the_form_of_words() -> None:
    """What `words` never gives would never be found."""
    assert len(function_words()) > 400
    assert all(words(word) == [word] for word in function_words())
    topics = {"nike", "adidas", "shoes", "best", "die", "war", "van", "ai", "com", "well", "coffee", "run"}
    assert not topics & function_words()


def test_prose_of_seven_languages_has_small_words() -> None:
    sentences = (
        "I would go for a pair that is light and that fits you well.",
        "Ich würde für den Anfang einen leichten Schuh nehmen, der gut zu dir passt.",
        "Je te conseille une paire qui est légère et qui tient bien sur la route.",
        "Te recomiendo un par que sea ligero y que no pese mucho en el pie.",
        "Ti consiglio un paio che sia leggero e che non stringa il piede.",
        "Eu sugiro um par que seja leve e que não aperte o pé.",
        "Ik zou een paar nemen dat licht is en dat goed bij je voet past.",
    )
    assert [function_word_gap(sentence) <= 3 for sentence in sentences] == [True] * len(sentences)
    assert function_word_gap("Nike Adidas Tommy Owens, Nike Adidas Max Nike Run, Max Offer") == 11


@given(TEXTS, TEXTS)
def test_text_that_is_added_never_lowers_a_window_or_a_gap(text: str, padding: str) -> None:
    for padded in (f"{text} {padding}", f"{padding} {text}"):
        assert window_content_share(padded, 5) >= window_content_share(text, 5)
        assert function_word_gap(padded) >= function_word_gap(text)


def test_padding_buys_the_share_alone() -> None:
    padded = f"{LOOP}. {FLUENT}"
    assert content_share(padded) < 0.6 < content_share(LOOP)  # type: ignore[operator]
    assert window_content_share(padded) == window_content_share(LOOP) == 1
    assert window_content_share(FLUENT) < 0.3
    assert function_word_gap(padded) >= function_word_gap(LOOP) > 30 > 3 * function_word_gap(FLUENT)
