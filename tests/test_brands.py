"""What counts as a mention, and which lines name brands."""

import random
import re
import time
import unicodedata

import hypothesis.strategies as st
import pytest
from hypothesis import given

from auctionsim.brands import Brand, parse_brands
from auctionsim.common_words import common_names, note_on
from auctionsim.spelling import fold

NIKE = Brand("Nike", ("Nike Inc", "swoosh"))


@pytest.mark.parametrize(
    ("text", "hits", "mentions"),
    [
        ("", 0, 0),
        ("Nike", 1, 1),
        ("nike and NIKE, always Nike.", 1, 3),
        ("I run in Nike. You run in Nike! They? Nike", 3, 3),
        ("Nikeish, Nikee and PreNike are other words, Nike_1 too.", 0, 0),
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
    text = "".join(word + space for word, space in zip(words, spaces, strict=False)).replace("Inc.", "Inc!")
    pieces = re.split(r"[.!?…]+[\"'”’)]*(?=\s|$)|\n+", text)
    name = re.compile(r"\b(?:nike inc|nikes?|swoosh)\b", re.IGNORECASE)
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
        ("Mar,Mars", "'Mars' is named twice in 'Mar,Mars': its mentions could not be told apart"),
        ("Coca-Cola,coca cola", "'coca cola' is named twice"),
        ("Apple:case,apple", "'apple' is named twice"),
        ("Löwe,Lowe’s", "'Lowe’s' is named twice"),
        (":case", "brands are written NAME,NAME"),
        ("Nike|Swoosh,Adidas|swoosh", "'swoosh' is named twice"),
    ],
)
def test_bad_lines_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_brands(text)


NEW_BALANCE, SHOES = Brand("New Balance"), "耐克"
WRITTEN = [
    # signs, spaces and letters that look alike
    ("L'Oréal", "L’Oréal, L‘Oréal, L`Oréal and L´Oréal", 4),
    ("L’Oréal", "L'Oreal, LORÉAL", 2),
    ("Nestlé", "Nestle\u0301, NESTLE\u0301, Nestle", 3),
    ("Nestle", "Nestlé, Nestle\u0301", 0),
    ("Coca-Cola", "Coca\u2011Cola, Coca\u2010Cola, Coca–Cola, Coca Cola, Coca-\nCola", 5),
    ("Coca-Cola", "Coca and Cola, Coca - Cola, CocaCola", 0),
    ("New Balance", "New\u00a0Balance, New\u202fBalance, New\nBalance, New  Balance, New-Balance, New&nbsp;Balance", 6),
    ("New Balance", "New\n\nBalance, newbalance, a renew balance", 0),
    ("Häagen-Dazs", "Haagen Dazs, HÄAGEN‑DAZS, Ha\u0308agen-Dazs", 3),
    ("H&M", "H&M, h&m, H & M, H&amp;M, H＆M", 5),
    ("AT&T", "AT&T's, at&t, AT&Tx, bat&t", 2),
    ("7-Eleven", "7‑Eleven, 7 Eleven, 7-Elevens, 17-Eleven", 3),
    ("Dr. Martens", "Dr. Martens, Dr Martens, Dr.\u00a0Martens, Dr.Martens, Martens", 4),
    ("Levi's", "Levi's, Levi’s, Levis, Levi", 3),
    ('Toys"R"Us', "Toys“R”Us", 1),
    ("Nike", "Ni\u00adke, Ni\u200bke, N\u2060i\u200dke, \ufeffNike\u200b, Nike\u200e", 5),
    ("Nike", "Pre\u00adNike, Nike\u00adish", 0),
    ("Nike", "Ｎｉｋｅ, 𝐍𝐢𝐤𝐞, 𝓝𝓲𝓴𝓮", 3),
    ("Fin", "ﬁn, ﬁnal", 1),
    ("Nike", "Nike™, Nike®, Nike², Nike①, Nike…", 5),
    # emphasis, possessives, plurals
    ("Nike", "_Nike_, *Nike*, **Nike**, __Nike__, ***Nike***, `Nike`, ~~Nike~~, <b>Nike</b>, _Nike's_", 9),
    ("Nike", "Nike_1, my_Nike, _Nike_s, __init_Nike", 0),
    ("New Balance", "**New** Balance, New _Balance_, **New Balance**, _New Balance_", 4),
    ("Nike", "Nikes, NIKES, Nike's, Nike’s, Nikes', Nikes’", 6),
    ("Nike", "Nikee, Nikess, Nikeesh, Nikey, Niker, Nïke, Nike\u0301", 0),
    ("Lexus", "Lexus, Lexuses, Lexus’, Lexuss", 3),
    # letters whose case is not one letter for one
    ("Straße", "STRASSE, strasse, straße, STRAẞE", 4),
    ("İstikbal", "istikbal, ISTIKBAL, İSTİKBAL, ıstıkbal, i\u0307stikbal", 5),
    ("Ζάρας", "ΖΑΡΑΣ, ζάρας, ζάρασ, ΖΆΡΑΣ", 4),
    ("ΐδι", "Ϊ́ΔΙ, ι\u0308\u0301δι", 2),
    ("Найк", "НАЙК, найк, Наик, Найки", 2),
    ("Ёлка", "ЕЛКА, ёлка", 2),
    # scripts without spaces between words, and with what is written right after or before a name
    (SHOES, "我喜欢耐克鞋，耐克。", 2),
    ("ナイキ", "私はナイキが好き。ﾅｲｷの靴、ナイキー", 2),
    ("ガスト", "カ\u3099スト、ｶﾞｽﾄ、カスト", 2),
    ("ไนกี้", "รองเท้าไนกี้ดี", 1),
    ("나이키", "나이키는, 나이키에서도, 나이키의 신발", 3),
    ("나이키", "나이킨, 파나이키, 나이키무", 0),
    ("Nike", "我喜欢Nike鞋, Nike는, Nikeの", 3),
    ("नाइकी", "नाइकी अच्छा है। नाइकीं", 1),
    ("نايكي", "نايكي ونايكي وبنايكي", 3),
    ("נייקי", "נייקי, בנייקי, ובנייקי", 3),
    # links, handles, hashtags
    ("Nike", "nike.com, www.nike.com/shoes, https://a.org/nike?x=1, @nike, #nike, info@nike.com", 6),
    ("Nike", "mynike.com, #NikeRun, nikestore.com, @nike_run", 0),
    ("Nike", "[Nike](https://nike.com), [shoes](https://nike.com), [nike.com](https://nike.com/nike)", 3),
    ("New Balance", "newbalance.com, @newbalance, #NewBalance, www.newbalance.com", 4),
    ("L'Oréal", "@loreal, loreal.com, #LOreal", 3),
]


@pytest.mark.parametrize(("name", "text", "mentions"), WRITTEN)
def test_names_count_however_they_are_written(name: str, text: str, mentions: int) -> None:
    brand = Brand(name)
    assert brand.mentions(text) == mentions, [text[start:stop] for start, stop in brand.spans(text)]
    assert brand.hits(text) <= mentions
    padded = f"Größe ﬁ {text}"  # what comes before moves the places, not the count
    assert [padded[a:b] for a, b in brand.spans(padded)] == [text[a:b] for a, b in brand.spans(text)]


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("Nike Inc. sells Nike shoes, e.g. Nike, i.e. Nike.", 1),
        ("I like Nike Inc. Nike is great.", 2),
        ("Mr. Smith wears Nike vs. Nike, says Dr. Nike of the U.S. nike team, J. Nike.", 1),
        ("Nike No. 1. Is it Nike? No. Nike it is.", 3),
        ("Nike z.B. Nike, Nike p.ej. Nike", 1),
        ("So do I. Nike and Nike and I. Nike", 2),
        ("Nike at 9 a.m. or so, Nike etc. (Nike) and so on.", 1),
        ("“I like Nike.” Nike is. (Nike.) Nike **Nike.** Nike.[1] Nike", 6),
        ("我喜欢Nike。Nike！Nike？好Nike｡", 4),
        ("ナイキ Nike」Nike。」Nike", 2),
        ("Nike है। Nike॥ Nike", 3),
        ("Nike؟ Nike۔ Nike", 3),
        ("Nike\r\nNike\u2028Nike\u2029Nike", 4),
        ("Nike, www.nike.com/a.b?c=Nike and Nike v2.0.", 1),
    ],
)
def test_sentences_end_where_readers_end_them(text: str, hits: int) -> None:
    assert Brand("Nike").hits(text) == hits


def test_a_line_end_inside_a_name_ends_no_sentence() -> None:
    assert Brand("New Balance").hits("New\u00a0Balance or New\nBalance.") == 1
    assert Brand("New Balance").hits("New Balance or\nNew Balance.") == 2


def test_a_common_word_counts_as_it_is_written() -> None:
    apple = Brand("Apple", ("iPhone",), case_sensitive=("Apple",))
    text = "An apple a day. Apple’s IPHONE; APPLE pie, apples. Two Apples."
    assert [text[a:b] for a, b in apple.spans(text)] == ["Apple", "IPHONE", "Apples"]
    assert (apple.hits(text), apple.mentions(text), Brand("Apple").mentions(text)) == (2, 3, 5)
    assert parse_brands("Apple:case|iPhone,Samsung") == (apple, Brand("Samsung"))
    assert parse_brands(",".join("|".join(b.written) for b in (apple, NIKE))) == (apple, NIKE)
    assert Brand("On", case_sensitive=("On",)).mentions("on and ON, **On** shoes, L’On") == 2


@given(
    st.lists(st.sampled_from("eiksNIKEßİı ﬁé\u0301\u0307\u200b\u00ad耐ナｶﾞ각ᄀ\u1161\u11a8.-’_*Ν²ΐΪ"), max_size=24).map(
        "".join
    ),
    st.booleans(),
)
def test_a_folded_text_is_the_same_for_every_way_to_compose_it(text: str, keep_case: bool) -> None:
    folded = fold(text, keep_case=keep_case)
    assert "".join(folded.sources) == text
    assert fold(folded.text, keep_case=keep_case).text == folded.text
    assert fold(unicodedata.normalize("NFD", text), keep_case=keep_case).text == folded.text
    assert len(folded.pieces) == len(folded.sources)
    for k in range(len(folded.text)):
        start, stop = folded.source(k, k + 1)
        assert 0 <= start < stop <= len(text)


@pytest.mark.parametrize("text", ["e\xad\u0307", "ß\u200b\xadᆨ", "ı\u0307", "İ\u0307", "i\u0307\u0307"])
def test_what_nobody_sees_ends_no_letter_and_every_i_is_one(text: str) -> None:
    form = fold(text).text
    assert fold(form).text == form
    assert fold(text.replace("\xad", "")).text == form


def test_common_words_are_noted_and_names_are_not() -> None:
    common = ("Apple", "Target", "Gap", "Shell", "Visa", "On", "Puma", "orange", "Dove", "Subway", "Always")
    names = ("Nike", "Adidas", "Samsung", "UNICEF", "Oxfam", "Starbucks", "Toyota", "Hilton", "IKEA", "New Balance")
    assert common_names([*map(Brand, common), *map(Brand, names)]) == common
    assert common_names([Brand("Apple", ("Gap",), case_sensitive=("Apple",))]) == ("Gap",)
    assert note_on([Brand("Apple", case_sensitive=("Apple",)), Brand("Nike")]) is None
    note = note_on([Brand("Apple"), Brand("Gap")])
    assert note is not None
    assert note.startswith("Apple, Gap are also common words")
    assert "Apple:case, Gap:case" in note


REPLY = "the a running shoes Nike is great for people who like them. I would say — größte Adidas, good! They make"


def test_counting_is_quick() -> None:
    """2,000 replies of 48 words take a fifth of a second of this process; two allow for a busy machine."""
    draw = random.Random(0)
    replies = [" ".join(draw.choices(REPLY.split(), k=48)) for _ in range(2_000)]
    start = time.process_time()
    assert sum(Brand("Nike").hits(reply) for reply in replies) > 1_000
    assert time.process_time() - start < 2


@pytest.mark.parametrize("names", [("",), (" Nike",), ("Nike ",), ("a|b",), ("Nike\n",), ("Nike", "Nike")])
def test_bad_names_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="a brand's name"):
        Brand(names[0], names[1:])


def test_a_list_of_no_names_is_no_brand() -> None:
    with pytest.raises(ValueError, match="a brand needs a name, got a list of none"):
        Brand.read([])


@pytest.mark.parametrize("name", ["!", "\u200b", "&"])
def test_a_name_needs_a_letter(name: str) -> None:
    with pytest.raises(ValueError, match="must have a letter or a digit"):
        Brand(name)
    with pytest.raises(ValueError, match="case_sensitive must be some of the names"):
        Brand("Nike", case_sensitive=(name,))
