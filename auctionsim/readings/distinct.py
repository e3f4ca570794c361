"""Distinct words of a reply and of all replies to a prompt: how varied they are; high is varied.

| reading | per | what |
|---|---|---|
| `distinct_1`, `distinct_2` | reply | distinct words (bigrams of words) over all |
| `set_distinct_1`, `set_distinct_2` | set | the same of all replies to one prompt taken together |
| `adjusted_distinct` | reply | distinct words over how many as many draws would give, D/(V(1 − (1 − 1/V)^C)) |
| `set_adjusted_distinct` | set | the same of all replies to one prompt taken together |

The shares fall with length, so they compare texts of one length only. The adjusted one divides by the expected number
of distinct words among C that are drawn evenly from V, so length alone moves it less; words are not drawn evenly, so
some is left. A share of a reply rises with anything varied that is added to it: padding buys it.

Source: Li et al. (2016), "A diversity-promoting objective function for neural conversation models" (distinct-n); Liu et
al. (2022), "Rethinking and refining the distinct metric" (expectation-adjusted distinct). They count tokens of a
tokenizer and take V from it; here words are counted, and V is declared.
"""

import math
from collections.abc import Sequence

from auctionsim.brands import Brand
from auctionsim.errors import InputError
from auctionsim.readings.protocol import Reply, TextReading, Unscored
from auctionsim.readings.registry import register
from auctionsim.readings.words import grams, words

VOCABULARY = 30_000
"""V: words that a reply could have."""
HIGHEST = math.e / (math.e - 1)
"""No adjusted share is above it: it is approached where all of C = V words are distinct."""


def distinct(texts: Sequence[str], order: int = 1) -> float | Unscored:
    """Return the share of distinct word n-grams among all n-grams of some texts, none across two of them.

    Args:
        texts: Replies.
        order: n, words a gram.
    Returns:
        In (0, 1]; unscored where no text has n words.
    """
    listed = [gram for text in texts for gram in grams(words(text), order)]
    return len(set(listed)) / len(listed) if listed else Unscored("too few words")


def expectation_adjusted(distinct: int, tokens: int, vocabulary: int = VOCABULARY) -> float:
    """Return the number of distinct words over its expectation, D/(V(1 − (1 − 1/V)^C)).

    Args:
        distinct: D, of them distinct.
        tokens: C, words of the text.
        vocabulary: V, words that could be drawn.
    Returns:
        In (0, e/(e − 1)); 1 where as many are distinct as even draws of C among V give on average.
    Raises:
        ValueError: Not 1 ≤ D ≤ C and D ≤ V.
    Example:
        >>> round(expectation_adjusted(40, 50, 100), 6)
        1.012674
    """
    if not 1 <= distinct <= min(tokens, vocabulary):
        rule = "a text must have 1 ≤ distinct ≤ tokens and distinct ≤ vocabulary"
        raise InputError(f"{rule}, got {distinct}, {tokens} and {vocabulary}")
    if vocabulary == 1:
        return 1.0
    expected = -vocabulary * math.expm1(tokens * math.log1p(-1 / vocabulary))
    return distinct / expected


def adjusted_distinct(texts: Sequence[str], vocabulary: int = VOCABULARY) -> float | Unscored:
    """Return `expectation_adjusted` of the words of some texts taken together; unscored without a word.

    Distinct words beyond `vocabulary` are not counted, so that the value keeps its bound.
    """
    listed = [word for text in texts for word in words(text)]
    if not listed:
        return Unscored("no words")
    return expectation_adjusted(min(len(set(listed)), vocabulary), len(listed), vocabulary)


def expected_distinct(probabilities: Sequence[float], draws: int) -> float:
    """Return how many different replies some draws give on average, Σ_y 1 − (1 − q_y)^k.

    Args:
        probabilities: q, of each reply.
        draws: k ≥ 1, independent.
    Returns:
        In [1, k].
    Raises:
        ValueError: No draw, or probabilities that are none.
    Example:
        >>> expected_distinct([0.5, 0.5], 2)
        1.5
    """
    if draws < 1 or min(probabilities, default=-1) < 0 or abs(math.fsum(probabilities) - 1) > 1e-6:
        raise InputError(f"one draw or more of probabilities that sum to 1 are needed, got {draws} and {probabilities}")
    return math.fsum(-math.expm1(draws * math.log1p(-q)) if q < 1 else 1.0 for q in probabilities)


def _one(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float | Unscored]:  # noqa: ARG001
    return [distinct([reply.text]) for reply in replies]


def _two(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float | Unscored]:  # noqa: ARG001
    return [distinct([reply.text], order=2) for reply in replies]


def _adjusted(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float | Unscored]:  # noqa: ARG001
    return [adjusted_distinct([reply.text]) for reply in replies]


def _set_one(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> float | Unscored:  # noqa: ARG001
    return distinct([reply.text for reply in replies])


def _set_two(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> float | Unscored:  # noqa: ARG001
    return distinct([reply.text for reply in replies], order=2)


def _set_adjusted(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> float | Unscored:  # noqa: ARG001
    return adjusted_distinct([reply.text for reply in replies])


_SHARE, _ADJUSTED = (0.0, 1.0), (0.0, HIGHEST)
_RATIO = "times the expected distinct words"
DISTINCT_1 = register(TextReading("distinct_1", "share of words", per="reply", bounds=_SHARE, read=_one))
DISTINCT_2 = register(TextReading("distinct_2", "share of word bigrams", per="reply", bounds=_SHARE, read=_two))
ADJUSTED_DISTINCT = register(TextReading("adjusted_distinct", _RATIO, per="reply", bounds=_ADJUSTED, read=_adjusted))
SET_DISTINCT_1 = register(TextReading("set_distinct_1", "share of words", per="set", bounds=_SHARE, read=_set_one))
SET_DISTINCT_2 = register(
    TextReading("set_distinct_2", "share of word bigrams", per="set", bounds=_SHARE, read=_set_two)
)
SET_ADJUSTED_DISTINCT = register(
    TextReading("set_adjusted_distinct", _RATIO, per="set", bounds=_ADJUSTED, read=_set_adjusted)
)
