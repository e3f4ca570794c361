"""A real language model: loading it, finding its neurons, scaling them, sampling and scoring replies."""

from auctionsim.errors import ModelUnavailableError
from auctionsim.language_models.architecture import FeedForward, find_feed_forwards
from auctionsim.language_models.change import Change, Inside, Page, ShownPage, TokenLaw, untouched
from auctionsim.language_models.decoding import Replies, TokenStep, reply_logits, sample_replies, token_steps
from auctionsim.language_models.framing import Framing, Framings
from auctionsim.language_models.hooks import intervene, read_neurons
from auctionsim.language_models.intervention import Intervention, scale_neurons
from auctionsim.language_models.laws import divergence
from auctionsim.language_models.loading import assembled, load_model
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.prefixes import Prefix, join, prefill, prefill_together, prefill_under

__all__ = [
    "Change",
    "FeedForward",
    "Framing",
    "Framings",
    "Inside",
    "Intervention",
    "LanguageModel",
    "ModelUnavailableError",
    "Page",
    "Prefix",
    "Replies",
    "ShownPage",
    "TokenLaw",
    "TokenStep",
    "assembled",
    "divergence",
    "find_feed_forwards",
    "intervene",
    "join",
    "load_model",
    "prefill",
    "prefill_together",
    "prefill_under",
    "read_neurons",
    "reply_logits",
    "sample_replies",
    "scale_neurons",
    "token_steps",
    "untouched",
]
