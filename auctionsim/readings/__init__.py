"""What a reply is worth: one reading a file, of brands, of users and of replies."""

from auctionsim.readings import divergence, intent, length, mentions, relevance, repetition, slots, surprise
from auctionsim.readings.protocol import (
    HIGHER,
    IS_ONE,
    LOWER,
    ModelReading,
    PromptReading,
    Reading,
    ReferenceReading,
    Reply,
    TextReading,
    Unscored,
    Value,
)
from auctionsim.readings.registry import names, reading, register, unregister

__all__ = [
    "HIGHER",
    "IS_ONE",
    "LOWER",
    "ModelReading",
    "PromptReading",
    "Reading",
    "ReferenceReading",
    "Reply",
    "TextReading",
    "Unscored",
    "Value",
    "divergence",
    "intent",
    "length",
    "mentions",
    "names",
    "reading",
    "register",
    "relevance",
    "repetition",
    "slots",
    "surprise",
    "unregister",
]
