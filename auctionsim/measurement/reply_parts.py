"""Readings of a part of stored replies: what one worker of a second pass is given, and what it gives back.

Text readings need no model, and none is loaded for them; model readings take teacher-forced passes, in float32, with
each reply's own intervention. A reading that rests on a judge or a prompt is refused once that is another one.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch

from auctionsim.carriers.protocol import Carrier
from auctionsim.errors import InputError
from auctionsim.language_models.decoding import Replies
from auctionsim.language_models.model import LanguageModel
from auctionsim.measurement.stored_replies import Asked, StoredReplies
from auctionsim.readings.judge import register_judge
from auctionsim.readings.live import judged
from auctionsim.readings.passes import begin
from auctionsim.readings.protocol import ModelReading, Reading, ReferenceReading, Reply, TextReading, Value, basis_of
from auctionsim.readings.registry import reading
from auctionsim.readings.values import checked_values, read_beside, read_set, read_texts


class ReplyPart(NamedTuple):
    """Replies `start` … `stop` of those to one prompt."""

    asked: Asked
    start: int
    stop: int

    @property
    def file_name(self) -> str:
        """Where its values are stored."""
        replicate, context, prompt = self.asked
        return f"{replicate}-{context}-{prompt}-{self.start:05d}-{self.stop:05d}.json"


class PartValues(NamedTuple):
    """Values of a part's replies by reading; of a reading per set, one for each intervention's replies."""

    part: ReplyPart
    values: dict[str, list[Value]]


class PartReader:
    """Takes readings of parts; a part's values depend on the arguments and on nothing else.

    Args:
        stored: The replies.
        names: Of readings.
        neurons: That were amplified; None where no model is needed.
        model: None where none is needed.
        judges: Whose readings are among them, beside the default one's.
        bases: What readings rest on beside replies and code, by name; a part is refused once it is another.
    Raises:
        ValueError: A judge's readings would have the names of another's.
    """

    def __init__(
        self,
        stored: StoredReplies,
        names: Sequence[str],
        carrier: Carrier | None,
        model: LanguageModel | None,
        *,
        judges: Sequence[str] = (),
        bases: Mapping[str, str] | None = None,
    ) -> None:
        for judge in judges:
            register_judge(judge)
        self.stored, self.carrier, self.model, self.bases = stored, carrier, model, bases or {}
        self.readings = [reading(name) for name in names]
        self._by_prompt = stored.by_prompt()

    def __call__(self, part: ReplyPart) -> PartValues:
        """Take every reading of one part."""
        for name, basis in bases_of(self.readings).items():
            if basis != self.bases.get(name, basis):
                raise InputError(f"{name} rests on {basis} here, and the pass began on {self.bases[name]}")
        numbers = self._by_prompt[part.asked][part.start : part.stop]
        replies, brands = [self.stored.reply(number) for number in numbers], self.stored.brands
        of_model = [one for one in self.readings if isinstance(one, ModelReading)]
        values: dict[str, list[Value]] = {}
        for name, tensor in self._judged(part.asked, numbers, of_model).items():
            values[name] = checked_values(reading(name), tensor.tolist(), len(replies), len(brands))
        for one in self.readings:
            if isinstance(one, TextReading) and one.per == "set":
                which = [self.stored.kept.replies[number].intervention for number in numbers]
                groups = [[r for r, k in zip(replies, which, strict=True) if k == own] for own in sorted(set(which))]
                values[one.name] = [read_set(one, group, brands) for group in groups]
            elif isinstance(one, TextReading):
                values[one.name] = read_texts(one, replies, brands)
            elif isinstance(one, ReferenceReading):
                values[one.name] = read_beside(one, replies, brands, self._references(part.asked, numbers))
        return PartValues(part, values)

    def _references(self, asked: Asked, numbers: list[int]) -> list[list[Reply]]:
        """Return, for each reply, the untouched replies to the same prompt, itself left out."""
        untouched = [k for k in self._by_prompt[asked] if self.stored.kept.replies[k].intervention == 0]
        return [[self.stored.reply(k) for k in untouched if k != number] for number in numbers]

    def _judged(self, asked: Asked, numbers: list[int], readings: list[ModelReading]) -> dict[str, torch.Tensor]:
        if not readings:
            return {}
        assert self.model is not None
        assert self.carrier is not None
        stored, judge = self.stored, self.model.in_float32
        kept = [stored.kept.replies[number] for number in numbers]
        change = self.carrier.change(stored.interventions[[one.intervention for one in kept]].float())
        longest = max(one.length for one in kept)
        ids = [
            [*one.token_ids, *one.token_ids[-1:] * (longest - one.length)] for one in kept
        ]  # causal: never looked at
        lengths = torch.tensor([one.length for one in kept], device=judge.device)
        tokens = torch.tensor(ids, device=judge.device)
        begun = begin(judge, [stored.prompt(asked)], longest, change, whole_prompt=stored.positions == "all")
        finite = torch.ones_like(lengths, dtype=torch.bool)
        return judged(judge, readings, Replies(tokens, lengths, finite), change, begun, stored.law)


def bases_of(readings: Sequence[Reading]) -> dict[str, str]:
    """Return what readings rest on now, by name, those left out that rest on replies and code alone."""
    found = {one.name: basis_of(one) for one in readings}
    return {name: basis for name, basis in found.items() if basis}
