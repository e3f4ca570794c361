"""Broken text by its forms: what is odd, what must not be, and that padding buys no window."""

import pytest
from hypothesis import given, settings

from auctionsim.readings import Reply, Unscored, reading
from auctionsim.readings.broken_text import fragments, is_odd_word, odd_words, unreadable
from auctionsim.readings.values import read_texts
from tests.readings.padding import FLUENT, TEXTS


@pytest.mark.parametrize(
    "text",
    [
        FLUENT,
        "The iPhone 13 Pro, the Galaxy S23, New Balance 990v6, GT-2000, H2O, MP3s, 4K60 and B2B.",
        "McDonald's, YouTube, PlayStation, LinkedIn, iOS, HTML, NASA, rhythm, nth, hmm, www, NYC, 15K, 1st.",
        "Die Donaudampfschifffahrtsgesellschaft fährt. Zmrzlina je sladká. Čtvrt hodiny. Прекрасные кроссовки.",
        "日本語のiPhoneとNike Air Max 90です。 애플의 iPhone은 좋다. नाइकी के जूते. أحذية Nike جيدة. รองเท้า Nike ดี",
        "See https://shop.example/aXbYcZ1a2b3c, #RunLikeNobodyDid and @someRandomUserName.",
        "L’été, l'Oréal, naïve café.",
    ],
)
def test_ordinary_words_and_names_are_not_odd(text: str) -> None:
    assert [word for word, odd in zip(text.split(), odd_words(text), strict=False) if odd] == []
    assert not any(odd_words(text))
    assert not any(unreadable(text))


@pytest.mark.parametrize("word", ["A1b2c", "SamsungGalexLTEMaxo", "aaaargh", "bcdfgh", "shoеs", "x" * 41])
def test_odd_words(word: str) -> None:
    assert is_odd_word(word)
    assert odd_words(f"The {word} is.") == [False, True, False]


def test_unreadable_signs() -> None:
    assert unreadable("a \ufffd\x00\n\ue000🙂") == [False, True, True, True, False]
    assert unreadable("❤️ 1️⃣ 👩‍👩‍👧 नि") == [False] * len("❤️1️⃣👩‍👩‍👧नि")
    assert unreadable("7\ufe0f\ufe0f\ufe0f") == [False, False, True, True]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("It fits. Buy it!", [False, False]),
        ("It fits. buy it! Now", [False, True, False]),
        ("well, well", [True]),
        ("It fits", [False]),
        ("It fits\nIt is light\nIt", [True, True, False]),
        ("Here:\n\n1. light shoes\n2. Adidas. it fits\n- and more\n\nIt fits.", [False] * 6),
        ("# My shoes\nThey fit e.g. me. **Note:**\n| a | b |", [False] * 4),
        ("3.5 miles are far.", [False]),
        ("日本の靴です。軽い", [False, False]),
        ("🙂 …\n1.\n2.", []),
    ],
)
def test_fragments(text: str, expected: list[bool]) -> None:
    assert fragments(text) == expected


def test_shares_and_windows() -> None:
    assert _values("It fits. buy it! Now") == [0, 0, 0, 0, 1 / 3, 1 / 4]
    assert _values("\ufffd A1b2c fits")[:4] == [1 / 10, 1 / 24, 1 / 2, 1 / 24]
    none = [Unscored("no signs"), 0, Unscored("no words"), 0, Unscored("no sentences"), 0]
    assert _values(" ") == none


@settings(max_examples=60)
@given(TEXTS, TEXTS)
def test_text_that_is_added_never_lowers_a_window(text: str, padding: str) -> None:
    """Nor before it, but for a fragment, which may become the end of another sentence."""
    before, after, later = _values(text), _values(f"{text} {padding}"), _values(f"{padding} {text}")
    assert all(after[k] >= before[k] for k in (1, 3, 5))  # type: ignore[operator]
    assert all(later[k] >= before[k] for k in (1, 3))  # type: ignore[operator]


def test_padding_buys_shares() -> None:
    broken = "A1b2c \ufffd\ufffd\ufffd bcdfgh. it is a1a1a1\nAdidas"
    before, after = _values(broken), _values(f"{broken}. {FLUENT}")
    assert all(after[k] < before[k] / 2 for k in (0, 2, 4))  # type: ignore[operator]
    assert all(after[k] >= before[k] > 0 for k in (1, 3, 5))  # type: ignore[operator]


def _values(text: str) -> list[object]:
    kinds = ("unreadable", "odd_word", "fragment")
    names = [f"{window}{kind}_share" for kind in kinds for window in ("", "window_")]
    reply = Reply("", text, [1], ())
    return [read_texts(reading(name), [reply], ())[0] for name in names]  # type: ignore[arg-type]
