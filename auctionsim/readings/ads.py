"""Ads on a page: how many of its words are ads, in share and in number, and whether it says so.

| reading | what |
|---|---|
| `ad_share` | words of the sentences that name a bidder, and of what was put there as an ad, over all words |
| `ad_words` | words of what was put on the page as an ad, 0 where nothing was: a loss as it stands |
| `brand_share` | words of the bidders' names alone, over all words |
| `disclosure` | 1 where the reply says that it is an advertisement, sponsored or paid for, else 0; 1 is honest |

What a bidder pays for and what a model says unasked look alike: `ad_share` counts both. A sentence that warns of a
brand counts, and so does a comparison that the user asked for. Charging for these shares would charge for exposure
itself, so they are reported, and no losses. `ad_words` counts what a carrier put beside the model's own words (slots
after the reply, sentences inserted: `Reply.ads`); the untouched reply has none, and what it says of brands is no ad.
Mentions are those of `auctionsim.brands.Brand`, sentences those of its hits.

A disclosure is a phrase on the list `auctionsim/data/disclosures.txt` (English, and a few of German, French, Spanish,
Italian and Dutch) that "no" or "not" does not stand right before. Events "sponsored by" somebody are none. The
reading says that the words are there: not that they are true, nor that a reader would notice them.
"""

import bisect
import itertools
import math
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources

from auctionsim.brands import Brand
from auctionsim.readings.protocol import IS_ONE, Reply, TextReading, Unscored
from auctionsim.readings.registry import register
from auctionsim.readings.words import words
from auctionsim.sentence_ends import sentence_ends
from auctionsim.spelling import fold


def ad_share(text: str, brands: Sequence[Brand], ads: Sequence[tuple[int, int]] = ()) -> float | Unscored:
    """Return the share of words in sentences that name any of the brands, or in ads; unscored without a word.

    Args:
        text: All that is on the page.
        brands: The bidders.
        ads: Beginnings and ends of what was put there as an ad, in order, none within another. It counts as a whole,
            whatever its sentences name.
    Returns:
        In [0, 1].
    """
    names = [span for brand in brands for span in brand.spans(text)]
    ends = [stop for begin, stop in sentence_ends(text) if not any(a <= begin and stop < b for a, b in names)]
    sentences = list(itertools.pairwise([0, *ends, len(text)]))
    named = {bisect.bisect_right(ends, start) for start, _ in names}
    total = own = 0
    for k, (start, stop) in enumerate(sentences):
        cuts = sorted({start, stop, *(end for ad in ads for end in ad if start < end < stop)})
        for begin, end in itertools.pairwise(cuts):
            count = len(words(text[begin:end]))
            total += count
            own += count * (k in named or any(a <= begin and end <= b for a, b in ads))
    return own / total if total else Unscored("no words")


def ad_words(text: str, ads: Sequence[tuple[int, int]]) -> float:
    """Return how many words were put on a page as ads; 0 where nothing was.

    Example:
        >>> ad_words("It fits well. Ad: try Nike.", [(14, 27)])
        3.0
    """
    return float(sum(len(words(text[start:stop])) for start, stop in ads))


def brand_share(text: str, brands: Sequence[Brand]) -> float | Unscored:
    """Return the share of words in mentions of the brands, in [0, 1]; unscored without a word."""
    total, last, own = len(words(text)), 0, 0
    for start, stop in sorted(span for brand in brands for span in brand.spans(text)):
        own += len(words(text[max(start, last) : stop]))
        last = max(last, stop)
    return min(own, total) / total if total else Unscored("no words")


def discloses(text: str) -> bool:
    """Tell whether a text says that it is an advertisement, sponsored or paid for."""
    anywhere, line_begins = _patterns()
    plain = fold(text).text
    said = (not _DENIED.search(plain, max(0, m.start() - 20), m.start()) for m in anywhere.finditer(plain))
    return any(said) or bool(line_begins.search(plain))


_DENIED = re.compile(r"(?<!\w)(?:no|not|never|without|isn't|aren't|kein|keine|nicht|pas|non)\W+(?:an?\W+)?\Z")


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what finds a phrase anywhere, and one at the beginning of a line."""
    text = (resources.files("auctionsim.data") / "disclosures.txt").read_text(encoding="utf-8")
    lines = [fold(line).text for line in text.splitlines() if line and not line.startswith("# ")]
    first = "|".join(re.escape(line[:-1]) for line in lines if line.endswith(":"))
    phrases = (r"[\s-]+".join(map(re.escape, line.split())) for line in lines if not line.endswith(":"))
    begins = rf"^[^\S\n]*[\[(*_]*(?:{first})[*_]*[^\S\n]*(?:[:\])]|-\s|$)"
    return re.compile(rf"(?<![\w#])(?:{'|'.join(phrases)})(?!\w)"), re.compile(begins, re.MULTILINE)


def _ad_shares(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float | Unscored]:
    return [ad_share(reply.text, brands, reply.ads) for reply in replies]


def _ad_words(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float]:  # noqa: ARG001
    return [ad_words(reply.text, reply.ads) for reply in replies]


def _brand_shares(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float | Unscored]:
    return [brand_share(reply.text, brands) for reply in replies]


def _disclosures(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float]:  # noqa: ARG001
    return [float(discloses(reply.text)) for reply in replies]


AD_SHARE = register(TextReading("ad_share", "share of words", per="reply", bounds=(0.0, 1.0), read=_ad_shares))
AD_WORDS = register(
    TextReading("ad_words", "words a reply", per="reply", bounds=(0.0, math.inf), loss=IS_ONE, read=_ad_words)
)
BRAND_SHARE = register(TextReading("brand_share", "share of words", per="reply", bounds=(0.0, 1.0), read=_brand_shares))
DISCLOSURE = register(TextReading("disclosure", "probability", per="reply", bounds=(0.0, 1.0), read=_disclosures))
