"""What must be equal on the device and on the CPU, in float32: hooks, decoding, what is read of replies.

Sums run in another order on another processor, so numbers are equal within a tolerance, and tokens wherever the uniform
number that chose them is farther from the edge of its interval than the tolerance.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim.brands import parse_brands
from auctionsim.language_models import Intervention, LanguageModel, sample_replies
from auctionsim.language_models.change import as_change
from auctionsim.language_models.decoding import Replies, reply_logits
from auctionsim.language_models.hooks import intervene, read_neurons
from auctionsim.language_models.prefixes import prefill_together
from auctionsim.readings.divergence import KL, REPLY_KL
from auctionsim.readings.intent import CommercialScorer
from auctionsim.readings.live import judged
from auctionsim.readings.passes import SamplingLaw, begin
from auctionsim.readings.surprise import SURPRISE
from benchmarks.cuda.models import moved

ROWS, TOKENS = 12, 16
TEMPERATURE = 0.7
PROMPTS = (
    "Which running shoes should I buy?",
    "I have a long run on Sunday. Name one brand of shoes that is kind to my feet.",
)
BRANDS, STEMS = "Nike,Adidas", ("I would recommend", "The best choice is")
CLOSE = 1e-4
"""Of the largest logit or activation; of probabilities; and nats a token."""


class ExactnessRow(NamedTuple):
    """A line of the table.

    Attributes:
        what: What was compared.
        difference: The largest.
        allowed: What it may be.
    """

    what: str
    difference: float
    allowed: float

    @property
    def holds(self) -> bool:
        """Whether it is small enough; a difference that is no number is not."""
        return self.difference <= self.allowed


def random_change(model: LanguageModel, rows: int) -> Intervention:
    """Return factors between 1 and 2 on a sixteenth of the neurons, others in each row; the first row is the null."""
    generator = torch.Generator().manual_seed(1)
    shape = (rows, model.num_layers, model.num_neurons)
    touched = torch.rand(shape, generator=generator) < 1 / 16
    scale = torch.where(touched, 1 + torch.rand(shape, generator=generator), torch.ones(()))
    scale[0] = 1
    return Intervention(scale)


@torch.inference_mode()
def exactness(model: LanguageModel, device: torch.device) -> list[ExactnessRow]:
    """Compare a float32 model on the CPU with its copy on a device.

    Raises:
        ValueError: The model is not on the CPU, or not in float32.
    """
    if model.device.type != "cpu" or model.dtype != torch.float32:
        raise ValueError(f"the reference is a float32 model on the CPU, got {model.dtype} on {model.device}")
    there = moved(model, device)
    change = random_change(model, ROWS)
    prompts = [model.chat_ids(text) for text in PROMPTS]
    owner = torch.arange(ROWS) % len(prompts)
    uniforms = torch.rand(ROWS, TOKENS, generator=torch.Generator().manual_seed(2))
    rows = [*_hooks(model, there, prompts[0], change)]

    here_prefix = prefill_together(model, prompts, TOKENS).serving(owner.unsqueeze(0))
    there_prefix = prefill_together(there, prompts, TOKENS).serving(owner.unsqueeze(0).to(device))
    replies = sample_replies(model, here_prefix, change, uniforms, temperature=TEMPERATURE)
    theirs = sample_replies(there, there_prefix, change, uniforms.to(device), temperature=TEMPERATURE)
    logits = reply_logits(model, here_prefix, replies.tokens, change)
    scored = reply_logits(there, there_prefix, replies.tokens.to(device), change)
    pieces = [1, 3, TOKENS - 4]
    in_pieces = reply_logits(there, there_prefix, replies.tokens.to(device), change, pieces=pieces)
    rows += [
        _relative("logits of replies, device against CPU", scored, logits),
        _relative("logits in passes of 1, 3 and the rest, on the device", in_pieces, scored),
        _tokens(replies.tokens, theirs.tokens, logits, uniforms),
    ]
    rows += _readings(model, there, [PROMPTS[k] for k in owner.tolist()], change, replies)
    return rows


def _hooks(model: LanguageModel, there: LanguageModel, prompt: list[int], change: Intervention) -> list[ExactnessRow]:
    found = []
    for each in (model, there):
        ids = torch.tensor([prompt] * change.num_rows, device=each.device)
        with intervene(each, change, first_position=3), read_neurons(each) as neurons:
            logits = each.network(ids, use_cache=False).logits
        plain = each.network(ids[:1], use_cache=False).logits
        found.append((torch.stack([*neurons.values()], 1), logits, plain))
    (neurons, logits, plain), (their_neurons, their_logits, their_plain) = found
    return [
        _relative("activations under interventions", their_neurons, neurons),
        _relative("logits under interventions", their_logits, logits),
        ExactnessRow(
            "the null row against the model without hooks, on the device", _gap(their_logits[:1], their_plain), CLOSE
        ),
        ExactnessRow("the null row against the model without hooks, on the CPU", _gap(logits[:1], plain), CLOSE),
    ]


def _readings(
    model: LanguageModel,
    there: LanguageModel,
    asked: list[str],
    change: Intervention,
    replies: object,
) -> list[ExactnessRow]:
    scores = [CommercialScorer(each, parse_brands(BRANDS), STEMS)(PROMPTS[0], change) for each in (model, there)]
    losses, whole = [], as_change(change)
    for each in (model, there):
        begun = begin(each, asked, TOKENS, whole)
        own = Replies(*(part.to(each.device) for part in vars(replies).values()))
        losses.append(judged(each, (KL, REPLY_KL, SURPRISE), own, whole, begun, SamplingLaw(TEMPERATURE, 1.0)))
    return [
        ExactnessRow("slot probabilities", _gap(scores[1].slot_probability, scores[0].slot_probability), CLOSE),
        ExactnessRow("intent", _gap(scores[1].intent, scores[0].intent), CLOSE),
        ExactnessRow("KL to the untouched model, nats a token", _gap(losses[1]["kl"], losses[0]["kl"]), CLOSE),
        ExactnessRow("the same, nats a reply", _gap(losses[1]["reply_kl"], losses[0]["reply_kl"]), CLOSE * TOKENS),
        ExactnessRow("KL at the null, on the device", float(losses[1]["kl"][0].abs()), 0.0),
        ExactnessRow("surprise, nats a token", _gap(losses[1]["surprise"], losses[0]["surprise"]), CLOSE),
    ]


def _tokens(tokens: Tensor, theirs: Tensor, logits: Tensor, uniforms: Tensor) -> ExactnessRow:
    """Return how far inside their intervals the first numbers lie that chose another token."""
    differs = tokens != theirs.cpu()
    law = torch.softmax(logits.double() / TEMPERATURE, -1)
    above = law.cumsum(-1).gather(2, tokens.unsqueeze(2)).squeeze(2)
    below = above - law.gather(2, tokens.unsqueeze(2)).squeeze(2)
    inside = torch.minimum(uniforms.double() - below, above - uniforms.double())
    first = differs & (differs.cumsum(1) == 1)
    what = f"tokens: {int(first.any(1).sum())} of {len(tokens)} replies part; the farthest from an edge"
    return ExactnessRow(what, float(inside[first].max()) if bool(first.any()) else 0.0, CLOSE)


def _relative(what: str, found: Tensor, reference: Tensor) -> ExactnessRow:
    return ExactnessRow(f"{what}, share of the largest", _gap(found, reference) / float(reference.abs().max()), CLOSE)


def _gap(found: Tensor, reference: Tensor) -> float:
    return float((found.cpu().double() - reference.cpu().double()).abs().max())
