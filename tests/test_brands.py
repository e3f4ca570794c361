"""What counts as a mention, and which lines name brands."""

import re

import hypothesis.strategies as st
import pytest
from hypothesis import given

from auctionsim.brands import Brand, parse_brands

NIKE = Brand("Nike", ("Nike Inc", "swoosh"))


@pytest.mark.parametrize(
    ("text", "hits", "mentions"),
    [
        ("", 0, 0),
        ("Nike", 1, 1),
        ("nike and NIKE, always Nike.", 1, 3),
        ("I run in Nike. You run in Nike! They? Nike", 3, 3),
        ("Nikes, Nikeish and PreNike are other words, Nike_1 too.", 0, 0),
        ("Nike's, (Nike) and Nike-like shoes", 1, 3),
        ("The swoosh. Nike Inc. makes it.", 2, 2),
        ("Line one Nike\nline two Nike\n\n- Nike", 3, 3),
        ('"Buy Nike!" she said. "Nike?"', 2, 2),
        ("Version 2.0 of Nike is 1.5 times Nike.", 1, 2),
        ("Nike… Nike", 2, 2),
        ("Nïke, Ñike", 0, 0),
    ],
)
def test_hits_are_at_most_one_a_sentence(text: str, hits: int, mentions: int) -> None:
    assert (NIKE.hits(text), NIKE.mentions(text)) == (hits, mentions)


def test_punctuation_in_a_name_ends_no_sentence() -> None:
    boots = Brand("Dr. Martens", ("Yahoo!",))
    assert boots.hits("Try Dr. Martens. Really, Dr. Martens and again dr. martens.") == 2
    assert boots.hits("I like Yahoo! It is old. So is Yahoo! today.") == 2
    assert boots.hits("Yahoo! Yahoo! Yahoo!") == 3
    assert boots.hits("See Dr. Who, not Martens.") == 0
    assert Brand("AT&T").hits("AT&T, at&t and AT&Tx") == 1
    assert Brand("C++").hits("C++ or c++? C+ is another") == 1  # nothing in a name is a pattern


WORDS = ["Nike", "nike", "Nikes", "swoosh", "Nike Inc", "shoe", ".", "!", "?", "…", "\n", '."', "2.5", "-"]


@given(st.lists(st.sampled_from(WORDS), max_size=12), st.lists(st.sampled_from(["", " "]), min_size=12, max_size=12))
def test_hits_agree_with_splitting_first(words: list[str], spaces: list[str]) -> None:
    """For names without punctuation: split into sentences, then look for a name in each."""
    text = "".join(word + space for word, space in zip(words, spaces, strict=False))
    pieces = re.split(r"[.!?…]+[\"'”’)]*(?=\s|$)|\n+", text)
    name = re.compile(r"\b(?:nike inc|nike|swoosh)\b", re.IGNORECASE)
    assert NIKE.hits(text) == sum(name.search(piece) is not None for piece in pieces)
    assert NIKE.mentions(text) == len(name.findall(text))
    assert NIKE.hits(text) <= NIKE.mentions(text)


def test_brands_are_read_from_a_line() -> None:
    assert parse_brands("Nike,Adidas") == (Brand("Nike"), Brand("Adidas"))
    assert parse_brands(" Coca-Cola | Coke , Pepsi") == (Brand("Coca-Cola", ("Coke",)), Brand("Pepsi"))
    assert parse_brands("Dr. Martens,New Balance,H&M,Löwe")[3].names == ("Löwe",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "brands are written NAME,NAME"),
        ("Nike,", "brands are written NAME,NAME"),
        ("Nike,,Adidas", "brands are written NAME,NAME"),
        ("Nike||Swoosh", "brands are written NAME,NAME"),
        ("Nike=64x2", "must be plain text without"),
        ("Ni\nke", "must be plain text without"),
        ("Nike,nike", "'nike' is named twice"),
        ("Nike|Swoosh,Adidas|swoosh", "'swoosh' is named twice"),
    ],
)
def test_bad_lines_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_brands(text)


@pytest.mark.parametrize("names", [("",), (" Nike",), ("Nike ",), ("a|b",), ("Nike\n",), ("Nike", "Nike")])
def test_bad_names_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="a brand's name"):
        Brand(names[0], names[1:])
