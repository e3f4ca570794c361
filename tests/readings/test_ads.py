"""Ads and disclosure: closed forms; what counts as saying so, and what does not."""

import pytest

from auctionsim.brands import parse_brands
from auctionsim.readings import Unscored, reading
from auctionsim.readings.ads import ad_share, brand_share, discloses

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


def test_none_of_them_is_a_loss() -> None:
    assert [reading(name).loss for name in ("ad_share", "brand_share", "disclosure")] == [None] * 3
