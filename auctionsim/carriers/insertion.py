"""Ads between the reply's sentences: the lever is how many sentences of a brand are put in.

The reply is the untouched one, with sentences put between its own. Brands take turns in the bidders' order: first one
sentence of each that has any, then the second ones.
"""

from collections.abc import Sequence

from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.carriers.ad_wordings import ad_text
from auctionsim.carriers.counted import SentenceCarrier
from auctionsim.carriers.registry import CarrierEntry, FittingInputs, register
from auctionsim.carriers.sentence_pages import SentencesBetween
from auctionsim.language_models.change import Change
from auctionsim.storage import Stored


class Insertion(SentenceCarrier):
    """Sentences about each brand inside the reply, at ends of its sentences; lever (insertions), how many."""

    name = "insertion"
    whole = ("insertions",)

    def change(self, allocation: Tensor, context: Tensor | None = None) -> Change:
        """Return the pages, a row each."""
        del context
        rows = tuple(self.sentences(counts) for counts in self.counts(allocation))
        return Change(len(rows), after=SentencesBetween(rows, self.brands))

    def sentences(self, counts: Sequence[int]) -> tuple[str, ...]:
        """Return the sentences in the order in which they stand in the reply."""
        return tuple(
            ad_text(text, brand, self.category)
            for turn, text in enumerate(self.texts)
            for brand, count in zip(self.brands, counts, strict=True)
            if turn < count
        )


def _fitted(inputs: FittingInputs) -> Insertion:
    return Insertion(inputs.brands, inputs.category)


def _made(brands: tuple[Brand, ...], stored: Stored) -> Insertion:
    return Insertion(brands, stored.fields.text("category"), stored.fields.texts("texts"))


register(
    CarrierEntry(
        "insertion",
        "ads between sentences",
        "How many sentences about a brand are put between those of the reply.",
        'Hu, Zhang, Shi and Xiao (2025), "GEM-Bench: A Benchmark for Ad-Injected Response Generation within Generative '
        'Engine Marketing"',
        _fitted,
        _made,
    )
)
