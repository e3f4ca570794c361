"""Pages with sentences that advertise: what is put beside each row's reply once it is whole.

The reply itself stays as it is, letter for letter; what is put there is marked as ads by where it begins and ends.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.language_models.change import ShownPage
from auctionsim.readings.words import words
from auctionsim.sentence_ends import sentence_ends

_WORDS = 3  # a sentence has at least so many: behind "1." and "Yes." no ad stands
_LINE_ENDS = "\n\u2028\u2029"


@dataclass(frozen=True)
class SentencePage(ABC):
    """Sentences for each row's page, none where it shows the reply as it is.

    Attributes:
        rows: (row, sentence); a single row serves all.
    """

    rows: tuple[tuple[str, ...], ...]

    @property
    def num_rows(self) -> int:
        """Rows; 1 serves all."""
        return len(self.rows)

    @property
    def null(self) -> Bool[Tensor, " row"]:
        """Which rows show the reply as it is."""
        return torch.tensor([not row for row in self.rows], dtype=torch.bool)

    @property
    def candidates(self) -> int:
        """One reply a page."""
        return 1

    def select(self, rows: Tensor | slice) -> "SentencePage":
        """Return some rows, by index, mask or slice; a single row that serves all stays as it is."""
        if self.num_rows == 1:
            return self
        index = torch.arange(self.num_rows)[rows if isinstance(rows, slice) else rows.cpu()]
        return replace(self, rows=tuple(self.rows[k] for k in index.tolist()))

    def repeat(self, times: int) -> "SentencePage":
        """Return every row `times` times, one after the other."""
        return replace(self, rows=tuple(row for row in self.rows for _ in range(times)))

    def shown(
        self,
        texts: Sequence[Sequence[str]],
        uniforms: Float[Tensor, " row"],
        pools: Sequence[Sequence[str]],
    ) -> list[ShownPage]:
        """Return each row's page; nothing is drawn."""
        del uniforms, pools
        rows = self.rows * len(texts) if self.num_rows == 1 else self.rows
        return [
            self.page(candidates[0], sentences) if sentences else ShownPage(0, candidates[0])
            for candidates, sentences in zip(texts, rows, strict=True)
        ]

    @abstractmethod
    def page(self, text: str, sentences: tuple[str, ...]) -> ShownPage:
        """Return a reply's text with one sentence or several."""


@dataclass(frozen=True)
class LinesAfter(SentencePage):
    """Sentences after the reply, an empty line below it, each on a line of its own."""

    def page(self, text: str, sentences: tuple[str, ...]) -> ShownPage:
        """Return the reply with the sentences below it."""
        shown, ads = text, []
        for number, sentence in enumerate(sentences):
            shown += ("\n" if number else "\n\n") if shown else ""
            ads.append((len(shown), len(shown) + len(sentence)))
            shown += sentence
        return ShownPage(0, shown, tuple(ads))


@dataclass(frozen=True)
class SentencesBetween(SentencePage):
    """Sentences inside the reply, each after the end of one of its sentences.

    Where n sentences are put into a reply with m ends, the j-th (from 0) stands after the end number ⌊(2j + 1) m / 2n⌋:
    evenly spread. A reply without an end gets them after its text, on a new line.

    Attributes:
        brands: An end inside one of their names ("Dr. Martens") is none.
    """

    brands: tuple[Brand, ...] = ()

    def page(self, text: str, sentences: tuple[str, ...]) -> ShownPage:
        """Return the reply with the sentences in it."""
        places, count = self.places(text), len(sentences)
        ends = [places[(2 * j + 1) * len(places) // (2 * count)] if places else len(text) for j in range(count)]
        shown, ads, copied = "", [], 0
        for number, (end, sentence) in enumerate(zip(ends, sentences, strict=True)):
            shown, copied = shown + text[copied:end], end
            shown += "" if not shown else " " if places or number else "\n"
            ads.append((len(shown), len(shown) + len(sentence)))
            shown += sentence
            if text[end : end + 1].strip() and end not in ends[number + 1 :]:
                shown += " "  # scripts that put no space between sentences
        return ShownPage(0, shown + text[copied:], tuple(ads))

    def places(self, text: str) -> list[int]:
        """Return where sentences of three words or more end by a sign, in order."""
        names = [span for brand in self.brands for span in brand.spans(text)]
        places, start = [], 0
        for begin, stop in sentence_ends(text):
            if any(first <= begin and stop < last for first, last in names):
                continue
            if text[begin] not in _LINE_ENDS and len(words(text[start:begin])) >= _WORDS:
                places.append(stop)
            start = stop
        return places
