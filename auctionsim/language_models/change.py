"""What is done to a reply, row by row, by the door that it enters by: before it, inside, at its tokens, after it.

| door | what enters | as |
|---|---|---|
| `before` | text around the prompt | `Framings` |
| `inside` | activations and weights | `Inside`, as `Intervention` |
| `at` | the law of the next token, beside companion prompts decoded in lockstep | `TokenLaw` |
| `after` | the page: which of several replies is shown, and what is put on it | `Page` |

Each part is a value of rows: some can be selected, each can be repeated, and it says which leave the reply untouched.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auctionsim.errors import InputError, UnsupportedError
from auctionsim.language_models.framing import Framing, Framings
from auctionsim.language_models.intervention import Intervention
from auctionsim.language_models.model import LanguageModel


@runtime_checkable
class DoorPart(Protocol):
    """What enters a reply by one door: a value of rows, of which one serves all rows of a batch."""

    @property
    def num_rows(self) -> int:
        """Rows; 1 serves all."""

    @property
    def null(self) -> Bool[Tensor, " row"]:
        """Which rows leave the reply exactly as it is."""

    def select(self, rows: Tensor | slice) -> "DoorPart":
        """Return some rows, by index, mask or slice; a single row that serves all stays as it is."""

    def repeat(self, times: int) -> "DoorPart":
        """Return every row `times` times, one after the other."""


@runtime_checkable
class InForce(Protocol):
    """A change inside a model while it is in force."""

    def keep(self, rows: Tensor) -> None:
        """Drop every row that `rows`, a mask or indices, does not name; a single row that serves all stays."""


@runtime_checkable
class Inside(DoorPart, Protocol):
    """A change of activations or weights, in every forward pass that is run while it is in force."""

    def applied(self, model: LanguageModel) -> AbstractContextManager[InForce]:
        """Change the model's forward passes; on leaving, by whatever way, every hook is gone.

        A row that is null must leave its numbers as they are, to the bit, unless a row beside it in the batch forces
        the same arithmetic on all; where all rows are null there is no hook at all.
        """


@runtime_checkable
class TokenLaw(DoorPart, Protocol):
    """A change of the law of the next token, which may look at the same reply after other prompts."""

    def select(self, rows: Tensor | slice) -> "TokenLaw":
        """Return some rows, by index, mask or slice; a single row that serves all stays as it is."""

    @property
    def companions(self) -> tuple[Framing, ...]:
        """The framings of the prompt beside the reply's own, the same for all rows; they are decoded in lockstep."""

    @property
    def remembers(self) -> bool:
        """Whether the law depends on how likely the tokens before were: then it is told by `seen`."""

    def logits(
        self,
        own: Float[Tensor, "row position vocabulary"],
        companions: Float[Tensor, "companion row position vocabulary"],
        temperature: float,
        seen: Float[Tensor, "voice row position"] | None,
    ) -> Float[Tensor, "row position vocabulary"]:
        """Return logits such that softmax(logits / temperature) is the law of each next token.

        Args:
            own: Logits after the reply's own prompt.
            companions: Logits after the companions' prompts, behind the same tokens.
            temperature: Of sampling; the laws that are combined are those at this temperature.
            seen: Log likelihood of the reply's tokens before each position, at this temperature, by voice: the reply's
                own prompt first, then the companions; None unless the law remembers.
        Returns:
            Logits; those of a null row are `own` to the bit.
        """


class ShownPage(NamedTuple):
    """The page that the user is shown.

    Attributes:
        candidate: Which of the candidates is on it.
        text: All that is on it.
        ads: Beginnings and ends, in letters of the text, of what was put there as an ad, in order.
        divergence: Nats a reply, of the shown reply's law from the untouched one's, where a reply was chosen among
            several; None where it is that of the token laws.
    """

    candidate: int
    text: str
    ads: tuple[tuple[int, int], ...] = ()
    divergence: float | None = None


@runtime_checkable
class Page(DoorPart, Protocol):
    """A change of the page: which reply is shown, and what is put on it."""

    @property
    def candidates(self) -> int:
        """Replies that are drawn for a page, from one law, independently."""

    def shown(
        self,
        texts: Sequence[Sequence[str]],
        uniforms: Float[Tensor, " row"],
        pools: Sequence[Sequence[str]],
    ) -> list[ShownPage]:
        """Return each row's page; a null row shows its first candidate as it is.

        Args:
            texts: (row, candidate) the candidates' texts.
            uniforms: (row,) in [0, 1), for what is drawn.
            pools: For each row all candidates that were drawn to the same prompt under the same other doors.
        """


@dataclass(frozen=True)
class Change:
    """A change of replies, one a row of a batch; a door that is None is shut.

    Attributes:
        num_rows: Rows; 1 serves all.
        before: Text around the prompts.
        inside: Activations and weights.
        at: The law of the next token.
        after: The page.
    Raises:
        ValueError: A part with another number of rows.
        UnsupportedError: Activations that are changed beside companions; a choice among several replies beside another
            door.
    """

    num_rows: int
    before: Framings | None = None
    inside: Inside | None = None
    at: TokenLaw | None = None
    after: Page | None = None

    def __post_init__(self) -> None:
        for name, part in self._parts.items():
            if part.num_rows not in (1, self.num_rows):
                raise InputError(f"{name} has {part.num_rows} rows in a change of {self.num_rows}")
        if self.companions and self.inside is not None:
            raise UnsupportedError("a law with companions leaves activations alone: open one of the doors inside, at")
        if self.candidates > 1 and len(self._parts) > 1:  # its divergence is that of the choice alone
            raise UnsupportedError("a reply is chosen among untouched ones: open no door beside a choice among several")

    @property
    def _parts(self) -> dict[str, DoorPart]:
        parts = {"before": self.before, "inside": self.inside, "at": self.at, "after": self.after}
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def null(self) -> Bool[Tensor, " row"]:
        """Which rows leave the reply, and its page, exactly as they are."""
        return self._untouched_by(self._parts.values())

    @property
    def reply_null(self) -> Bool[Tensor, " row"]:
        """Which rows leave the law of the reply's tokens as it is, whatever they do to the page."""
        return self._untouched_by(part for name, part in self._parts.items() if name != "after")

    @property
    def companions(self) -> tuple[Framing, ...]:
        """Framings whose prompts are decoded beside the reply's own."""
        return () if self.at is None else self.at.companions

    @property
    def candidates(self) -> int:
        """Replies that are drawn for each page."""
        return 1 if self.after is None else self.after.candidates

    @property
    def reply(self) -> "Change":
        """The same without what happens after the reply: what decoding and scoring see."""
        return self if self.after is None else Change(self.num_rows, self.before, self.inside, self.at)

    def select(self, rows: Tensor | slice) -> "Change":
        """Return some rows, by index, mask or slice; a single row that serves all stays as it is."""
        if self.num_rows == 1:
            return self
        count = len(torch.arange(self.num_rows)[rows if isinstance(rows, slice) else rows.cpu()])
        return Change(count, **{name: part.select(rows) for name, part in self._parts.items()})  # type: ignore[arg-type]

    def repeat(self, times: int) -> "Change":
        """Return every row `times` times, one after the other."""
        parts = {
            name: part if part.num_rows == 1 and self.num_rows > 1 else part.repeat(times)
            for name, part in self._parts.items()
        }
        return Change(self.num_rows * times, **parts)  # type: ignore[arg-type]

    def framing(self, row: int) -> Framing:
        """Return the text around a row's prompt."""
        if self.before is None:
            return Framing()
        return self.before.rows[row if self.before.num_rows > 1 else 0]

    def _untouched_by(self, parts: Iterable[DoorPart]) -> Bool[Tensor, " row"]:
        still = torch.ones(self.num_rows, dtype=torch.bool)
        for part in parts:
            still = still & part.null.cpu()
        return still


def untouched(model: LanguageModel, rows: int = 1) -> Change:
    """Return the change that changes nothing."""
    del model
    return Change(rows)


def as_change(change: "Change | Inside | Tensor") -> Change:
    """Return `change`; what is not one enters by the door inside, a tensor (row, layer, neuron) as neurons' factors."""
    if isinstance(change, Change):
        return change
    inside = Intervention(change) if isinstance(change, Tensor) else change
    return Change(inside.num_rows, inside=inside)
