"""Mentions of a brand in a reply: at all, in how many sentences, how many times.

What counts as a mention is the brand's own rule, see `auctionsim.brands.Brand`.
"""

import math
from collections.abc import Sequence

from auctionsim.brands import Brand
from auctionsim.readings.protocol import Reply, TextReading
from auctionsim.readings.registry import register


def _mentioned(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[list[float]]:
    return [[float(bool(brand.spans(reply.text))) for brand in brands] for reply in replies]


def _hits(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[list[float]]:
    return [[float(brand.hits(reply.text)) for brand in brands] for reply in replies]


def _mentions(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[list[float]]:
    return [[float(brand.mentions(reply.text)) for brand in brands] for reply in replies]


MENTION_PROBABILITY = register(
    TextReading("mention_probability", "probability", per="brand", bounds=(0.0, 1.0), read=_mentioned)
)
HITS = register(TextReading("hits", "hits a reply", per="brand", bounds=(0.0, math.inf), read=_hits))
MENTIONS = register(TextReading("mentions", "mentions a reply", per="brand", bounds=(0.0, math.inf), read=_mentions))
