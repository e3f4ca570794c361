"""Repetition within a reply."""

from collections.abc import Sequence

import torch

from auctionsim.brands import Brand
from auctionsim.readings.protocol import Reply, TextReading
from auctionsim.readings.registry import register


def repetition_rate(text: str, order: int = 3) -> float:
    """Return the share of a text's word n-grams that occurred in it before, case ignored.

    Args:
        text: The reply.
        order: n, words a gram.
    Returns:
        1 − distinct / all n-grams, in [0, 1); 0 for a text of fewer than n words.
    """
    words = text.lower().split()
    grams = [tuple(words[k : k + order]) for k in range(len(words) - order + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _read(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float]:  # noqa: ARG001
    rates = torch.tensor([repetition_rate(reply.text) for reply in replies], dtype=torch.float32)
    return [float(rate) for rate in rates]  # rounded as it has always been stored: measured numbers stay the same


REPETITION = register(
    TextReading("repetition_rate", "share of word trigrams", per="reply", bounds=(0.0, 1.0), read=_read)
)
