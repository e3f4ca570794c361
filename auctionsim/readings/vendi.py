"""Vendi score of the replies to one prompt: how many different replies they amount to.

    Vendi = exp(−Σ_k λ_k log λ_k),  λ the eigenvalues of K/n,  K_ij = cos(e(y_i), e(y_j)),  0 log 0 = 0

1 where all n replies are the same, n where all are orthogonal. It grows with n: compare sets of equal size alone.
Replies that are drawn with probabilities p have diag(√p) K diag(√p) in the place of K/n.

Source:
    Friedman and Dieng (2023), "The Vendi Score: a diversity evaluation metric for machine learning", definition 3.1
    and its version that is weighted by probabilities.
"""

import math
from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.errors import InputError
from auctionsim.judges.embedding_files import MINILM, embedding_basis
from auctionsim.readings.cosines import NO_TEXT, embeddings, kernel, model_suffix
from auctionsim.readings.protocol import Reply, TextReading, Value
from auctionsim.readings.registry import register


def vendi_score(similarity: Float[Tensor, "text text"], probabilities: Tensor | None = None) -> float:
    """Return the Vendi score of some texts.

    Args:
        similarity: Of each pair, a positive semidefinite matrix with 1 on its diagonal; the eigenvalues that rounding
            takes below 0 count as 0.
        probabilities: (text,), of which each is drawn; None: all alike.
    Returns:
        The number of texts that they amount to, in [1, n].
    Raises:
        ValueError: No text, a text that is not 1 like itself, or probabilities that are none.
    Example:
        >>> round(vendi_score(torch.tensor([[1.0, 0.5], [0.5, 1.0]])), 6)
        1.754765
    """
    size = len(similarity)
    if not size or not torch.allclose(similarity.diagonal(), torch.ones_like(similarity.diagonal())):
        raise InputError(f"a Vendi score needs texts, each 1 like itself, got {similarity.diagonal().tolist()[:8]}")
    shares = torch.linalg.eigvalsh(_weighted(similarity.double(), probabilities)).clamp_min(0)
    shares = shares / shares.sum()
    score = math.exp(float(torch.special.entr(shares).sum()))
    return min(max(score, 1.0), float(size))


def _weighted(similarity: Tensor, probabilities: Tensor | None) -> Tensor:
    """Return the matrix whose eigenvalues are shares: K/n, or diag(√p) K diag(√p)."""
    size = len(similarity)
    if probabilities is None:
        return similarity / size
    drawn = probabilities.double()
    if drawn.shape != (size,) or not bool((drawn >= 0).all()) or not abs(float(drawn.sum()) - 1) <= 1e-6:
        raise InputError(f"a Vendi score needs {size} probabilities that sum to 1, got {drawn.tolist()[:8]}")
    return drawn.sqrt().unsqueeze(1) * similarity * drawn.sqrt()


def vendi(replies: Sequence[Reply], brands: tuple[Brand, ...], model: str = MINILM) -> Value:  # noqa: ARG001
    """Return the Vendi score of replies with text; unscored without any."""
    rows = [row for row in embeddings(model, [reply.text for reply in replies]) if row is not None]
    return vendi_score(kernel(rows)) if rows else NO_TEXT


def vendi_reading(model: str = MINILM) -> TextReading:
    """Return `vendi` by an embedding model; another model than MiniLM is named by a suffix."""
    return TextReading(
        f"vendi{model_suffix(model)}",
        "different replies",
        per="set",
        bounds=(1.0, math.inf),
        basis=partial(embedding_basis, model),
        read=partial(vendi, model=model),
    )


VENDI = register(vendi_reading())
