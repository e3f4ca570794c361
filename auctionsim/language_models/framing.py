"""Text before a reply: what is added to the system message and around what the user says, each row by itself."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.language_models.chat import check_added, default_system, framed_ids
from auctionsim.language_models.model import LanguageModel
from auctionsim.text_checks import checked_text


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

        What is added to the system message stands behind what it says already: `model.system`, else what the chat
        template says by itself. Where a template has no system message, as Gemma's has none, it stands at the start of
        the user's turn in a paragraph of its own.

        Raises:
            ValueError: Text with control tokens, or with what ends a turn, names it; a framed prompt as long as the
                model's context.
            UnsupportedError: What the template says by itself cannot be kept beside the text.
        """
        if self.null:
            return model.chat_ids(prompt)
        system, head = model.system, ""
        if self.system:
            present = default_system(model.tokenizer, thinking=model.thinking) if system is None else system
            if present is None:
                head = f"{self.system}\n\n"
            else:
                system = "\n\n".join(part for part in (present, self.system) if part)
        self._check(model, prompt, system, to_system=not head)
        turn = head + self.before + prompt + self.after
        name = "the prompt with the text around it"
        ids = framed_ids(model.tokenizer, turn, thinking=model.thinking, system=system, what=name)
        if model.context_length is not None and len(ids) >= model.context_length:
            raise InputError(
                f"the prompt {prompt!r:.60} with the text {max(self, key=len)!r:.60} has {len(ids)} tokens, "
                f"which leaves no room in the model's context of {model.context_length}"
            )
        return ids

    def _check(self, model: LanguageModel, prompt: str, system: str | None, *, to_system: bool) -> None:
        """Refuse text that is more than plain text where it stands, and name it."""
        in_system = "the text added to the system message"
        parts = {
            "the prompt": prompt,
            in_system: self.system,
            "the text before the prompt": self.before,
            "the text after the prompt": self.after,
        }
        for what, text in parts.items():
            if checked_text(text, what):
                inner = to_system and what == in_system
                check_added(model.tokenizer, text, what, thinking=model.thinking, system=system, to_system=inner)


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
