"""Rules that a program can verify of a reply: its length, its phrases, its form, the brands that it names.

A rule is a function of a text, the brands and one argument: a whole number, a phrase, or none. Checklists are written
in them (`auctionsim.readings.checklists`). They know form, not sense: a senseless reply can obey all of them.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from auctionsim.brands import Brand
from auctionsim.readings.broken_text import fragments, odd_words, unreadable
from auctionsim.readings.words import words
from auctionsim.sentence_ends import sentence_ends
from auctionsim.spelling import fold

Argument = int | str | None
Test = Callable[[str, tuple[Brand, ...], Argument], bool]


class TextRule(NamedTuple):
    """One kind of rule.

    Attributes:
        argument: Its kind: "number", "phrase", or "" where the rule takes none.
        holds: The text, the brands and the argument in; whether the text obeys.
    """

    argument: str
    holds: Test


_ITEM = re.compile(r"^[^\S\n]*(?:[-*+•·–]|\(?(?:[0-9]{1,3}|[a-zA-Z])[.):])[^\S\n]+(?=\S)", re.MULTILINE)
_ADDRESS = re.compile(r"(?:https?://|www\.)\S|\b[\w.+-]{1,64}@[\w-]{1,64}\.\w", re.IGNORECASE)
_SLOT = r"insert|your|name|brand|company|product|store|city|date|link|url|image|price|model|address|placeholder|user"
_REMNANT = re.compile(
    rf"[\[<][^\S\n]*(?:{_SLOT})\b[^\[\]<>\n]*[\]>](?!\()"  # a slot, and no Markdown link
    r"|\{\{[^{}\n]*\}\}|<\|[^|<>\n]*\|>|\blorem ipsum\b|\bX{3,}\b"
    r"|^[^\S\n]*(?:###[^\S\n]*)?(?:user|assistant|system|human|instruction|response)[^\S\n]*:",
    re.IGNORECASE | re.MULTILINE,
)


def word_count(text: str) -> int:
    """Count the words of a text that have a letter: numbers of list items are none."""
    return sum(any(sign.isalpha() for sign in word) for word in words(text))


def has_phrase(text: str, phrase: str) -> bool:
    """Tell whether a text has a phrase as whole words, however its letters, signs and spaces are written."""
    plain, sought = _plain(text), _plain(phrase)
    left = r"(?<!\w)" if sought[:1].isalnum() else ""
    right = r"(?!\w)" if sought[-1:].isalnum() else ""
    return bool(re.search(left + re.escape(sought) + right, plain))


def ends_sentence(text: str) -> bool:
    """Tell whether the last sentence of a text is ended by a sign."""
    bare = text.rstrip()
    ends = sentence_ends(bare)
    return bool(ends) and ends[-1][1] == len(bare)


def has_whole_sentence(text: str, _brands: tuple[Brand, ...], argument: Argument) -> bool:
    """Tell whether some sentence of at least so many words is ended by a sign."""
    start = 0
    for begin, stop in sentence_ends(text):
        if text[begin] not in "\n\u2028\u2029" and word_count(text[start:begin]) >= _number(argument):
            return True
        start = stop
    return False


def mostly_in_script(text: str, script: str) -> bool:
    """Tell whether more than half of the letters of a text belong to a script, as Unicode names it ("LATIN", "CJK")."""
    letters = [sign for sign in text if sign.isalpha()]
    own = sum(unicodedata.name(sign, "").startswith(script.upper()) for sign in letters)
    return 2 * own > len(letters)


def no_capitals_alone(text: str) -> bool:
    """Tell whether a text of more than 3 words has a small letter, where its script has any."""
    cased = [sign for sign in text if sign.islower() or sign.isupper()]
    return word_count(text) <= 3 or not cased or any(sign.islower() for sign in cased)


def _plain(text: str) -> str:
    return " ".join(fold(text).text.split())


def _number(argument: Argument) -> int:
    assert isinstance(argument, int)
    return argument


def _phrase(argument: Argument) -> str:
    assert isinstance(argument, str)
    return argument


def _named(text: str, brands: tuple[Brand, ...]) -> int:
    return sum(bool(brand.spans(text)) for brand in brands)


RULES: dict[str, TextRule] = {
    "at_least_words": TextRule("number", lambda text, _, a: word_count(text) >= _number(a)),
    "at_most_words": TextRule("number", lambda text, _, a: word_count(text) <= _number(a)),
    "at_least_sentences": TextRule("number", lambda text, _, a: len(fragments(text)) >= _number(a)),
    "at_most_sentences": TextRule("number", lambda text, _, a: len(fragments(text)) <= _number(a)),
    "at_least_items": TextRule("number", lambda text, _, a: len(_ITEM.findall(text)) >= _number(a)),
    "at_most_items": TextRule("number", lambda text, _, a: len(_ITEM.findall(text)) <= _number(a)),
    "whole_sentence": TextRule("number", has_whole_sentence),
    "contains": TextRule("phrase", lambda text, _, a: has_phrase(text, _phrase(a))),
    "avoids": TextRule("phrase", lambda text, _, a: not has_phrase(text, _phrase(a))),
    "begins_with": TextRule("phrase", lambda text, _, a: _plain(text).startswith(_plain(_phrase(a)))),
    "ends_with": TextRule("phrase", lambda text, _, a: _plain(text).endswith(_plain(_phrase(a)))),
    "script": TextRule("phrase", lambda text, _, a: mostly_in_script(text, _phrase(a))),
    "ends_sentence": TextRule("", lambda text, *_: ends_sentence(text)),
    "begins_sentence": TextRule("", lambda text, *_: not any(fragments(text)[:1])),
    "no_brand": TextRule("", lambda text, brands, _: _named(text, brands) == 0),
    "names_brand": TextRule("", lambda text, brands, _: _named(text, brands) > 0),
    "at_most_brands": TextRule("number", lambda text, brands, a: _named(text, brands) <= _number(a)),
    "no_address": TextRule("", lambda text, *_: not _ADDRESS.search(text)),
    "no_template_remnant": TextRule("", lambda text, *_: not _REMNANT.search(text)),
    "readable": TextRule("", lambda text, *_: not any(unreadable(text))),
    "no_odd_words": TextRule("", lambda text, *_: not any(odd_words(text))),
    "no_capitals_alone": TextRule("", lambda text, *_: no_capitals_alone(text)),
}
"""Every rule by its name.

at_least_words, at_most_words: words with a letter. at_least_sentences, at_most_sentences: of any form. at_least_items,
at_most_items: items of a list. whole_sentence: some sentence of at least so many words is ended by a sign. contains,
avoids: a phrase as whole words, in any case. begins_with, ends_with: a phrase, likewise. script: more than half of the
letters are of it. ends_sentence: a sign ends the last sentence. begins_sentence: the first has no fragmentary form.
no_brand, names_brand, at_most_brands: of the bidders. no_address: of the web or of mail. no_template_remnant: nothing
was left to fill in, and no turn of a dialogue is named. readable, no_odd_words: see `broken_text`. no_capitals_alone:
not all of it is in capitals.
"""
