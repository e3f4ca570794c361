"""Relevance of a reply to its question: `relevance`, the cosine of both; `relevance_lowest`, that of its worst part.

    relevance        = cos(e(question), e(reply)), of the reply's first 254 tokens with MiniLM
    relevance_lowest = min over windows w of the reply of cos(e(question), e(w))

A window is `WIDTH` tokens of the embedding model's; windows begin every `STRIDE` tokens, and one more ends where the
reply ends; a reply of at most `WIDTH` tokens is one window. So relevant text before or after a stretch of 47 tokens
off the topic cannot lift the lowest cosine, as one window lies inside it wherever it begins.
"""

from collections.abc import Sequence
from functools import partial

from auctionsim.brands import Brand
from auctionsim.judges.embedder import load_embedder
from auctionsim.judges.embedding_files import MINILM, embedding_basis
from auctionsim.readings.cosines import NO_QUESTION, NO_TEXT, cosine, embeddings, model_suffix, windows
from auctionsim.readings.protocol import Reply, TextReading, Value
from auctionsim.readings.registry import register

WIDTH, STRIDE = 32, 16
"""Tokens of a window, and from one window's beginning to the next one's."""


def relevance(replies: Sequence[Reply], brands: tuple[Brand, ...], model: str = MINILM) -> list[Value]:  # noqa: ARG001
    """Return each reply's cosine with its question; unscored without text."""
    questions = embeddings(model, [reply.prompt for reply in replies])
    texts = embeddings(model, [reply.text for reply in replies])
    return [
        NO_QUESTION if question is None else NO_TEXT if text is None else cosine(question, text)
        for question, text in zip(questions, texts, strict=True)
    ]


def relevance_lowest(
    replies: Sequence[Reply],
    brands: tuple[Brand, ...],  # noqa: ARG001
    model: str = MINILM,
) -> list[Value]:
    """Return the lowest cosine of each reply's windows with its question; unscored without text."""
    embedder = load_embedder(model)
    questions = embeddings(model, [reply.prompt for reply in replies])
    parts = [windows(tokens, WIDTH, STRIDE) for tokens in embedder.tokens([reply.text for reply in replies])]
    rows = iter(embedder.embed_tokens([window for listed in parts for window in listed]).double())
    values: list[Value] = []
    for question, listed in zip(questions, parts, strict=True):
        own = [next(rows) for _ in listed]
        if question is None:
            values.append(NO_QUESTION)
        else:
            values.append(min(cosine(question, row) for row in own) if own else NO_TEXT)
    return values


def relevance_readings(model: str = MINILM) -> tuple[TextReading, ...]:
    """Return `relevance` and `relevance_lowest`; another model than MiniLM is named by a suffix."""
    suffix = model_suffix(model)
    whole = TextReading(
        f"relevance{suffix}",
        "cosine",
        per="reply",
        bounds=(-1.0, 1.0),
        basis=partial(embedding_basis, model),
        read=partial(relevance, model=model),
    )
    lowest = TextReading(
        f"relevance_lowest{suffix}",
        "cosine",
        per="reply",
        bounds=(-1.0, 1.0),
        basis=partial(_lowest_basis, model),
        read=partial(relevance_lowest, model=model),
    )
    return whole, lowest


def _lowest_basis(model: str) -> str:
    return f"{embedding_basis(model)}, windows of {WIDTH} tokens every {STRIDE}"


RELEVANCE, RELEVANCE_LOWEST = map(register, relevance_readings())
