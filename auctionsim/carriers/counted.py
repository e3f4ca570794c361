"""Carriers of text: each bidder has one lever that takes whole numbers, and a category that the texts speak of."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.carriers.ad_wordings import checked_ad, checked_wordings, wordings
from auctionsim.carriers.protocol import Carrier, checked_brands
from auctionsim.checks import checked_count
from auctionsim.errors import InputError
from auctionsim.language_models.change import Change
from auctionsim.language_models.framing import Framing, Framings
from auctionsim.language_models.model import LanguageModel
from auctionsim.levers import Lever
from auctionsim.storage import Stored
from auctionsim.text_checks import checked_text

SHORT = "Which?"
"""Stands for any prompt."""
MOST_COUNT = 256
"""Of a lever."""


class CountedCarrier(Carrier):
    """A carrier with one lever a bidder, from 0, where nothing happens, in whole numbers.

    Args:
        brands: The bidders.
        category: What they sell, as "running shoes".
        most: Highest value of the lever.
    Raises:
        ValueError: No brand, the same twice, a blank category, or a lever that cannot move.
    """

    def __init__(self, brands: Sequence[Brand], category: str, most: int) -> None:
        self.brands = checked_brands(brands, self.name)
        if not checked_text(category, "a category").strip():
            raise InputError(f"a category must be words such as 'running shoes', got {category!r:.60}")
        self.category = checked_ad(category, "a category")
        if checked_count(most, f"the highest {self.whole[0]}") > MOST_COUNT:
            raise InputError(f"the highest {self.whole[0]} is at most {MOST_COUNT}, got {most}")
        self.levers = (Lever(self.whole[0], 0.0, float(most), 0.0),)

    def counts(self, allocation: Tensor) -> list[list[int]]:
        """Return what each bidder has in each row, as whole numbers.

        Raises:
            ValueError: An allocation that is not feasible.
        """
        return [[int(count) for count in row] for row in self.checked(allocation)[:, :, 0].tolist()]

    def ladder(self) -> Float[Tensor, "rung lever"]:
        """Return every value but 0."""
        return torch.arange(1.0, self.levers[0].high + 1).unsqueeze(1)


class SentenceCarrier(CountedCarrier):
    """A carrier that puts a list's first sentences about a brand on the page, as many as its lever says.

    Args:
        brands: The bidders.
        category: What they sell.
        texts: Sentences with the places {brand} and {category}, in the order in which they are used.
    Raises:
        ValueError: A sentence that does not name the brands.
    """

    without = ("slot_probability", "intent")

    def __init__(self, brands: Sequence[Brand], category: str, texts: Sequence[str] = wordings("lines")) -> None:
        self.texts = checked_wordings(texts, checked_brands(brands, self.name), category)
        super().__init__(brands, category, len(self.texts))

    def stored(self) -> Stored:
        """Return the sentences; nothing is fitted."""
        return Stored({"category": self.category, "texts": list(self.texts)}, {})


class FramedCarrier(CountedCarrier):
    """A carrier that puts text around the prompt."""

    def check_model(self, model: LanguageModel) -> None:
        """Refuse a model whose frame refuses the texts, or whose context they fill.

        Raises:
            ValueError: All brands at one value of the lever, around a short prompt, already break a rule of `Framing`.
            UnsupportedError: What the model's template says by itself cannot be kept beside the texts.
        """
        for count in range(1, int(self.levers[0].high) + 1):
            self.framing([count] * len(self.brands)).ids(model, SHORT)

    @abstractmethod
    def framing(self, counts: Sequence[int]) -> Framing:
        """Return what stands around the prompt where bidders have these values of the lever; null where all are 0."""

    def change(self, allocation: Tensor, context: Tensor | None = None) -> Change:
        """Return the prompts' framings, a row each."""
        del context
        rows = tuple(self.framing(counts) for counts in self.counts(allocation))
        return Change(len(rows), before=Framings(rows))
