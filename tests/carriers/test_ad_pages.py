"""Ads on the page: what is put there is marked to the letter, and the reply itself stays as it is."""

import pytest
import torch

from auctionsim.brands import Brand, parse_brands
from auctionsim.carriers.insertion import Insertion
from auctionsim.carriers.protocol import Carrier
from auctionsim.carriers.sentence_pages import LinesAfter, SentencesBetween
from auctionsim.carriers.slots import Slots
from auctionsim.language_models.change import Page, ShownPage
from auctionsim.readings.ads import discloses

BRANDS = parse_brands("Nike,Adidas,Dr. Martens")
SHOES = "running shoes"
REPLIES = (
    "",
    " ",
    "Nike",
    "I would look at the sole first",
    "The sole comes first. Then the price of the pair. And the",
    "1. A soft sole helps you.\n2. A low price helps you.\n\nYes. No.",
    "鞋底很重要。价格也很重要。",
    "Käse ist gut! Und Schuhe sind besser…  \n",
    "Boots by Dr. Martens are sturdy boots. They last a long time.",
)


def pages(carrier: Carrier, levels: list[float], texts: tuple[str, ...] = REPLIES) -> list[ShownPage]:
    """The pages of one allocation, to one lever a bidder, on each of the replies."""
    change = carrier.change(torch.tensor([[[float(level)] for level in levels]]))
    assert isinstance(change.after, Page)
    rows = change.repeat(len(texts)).after
    assert rows is not None
    candidates = [(text,) for text in texts]
    return rows.shown(candidates, torch.zeros(len(texts)), candidates)


def without_ads(page: ShownPage) -> str:
    """The page with its ads cut out."""
    text = page.text
    for start, stop in reversed(page.ads):
        text = text[:start] + text[stop:]
    return text


@pytest.mark.parametrize("kind", [Slots, Insertion])
@pytest.mark.parametrize("levels", [[1, 0, 0], [4, 2, 1], [3, 3, 4]])
def test_the_reply_stays_and_ads_are_marked_to_the_letter(kind: type[Slots | Insertion], levels: list[float]) -> None:
    carrier = kind(BRANDS, SHOES)
    ads = 0
    for text, page in zip(REPLIES, pages(carrier, levels), strict=True):
        assert "".join(without_ads(page).split()) == "".join(text.split())
        assert page.candidate == 0
        assert page.divergence is None
        bounds = [place for span in page.ads for place in span]
        assert bounds == sorted(set(bounds))
        shown = [page.text[start:stop] for start, stop in page.ads]
        assert all(ad == ad.strip() for ad in shown)
        for brand, level in zip(BRANDS, levels, strict=True):
            assert sum(brand.mentions(ad) for ad in shown) == level
        ads += len(shown)
    assert ads == len(REPLIES) * (sum(level > 0 for level in levels) if kind is Slots else sum(levels))


@pytest.mark.parametrize("kind", [Slots, Insertion])
def test_nothing_is_on_the_page_where_nobody_has_anything(kind: type[Slots | Insertion]) -> None:
    carrier = kind(BRANDS, SHOES)
    shown = pages(carrier, [0, 0, 0])
    assert shown == [ShownPage(0, text) for text in REPLIES]
    change = carrier.change(torch.tensor([[[0.0], [0.0], [0.0]], [[0.0], [1.0], [0.0]]]))
    assert change.null.tolist() == [True, False]
    assert change.reply_null.tolist() == [True, True]
    assert change.candidates == 1


def test_slots_stand_below_the_reply_the_largest_first_and_say_that_they_are_paid_for() -> None:
    page = pages(Slots(BRANDS, SHOES, ["{brand}!", "Buy {brand}."]), [1, 2, 1], ("A soft sole.\n", "", "Hm"))
    lines = "Sponsored: Adidas! Buy Adidas.\nSponsored: Nike!\nSponsored: Dr. Martens!"
    assert [p.text for p in page] == ["A soft sole.\n\n\n" + lines, lines, "Hm\n\n" + lines]
    assert all(discloses(p.text) for p in page)


def test_sentences_are_spread_over_the_ends_of_sentences() -> None:
    carrier = Insertion(BRANDS, SHOES, ["[{brand}]", "({brand})", "<{brand}>"])
    three = "One has a sole. Two has a sole. Three has a sole. And"
    assert pages(carrier, [1, 0, 0], (three,))[0].text == "One has a sole. Two has a sole. [Nike] Three has a sole. And"
    assert pages(carrier, [2, 1, 0], (three,))[0].text == (
        "One has a sole. [Nike] Two has a sole. [Adidas] Three has a sole. (Nike) And"
    )
    one = "One has a sole. Sure. And"
    assert pages(carrier, [1, 0, 2], (one,))[0].text == ("One has a sole. [Nike] [Dr. Martens] (Dr. Martens) Sure. And")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "[Nike] (Nike)"),
        ("A soft sole without an end", "A soft sole without an end\n[Nike] (Nike)"),
        ("Yes. Well. No.", "Yes. Well. No.\n[Nike] (Nike)"),
        ("1. **A soft sole** is good.", "1. **A soft sole** is good. [Nike] (Nike)"),
        ("鞋底很重要。价格", "鞋底很重要。 [Nike] (Nike) 价格"),
        ("鞋底很重要。价格很重要。", "鞋底很重要。 [Nike] 价格很重要。 (Nike)"),
        ("Boots of Dr. Martens are sturdy. So", "Boots of Dr. Martens are sturdy. [Nike] (Nike) So"),
        ('She said "I like it so much." Then', 'She said "I like it so much." [Nike] (Nike) Then'),
    ],
)
def test_where_a_sentence_may_stand(text: str, expected: str) -> None:
    carrier = Insertion((*BRANDS, Brand("U.S. Polo")), SHOES, ["[{brand}]", "({brand})"])
    page = pages(carrier, [2, 0, 0, 0], (text,))[0]
    assert page.text == expected
    assert [page.text[a:b] for a, b in page.ads] == ["[Nike]", "(Nike)"]


def test_pages_are_rows_that_can_be_selected_and_repeated() -> None:
    for page in (LinesAfter((("a",), (), ("b", "c"))), SentencesBetween((("a",), (), ("b", "c")), BRANDS)):
        assert page.null.tolist() == [False, True, False]
        assert page.select(torch.tensor([2, 0])).rows == (("b", "c"), ("a",))
        assert page.select(page.null).rows == ((),)
        assert page.repeat(2).select(slice(1, 3)).rows == (("a",), ())
        assert page.select(slice(0, 1)).select(torch.tensor([0, 0])).num_rows == 1
        texts = [("One has a sole.",), ("Two",), ("Three has a sole.",)]
        whole = page.shown(texts, torch.zeros(3), texts)
        assert [
            page.select(slice(k, k + 1)).shown(texts[k : k + 1], torch.zeros(1), texts)[0] for k in range(3)
        ] == whole
        assert whole[1] == ShownPage(0, "Two")
        one = page.select(slice(2, 3)).shown(texts, torch.zeros(3), texts)
        assert [len(each.ads) for each in one] == [2, 2, 2]
