"""Dispersion of the replies to one prompt: `dispersion`, their mean pairwise cosine distance.

    dispersion = mean over pairs i < j of 1 − cos(e(y_i), e(y_j)),  in [0, 2]

0 where all replies are the same. Its expected value does not depend on how many replies there are.
"""

from collections.abc import Sequence
from functools import partial

import torch

from auctionsim.brands import Brand
from auctionsim.judges.embedding_files import MINILM, embedding_basis
from auctionsim.readings.cosines import embeddings, kernel, model_suffix
from auctionsim.readings.protocol import Reply, TextReading, Unscored, Value
from auctionsim.readings.registry import register

TOO_FEW = Unscored("fewer than two replies with text")


def dispersion(replies: Sequence[Reply], brands: tuple[Brand, ...], model: str = MINILM) -> Value:  # noqa: ARG001
    """Return the mean pairwise cosine distance of replies with text; unscored with fewer than two."""
    rows = [row for row in embeddings(model, [reply.text for reply in replies]) if row is not None]
    if len(rows) < 2:
        return TOO_FEW
    above = torch.ones(len(rows), len(rows), dtype=torch.bool).triu(1)
    return float((1 - kernel(rows))[above].mean())


def dispersion_reading(model: str = MINILM) -> TextReading:
    """Return `dispersion` by an embedding model; another model than MiniLM is named by a suffix."""
    return TextReading(
        f"dispersion{model_suffix(model)}",
        "mean pairwise cosine distance",
        per="set",
        bounds=(0.0, 2.0),
        basis=partial(embedding_basis, model),
        read=partial(dispersion, model=model),
    )


DISPERSION = register(dispersion_reading())
