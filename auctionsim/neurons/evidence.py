"""What identification methods look at: each kind of evidence gathered from the model once, when a method first asks."""

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.checks import checked_count, checked_number
from auctionsim.errors import InputError
from auctionsim.language_models.intervention import Intervention
from auctionsim.language_models.model import LanguageModel
from auctionsim.neurons.activity import Activity, name_activity, text_activity
from auctionsim.neurons.harm import harm, reply_harm
from auctionsim.neurons.sensitivity import SlotSensitivity, slot_sensitivity
from auctionsim.prompts import PromptSet
from auctionsim.readings.neutral_text import RANKING_TEXTS

_T = TypeVar("_T")
Scores = Float[Tensor, "brand layer neuron"]

HARM_FLOOR = 0.03
"""Share of the mean harm that is added to every neuron's: a neuron that does next to nothing is no bargain."""

INTEGRAL_POINTS = 4
"""Midpoints at which integrated gradients are taken."""

PATH_POINTS = 16
"""Amplifications along the path, a prompt at each."""

STEMS_AT_ONCE = 10
"""Stems after which one prompt's reply is looked at; of more, prompts take turns."""


class Evidence:
    """Measurements of one model, a few brands and a few prompts, kept once made.

    Args:
        model: The language model.
        brands: The bidders; rivals of one another.
        prompts: What replies are begun to.
        stems: Beginnings of a reply after which names are looked for; of more than `STEMS_AT_ONCE` each prompt sees a
            part, in turn: what a brand's name has in common after many beginnings carries over to others.
        num_neurons: Neurons a brand that will be sold: the path amplifies as many.
        amplification: The highest that will be sold: the path ends there.
        seed: Of the tokens drawn to estimate harm, and of random scores.
        progress: Called after each of the steps that `steps` announces.
    Raises:
        ValueError: No brand, no neuron to sell, or an amplification that is none.
    """

    def __init__(
        self,
        model: LanguageModel,
        brands: tuple[Brand, ...],
        prompts: PromptSet,
        stems: tuple[str, ...],
        *,
        num_neurons: int,
        amplification: float,
        seed: int,
        progress: Callable[[], None] | None = None,
    ) -> None:
        if not brands:
            raise InputError("neurons are identified for at least one brand, got none")
        if checked_number(amplification, "amplification", 1.0) == 1.0:
            raise InputError(f"amplification must be > 1, got {amplification}")
        self.model, self.brands, self.stems, self.prompt_set = model, brands, stems, prompts
        longest = max(len(asked) for asked in prompts.prompts)
        self.prompts = tuple(asked[k] for k in range(longest) for asked in prompts.prompts if k < len(asked))
        self.num_neurons = checked_count(num_neurons, "num_neurons")
        self.amplification, self.seed = amplification, seed
        self._tick = progress or (lambda: None)

    @staticmethod
    def steps(kind: str, prompts: PromptSet) -> int:
        """Return how many steps one kind of evidence takes."""
        asked = len(prompts.everything)
        return {
            "slots": asked,
            "harm": len(RANKING_TEXTS),
            "integral": asked * INTEGRAL_POINTS,
            "names": asked,
            "texts": len(RANKING_TEXTS),
            "replies": asked,
            "path": PATH_POINTS,
            "user_path": PATH_POINTS,
        }[kind]

    @cached_property
    def slots(self) -> SlotSensitivity:
        """First-order effects in the untouched model: the mean over prompts."""
        parts = [slot_sensitivity(self.model, self.brands, p, self._part(k)) for k, p in self._counted()]
        return _mean(parts)

    @property
    def effects(self) -> Scores:
        """A_ik = d log P_i / d log s_k in the untouched model."""
        return self.slots.effects

    @cached_property
    def harm(self) -> Float[Tensor, "layer neuron"]:
        """F_k, plus `HARM_FLOOR` of its mean over neurons."""
        generator = torch.Generator().manual_seed(self.seed)
        fisher = torch.stack([self._ticked(harm(self.model, (text,), generator)) for text in RANKING_TEXTS]).mean(0)
        return _floored(fisher)

    @cached_property
    def integral(self) -> Scores:
        """∫_0^1 d log P_i / d s_k at all scales s = t dt, by midpoints."""
        total = torch.zeros(len(self.brands), self.model.num_layers, self.model.num_neurons)
        for point in range(INTEGRAL_POINTS):
            level = (point + 0.5) / INTEGRAL_POINTS
            change = Intervention(torch.full((1, self.model.num_layers, self.model.num_neurons), level))
            for number, prompt in self._counted():
                total += slot_sensitivity(self.model, self.brands, prompt, self._part(number), change).effects
        return total / (INTEGRAL_POINTS * len(self.prompts))

    @cached_property
    def names(self) -> Activity:
        """Activity on the tokens of the brands' names, a group a brand."""
        parts = [self._ticked(name_activity(self.model, self.brands, p, self.stems)) for p in self.prompts]
        return _added(parts)

    @cached_property
    def texts(self) -> Activity:
        """Activity on neutral text: one group."""
        return _added([self._ticked(text_activity(self.model, text)) for text in RANKING_TEXTS])

    @cached_property
    def user_harm(self) -> Float[Tensor, "layer neuron"]:
        """Harm on neutral text plus harm in replies to the prompts, each with its floor and over its own mean."""
        generator = torch.Generator().manual_seed(self.seed)
        fisher = torch.stack([self._ticked(reply_harm(self.model, prompt, generator)) for prompt in self.prompts]).mean(
            0
        )
        in_replies = _floored(fisher)
        return self.harm / self.harm.mean() + in_replies / in_replies.mean()

    @cached_property
    def path(self) -> Scores:
        """Effects along the path on which neurons are the best per unit of `harm`."""
        return self._along(self.harm)

    @cached_property
    def user_path(self) -> Scores:
        """Effects along the path on which neurons are the best per unit of `user_harm`."""
        return self._along(self.user_harm)

    def _along(self, costs: Float[Tensor, "layer neuron"]) -> Scores:
        """Return effects integrated along the amplification that will be sold: mean over points, the null among them.

        At the r-th of R points every brand, by itself, has its `num_neurons` best neurons so far amplified by
        1 + (amplification − 1) r / R, best by the mean of the effects found so far per unit of cost.
        """
        found = [self.effects]
        for point in range(1, PATH_POINTS + 1):
            scores = (torch.stack(found).mean(0) / costs).flatten(1)
            best = scores.topk(min(self.num_neurons, scores.shape[1]), dim=1).indices
            level = 1 + (self.amplification - 1) * point / PATH_POINTS
            scales = torch.ones_like(found[0]).flatten(1).scatter_(1, best, level).view_as(found[0])
            turn, number = divmod(point - 1, len(self.prompts))
            prompt, stems = self.prompts[number], self._part(number + turn)
            slope = slot_sensitivity(self.model, self.brands, prompt, stems, Intervention(scales), log_odds=True)
            found.append(self._ticked(slope).effects)
        return torch.stack(found).mean(0)

    def _part(self, number: int) -> tuple[str, ...]:
        """Return the stems that the prompt of this number meets."""
        parts = math.ceil(len(self.stems) / STEMS_AT_ONCE)
        return self.stems[number % parts :: parts]

    def _counted(self) -> Iterator[tuple[int, str]]:
        """Yield the prompts with their numbers, and tick after each."""
        for number, prompt in enumerate(self.prompts):
            yield number, prompt
            self._tick()

    def _ticked(self, result: _T) -> _T:
        self._tick()
        return result


def _mean(parts: list[SlotSensitivity]) -> SlotSensitivity:
    return SlotSensitivity(*(torch.stack(values).mean(0) for values in zip(*parts, strict=True)))


def _added(parts: list[Activity]) -> Activity:
    total = parts[0]
    for part in parts[1:]:
        total = total.plus(part)
    return total


def _floored(fisher: Float[Tensor, "layer neuron"]) -> Float[Tensor, "layer neuron"]:
    return fisher + HARM_FLOOR * fisher.mean().clamp_min(torch.finfo(torch.float32).tiny)
