"""A real language model: loading it, finding its neurons, scaling them, sampling and scoring replies."""

from auctionsim.errors import ModelUnavailableError
from auctionsim.language_models.architecture import FeedForward, find_feed_forwards
from auctionsim.language_models.decoding import (
    Prefix,
    Replies,
    join,
    prefill,
    prefill_together,
    reply_logits,
    sample_replies,
)
from auctionsim.language_models.hooks import intervene, read_neurons, scale_neurons
from auctionsim.language_models.intervention import Intervention, untouched
from auctionsim.language_models.laws import divergence
from auctionsim.language_models.loading import assembled, load_model
from auctionsim.language_models.model import LanguageModel

__all__ = [
    "FeedForward",
    "Intervention",
    "LanguageModel",
    "ModelUnavailableError",
    "Prefix",
    "Replies",
    "assembled",
    "divergence",
    "find_feed_forwards",
    "intervene",
    "join",
    "load_model",
    "prefill",
    "prefill_together",
    "read_neurons",
    "reply_logits",
    "sample_replies",
    "scale_neurons",
    "untouched",
]
