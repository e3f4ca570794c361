"""Which brands are common words too, so that their mentions need small and capital letters told apart."""

from collections.abc import Iterable
from functools import cache
from importlib import resources

from auctionsim.brands import Brand
from auctionsim.spelling import fold

_OURS = """amazon chrome cougar dodge domino ford hoover hummer impala jaguar lynx mustang opal panther peacock puma
saturn snickers sprite stetson stork swatch thermos viper whirlpool wrangler yelp"""
OURS = frozenset(_OURS.split())
"""A short list of ours: names of brands that are words but too rare for the vocabulary."""


def common_names(brands: Iterable[Brand]) -> tuple[str, ...]:
    """Return the names that count in any case although they are common words of English, as in "an apple".

    A word is common if it has a token of its own, in small letters and after a space, in the vocabulary of SmolLM2
    (`auctionsim/data/common_words.txt`; 49,152 tokens, learned from English web text and code), or is among `OURS`.
    Names of several words are not looked up.
    """
    return tuple(
        name
        for brand in brands
        for name in brand.names
        if name not in brand.case_sensitive and fold(name).text in _vocabulary() | OURS
    )


def note_on(brands: Iterable[Brand]) -> str | None:
    """Return one sentence on brands that are common words, or None where there are none."""
    names = common_names(brands)
    if not names:
        return None
    verb = "is also a common word" if len(names) == 1 else "are also common words"
    written = ", ".join(f"{name}:case" for name in names)
    return f"{', '.join(names)} {verb}, and every use counts as a mention; {written} counts that spelling only"


@cache
def _vocabulary() -> frozenset[str]:
    text = (resources.files("auctionsim.data") / "common_words.txt").read_text(encoding="utf-8")
    return frozenset(text.split())
