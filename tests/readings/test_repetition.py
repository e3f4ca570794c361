"""Repetition: closed forms, what each finds, and that padding buys off a share of the reply but no window."""

import pytest
from hypothesis import given, settings

from auctionsim.readings import Reply, Unscored, reading
from auctionsim.readings.repetition import (
    character_repetition,
    longest_repeat,
    stem_repetition,
    window_repetition,
    word_repetition,
)
from auctionsim.readings.values import read_texts
from tests.readings.padding import FLUENT, LOOP, TEXTS


def test_closed_forms() -> None:
    assert word_repetition("Well, well, well... WELL said") == 3 / 5
    assert word_repetition("one") == 0
    assert window_repetition("a b a b", window=4) == 2 / 4
    assert window_repetition("a b a b c d e f", window=4) == 2 / 4
    assert window_repetition("a b c d e f a b", window=4) == 0
    assert window_repetition("a b c a b c a", order=3, window=7) == 2 / 5
    assert character_repetition("ababab", run=2, window=6) == 3 / 5
    assert stem_repetition("AdidasX Adidas adi ADI adidab", window=5) == 3 / 5
    assert window_repetition("a a", window=24) == 1 / 24  # a short text is a lower bound
    assert longest_repeat("a b c x a b c y a b", window=6) == 3 / 6
    assert longest_repeat("a a a a a", window=6) == 4 / 6  # both overlap
    assert longest_repeat("a b " * 9, window=6) == 1
    assert longest_repeat("a b c", window=6) == longest_repeat("", window=6) == 0


def test_a_sentence_that_comes_again_is_found_whatever_its_length() -> None:
    sentence = " ".join(f"word{k}" for k in range(40))
    twice = f"{sentence}. {sentence}. {FLUENT}"
    assert _value("longest_repeat", twice) == 1
    assert _value("window_word_repetition", twice) < 0.3


def test_without_words_there_is_no_share_of_them_and_nothing_repeated() -> None:
    assert word_repetition("🙂 …") == Unscored("no words")
    assert window_repetition("") == window_repetition("🙂", order=3) == character_repetition("") == 0


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Adidas Adidas Adidas " * 9, "window_word_repetition"),
        ("Adidas, Adidas, " * 13, "window_trigram_repetition"),
        ("well, well... WELL well! " * 7, "window_word_repetition"),
        ("ha" * 60, "window_character_repetition"),
        ("Adidas" * 20, "window_character_repetition"),
        ("Adidas AdidasNordx Adidas15K Adidas's AdidasLimo AdidaskaR " * 4, "window_stem_repetition"),
        ("1.1." * 30, "window_character_repetition"),
        ("👟" * 100, "window_character_repetition"),
        ("FFX" + "\ufe0f" * 120, "window_character_repetition"),
        ("靴" * 30, "window_word_repetition"),
    ],
)
def test_loops_score_high_and_prose_low(text: str, name: str) -> None:
    assert _value(name, text) > 0.8
    assert _value(name, FLUENT) < 0.3


def test_padding_buys_a_share_and_no_window() -> None:
    padded = f"{LOOP}. {FLUENT} {FLUENT[::-1]}"
    assert _value("word_repetition", padded) < 0.6 * _value("word_repetition", LOOP)
    assert _value("repetition_rate", padded) < 0.6 * _value("repetition_rate", LOOP)
    for name in (
        "window_word_repetition",
        "window_trigram_repetition",
        "window_character_repetition",
        "longest_repeat",
    ):
        assert _value(name, padded) >= _value(name, LOOP) > 0.8


@settings(max_examples=60)
@given(TEXTS, TEXTS)
def test_text_that_is_added_never_lowers_a_window(text: str, padding: str) -> None:
    """Neither after it nor before it."""
    for padded in (f"{text} {padding}", f"{padding} {text}"):
        for order in (1, 3):
            assert window_repetition(padded, order, window=6) >= window_repetition(text, order, window=6)
        assert stem_repetition(padded, 2, 6) >= stem_repetition(text, 2, 6)
        assert character_repetition(padded, 3, 12) >= character_repetition(text, 3, 12)
        assert longest_repeat(padded, 6) >= longest_repeat(text, 6)


def test_only_windows_are_losses() -> None:
    """A share of the reply can be bought by padding."""
    names = ("repetition_rate", "word_repetition", "window_word_repetition", "window_character_repetition")
    assert [reading(name).loss for name in names] == [None, None, "lower is better", "lower is better"]


def _value(name: str, text: str) -> float:
    (value,) = read_texts(reading(name), [Reply("", text, [1], ())], ())  # type: ignore[arg-type]
    assert isinstance(value, float)
    return value
