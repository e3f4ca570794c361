"""Closeness of a reply to what the untouched model says: `closeness` to all of it, `closeness_nearest` to the nearest.

    closeness         = mean over untouched replies u to the same prompt of cos(e(y), e(u)), y itself left out
    closeness_nearest = the highest of these cosines

The mean falls where untouched replies differ from one another, too: an untouched reply has less than 1. The highest
cosine asks only whether the untouched model might have said something like it, and rises with their number.
"""

from collections.abc import Callable, Sequence
from functools import partial

from auctionsim.brands import Brand
from auctionsim.judges.embedding_files import MINILM, embedding_basis
from auctionsim.readings.cosines import NO_TEXT, cosine, embeddings, model_suffix
from auctionsim.readings.protocol import ReferenceReading, Reply, Unscored, Value
from auctionsim.readings.registry import register

NO_REFERENCE = Unscored("no untouched reply with text to compare with")


def closeness(
    replies: Sequence[Reply],
    brands: tuple[Brand, ...],
    references: Sequence[Sequence[Reply]],
    model: str = MINILM,
) -> list[Value]:
    """Return each reply's mean cosine with its references; unscored without text, or without any."""
    return _compared(replies, brands, references, model, lambda cosines: sum(cosines) / len(cosines))


def closeness_nearest(
    replies: Sequence[Reply],
    brands: tuple[Brand, ...],
    references: Sequence[Sequence[Reply]],
    model: str = MINILM,
) -> list[Value]:
    """Return each reply's highest cosine with its references; unscored without text, or without any."""
    return _compared(replies, brands, references, model, max)


def _compared(
    replies: Sequence[Reply],
    brands: tuple[Brand, ...],  # noqa: ARG001
    references: Sequence[Sequence[Reply]],
    model: str,
    summary: Callable[[list[float]], float],
) -> list[Value]:
    texts = {reply.text for reply in replies}.union(*({one.text for one in own} for own in references))
    ordered = sorted(texts)
    rows = dict(zip(ordered, embeddings(model, ordered), strict=True))
    values: list[Value] = []
    for reply, own in zip(replies, references, strict=True):
        text = rows[reply.text]
        beside = [row for one in own if (row := rows[one.text]) is not None]
        if text is None or not beside:
            values.append(NO_TEXT if text is None else NO_REFERENCE)
        else:
            values.append(summary([cosine(text, row) for row in beside]))
    return values


def closeness_readings(model: str = MINILM) -> tuple[ReferenceReading, ReferenceReading]:
    """Return `closeness` and `closeness_nearest`; another model than MiniLM is named by a suffix."""
    suffix, basis = model_suffix(model), partial(embedding_basis, model)
    mean, nearest = partial(closeness, model=model), partial(closeness_nearest, model=model)
    bounds = (-1.0, 1.0)
    return (
        ReferenceReading(f"closeness{suffix}", "cosine", per="reply", bounds=bounds, basis=basis, read=mean),
        ReferenceReading(f"closeness_nearest{suffix}", "cosine", per="reply", bounds=bounds, basis=basis, read=nearest),
    )


CLOSENESS, CLOSENESS_NEAREST = map(register, closeness_readings())
