"""The live language model as a substrate: what an allocation does is measured when it is asked for."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_allocation, checked_context, checked_count, checked_number
from auctionsim.language_models.decoding import sample_replies
from auctionsim.language_models.intervention import Intervention
from auctionsim.language_models.model import LanguageModel
from auctionsim.neurons.brand_neurons import BrandNeurons
from auctionsim.prompts import PromptSet
from auctionsim.readings.divergence import BegunReplies, begin, reply_losses
from auctionsim.readings.intent import LEADS, CommercialScorer, Lead, Scores
from auctionsim.readings.repetition import repetition_rate
from auctionsim.substrates.protocol import BaseSubstrate, Lever, Observation
from auctionsim.substrates.quantities import quantities_of

FEATURES = ("slot_probability", "mention_probability", "hits", "intent")
POSITIONS = ("reply", "all")


class ReplyBatch(NamedTuple):
    """Sampled replies to one prompt and what they are worth.

    Attributes:
        texts: One per row.
        token_ids: One list per row, of the reply's own tokens.
        lengths: (row,) tokens.
        hits: (row, brand) sentences that mention the brand.
        mentions: (row, brand) mentions, repeated ones included.
        user_loss: (row,) mean over the reply's tokens of KL(π_x ‖ π_0), nats a token.
        surprise: (row,) mean −log π_0(token) of the reply under the untouched model, nats a token: its fluency.
        repetition: (row,) share of repeated word trigrams.
    """

    texts: list[str]
    token_ids: list[list[int]]
    lengths: Tensor
    hits: Tensor
    mentions: Tensor
    user_loss: Tensor
    surprise: Tensor
    repetition: Tensor


class _Question(NamedTuple):
    """A row of an allocation on one of its context's prompts, and the share of the row's answer that this one is."""

    row: int
    context: int
    number: int
    share: float


class LanguageModelSubstrate(BaseSubstrate):
    """Amplified neurons of a real model; exposure is measured on its replies.

    Levers (num_neurons, amplification) of every brand; features `slot_probability` and `intent` (exact, see
    `auctionsim.readings.intent`), `mention_probability` (at least one mention in a reply) and `hits` a reply (both
    sampled). Names are scored after the prompt set's stems. `user_loss` is the mean over replies of the mean over their
    tokens of KL(π_x ‖ π_0), taken at temperature 1 whatever temperature replies are sampled at, computed in float32
    whatever dtype they are sampled in, and exactly 0 at the null.

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
        top_p: In (0, 1]: replies are sampled from each token's nucleus of this probability; 1 leaves every token in.
        seed: Of the uniform numbers.
        mode: What an amplification does: "multiply", "add" or "clamp", see `BrandNeurons.intervention`.
        positions: "reply" touches the prompt's last token and all that follow, so that allocations share the tokens
            before; "all" touches the whole prompt, too.
        leads: What `intent` is read off after; none: `intent` is not measured, and is no feature.
        rows: Replies that `observe` decodes in one batch; more take several.
    Raises:
        ValueError: Neurons of another model, levers out of range, unknown positions, an unknown mode or one that the
            neurons lack the numbers for.
    """

    contexts: tuple[str, ...] = ()
    losses = ("kl",)
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
        top_p: float = 1.0,
        seed: int = 0,
        mode: str = "multiply",
        positions: str = "reply",
        leads: tuple[Lead, ...] = LEADS,
        rows: int = 128,
    ) -> None:
        if neurons.model.rpartition(":")[2] != model.identity.rpartition(":")[2]:
            raise ValueError(f"the neurons were identified on {neurons.model}, not on {model.identity}")
        if not 1 <= num_neurons <= neurons.max_neurons:
            raise ValueError(f"num_neurons must lie in [1, {neurons.max_neurons}], got {num_neurons}")
        self.model, self.neurons, self.prompts = model, neurons, prompts
        self.contexts = prompts.contexts
        self.features = tuple(name for name in FEATURES if leads or name != "intent")
        self.num_bidders = len(neurons.brands)
        self.levers = (
            Lever("num_neurons", 0.0, float(num_neurons), 0.0),
            Lever("amplification", 1.0, checked_number(amplification, "amplification", 1.0), 1.0),
        )
        self.samples = checked_count(samples, "samples")
        self.max_new_tokens = checked_count(max_new_tokens, "max_new_tokens")
        self.temperature = checked_number(temperature, "temperature")
        if not 0 < top_p <= 1:
            raise ValueError(f"top_p must lie in (0, 1], got {top_p}")
        self.top_p = float(top_p)
        self.seed = checked_count(seed, "seed", 0)
        if positions not in POSITIONS:
            raise ValueError(f"positions must be one of {', '.join(POSITIONS)}, got {positions!r}")
        self.mode, self.positions, self.rows = mode, positions, checked_count(rows, "rows")
        neurons.intervention(self.null_allocation(1, dtype=torch.float32), mode)  # refuses what it lacks now, not later
        for prompt in prompts.everything:
            model.chat_ids(prompt)  # a prompt that cannot be framed is refused before anything is measured
        self._score = CommercialScorer(
            model, neurons.brands, prompts.stem_texts, whole_prompt=positions == "all", leads=leads
        )

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return no neurons at amplification 1 for everybody: (batch, bidder, lever)."""
        checked_count(batch, "batch", 0)
        row = torch.tensor([lever.null for lever in self.levers], dtype=dtype, device=device)
        return row.expand(batch, self.num_bidders, 2).clone()

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows lie in the levers' box: (batch,) bool."""
        x = checked_allocation(allocation, (self.num_bidders, 2))
        low = x.new_tensor([lever.low for lever in self.levers])
        high = x.new_tensor([lever.high for lever in self.levers])
        return ((x >= low) & (x <= high)).flatten(1).all(1)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Measure every feature on this substrate's prompts: (batch, bidder, feature)."""
        return self.observe(allocation, context).exposure

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Measure the user's loss on this substrate's prompts: (batch,), nats a token."""
        return self.observe(allocation, context).losses["kl"]

    @property
    def units(self) -> dict[str, str]:
        """Units of features and losses by name."""
        return {name: quantity.unit for name, quantity in quantities_of(self.features, self.losses, (), {}).items()}

    def observe(self, allocation: Tensor, context: Tensor | None = None) -> Observation:
        """Measure exposure (batch, bidder, feature) and losses, each (batch,), at once.

        All prompts of all rows are one decoding batch, in parts of `rows` replies where there are more.
        """
        x = checked_allocation(allocation, (self.num_bidders, 2))
        checked_context(context, len(x), self.contexts)
        exposure = x.new_zeros(len(x), self.num_bidders, len(self.features))
        loss = x.new_zeros(len(x))
        asked, most = self._questions(len(x), context), max(1, self.rows // self.samples)
        for start in range(0, len(asked), most):
            some = asked[start : start + most]
            rows = torch.tensor([question.row for question in some], device=x.device)
            shares = x.new_tensor([question.share for question in some])
            features, losses = self._answer(some, x[rows])
            exposure.index_add_(0, rows, shares.view(-1, 1, 1) * features.to(x))
            loss.index_add_(0, rows, shares * losses.to(x))
        return Observation(exposure, {"kl": loss})

    def slot_probability(self, prompt: str, allocation: Tensor) -> Float[Tensor, "row stem brand"]:
        """Score the brands' names after each stem: exact."""
        return self.scores(prompt, allocation).slot_probability

    def scores(self, prompt: str, allocation: Tensor) -> Scores:
        """Score the brands' names after each stem, and what follows them: exact, each (row, stem, brand)."""
        return self._score(prompt, self.neurons.intervention(allocation.float(), self.mode))

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
        change = self.neurons.intervention(allocation.float(), self.mode)
        uniforms = torch.stack([self._uniforms(place, first + k) for k in range(samples)]).repeat(len(allocation), 1)
        ids = [self.model.chat_ids(prompt)]
        if self.positions == "all":
            begun = begin(self.model, ids * len(allocation), self.max_new_tokens, change)
        else:
            begun = begin(self.model, ids, self.max_new_tokens)
        return self._replies(allocation, change, uniforms, begun)

    def _questions(self, rows: int, context: Tensor | None) -> list[_Question]:
        """List what is asked of the model: every prompt of a row's context, of all contexts where it has none."""
        found = []
        for index, prompts in enumerate(self.prompts.prompts):
            there = range(rows) if context is None else (context == index).nonzero().squeeze(1).tolist()
            share = 1 / len(prompts) / (len(self.contexts) if context is None else 1)
            found += [_Question(row, index, number, share) for number in range(len(prompts)) for row in there]
        return found

    def _answer(self, asked: list[_Question], allocation: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (question, bidder, feature) and user loss (question,), all prompts in one batch."""
        change = self.neurons.intervention(allocation.float(), self.mode)
        begun = self._prefixes(asked, change)
        places = [((question.context, question.number), k) for question in asked for k in range(self.samples)]
        uniforms = torch.stack([self._uniforms(place, sample) for place, sample in places])
        batch = self._replies(allocation, change, uniforms, begun)
        mentioned, hits, loss = _mean_by_row(batch, len(asked))
        return _features(self._score.after(begun.sampled, change), mentioned, hits)[..., : len(self.features)], loss

    def _prefixes(self, asked: list[_Question], change: Intervention) -> BegunReplies:
        """Compute every question's prompt."""
        room = max(self.max_new_tokens, self._score.longest)
        prompts = [self.prompts.prompts[question.context][question.number] for question in asked]
        distinct = list(dict.fromkeys(prompts))
        ids = [self.model.chat_ids(prompt) for prompt in distinct]
        owner = torch.tensor([distinct.index(prompt) for prompt in prompts], device=self.model.device)
        if self.positions == "all":
            return begin(self.model, [ids[k] for k in owner.tolist()], room, change)
        return begin(self.model, ids, room).serving(owner)

    def _replies(self, allocation: Tensor, change: Intervention, uniforms: Tensor, begun: BegunReplies) -> ReplyBatch:
        """Sample and judge replies: for each row of the allocation as many as there are rows of uniforms for it."""
        samples = len(uniforms) // len(allocation)
        begun, change = begun.repeat(samples), change.repeat(samples)
        replies = sample_replies(
            self.model, begun.sampled, change, uniforms, temperature=self.temperature, top_p=self.top_p
        )
        loss, surprise = reply_losses(self.model, replies, change, begun)
        bad = ~(replies.finite.cpu() & loss.isfinite() & surprise.isfinite())
        if bool(bad.any()):
            levers = allocation[int(bad.nonzero()[0]) // samples].tolist()
            raise ValueError(f"the model's logits are not finite in {self.model.dtype} at levers {levers} a bidder")
        ids = [row[:length].tolist() for row, length in zip(replies.tokens, replies.lengths.tolist(), strict=True)]
        texts = [self.model.text(row) for row in ids]
        brands = self.neurons.brands
        return ReplyBatch(
            texts=texts,
            token_ids=ids,
            lengths=replies.lengths.cpu(),
            hits=torch.tensor([[brand.hits(text) for brand in brands] for text in texts]),
            mentions=torch.tensor([[brand.mentions(text) for brand in brands] for text in texts]),
            user_loss=loss,
            surprise=surprise,
            repetition=torch.tensor([repetition_rate(text) for text in texts]),
        )

    def _uniforms(self, place: tuple[int, ...], sample: int) -> Float[Tensor, " position"]:
        generator = np.random.default_rng([self.seed, *place, sample])
        return torch.from_numpy(generator.random(self.max_new_tokens, dtype=np.float32))


def _features(scores: Scores, mentioned: Tensor, hits: Tensor) -> Tensor:
    """Return all features as (row, brand, feature), in the order of `FEATURES`, stems averaged."""
    return torch.stack((scores.slot_probability.mean(1), mentioned, hits, scores.intent.mean(1)), dim=2)


def _mean_by_row(batch: ReplyBatch, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return mention probability and hits (row, brand) and user loss (row,), averaged over a row's samples."""
    hits = batch.hits.double().view(rows, -1, batch.hits.shape[1])
    return (hits > 0).double().mean(1), hits.mean(1), batch.user_loss.double().view(rows, -1).mean(1)
