"""Text before a reply: what is added to the system message and around what the user says, each row by itself."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.language_models.chat import framed_ids
from auctionsim.language_models.model import LanguageModel


class Framing(NamedTuple):
    """Text that is added to a prompt; all empty leaves it as it is.

    Attributes:
        system: Added to the system message, in a paragraph of its own.
        before: Stands before what the user says, in the user's turn.
        after: Stands after it.
    """

    system: str = ""
    before: str = ""
    after: str = ""

    @property
    def null(self) -> bool:
        """Nothing is added."""
        return not any(self)

    def ids(self, model: LanguageModel, prompt: str) -> list[int]:
        """Return the token ids of a prompt in this framing, ready for the reply's first token.

        Raises:
            ValueError: Text with control tokens, or with what ends a turn.
        """
        if self.null:
            return model.chat_ids(prompt)
        system = "\n\n".join(part for part in (model.system, self.system) if part) or None
        said = self.before + prompt + self.after
        return framed_ids(model.tokenizer, said, thinking=model.thinking, system=system)


@dataclass(frozen=True)
class Framings:
    """A framing a row; a single one serves all rows."""

    rows: tuple[Framing, ...]

    def __post_init__(self) -> None:
        if not all(isinstance(row, Framing) for row in self.rows):
            raise InputError(f"framings must be records of the kind Framing, got {self.rows!r:.80}")

    @property
    def num_rows(self) -> int:
        """Rows; 1 serves all."""
        return len(self.rows)

    @property
    def null(self) -> Bool[Tensor, " row"]:
        """Which rows leave the prompt as it is."""
        return torch.tensor([row.null for row in self.rows], dtype=torch.bool)

    def select(self, rows: Tensor | slice) -> "Framings":
        """Return some rows, by index, mask or slice; a single row that serves all stays as it is."""
        if self.num_rows == 1:
            return self
        return Framings(tuple(self.rows[k] for k in torch.arange(self.num_rows)[_on_cpu(rows)].tolist()))

    def repeat(self, times: int) -> "Framings":
        """Return every row `times` times, one after the other."""
        return Framings(tuple(row for row in self.rows for _ in range(times)))


def _on_cpu(rows: Tensor | slice) -> Tensor | slice:
    return rows if isinstance(rows, slice) else rows.cpu()
