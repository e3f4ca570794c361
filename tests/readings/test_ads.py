"""Ads and disclosure: closed forms; what counts as saying so, and what does not."""

import pytest

from auctionsim.brands import parse_brands
from auctionsim.readings import Unscored, reading
from auctionsim.readings.ads import ad_share, ad_words, brand_share, discloses
from auctionsim.readings.protocol import IS_ONE, Reply
from auctionsim.readings.values import read_texts

BRANDS = parse_brands("Nike,Dr. Martens|Docs,New Balance")


@pytest.mark.parametrize(
    ("text", "ads", "names"),
    [
        ("Shoes should fit. Nike makes light ones. Ask.", 4 / 8, 1 / 8),
        ("Nike's and Dr. Martens fit you", 1, 3 / 6),
        ("Buy Nike, Nike!\nThen run", 3 / 5, 2 / 5),
        ("Buy Nike or New Balance. So.", 5 / 6, 3 / 6),
        ("See nike.com. Run.", 3 / 4, 1 / 4),
        ("It fits.", 0, 0),
        ("Nike", 1, 1),
        ("ナイキ Nike靴。走る", 5 / 7, 1 / 7),
    ],
)
def test_closed_forms(text: str, ads: float, names: float) -> None:
    assert ad_share(text, BRANDS) == ads
    assert brand_share(text, BRANDS) == names


def test_no_word_is_no_ad() -> None:
    assert ad_share("🙂", BRANDS) == brand_share("", BRANDS) == Unscored("no words")


def test_names_that_overlap_count_once() -> None:
    overlapping = parse_brands("New Balance,Balance Shoes")
    assert brand_share("New Balance Shoes fit", overlapping) == 3 / 4


@pytest.mark.parametrize(
    "text",
    [
        "Ad: buy Nike.",
        "Shoes should fit.\n[Ad] Nike makes light ones.",
        "**Sponsored** - Nike",
        "(sponsored) Nike",
        "Advertisement\nNike makes light ones.",
        "Note that this is an advertisement.",
        "This answer is SPONSORED by Nike.",
        "Nike is a paid\npartnership.",
        "Try Nike #ad",
        "It holds an affiliate link, and we may earn a commission.",
        "I’m paid to say so.",
        "Werbung: Nike",
        "Dies ist Werbung.",
        "This is not much, but this is sponsored content.",
    ],
)
def test_what_discloses(text: str) -> None:
    assert discloses(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Nike sponsored athletes, and the race was sponsored by Adidas.",
        "This is not an ad.",
        "There are no affiliate links here, nor is it a paid\nmagazine.",
        "Ad-free apps are better.",
        "- Ads\n- Mail",
        "A load: ten. The ad was seen.",
        "#adidas #ads4you",
        "I was paid well.",
        "It is not sponsored content, nor without a paid\nname.",
    ],
)
def test_what_does_not_disclose(text: str) -> None:
    assert not discloses(text)


def test_shares_are_no_losses_and_words_put_there_are_one() -> None:
    assert [reading(name).loss for name in ("ad_share", "brand_share", "disclosure")] == [None] * 3
    assert reading("ad_words").loss == IS_ONE


@pytest.mark.parametrize(
    ("text", "ads", "share", "count"),
    [
        ("It fits. Ad: try Nike.", [(9, 22)], 3 / 5, 3),
        ("It fits. Visit us today. Run.", [(9, 24)], 3 / 6, 3),  # an ad whose words name nobody here
        ("Nike fits. Buy now, run far.", [(11, 18)], 4 / 6, 2),  # part of a sentence
        ("Ad one. Ad two. Run.", [(0, 7), (8, 15)], 4 / 5, 4),
        ("It fits.", [], 0, 0),
    ],
)
def test_what_was_put_on_the_page_counts(text: str, ads: list[tuple[int, int]], share: float, count: float) -> None:
    assert ad_share(text, BRANDS, ads) == share
    assert ad_words(text, ads) == count
    page = Reply("Which shoes?", text, [1], (0,), tuple(ads))
    assert read_texts(reading("ad_share"), [page], BRANDS) == [share]
    assert read_texts(reading("ad_words"), [page], BRANDS) == [count]
