"""Slots after the reply: a line below it for each brand that has one, marked as sponsored; the lever is its size.

The reply is the untouched one. A larger slot stands above a smaller one; equal ones stand in the bidders' order.
"""

from collections.abc import Sequence

from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.carriers.ad_wordings import ad_text
from auctionsim.carriers.counted import SentenceCarrier
from auctionsim.carriers.registry import CarrierEntry, FittingInputs, register
from auctionsim.carriers.sentence_pages import LinesAfter
from auctionsim.language_models.change import Change
from auctionsim.storage import Stored

_LABEL = "Sponsored:"


class Slots(SentenceCarrier):
    """A sponsored line of each brand after the reply; lever (slot), 0 none, else how many sentences it has."""

    name = "slots"
    whole = ("slot",)

    def change(self, allocation: Tensor, context: Tensor | None = None) -> Change:
        """Return the pages, a row each."""
        del context
        rows = tuple(self.lines(counts) for counts in self.counts(allocation))
        return Change(len(rows), after=LinesAfter(rows))

    def lines(self, counts: Sequence[int]) -> tuple[str, ...]:
        """Return the lines, the largest first."""
        pairs = sorted(zip(self.brands, counts, strict=True), key=lambda pair: -pair[1])
        return tuple(
            " ".join([_LABEL, *(ad_text(text, brand, self.category) for text in self.texts[:count])])
            for brand, count in pairs
            if count
        )


def _fitted(inputs: FittingInputs) -> Slots:
    return Slots(inputs.brands, inputs.category)


def _made(brands: tuple[Brand, ...], stored: Stored) -> Slots:
    return Slots(brands, stored.fields.text("category"), stored.fields.texts("texts"))


register(
    CarrierEntry(
        "slots",
        "slots after the reply",
        "How many sentences a brand's sponsored line below the reply has.",
        "",
        _fitted,
        _made,
    )
)
