"""Repetition within a reply, of words, word trigrams and characters; low is better.

| reading | what |
|---|---|
| `repetition_rate` | word trigrams of the reply that occurred in it before, over all; split at white space |
| `word_repetition` | 1 − distinct words / words; words as in `auctionsim.readings.words` |
| `window_word_repetition` | the most repeated words in any 24 that follow one another, over 24 |
| `window_stem_repetition` | the same of words cut to their first 5 letters: Adidas, AdidasNordx and Adidas15K are one |
| `window_trigram_repetition` | the most repeated word trigrams within any 24 words, over the 22 that there can be |
| `window_character_repetition` | the most repeated runs of 5 characters within any 96, over the 92 that there can be |
| `longest_repeat` | words of the longest stretch that occurs again anywhere, up to 24, over 24 |

The first two are shares of the whole reply: a loop is cheaper the more fluent text stands beside it. Those of a window
are not, see `auctionsim.readings.words`; they miss loops whose period is longer than their window, whole sentences that
come again, which the longest repeat finds and padding cannot buy either. That of characters reads the text as written
but for case and amounts of white space, so it finds loops inside a word and of signs.
"""

import re
import unicodedata
from collections.abc import Sequence

import torch

from auctionsim.brands import Brand
from auctionsim.readings.protocol import LOWER, Reply, TextReading, Unscored
from auctionsim.readings.registry import register
from auctionsim.readings.words import grams, most_repeated, repeated, words

WINDOW = 24
"""Words: a long sentence, half a reply of 48 tokens."""
STEM = 5
"""Letters that two words have in common at least, where they count as one stem."""
CHARACTERS = 96
"""A window of characters: four a word."""
RUN = 5
"""Characters that are repeated as one."""


def repetition_rate(text: str, order: int = 3) -> float:
    """Return the share of a text's word n-grams that occurred in it before, case ignored.

    Args:
        text: The reply.
        order: n, words a gram.
    Returns:
        1 − distinct / all n-grams, in [0, 1); 0 for a text of fewer than n words.
    """
    listed = grams(text.lower().split(), order)
    return 1 - len(set(listed)) / len(listed) if listed else 0.0


def word_repetition(text: str) -> float | Unscored:
    """Return 1 − distinct words / words, in [0, 1); unscored where there is no word."""
    listed = words(text)
    return repeated(listed) / len(listed) if listed else Unscored("no words")


def window_repetition(text: str, order: int = 1, window: int = WINDOW) -> float:
    """Return the highest share of repeated word n-grams in any window of words.

    Args:
        text: The reply.
        order: n, words a gram.
        window: W, words that follow one another, at least n.
    Returns:
        The most n-grams that occurred before in the same window, over the W − n + 1 of a whole window; in [0, 1).
        A text of fewer words is one window, over the same number. Text added after a space never lowers it.
    """
    size = window - order + 1
    return most_repeated(grams(words(text), order), size) / size


def stem_repetition(text: str, stem: int = STEM, window: int = WINDOW) -> float:
    """Return `window_repetition` of words, cut to their first letters; shorter words stay as they are."""
    return most_repeated([word[:stem] for word in words(text)], window) / window


def character_repetition(text: str, run: int = RUN, window: int = CHARACTERS) -> float:
    """Return the highest share of repeated runs of characters in any window of characters.

    Args:
        text: The reply; case and amounts of white space are ignored, nothing else.
        run: Characters that are repeated as one.
        window: Characters that follow one another.
    Returns:
        As `window_repetition`, of characters: in [0, 1).
    """
    size = window - run + 1
    plain = re.sub(r"\s+", " ", unicodedata.normalize("NFC", text.casefold()))
    return most_repeated([plain[k : k + run] for k in range(len(plain) - run + 1)], size) / size


def longest_repeat(text: str, window: int = WINDOW) -> float:
    """Return the length of the longest stretch of words that occurs twice, up to a window, over the window: in [0, 1].

    Both may overlap: a word said n times in a row is a repeat of n − 1 words. Text added after a space never lowers it.
    """
    listed, low, high = words(text), 0, window  # a stretch of `low` words occurs twice; of all longer ones, unknown
    while low < high:
        middle = (low + high + 1) // 2
        if repeated(grams(listed, middle)):
            low = middle
        else:
            high = middle - 1
    return low / window


def _rates(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float]:  # noqa: ARG001
    rates = torch.tensor([repetition_rate(reply.text) for reply in replies], dtype=torch.float32)
    return [float(rate) for rate in rates]  # rounded as it has always been stored: measured numbers stay the same


def _words(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float | Unscored]:  # noqa: ARG001
    return [word_repetition(reply.text) for reply in replies]


def _window_words(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float]:  # noqa: ARG001
    return [window_repetition(reply.text) for reply in replies]


def _window_stems(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float]:  # noqa: ARG001
    return [stem_repetition(reply.text) for reply in replies]


def _window_trigrams(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float]:  # noqa: ARG001
    return [window_repetition(reply.text, order=3) for reply in replies]


def _window_characters(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float]:  # noqa: ARG001
    return [character_repetition(reply.text) for reply in replies]


def _longest_repeats(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float]:  # noqa: ARG001
    return [longest_repeat(reply.text) for reply in replies]


_SHARE = (0.0, 1.0)
REPETITION = register(TextReading("repetition_rate", "share of word trigrams", per="reply", bounds=_SHARE, read=_rates))
WORD_REPETITION = register(TextReading("word_repetition", "share of words", per="reply", bounds=_SHARE, read=_words))
WINDOW_WORD_REPETITION = register(
    TextReading(
        "window_word_repetition",
        f"share of {WINDOW} words",
        per="reply",
        bounds=_SHARE,
        loss=LOWER,
        read=_window_words,
    )
)
WINDOW_STEM_REPETITION = register(
    TextReading(
        "window_stem_repetition",
        f"share of the stems of {WINDOW} words",
        per="reply",
        bounds=_SHARE,
        loss=LOWER,
        read=_window_stems,
    )
)
WINDOW_TRIGRAM_REPETITION = register(
    TextReading(
        "window_trigram_repetition",
        f"share of word trigrams in {WINDOW} words",
        per="reply",
        bounds=_SHARE,
        loss=LOWER,
        read=_window_trigrams,
    )
)
WINDOW_CHARACTER_REPETITION = register(
    TextReading(
        "window_character_repetition",
        f"share of runs of {RUN} in {CHARACTERS} characters",
        per="reply",
        bounds=_SHARE,
        loss=LOWER,
        read=_window_characters,
    )
)
LONGEST_REPEAT = register(
    TextReading(
        "longest_repeat", f"share of {WINDOW} words", per="reply", bounds=_SHARE, loss=LOWER, read=_longest_repeats
    )
)
