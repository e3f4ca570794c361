"""How a number, a setting and a model's text are written on the page."""

import math
import re
from collections.abc import Iterable, Sequence

from auctionsim.brands import Brand
from auctionsim.scoring.records import Estimate
from auctionsim.wording import NOTHING, ROUNDING, amount, listed, number, percent

__all__ = [
    "MEANINGS",
    "NOTHING",
    "PALETTE",
    "ROUNDING",
    "amount",
    "breakable",
    "draws",
    "estimate",
    "highlighted",
    "listed",
    "number",
    "percent",
    "setting",
]

MEANINGS = {
    "slot_probability": "the probability that a reply begun with a neutral stem goes on with the brand’s name",
    "mention_probability": "the probability that a sampled reply mentions the brand",
    "hits": "sentences of a sampled reply that mention the brand",
    "intent": "the probability that a reply, led to a name, gives the brand’s and, led on, calls for an action or link",
}
PALETTE = 8  # brand colours of the style sheet


def estimate(value: Estimate | None) -> str:
    """Write mean ± standard error, the mean to the error's second digit; an exact mean alone."""
    if value is None:
        return NOTHING
    mean, error, _ = value
    if error is None or not math.isfinite(error) or not math.isfinite(mean):
        return number(mean)
    if error == 0 or not 1e-4 <= error < 1e5:
        return f"{number(mean)} ± {number(error, 2)}"
    decimals = max(1 - math.floor(math.log10(error)), 0)
    return f"{mean:,.{decimals}f} ± {error:,.{decimals}f}".replace("-", "−")


def setting(num_neurons: float | None, amplification: float | None) -> str:
    """Write a bidder's levers.

    Example:
        >>> setting(64.0, 1.5)
        '64 neurons × 1.5'
    """
    if num_neurons is None or amplification is None:
        return NOTHING
    if num_neurons == 0 or amplification == 1:
        return "off"
    return f"{num_neurons:g} neurons × {amplification:g}"


def breakable(name: str) -> str:
    """Return a class's name as HTML that may be broken between its words."""
    from markupsafe import Markup

    return Markup("<wbr>").join(re.split(r"(?<=[a-z])(?=[A-Z])", name))


def draws(estimates: Iterable[Estimate | None]) -> str:
    """Write over how many draws the estimates are.

    Example:
        >>> draws([Estimate(0.5, 0.1, 64), Estimate(0.2, 0.1, 256)])
        'n = 64 to 256'
    """
    counts = sorted({value.n for value in estimates if value is not None})
    if not counts:
        return "n unknown"
    return f"n = {counts[0]:,}" + (f" to {counts[-1]:,}" if len(counts) > 1 else "")


def highlighted(text: str, brands: Sequence[Brand]) -> str:
    """Return `text` as HTML that shows it as it is, each brand's mentions marked in the brand's colour.

    Mentions are searched in the text as it was written, then every piece is escaped by itself: nothing in the text
    becomes markup, and a brand called "amp" is not found in "&". Where mentions overlap, the first counts, and of two
    that begin together the longer.
    """
    from markupsafe import Markup, escape

    found = [(*span, index) for index, brand in enumerate(brands) for span in brand.spans(text)]
    pieces, end = [], 0
    for start, stop, index in sorted(found, key=lambda mention: (mention[0], -mention[1])):
        if start < end:
            continue
        pieces += [
            escape(text[end:start]),
            Markup('<mark class="brand{}">{}</mark>').format(index % PALETTE, text[start:stop]),
        ]
        end = stop
    return Markup("").join([*pieces, escape(text[end:])])
