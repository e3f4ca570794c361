"""The live language model as a substrate: what an allocation does is measured when it is asked for."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_allocation, checked_context, checked_count, checked_number
from auctionsim.errors import InputError
from auctionsim.language_models.decoding import sample_replies
from auctionsim.language_models.intervention import Intervention
from auctionsim.language_models.model import LanguageModel
from auctionsim.neurons.brand_neurons import BrandNeurons
from auctionsim.prompts import PromptSet
from auctionsim.readings.live import ReadingSet, ReplyBatch
from auctionsim.readings.passes import BegunReplies, SamplingLaw, begin
from auctionsim.readings.protocol import IS_ONE, LOWER, Reply, ScorerInputs, basis_of
from auctionsim.readings.registry import reading
from auctionsim.substrates.manner import STANDARD_MANNER, Manner
from auctionsim.substrates.protocol import BaseSubstrate, Lever, Observation

_Place = tuple[int, int]  # context and prompt


class _Question(NamedTuple):
    """A row of an allocation on one of its context's prompts, and the share of the row's answer that this one is."""

    row: int
    context: int
    number: int
    share: float


class LanguageModelSubstrate(BaseSubstrate):
    """Amplified neurons of a real model; exposure is measured on its replies.

    Levers (num_neurons, amplification) of every brand. Features are the readings per brand, losses and diagnostics the
    others (`auctionsim.readings`): by default `slot_probability` and `intent`, exact, scored after the prompt set's
    stems; `mention_probability` and `hits` of sampled replies; and the loss `kl`, computed in float32 whatever dtype
    replies are sampled in, and exactly 0 at the null.

    Replies are sampled from uniform numbers fixed by (seed, context, prompt, sample), the same under every allocation,
    so that a row's numbers do not depend on its batch, and differences between allocations are less noisy.

    Args:
        model: The language model.
        neurons: Ranked, disjoint neurons of the brands, identified on the same model.
        prompts: What users ask, by context, and the stems.
        num_neurons: Highest value of that lever.
        amplification: Highest value of that lever.
        samples: Replies a prompt.
        max_new_tokens: A reply's longest length.
        temperature: Of sampling.
        seed: Of the uniform numbers.
        manner: How amplifying, drawing and reading are done.
    Raises:
        ValueError: Neurons of another model, levers out of range, an unknown mode or one that the neurons lack the
            numbers for, a reading that is unknown or has no meaning for replies that are drawn so.
    """

    contexts: tuple[str, ...] = ()
    speaks = True

    def __init__(
        self,
        model: LanguageModel,
        neurons: BrandNeurons,
        prompts: PromptSet,
        *,
        num_neurons: int = 256,
        amplification: float = 2.0,
        samples: int = 4,
        max_new_tokens: int = 48,
        temperature: float = 0.7,
        seed: int = 0,
        manner: Manner = STANDARD_MANNER,
    ) -> None:
        if neurons.model.rpartition(":")[2] != model.identity.rpartition(":")[2]:
            raise InputError(f"the neurons were identified on {neurons.model}, not on {model.identity}")
        if not 1 <= num_neurons <= neurons.max_neurons:
            raise InputError(f"num_neurons must lie in [1, {neurons.max_neurons}], got {num_neurons}")
        self.model, self.neurons, self.prompts, self.manner = model, neurons, prompts, manner
        self.contexts = prompts.contexts
        self.num_bidders = len(neurons.brands)
        self.levers = (
            Lever("num_neurons", 0.0, float(num_neurons), 0.0),
            Lever("amplification", 1.0, checked_number(amplification, "amplification", 1.0), 1.0),
        )
        self.samples = checked_count(samples, "samples")
        self.max_new_tokens = checked_count(max_new_tokens, "max_new_tokens")
        self.seed = checked_count(seed, "seed", 0)
        neurons.intervention(self.null_allocation(1, dtype=torch.float32), manner.mode)  # refuses what it lacks now
        for prompt in prompts.everything:
            model.chat_ids(prompt)  # a prompt that cannot be framed is refused before anything is measured
        self.readings = ReadingSet(
            [reading(name) for name in manner.names],
            ScorerInputs(model, neurons.brands, prompts.stem_texts, manner.positions == "all", manner.leads),
            SamplingLaw(checked_number(temperature, "temperature"), float(manner.top_p)),
        )
        self._untouched: dict[_Place, dict[str, float]] = {}

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return no neurons at amplification 1 for everybody: (batch, bidder, lever)."""
        checked_count(batch, "batch", 0)
        row = torch.tensor([lever.null for lever in self.levers], dtype=dtype, device=device)
        return row.expand(batch, self.num_bidders, 2).clone()

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows lie in the levers' box: (batch,) bool."""
        x = checked_allocation(allocation, (self.num_bidders, 2), finite=False)
        low = x.new_tensor([lever.low for lever in self.levers])
        high = x.new_tensor([lever.high for lever in self.levers])
        return ((x >= low) & (x <= high)).flatten(1).all(1)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the readings per brand."""
        return tuple(one.name for one in self.readings.readings if one.role == "feature")

    @property
    def losses(self) -> tuple[str, ...]:
        """Names of the readings that are losses; the default one first."""
        return tuple(one.name for one in self.readings.readings if one.role == "loss")

    @property
    def units(self) -> dict[str, str]:
        """Units of features and losses by name."""
        return {one.name: one.unit for one in self.readings.readings if one.role != "diagnostic"}

    @property
    def bases(self) -> dict[str, str]:
        """What losses rest on beside replies and code, by name; those that rest on nothing more are left out."""
        bases = {one.name: basis_of(one) for one in self.readings.readings if one.role == "loss"}
        return {name: basis for name, basis in bases.items() if basis}

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Measure every feature on this substrate's prompts: (batch, bidder, feature)."""
        return self.observe(allocation, context).exposure

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Measure the user's loss `kl` on this substrate's prompts: (batch,), nats a token."""
        return self.observe(allocation, context).losses["kl"]

    def observe(self, allocation: Tensor, context: Tensor | None = None) -> Observation:
        """Measure exposure (batch, bidder, feature) and losses, each (batch,), at once.

        All prompts of all rows are one decoding batch, in parts of `manner.rows` replies where there are more.
        """
        x = checked_allocation(allocation, (self.num_bidders, 2))
        checked_context(context, len(x), self.contexts)
        exposure = x.new_zeros(len(x), self.num_bidders, len(self.features))
        losses = x.new_zeros(len(x), len(self.losses))
        asked, most = self._questions(len(x), context), max(1, self.manner.rows // self.samples)
        for start in range(0, len(asked), most):
            some = asked[start : start + most]
            rows = torch.tensor([question.row for question in some], device=x.device)
            shares = x.new_tensor([question.share for question in some])
            features, lost = self._answer(some, x[rows])
            exposure.index_add_(0, rows, shares.view(-1, 1, 1) * features.to(x))
            losses.index_add_(0, rows, shares.view(-1, 1) * lost.to(x))
        return Observation(exposure, dict(zip(self.losses, losses.unbind(1), strict=True)))

    def slot_probability(self, prompt: str, allocation: Tensor) -> Float[Tensor, "row stem brand"]:
        """Score the brands' names after each stem: exact."""
        return self.scores(prompt, allocation)["slot_probability"]

    def scores(self, prompt: str, allocation: Tensor) -> dict[str, Float[Tensor, "row stem brand"]]:
        """Return what is scored after each stem, exactly, by reading."""
        return self.readings.scores(prompt, self.neurons.intervention(allocation.float(), self.manner.mode))

    def replies(
        self, prompt: str, allocation: Tensor, place: tuple[int, ...], samples: int, first: int = 0
    ) -> ReplyBatch:
        """Sample replies to one prompt: for each allocation `samples` rows, one after the other.

        Args:
            prompt: What the user asks.
            allocation: (row, bidder, lever).
            place: What keys the uniform numbers beside the seed, such as (context, prompt).
            samples: Replies an allocation.
            first: Number of the first sample, so that more can be drawn later.
        Returns:
            row · samples replies.
        Raises:
            ValueError: The model overflows at these levers: a lower amplification or another dtype is needed.
        """
        change = self.neurons.intervention(allocation.float(), self.manner.mode)
        draws = [_Draw(prompt, (*place, first + k)) for k in range(samples)] * len(allocation)
        ids = [self.model.chat_ids(prompt)]
        if self.manner.positions == "all":
            begun = begin(self.model, ids * len(allocation), self.max_new_tokens, change)
        else:
            begun = begin(self.model, ids, self.max_new_tokens)
        return self._replies(allocation, change, draws, begun)

    def _questions(self, rows: int, context: Tensor | None) -> list[_Question]:
        """List what is asked of the model: every prompt of a row's context, of all contexts where it has none."""
        found = []
        for index, prompts in enumerate(self.prompts.prompts):
            there = range(rows) if context is None else (context == index).nonzero().squeeze(1).tolist()
            share = 1 / len(prompts) / (len(self.contexts) if context is None else 1)
            found += [_Question(row, index, number, share) for number in range(len(prompts)) for row in there]
        return found

    def _answer(self, asked: list[_Question], allocation: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (question, bidder, feature) and losses (question, loss), all prompts in one batch."""
        change = self.neurons.intervention(allocation.float(), self.manner.mode)
        begun = self._prefixes(asked, change)
        batch = self._replies(allocation, change, self._draws(asked), begun)
        scored = {name: values.mean(1) for name, values in self.readings.after(begun.sampled, change).items()}
        drawn = {name: self._mean(batch, name, len(asked)) for name in (*self.features, *self.losses)
                 if name not in scored}  # fmt: skip
        features = torch.stack([{**scored, **drawn}[name] for name in self.features], dim=2)
        losses = [self._relative(name, drawn[name], asked, change.null) for name in self.losses]
        return features, torch.stack(losses, dim=1)

    def _mean(self, batch: ReplyBatch, name: str, rows: int) -> Tensor:
        """Return a reading's mean over each question's samples.

        Raises:
            ValueError: It left every reply to a question unscored.
        """
        values = batch.numbers(name)
        mean = values.view(rows, -1, *values.shape[1:]).nanmean(1)
        if bool(mean.isnan().any()):
            raise InputError(f"{name} left every reply to a prompt unscored: draw more samples")
        return mean

    def _relative(self, name: str, mean: Tensor, asked: list[_Question], null: Tensor) -> Tensor:
        """Return a loss relative to the untouched replies to the same prompts, drawn from the same numbers."""
        kind = reading(name).loss
        if kind == IS_ONE:
            return mean
        still = mean.new_tensor([self._still(question)[name] for question in asked])
        signed = mean - still if kind == LOWER else still - mean
        return signed.masked_fill(null.to(signed.device), 0.0)

    def _still(self, question: _Question) -> dict[str, float]:
        """Return the untouched replies' means to a question, sampled once."""
        place = (question.context, question.number)
        if place not in self._untouched:
            null, prompt = self.null_allocation(1), self.prompts.prompts[question.context][question.number]
            batch = self.replies(prompt, null, place, self.samples)
            self._untouched[place] = {name: float(self._mean(batch, name, 1)) for name in self.losses}
        return self._untouched[place]

    def _draws(self, asked: list[_Question]) -> list["_Draw"]:
        """Return what keys each question's samples."""
        return [
            _Draw(self.prompts.prompts[question.context][question.number], (question.context, question.number, sample))
            for question in asked
            for sample in range(self.samples)
        ]

    def _prefixes(self, asked: list[_Question], change: Intervention) -> BegunReplies:
        """Compute every question's prompt."""
        room = max(self.max_new_tokens, self.readings.longest)
        prompts = [self.prompts.prompts[question.context][question.number] for question in asked]
        distinct = list(dict.fromkeys(prompts))
        ids = [self.model.chat_ids(prompt) for prompt in distinct]
        owner = torch.tensor([distinct.index(prompt) for prompt in prompts], device=self.model.device)
        if self.manner.positions == "all":
            return begin(self.model, [ids[k] for k in owner.tolist()], room, change)
        return begin(self.model, ids, room).serving(owner)

    def _replies(
        self, allocation: Tensor, change: Intervention, draws: list["_Draw"], begun: BegunReplies
    ) -> ReplyBatch:
        """Sample and read replies: for each row of the allocation as many as there are draws for it."""
        samples = len(draws) // len(allocation)
        begun, change = begun.repeat(samples), change.repeat(samples)
        uniforms = torch.stack([self._uniforms(draw.place) for draw in draws])
        law = self.readings.law
        replies = sample_replies(
            self.model, begun.sampled, change, uniforms, temperature=law.temperature, top_p=law.top_p
        )
        judgements = self.readings.passes(replies, change, begun)
        bad = ~replies.finite.cpu()
        for values in judgements.values():
            bad |= ~values.isfinite()
        if bool(bad.any()):
            levers = allocation[int(bad.nonzero()[0]) // samples].tolist()
            raise InputError(f"the model's logits are not finite in {self.model.dtype} at levers {levers} a bidder")
        ids = [row[:length].tolist() for row, length in zip(replies.tokens, replies.lengths.tolist(), strict=True)]
        found = [
            Reply(draw.prompt, self.model.text(row), row, draw.place) for draw, row in zip(draws, ids, strict=True)
        ]
        return ReplyBatch(found, self.readings.values(found, judgements), self.num_bidders)

    def _uniforms(self, place: tuple[int, ...]) -> Float[Tensor, " position"]:
        generator = np.random.default_rng([self.seed, *place])
        return torch.from_numpy(generator.random(self.max_new_tokens, dtype=np.float32))


class _Draw(NamedTuple):
    """What keys one sample: its prompt, and its place beside the seed."""

    prompt: str
    place: tuple[int, ...]
