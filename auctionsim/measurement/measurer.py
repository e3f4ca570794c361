"""The part of a measurement that has the model: one unit in, its numbers out, no folder and no memory of others."""

from auctionsim.carriers.protocol import Carrier
from auctionsim.language_models.model import LanguageModel
from auctionsim.measurement.interventions import Interventions
from auctionsim.measurement.settings import MeasurementSettings
from auctionsim.measurement.units import MeasuredReply, Unit, UnitResult, place_of
from auctionsim.prompts import PromptSet
from auctionsim.substrates.language_model import LanguageModelSubstrate
from auctionsim.substrates.measurements import REPLICATES


class UnitMeasurer:
    """Measures units on one model; a unit's numbers depend on the arguments here and on nothing else.

    Args:
        model: The language model.
        carrier: What moves the model's replies.
        prompts: All prompts; replicates A and B are measured on their splits of the same names.
        settings: The counts.
        interventions: What is done to the model.
    """

    def __init__(
        self,
        model: LanguageModel,
        carrier: Carrier,
        prompts: PromptSet,
        settings: MeasurementSettings,
        interventions: Interventions,
    ) -> None:
        self.settings, self.interventions = settings, interventions
        self.model, self.carrier = model, carrier
        self.substrates = {
            name: LanguageModelSubstrate(
                model,
                carrier,
                prompts.split(name),
                samples=settings.samples,
                max_new_tokens=settings.max_new_tokens,
                temperature=settings.temperature,
                seed=settings.seed,
                manner=settings.manner,
            )
            for name in REPLICATES
        }

    def __call__(self, unit: Unit) -> UnitResult:
        """Measure one unit: sampled replies, and in the first round what is scored exactly."""
        substrate = self.substrates[unit.replicate]
        prompt = substrate.prompts.prompts[unit.context][unit.prompt]
        allocation = self.interventions.distinct[unit.start : unit.stop]
        place = place_of(unit)
        samples = self.settings.samples
        first = unit.round * samples
        batch = substrate.replies(prompt, allocation, place, samples, first)
        replies = [
            MeasuredReply(unit.start + row // samples, first + row % samples, reply.text, reply.token_ids, reply.ads)
            for row, reply in enumerate(batch.replies)
        ]
        groups = [batch.replies[k : k + samples] for k in range(0, len(replies), samples)]
        by_group = [substrate.readings.sets(group) for group in groups]
        sets = {name: [values[name] for values in by_group] for name in by_group[0]}
        scores = {} if unit.round else substrate.scores(prompt, allocation)
        scored = {name: values.tolist() for name, values in scores.items()}
        return UnitResult(unit, scored, replies, batch.values, sets)
