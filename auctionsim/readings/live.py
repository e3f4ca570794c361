"""Readings of one model's replies as they are sampled: scorers are made once, passes are shared."""

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from auctionsim.language_models.decoding import Prefix
from auctionsim.language_models.decoding import Replies as Decoded
from auctionsim.language_models.intervention import Intervention
from auctionsim.language_models.model import LanguageModel
from auctionsim.readings.passes import BegunReplies, SamplingLaw, teacher_forced
from auctionsim.readings.protocol import (
    ModelReading,
    PromptReading,
    Reading,
    Reply,
    Scorer,
    ScorerInputs,
    TextReading,
    Value,
)
from auctionsim.readings.values import checked_values, read_passes, read_set, read_texts

_R = TypeVar("_R", bound=Reading)


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
        for reading in readings:
            reading.refuse(law)
        self.readings, self.law, self.inputs = tuple(readings), law, inputs
        self._scorers: dict[Any, Scorer] = {}
        for reading in self.of(PromptReading):
            if reading.scorer not in self._scorers:
                self._scorers[reading.scorer] = reading.scorer(inputs)

    def of(self, kind: type[_R]) -> list[_R]:
        """Return the readings of one kind, in order."""
        return [reading for reading in self.readings if isinstance(reading, kind)]

    @property
    def longest(self) -> int:
        """Tokens that scoring needs room for after a prompt."""
        return max((scorer.longest for scorer in self._scorers.values()), default=0)

    def after(self, prefix: Prefix, change: Intervention) -> dict[str, Tensor]:
        """Return what is scored after prompts that are computed already, each (row, stem, brand), float64."""
        return self._parts({key: scorer.after(prefix, change) for key, scorer in self._scorers.items()})

    def scores(self, prompt: str, change: Intervention) -> dict[str, Tensor]:
        """Return what is scored after one prompt, each (row, stem, brand), float64."""
        return self._parts({key: scorer(prompt, change) for key, scorer in self._scorers.items()})

    def passes(self, replies: Decoded, change: Intervention, begun: BegunReplies) -> dict[str, Tensor]:
        """Return every model reading's value of each reply, (row,), by teacher-forced passes."""
        return judged(self.inputs.model, self.of(ModelReading), replies, change, begun, self.law)

    def values(self, replies: Sequence[Reply], judgements: dict[str, Tensor]) -> dict[str, list[Value]]:
        """Return each reply's values by reading: of the text, and of passes that were taken already."""
        brands, found = self.inputs.brands, dict[str, list[Value]]()
        for reading in self.readings:
            if isinstance(reading, TextReading) and reading.per != "set":
                found[reading.name] = read_texts(reading, replies, brands)
            elif isinstance(reading, ModelReading):
                listed = judgements[reading.name].tolist()
                found[reading.name] = checked_values(reading, listed, len(replies), len(brands))
        return found

    def sets(self, replies: Sequence[Reply]) -> dict[str, Value]:
        """Return the value by reading of all replies to one prompt under one intervention."""
        found = [reading for reading in self.of(TextReading) if reading.per == "set"]
        return {reading.name: read_set(reading, replies, self.inputs.brands) for reading in found}

    def _parts(self, scores: dict[Any, Any]) -> dict[str, Tensor]:
        return {reading.name: reading.part(scores[reading.scorer]) for reading in self.of(PromptReading)}


@torch.inference_mode()
def judged(
    model: LanguageModel,
    readings: Sequence[ModelReading],
    replies: Decoded,
    change: Intervention,
    begun: BegunReplies,
    law: SamplingLaw,
) -> dict[str, Tensor]:
    """Return model readings' values, (row,) on the CPU, by name; no passes where there are no readings."""
    return read_passes(readings, teacher_forced(model, replies, change, begun, law)) if readings else {}
