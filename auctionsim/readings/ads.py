"""Ads in a reply: the share of its words that are ads, and whether it says so. Reported; neither is a loss.

| reading | what |
|---|---|
| `ad_share` | words of the sentences that name a bidder, over all words; less is better for who did not ask for ads |
| `brand_share` | words of the bidders' names alone, over all words; likewise |
| `disclosure` | 1 where the reply says that it is an advertisement, sponsored or paid for, else 0; 1 is honest |

What a bidder pays for and what a model says unasked look alike: both count as ads. A sentence that warns of a brand
counts, and so does a comparison that the user asked for. Charging for these shares would charge for exposure itself.
Mentions are those of `auctionsim.brands.Brand`, sentences those of its hits.

A disclosure is a phrase on the list `auctionsim/data/disclosures.txt` (English, and a few of German, French, Spanish,
Italian and Dutch) that "no" or "not" does not stand right before. Events "sponsored by" somebody are none. The
reading says that the words are there: not that they are true, nor that a reader would notice them.
"""

import bisect
import itertools
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources

from auctionsim.brands import Brand
from auctionsim.readings.protocol import Reply, TextReading, Unscored
from auctionsim.readings.registry import register
from auctionsim.readings.words import words
from auctionsim.sentence_ends import sentence_ends
from auctionsim.spelling import fold


def ad_share(text: str, brands: Sequence[Brand]) -> float | Unscored:
    """Return the share of words in sentences that name any of the brands, in [0, 1]; unscored without a word."""
    names = [span for brand in brands for span in brand.spans(text)]
    ends = [stop for begin, stop in sentence_ends(text) if not any(a <= begin and stop < b for a, b in names)]
    bounds = [0, *ends, len(text)]
    counts = [len(words(text[start:stop])) for start, stop in itertools.pairwise(bounds)]
    ads = {bisect.bisect_right(ends, start) for start, _ in names}
    return sum(counts[k] for k in ads) / sum(counts) if sum(counts) else Unscored("no words")


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
    return [ad_share(reply.text, brands) for reply in replies]


def _brand_shares(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float | Unscored]:
    return [brand_share(reply.text, brands) for reply in replies]


def _disclosures(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float]:  # noqa: ARG001
    return [float(discloses(reply.text)) for reply in replies]


AD_SHARE = register(TextReading("ad_share", "share of words", per="reply", bounds=(0.0, 1.0), read=_ad_shares))
BRAND_SHARE = register(TextReading("brand_share", "share of words", per="reply", bounds=(0.0, 1.0), read=_brand_shares))
DISCLOSURE = register(TextReading("disclosure", "probability", per="reply", bounds=(0.0, 1.0), read=_disclosures))
