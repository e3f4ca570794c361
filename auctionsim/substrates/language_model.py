"""The live language model as a substrate: what an allocation does is measured when it is asked for."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.carriers.protocol import Carrier
from auctionsim.checks import checked_allocation, checked_context, checked_count, checked_number
from auctionsim.errors import InputError
from auctionsim.language_models.change import Change
from auctionsim.language_models.decoding import Replies
from auctionsim.language_models.model import LanguageModel
from auctionsim.prompts import PromptSet
from auctionsim.readings.live import ReadingSet, ReplyBatch
from auctionsim.readings.passes import BegunReplies, SamplingLaw, begin
from auctionsim.readings.protocol import IS_ONE, LOWER, ScorerInputs, basis_of
from auctionsim.readings.registry import reading
from auctionsim.substrates.drawing import Draw, DrawnReplies, drawn_replies, uniforms
from auctionsim.substrates.manner import STANDARD_MANNER, Manner
from auctionsim.substrates.protocol import BaseSubstrate, Observation

_Place = tuple[int, int]  # context and prompt


class _Question(NamedTuple):
    """A row of an allocation on one of its context's prompts, and the share of the row's answer that this one is."""

    row: int
    context: int
    number: int
    share: float


class LanguageModelSubstrate(BaseSubstrate):
    """A real model whose replies a carrier moves; exposure is measured on its replies.

    Levers are the carrier's. Features are the readings per brand, losses and diagnostics the others
    (`auctionsim.readings`): by default `slot_probability` and `intent`, exact, scored after the prompt set's stems;
    `mention_probability` and `hits` of sampled replies; and the loss `kl`, computed in float32 whatever dtype replies
    are sampled in, and exactly 0 at the null. Readings that have no meaning for the carrier are not taken.

    Replies are sampled from uniform numbers fixed by (seed, context, prompt, sample), the same under every allocation,
    so that a row's numbers do not depend on its batch, and differences between allocations are less noisy.

    Args:
        model: The language model.
        carrier: What moves its replies.
        prompts: What users ask, by context, and the stems.
        samples: Replies a prompt.
        max_new_tokens: A reply's longest length.
        temperature: Of sampling.
        seed: Of the uniform numbers.
        manner: How drawing and reading are done.
    Raises:
        ValueError: A reading that is unknown or has no meaning for replies that are drawn so; neurons of another model.
    """

    contexts: tuple[str, ...] = ()
    speaks = True

    def __init__(
        self,
        model: LanguageModel,
        carrier: Carrier,
        prompts: PromptSet,
        *,
        samples: int = 4,
        max_new_tokens: int = 48,
        temperature: float = 0.7,
        seed: int = 0,
        manner: Manner = STANDARD_MANNER,
    ) -> None:
        carrier.check_model(model)
        self.model, self.carrier, self.prompts, self.manner = model, carrier, prompts, manner
        self.contexts = prompts.contexts
        self.num_bidders, self.levers = len(carrier.brands), carrier.levers
        self.samples = checked_count(samples, "samples")
        self.max_new_tokens = checked_count(max_new_tokens, "max_new_tokens")
        self.seed = checked_count(seed, "seed", 0)
        carrier.change(self.null_allocation(1, dtype=torch.float32))  # refuses what it lacks now
        for prompt in prompts.everything:
            model.chat_ids(prompt)  # a prompt that cannot be framed is refused before anything is measured
        names = [name for name in manner.names if name not in carrier.without]
        self.readings = ReadingSet(
            [reading(name) for name in names],
            ScorerInputs(model, carrier.brands, prompts.stem_texts, manner.positions == "all", manner.leads),
            SamplingLaw(checked_number(temperature, "temperature"), float(manner.top_p)),
        )
        self._untouched: dict[_Place, dict[str, float]] = {}

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return every lever at its null: (batch, bidder, lever)."""
        checked_count(batch, "batch", 0)
        row = torch.tensor([lever.null for lever in self.levers], dtype=dtype, device=device)
        return row.expand(batch, self.num_bidders, len(self.levers)).clone()

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows the carrier can carry out: (batch,) bool."""
        return self.carrier.feasible(allocation)

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
        """Measure the first of the user's losses, as a rule `kl`, on this substrate's prompts: (batch,)."""
        if not self.losses:
            raise InputError(f"no loss is read of {self.carrier.name}, which has no {', '.join(self.carrier.without)}: "
                             "name one among the readings, such as reply_kl")  # fmt: skip
        return self.observe(allocation, context).losses[self.losses[0]]

    def observe(self, allocation: Tensor, context: Tensor | None = None) -> Observation:
        """Measure exposure (batch, bidder, feature) and losses, each (batch,), at once.

        All prompts of all rows are one decoding batch, in parts of `manner.rows` replies where there are more.
        """
        x = checked_allocation(allocation, (self.num_bidders, len(self.levers)))
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
        return self.readings.scores(prompt, self.carrier.change(allocation))

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
            ValueError: The model overflows at these levers: a weaker setting or another dtype is needed.
        """
        change = self.carrier.change(allocation)
        draws = [Draw(prompt, (*place, first + k)) for k in range(samples)] * len(allocation)
        begun = begin(self.model, [prompt], self.max_new_tokens, change, whole_prompt=self._whole_prompt)
        return self._replies(allocation, change, draws, begun)

    @property
    def _whole_prompt(self) -> bool:
        return self.manner.positions == "all"

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
        prompts = [self.prompts.prompts[question.context][question.number] for question in asked]
        change = self.carrier.change(allocation)
        room = max(self.max_new_tokens, self.readings.longest)
        begun = begin(self.model, prompts, room, change, whole_prompt=self._whole_prompt)
        batch = self._replies(allocation, change, self._draws(asked), begun)
        scored = {name: values.mean(1) for name, values in self.readings.after(begun.sampled, change.reply).items()}
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

    def _draws(self, asked: list[_Question]) -> list[Draw]:
        """Return what keys each question's samples."""
        return [
            Draw(self.prompts.prompts[question.context][question.number], (question.context, question.number, sample))
            for question in asked
            for sample in range(self.samples)
        ]

    def _replies(self, allocation: Tensor, change: Change, draws: list[Draw], begun: BegunReplies) -> ReplyBatch:
        """Sample and read replies: for each row of the allocation as many as there are draws for it."""
        samples = len(draws) // len(allocation)
        begun, change = begun.repeat(samples), change.repeat(samples)
        drawn = drawn_replies(self.model, change, draws, begun, self._uniforms, self.readings.law)
        judgements = self._judgements(drawn, change, begun)
        bad = ~drawn.decoded.finite.cpu()
        for values in judgements.values():
            bad |= ~values.isfinite()
        if bool(bad.any()):
            levers = allocation[int(bad.nonzero()[0]) // samples].tolist()
            raise InputError(f"the model's logits are not finite in {self.model.dtype} at levers {levers} a bidder")
        return ReplyBatch(drawn.replies, self.readings.values(drawn.replies, judgements), self.num_bidders)

    def _judgements(self, drawn: DrawnReplies, change: Change, begun: BegunReplies) -> dict[str, Tensor]:
        """Return model readings of each reply; where pages alone differ, each distinct reply is judged once."""
        if change.after is None or not bool(change.reply_null.all()):
            return self.readings.passes(drawn.decoded, change, begun, drawn.chosen)
        nats = drawn.chosen.tolist()
        keys = [(one.prompt, tuple(one.token_ids), str(nats[row])) for row, one in enumerate(drawn.replies)]
        first = {key: row for row, key in reversed(list(enumerate(keys)))}
        rows = torch.tensor(sorted(first.values()))
        place = {row: k for k, row in enumerate(rows.tolist())}
        own = rows.to(drawn.decoded.tokens.device)
        some = Replies(drawn.decoded.tokens[own], drawn.decoded.lengths[own], drawn.decoded.finite[own])
        judged = self.readings.passes(some, Change(len(rows)), begun.select_rows(own), drawn.chosen[rows])
        where = torch.tensor([place[first[key]] for key in keys])
        return {name: values[where] for name, values in judged.items()}

    def _uniforms(self, place: tuple[int, ...]) -> Float[Tensor, " position"]:
        return uniforms(self.seed, place, self.max_new_tokens)
