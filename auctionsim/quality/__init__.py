"""The user's side of a reply: divergence from the untouched model, fluency, repetition."""

from auctionsim.language_models.decoding import divergence
from auctionsim.quality.repetition import repetition_rate

__all__ = ["divergence", "repetition_rate"]
