"""What a reply is worth: one reading a file, of brands, of users and of replies."""

from auctionsim.readings import (
    broken_text,
    content_words,
    divergence,
    intent,
    length,
    mentions,
    repetition,
    slots,
    surprise,
)
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
    "broken_text",
    "content_words",
    "divergence",
    "intent",
    "length",
    "mentions",
    "names",
    "reading",
    "register",
    "repetition",
    "slots",
    "surprise",
    "unregister",
]
