"""Readings of one model's replies as they are sampled: scorers are made once, passes are shared."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from auctionsim.errors import InputError, UnsupportedError
from auctionsim.language_models.change import Change
from auctionsim.language_models.decoding import Replies as Decoded
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.prefixes import Prefix
from auctionsim.readings.passes import BegunReplies, SamplingLaw, teacher_forced
from auctionsim.readings.protocol import (
    ModelReading,
    PromptReading,
    Reading,
    ReferenceReading,
    Reply,
    Scorer,
    ScorerInputs,
    TextReading,
    Value,
)
from auctionsim.readings.registry import reading
from auctionsim.readings.values import as_tensor, checked_values, read_passes, read_set, read_texts

_R = TypeVar("_R", bound=Reading)


class ReplyBatch(NamedTuple):
    """Sampled replies to one prompt and what they are worth.

    Attributes:
        replies: One per row.
        values: By reading, a value per row.
        num_brands: How many numbers a value per brand has.
    """

    replies: list[Reply]
    values: dict[str, list[Value]]
    num_brands: int

    @property
    def texts(self) -> list[str]:
        """The replies' texts, one per row."""
        return [one.text for one in self.replies]

    @property
    def lengths(self) -> Tensor:
        """The replies' tokens: (row,)."""
        return torch.tensor([one.length for one in self.replies])

    def numbers(self, name: str) -> Tensor:
        """Return a reading's values, float64, NaN where unscored: (row, brand) where it is per brand, else (row,)."""
        per_brand = reading(name).per == "brand"
        found = as_tensor(self.values[name], self.num_brands if per_brand else 1)
        return found if per_brand else found.squeeze(1)


class ReadingSet:
    """Some readings, ready to be taken on one model.

    Args:
        readings: Each once.
        inputs: Model, brands, stems and leads.
        law: How replies are drawn.
    Raises:
        ValueError: A reading that has no meaning for this law.
    """

    def __init__(self, readings: Sequence[Reading], inputs: ScorerInputs, law: SamplingLaw) -> None:
        for one in readings:
            one.refuse(law)
            if isinstance(one, ReferenceReading):
                raise UnsupportedError(
                    f"{one.name} compares replies with stored untouched ones, so it cannot be taken while they are "
                    "sampled: measure first, then `auctionsim surface read`"
                )
        self.readings, self.law, self.inputs = tuple(readings), law, inputs
        self._scorers: dict[Any, Scorer] = {}
        for one in self.of(PromptReading):
            if one.scorer not in self._scorers:
                self._scorers[one.scorer] = one.scorer(inputs)

    def of(self, kind: type[_R]) -> list[_R]:
        """Return the readings of one kind, in order."""
        return [one for one in self.readings if isinstance(one, kind)]

    @property
    def longest(self) -> int:
        """Tokens that scoring needs room for after a prompt."""
        return max((scorer.longest for scorer in self._scorers.values()), default=0)

    def after(self, prefix: Prefix, change: Change) -> dict[str, Tensor]:
        """Return what is scored after prompts that are computed already, each (row, stem, brand), float64."""
        return self._parts({key: scorer.after(prefix, change) for key, scorer in self._scorers.items()})

    def scores(self, prompt: str, change: Change) -> dict[str, Tensor]:
        """Return what is scored after one prompt, each (row, stem, brand), float64."""
        return self._parts({key: scorer(prompt, change) for key, scorer in self._scorers.items()})

    def passes(
        self, replies: Decoded, change: Change, begun: BegunReplies, chosen: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return every model reading's value of each reply, (row,), by teacher-forced passes."""
        return judged(self.inputs.model, self.of(ModelReading), replies, change, begun, self.law, chosen)

    def values(self, replies: Sequence[Reply], judgements: dict[str, Tensor]) -> dict[str, list[Value]]:
        """Return each reply's values by reading: of the text, and of passes that were taken already."""
        brands, found = self.inputs.brands, dict[str, list[Value]]()
        for one in self.readings:
            if isinstance(one, TextReading) and one.per != "set":
                found[one.name] = read_texts(one, replies, brands)
            elif isinstance(one, ModelReading):
                listed = judgements[one.name].tolist()
                found[one.name] = checked_values(one, listed, len(replies), len(brands))
        return found

    def sets(self, replies: Sequence[Reply]) -> dict[str, Value]:
        """Return the value by reading of all replies to one prompt under one intervention."""
        found = [one for one in self.of(TextReading) if one.per == "set"]
        return {one.name: read_set(one, replies, self.inputs.brands) for one in found}

    def _parts(self, scores: dict[Any, Any]) -> dict[str, Tensor]:
        found = {one.name: one.part(scores[one.scorer]) for one in self.of(PromptReading)}
        wanted = (len(self.inputs.stems), len(self.inputs.brands))
        for name, values in found.items():
            if tuple(values.shape[1:]) != wanted:
                raise InputError(f"the reading {name} must score (row, stem, brand) as (…, {wanted[0]}, {wanted[1]}), "
                                 f"got {tuple(values.shape)}")  # fmt: skip
        return found


@torch.inference_mode()
def judged(
    model: LanguageModel,
    readings: Sequence[ModelReading],
    replies: Decoded,
    change: Change,
    begun: BegunReplies,
    law: SamplingLaw,
    chosen: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return model readings' values, (row,) on the CPU, by name; no passes where there are no readings."""
    return read_passes(readings, teacher_forced(model, replies, change, begun, law, chosen)) if readings else {}
