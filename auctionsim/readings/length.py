"""Length of a reply in tokens; as a loss, the tokens beyond the untouched reply's."""

import math
from collections.abc import Sequence

from auctionsim.brands import Brand
from auctionsim.readings.protocol import LOWER, Reply, TextReading
from auctionsim.readings.registry import register


def _read(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float]:  # noqa: ARG001
    return [float(reply.length) for reply in replies]


LENGTH = register(TextReading("length", "tokens", per="reply", bounds=(1.0, math.inf), loss=LOWER, read=_read))
