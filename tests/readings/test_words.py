"""Words are what readings count: any script, one form; a window's counts are those of a slow loop."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auctionsim.readings.words import grams, most_of_one, most_repeated, most_true, repeated, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" …!? 🙂 _ -- \n", []),
        ("Adidas, ADIDAS! *adidas*; _Adidas_", ["adidas"] * 4),
        ("AdidasNordx Adidas15K", ["adidasnordx", "adidas15k"]),
        ("well-known, don't, ‘don’t’, l'eau", ["well", "known", "don't", "don't", "l'eau"]),
        ("1. one 1.5 S23/S24", ["1", "one", "1", "5", "s23", "s24"]),
        ("Café cafe\u0301 𝐂afé Ｎike Straße", ["café", "café", "café", "nike", "strasse"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("日本のNike靴、です。", ["日", "本", "の", "nike", "靴", "で", "す"]),
        ("มี น้ำ", ["มี"[:1] + "ี", "น้", "ำ"]),
        ("so\u00adft a\u200bb", ["soft", "a", "b"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_case_is_kept_on_demand() -> None:
    assert words("Nike ÉTÉ", keep_case=True) == ["Nike", "ÉTÉ"]


def test_grams() -> None:
    assert grams("abcd", 3) == [("a", "b", "c"), ("b", "c", "d")]
    assert grams("ab", 3) == []


@given(st.lists(st.integers(0, 4), max_size=20), st.integers(1, 7))
def test_windows_are_those_of_a_slow_loop(items: list[int], window: int) -> None:
    stretches = [items[k : k + window] for k in range(max(1, len(items) - window + 1))]
    assert most_repeated(items, window) == max(map(repeated, stretches))
    assert most_of_one(items, window) == max(max(Counter(part).values(), default=0) for part in stretches)
    flags = [item == 0 for item in items]
    assert most_true(flags, window) == max(part.count(0) for part in stretches)


def test_a_window_has_an_item() -> None:
    with pytest.raises(ValueError, match="a window must have at least one item, got 0"):
        most_repeated([1], 0)
