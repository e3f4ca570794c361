"""Broken text: what no reader can read, words of odd form, and sentences that do not begin or end as sentences do.

Low is better for all. Nothing here knows what words exist or mean: these are forms.

| reading | what |
|---|---|
| `unreadable_share` | signs that show nothing or show that something is lost, over all signs but white space |
| `window_unreadable_share` | the same in any 24 signs that follow one another, over 24 |
| `odd_word_share` | words of odd form, over all words |
| `window_odd_word_share` | the same in any 24 words that follow one another, over 24 |
| `fragment_share` | sentences of fragmentary form, over all sentences |
| `window_fragment_share` | the same in any 4 sentences that follow one another, over 4 |

They miss plausible words in a senseless order, and invented ones that look like others ("Durafloyd").
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache

from auctionsim.brands import Brand
from auctionsim.readings.protocol import Reply, TextReading, Unscored
from auctionsim.readings.registry import register
from auctionsim.readings.words import most_true, words
from auctionsim.sentence_ends import sentence_ends

SIGNS, WORDS, SENTENCES = 24, 24, 4
"""Windows."""

_SELECTOR_OR_JOINER = re.compile("[\ufe00-\ufe0f\u200b-\u200f\u2060-\u2064]")
_PARTS = re.compile(r"[^\W\d_]+|\d+")
_MANY_OF_ONE = re.compile(r"([^\W\d_])\1{3}")
_SMALL_THEN_CAPITAL = re.compile(r"[a-z](?=[A-Z])")
_NO_VOWEL = re.compile(r"[bcdfghjklmnpqrstvwxz]{5,}")
_ALPHABETS = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "GEORGIAN", "HEBREW", "ARABIC", "DEVANAGARI", "TAMIL")
_ADDRESS = re.compile(r"(?<!\S)(?:[#@]|\S*(?:://|www\.))\S*")
_LINE = re.compile("[\n\u2028\u2029]+")
_LIST_ITEM = re.compile(r"\s*(?:[-*+•·–—►▪|]|(?:#{1,6}|\(?(?:[0-9]{1,3}|[a-z])[.):])(?:\s|$))", re.IGNORECASE)
LONGEST_WORD = 40
"""Letters; compounds are shorter."""


def unreadable(text: str) -> list[bool]:
    """Tell of each sign of a text but white space whether it shows nothing or shows that something is lost.

    Control characters, U+FFFD (what decoders write for lost bytes), private and unassigned code points and halves of
    surrogates; a selector or joiner that follows another, since there is nothing for it to select or join.
    """
    flags, after_one = [], False
    for sign in text:
        if sign.isspace():
            after_one = False
            continue
        selects = bool(_SELECTOR_OR_JOINER.match(sign))
        lost = sign == "\ufffd" or unicodedata.category(sign) in ("Cc", "Co", "Cn", "Cs")
        flags.append(lost or (selects and after_one))
        after_one = selects
    return flags


def is_odd_word(word: str) -> bool:
    """Tell whether a word, small and capital letters apart, has an odd form.

    Letters and digits that take turns four times or more (A1b2c), two small letters or more that capitals follow inside
    (NiKeAir), four equal letters in a row, five ASCII letters or more in small case without a vowel, letters of
    two alphabets, or more than 40 letters. Model names (iPhone 13 Pro, S23, GT-2000, H2O) have none of these.
    """
    parts = _PARTS.findall(word)
    return (
        len(parts) > 4
        or len(_SMALL_THEN_CAPITAL.findall(word)) > 1
        or bool(_MANY_OF_ONE.search(word))
        or bool(_NO_VOWEL.fullmatch(word))
        or len(word) > LONGEST_WORD
        or (not word.isascii() and len({_alphabet(sign) for sign in word} - {""}) > 1)
    )


@cache
def _alphabet(sign: str) -> str:
    """Return the alphabet of a letter, among those that are not mixed within a word; "" of any other sign."""
    name = unicodedata.name(sign, "").partition(" ")[0] if sign.isalpha() else ""
    return name if name in _ALPHABETS else ""


def fragments(text: str) -> list[bool]:
    """Tell of each sentence of a text that has a letter or a digit whether it has a fragmentary form.

    It begins with a small letter, or its line ends without a sign that ends a sentence. In items of lists and after a
    heading's mark either is usual, so neither counts; nor does the latter where the line ends in a colon, or in the
    last sentence of all, which the reply's length may have cut off. Where sentences end, `auctionsim.sentence_ends`
    says; numbers and marks of items are no sentences. A script without small letters has no first kind.
    """
    flags: list[bool] = []
    cut_off = False
    for line in _LINE.split(text):
        marker = _LIST_ITEM.match(line)
        start = marker.end() if marker else 0
        for begin, stop in (*(end for end in sentence_ends(line) if end[0] >= start), (len(line), len(line))):
            first = next((sign for sign in line[start:begin] if sign.isalnum()), "")
            if first:
                small, endless = first.islower(), begin == len(line) and not line.rstrip(" \t*_").endswith((":", "："))
                flags.append(marker is None and (small or endless))
                cut_off = endless and not small
            start = stop
    return [*flags[:-1], flags[-1] and not cut_off] if flags else []


def _share(flags: Sequence[bool], what: str) -> float | Unscored:
    return sum(flags) / len(flags) if flags else Unscored(f"no {what}")


def odd_words(text: str) -> list[bool]:
    """Tell of each word of a text but addresses, handles and hashtags whether it has an odd form, see `is_odd_word`."""
    return [is_odd_word(word) for word in words(_ADDRESS.sub(" ", text), keep_case=True)]


def _unreadable(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float | Unscored]:  # noqa: ARG001
    return [_share(unreadable(reply.text), "signs") for reply in replies]


def _window_unreadable(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float]:  # noqa: ARG001
    return [most_true(unreadable(reply.text), SIGNS) / SIGNS for reply in replies]


def _odd_words(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float | Unscored]:  # noqa: ARG001
    return [_share(odd_words(reply.text), "words") for reply in replies]


def _window_odd_words(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float]:  # noqa: ARG001
    return [most_true(odd_words(reply.text), WORDS) / WORDS for reply in replies]


def _fragments(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float | Unscored]:  # noqa: ARG001
    return [_share(fragments(reply.text), "sentences") for reply in replies]


def _window_fragments(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float]:  # noqa: ARG001
    return [most_true(fragments(reply.text), SENTENCES) / SENTENCES for reply in replies]


_SHARES = (0.0, 1.0)
UNREADABLE = register(TextReading("unreadable_share", "share of signs", per="reply", bounds=_SHARES, read=_unreadable))
WINDOW_UNREADABLE = register(
    TextReading(
        "window_unreadable_share", f"share of {SIGNS} signs", per="reply", bounds=_SHARES, read=_window_unreadable
    )
)
ODD_WORDS = register(TextReading("odd_word_share", "share of words", per="reply", bounds=_SHARES, read=_odd_words))
WINDOW_ODD_WORDS = register(
    TextReading("window_odd_word_share", f"share of {WORDS} words", per="reply", bounds=_SHARES, read=_window_odd_words)
)
FRAGMENTS = register(TextReading("fragment_share", "share of sentences", per="reply", bounds=_SHARES, read=_fragments))
WINDOW_FRAGMENTS = register(
    TextReading(
        "window_fragment_share", f"share of {SENTENCES} sentences", per="reply", bounds=_SHARES, read=_window_fragments
    )
)
