"""Relevance against chance: how much nearer a reply is to its own question than to others.

    relevance_margin = cos(e(q), e(y)) − mean over other questions o of cos(e(o), e(y))

Any fluent reply has some cosine with any question; the mean over questions of everyday life takes that part away. The
other questions are a data file, `QUESTIONS`; one that is the reply's own question, case ignored, is left out.
"""

from collections.abc import Sequence
from functools import cache, partial
from importlib import resources
from pathlib import Path

import torch

from auctionsim.brands import Brand
from auctionsim.judges.embedding_files import MINILM, embedding_basis
from auctionsim.kept import file_digest
from auctionsim.readings.cosines import NO_QUESTION, NO_TEXT, cosine, embeddings, model_suffix
from auctionsim.readings.protocol import Reply, TextReading, Value
from auctionsim.readings.registry import register

QUESTIONS = Path(str(resources.files("auctionsim.data"))) / "embedding" / "questions@1.txt"
"""The other questions, one a line, 32 of them."""


@cache
def other_questions() -> tuple[str, ...]:
    """Return the questions that no reply is expected to answer."""
    return tuple(QUESTIONS.read_text(encoding="utf-8").splitlines())


def relevance_margin(
    replies: Sequence[Reply],
    brands: tuple[Brand, ...],  # noqa: ARG001
    model: str = MINILM,
) -> list[Value]:
    """Return each reply's cosine with its own question less its mean cosine with others; unscored without text."""
    questions = embeddings(model, [reply.prompt for reply in replies])
    texts = embeddings(model, [reply.text for reply in replies])
    others = [row for row in embeddings(model, other_questions()) if row is not None]
    values: list[Value] = []
    for reply, question, text in zip(replies, questions, texts, strict=True):
        if question is None or text is None:
            values.append(NO_QUESTION if question is None else NO_TEXT)
            continue
        own = reply.prompt.strip().casefold()
        far = [row for row, other in zip(others, other_questions(), strict=True) if other.casefold() != own]
        values.append(cosine(question, text) - cosine(torch.stack(far).mean(0), text))
    return values


def relevance_margin_reading(model: str = MINILM) -> TextReading:
    """Return `relevance_margin` by an embedding model; another model than MiniLM is named by a suffix."""
    return TextReading(
        f"relevance_margin{model_suffix(model)}",
        "difference of cosines",
        per="reply",
        bounds=(-2.0, 2.0),
        basis=partial(_basis, model),
        read=partial(relevance_margin, model=model),
    )


def _basis(model: str) -> str:
    return f"{embedding_basis(model)}, {QUESTIONS.stem} {file_digest(QUESTIONS)}"


RELEVANCE_MARGIN = register(relevance_margin_reading())
