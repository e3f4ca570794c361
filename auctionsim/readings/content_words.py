"""Content words of a reply: how much of them is one word, and how long it goes on without any other kind.

A *function word* is on the list `auctionsim/data/function_words.txt` (articles, pronouns, prepositions, auxiliaries …
of English, German, French, Spanish, Italian, Portuguese and Dutch, taken together); a *content word* is any other word
with a letter in it. Low is better for all three:

| reading | what |
|---|---|
| `content_share` | how often the most frequent content word occurs, over all content words of the reply |
| `window_content_share` | the same in any 12 content words that follow one another, over 12 |
| `function_word_gap` | words of the longest stretch without a function word, numbers left out |

A share of one word finds loops of one word, and not those of several. A gap finds strings of names and lost grammar; a
list of products has one, too. In languages that are not on the list small words count as content words: shares are
lower there, and gaps as long as the reply. A brand that is a function word (On, Always) is none of the content words.
"""

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib import resources

from auctionsim.brands import Brand
from auctionsim.readings.protocol import LOWER, Reply, TextReading, Unscored
from auctionsim.readings.registry import register
from auctionsim.readings.words import most_of_one, words

WINDOW = 12
"""Content words: about half of 24 words."""


@cache
def function_words() -> frozenset[str]:
    """Return the function words of all languages on the list, as `words` has them."""
    text = (resources.files("auctionsim.data") / "function_words.txt").read_text(encoding="utf-8")
    lines = [line.split()[1:] for line in text.splitlines() if line and not line.startswith("#")]
    return frozenset(word for line in lines for word in line)


def content_words(text: str) -> list[str]:
    """Return the words of a text that have a letter and are no function words, in order.

    Example:
        >>> content_words("1. The best of the Adidas 15K is the best.")
        ['best', 'adidas', '15k', 'best']
    """
    return [word for word in words(text) if word not in function_words() and not _is_number(word)]


def content_share(text: str) -> float | Unscored:
    """Return the share of the most frequent content word among content words, in (0, 1]; unscored without any."""
    listed = content_words(text)
    return max(Counter(listed).values()) / len(listed) if listed else Unscored("no content words")


def window_content_share(text: str, window: int = WINDOW) -> float:
    """Return how often one content word occurs in any window of content words, at most.

    Args:
        text: The reply.
        window: W, content words that follow one another.
    Returns:
        The highest count over W, in [0, 1]; a text of fewer is one window, over the same W. Text added after a space
        never lowers it.
    """
    return most_of_one(content_words(text), window) / window


def function_word_gap(text: str) -> int:
    """Return the words of the longest stretch of content words, numbers left out.

    Text added after a space never lowers it.
    """
    longest = gap = 0
    for word in words(text):
        if word in function_words():
            gap = 0
        elif not _is_number(word):
            gap += 1
            longest = max(longest, gap)
    return longest


def _is_number(word: str) -> bool:
    return not any(sign.isalpha() for sign in word)


def _shares(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float | Unscored]:  # noqa: ARG001
    return [content_share(reply.text) for reply in replies]


def _window_shares(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float]:  # noqa: ARG001
    return [window_content_share(reply.text) for reply in replies]


def _gaps(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float]:  # noqa: ARG001
    return [float(function_word_gap(reply.text)) for reply in replies]


CONTENT_SHARE = register(
    TextReading("content_share", "share of content words", per="reply", bounds=(0.0, 1.0), read=_shares)
)
WINDOW_CONTENT_SHARE = register(
    TextReading(
        "window_content_share",
        f"share of {WINDOW} content words",
        per="reply",
        bounds=(0.0, 1.0),
        loss=LOWER,
        read=_window_shares,
    )
)
FUNCTION_WORD_GAP = register(TextReading("function_word_gap", "words", per="reply", bounds=(0.0, math.inf), read=_gaps))
