"""Cosines of texts by an embedding model: what relevance, closeness, dispersion and Vendi score are computed from."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.judges.embedder import load_embedder
from auctionsim.judges.embedding_files import MINILM
from auctionsim.readings.judge import judge_suffix
from auctionsim.readings.protocol import Unscored

NO_TEXT = Unscored("no text to embed")
NO_QUESTION = Unscored("no question to embed")


def embeddings(model: str, texts: Sequence[str]) -> list[Tensor | None]:
    """Return each text's embedding, (dimension,) float64; None for one without a token, such as an empty one."""
    embedder = load_embedder(model)
    parts = embedder.tokens(texts)
    rows = iter(embedder.embed_tokens([part for part in parts if part]).double())
    return [next(rows) if part else None for part in parts]


def windows(tokens: tuple[int, ...], width: int, stride: int) -> list[tuple[int, ...]]:
    """Return the parts of a text that are looked at one by one.

    Windows of `width` tokens begin every `stride` tokens, and one more ends where the text ends; a text of at most
    `width` tokens is one window, an empty one none.

    Example:
        >>> windows((1, 2, 3, 4, 5, 6), 4, 3)
        [(1, 2, 3, 4), (3, 4, 5, 6)]
    """
    if len(tokens) <= width:
        return [tokens] if tokens else []
    starts = [*range(0, len(tokens) - width, stride), len(tokens) - width]
    return [tokens[start : start + width] for start in starts]


def cosine(first: Float[Tensor, " dimension"], second: Float[Tensor, " dimension"]) -> float:
    """Return the cosine of two embeddings, each of length 1; in [-1, 1]."""
    return max(-1.0, min(1.0, float(first @ second)))


def kernel(rows: Sequence[Tensor]) -> Float[Tensor, "text text"]:
    """Return the cosines of every pair of texts, float64, 1 on the diagonal."""
    stacked = torch.stack(list(rows))
    return (stacked @ stacked.T).clamp(-1, 1).fill_diagonal_(1)


def model_suffix(model: str) -> str:
    """Return what readings by another model than the packaged MiniLM have behind their names, as judges' have.

    Example:
        >>> model_suffix("minilm"), model_suffix("sentence-transformers/all-mpnet-base-v2")
        ('', '_sentence_transformers_all_mpnet_base_v2')
    """
    return "" if model == MINILM else judge_suffix(model)
