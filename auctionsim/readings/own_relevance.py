"""Relevance of a reply's own words: what it copies from the question speaks to the question, and answers nothing.

    own_relevance        = relevance of the reply without the stretches that it copies
    own_relevance_lowest = relevance_lowest of the same

A stretch is copied where 3 or more of its words follow one another in the question, too, signs and case ignored. A
reply that has words and none of its own is at 0, the cosine of texts that have nothing to do with each other. Without
this, repeating the question before a reply buys more relevance than answering it. A question in other words is not
found, and a reply that takes up the question's words loses a little.
"""

from collections.abc import Callable, Sequence
from functools import partial

from auctionsim.brands import Brand
from auctionsim.judges.embedding_files import MINILM
from auctionsim.readings.cosines import model_suffix
from auctionsim.readings.protocol import Reply, TextReading, Value
from auctionsim.readings.registry import register
from auctionsim.readings.relevance import relevance, relevance_lowest, relevance_readings
from auctionsim.readings.words import grams, word_spans, words

COPIED = 3
"""Words that follow one another in the question and in the reply."""
_Read = Callable[[Sequence[Reply], tuple[Brand, ...], str], list[Value]]


def own_text(question: str, text: str, copied: int = COPIED) -> str:
    """Return a text without the words of it that stand in stretches copied from the question.

    Example:
        >>> own_text("Which shoes would you choose?", "Which shoes would you choose? The light ones.")
        '? The light ones.'
    """
    asked = set(grams(words(question), copied))
    spans = word_spans(text)
    listed = grams([word for word, _, _ in spans], copied)
    gone = {k + j for k, gram in enumerate(listed) if gram in asked for j in range(copied)}
    parts, place = [], 0
    for k, (_, start, stop) in enumerate(spans):
        if k in gone:
            parts.append(text[place:start])
            place = stop
    return "".join([*parts, text[place:]]).strip()


def _of_own_words(replies: Sequence[Reply], brands: tuple[Brand, ...], read: _Read, model: str = MINILM) -> list[Value]:
    """Return a relevance of each reply's own words; 0 for one that has words, and none of its own."""
    own = [reply._replace(text=own_text(reply.prompt, reply.text)) for reply in replies]
    values = read(own, brands, model)
    return [
        0.0 if words(reply.text) and not words(mine.text) else value
        for reply, mine, value in zip(replies, own, values, strict=True)
    ]


def _basis(of: TextReading) -> str:
    assert of.basis is not None
    return f"{of.basis()}, without {COPIED} or more words copied from the question"


def own_relevance_readings(model: str = MINILM) -> tuple[TextReading, ...]:
    """Return `own_relevance` and `own_relevance_lowest`; another model than MiniLM is named by a suffix."""
    names = ("own_relevance", "own_relevance_lowest")
    reads: tuple[_Read, ...] = (relevance, relevance_lowest)
    return tuple(
        TextReading(
            f"{name}{model_suffix(model)}",
            "cosine",
            per="reply",
            bounds=(-1.0, 1.0),
            basis=partial(_basis, of),
            read=partial(_of_own_words, read=read, model=model),
        )
        for name, read, of in zip(names, reads, relevance_readings(model), strict=True)
    )


OWN_RELEVANCE, OWN_RELEVANCE_LOWEST = map(register, own_relevance_readings())
