"""Words of a text in the form that readings count them, and counts within a window of them.

A window makes a share that padding cannot buy: the value is the highest in any stretch of W words that follow one
another, over W itself. Text that is added after a space takes no stretch away, so it never lowers the value. A text of
fewer than W words is one stretch, and the words that it lacks count as good ones: its value is a lower bound.
"""

import re
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from functools import cache

from auctionsim.errors import InputError
from auctionsim.spelling import SPACELESS, fold, marks


def words(text: str, *, keep_case: bool = False) -> list[str]:
    """Return the words of a text, in order.

    A word is letters and digits of any script with their marks, apostrophes inside it included; all other signs stand
    between words. Letters are folded as in names of brands (`auctionsim.spelling.fold`): small and capital, composed
    and decomposed, full-width and plain ones are one. Where a script puts no spaces between words (Chinese, Japanese,
    Thai …) each letter counts as a word.

    Args:
        text: The reply.
        keep_case: Small and capital letters stay apart.
    Example:
        >>> words("Adidas, adidas! 15K\u2019s *don\u2019t*")
        ['adidas', 'adidas', "15k's", "don't"]
    """
    return _word().findall(fold(text, keep_case=keep_case).text)


def word_spans(text: str) -> list[tuple[str, int, int]]:
    """Return the words of a text as `words` does, each with where it begins and ends in the text as written.

    Example:
        >>> word_spans("No, Nö.")
        [('no', 0, 2), ('nö', 4, 6)]
    """
    folded = fold(text)
    return [(found.group(), *folded.source(*found.span())) for found in _word().finditer(folded.text)]


@cache
def _word() -> re.Pattern[str]:
    spaced = rf"(?:[^\W_{SPACELESS}][{marks()}]*)+"
    return re.compile(rf"(?=[^\W_])[{SPACELESS}][{marks()}]*|{spaced}(?:'{spaced})*")


def grams(items: Sequence[Hashable], order: int) -> list[tuple[Hashable, ...]]:
    """Return the n-grams of a sequence, in order; none where it is shorter than n."""
    return [tuple(items[k : k + order]) for k in range(len(items) - order + 1)]


def repeated(items: Sequence[Hashable]) -> int:
    """Count the items that occurred before in the sequence."""
    return len(items) - len(set(items))


def most_repeated(items: Sequence[Hashable], window: int) -> int:
    """Count the items that occurred before in a stretch, in that stretch of `window` items that has most of them."""
    counted = enumerate(_stretches(items, window), start=1)
    return max((min(place, window) - len(counts) for place, counts in counted), default=0)


def most_of_one(items: Sequence[Hashable], window: int) -> int:
    """Count the most frequent item of a stretch, in that stretch of `window` items where it is most frequent."""
    best = 0
    for last, counts in enumerate(_stretches(items, window)):
        best = max(best, counts[items[last]])  # only the item that came in last can have become more frequent
    return best


def most_true(flags: Sequence[bool], window: int) -> int:
    """Count the true flags in that stretch of `window` that has most of them."""
    return max((counts[True] for counts in _stretches(flags, window)), default=0)


def _stretches(items: Sequence[Hashable], window: int) -> Iterator[Counter[Hashable]]:
    """Yield the counts of the last `window` items at each place; one record that changes, without zeros."""
    if window < 1:
        raise InputError(f"a window must have at least one item, got {window}")
    counts: Counter[Hashable] = Counter()
    for place, item in enumerate(items):
        counts[item] += 1
        if place >= window:
            gone = items[place - window]
            counts[gone] -= 1
            if not counts[gone]:
                del counts[gone]
        yield counts
