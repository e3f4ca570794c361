"""Commercial intent of a brand: exact, by scoring; read off the same passes as its slot probability.

The paper (arXiv 2605.08326) sells a commercial feature whose definition it does not publish. Ours is a reconstruction:

    intent_i = mean over prompts, stems s and leads l of
               Σ_names P(name, then a word's end | prompt, s) · Σ_{c ∈ calls of l} P(c | prompt, s, name, l)

A *lead* is a neutral beginning of what follows the name, as a stem is of what comes before it: ". You can" calls for
an action, ". Find out more at" for an address. So intent is the probability that a reply which is led to a name gives
the brand's, times the probability that, led on, it tells the user to buy or where to go. Unled, the mass of any fixed
list of calls and links right after a name is about 10⁻⁶ on SmolLM2: nothing that could be sold. Each factor is a
product of the model's own conditional probabilities, no sampling; the calls are different token sequences of which none
begins with another, so that they add up to at most 1, and 0 ≤ intent ≤ slot probability.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.errors import InputError
from auctionsim.language_models.change import Change, Inside, as_change
from auctionsim.language_models.decoding import reply_logits
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.prefixes import Prefix, prefill_under
from auctionsim.readings.protocol import PromptReading, ScorerInputs
from auctionsim.readings.registry import register
from auctionsim.readings.slots import SlotScorer


class Lead(NamedTuple):
    """What follows a name, and the words after it that count.

    Attributes:
        text: Neutral; begins with the sign that ends the name's sentence.
        calls: Words for an action, or beginnings of an address; each follows a space.
    """

    text: str
    calls: tuple[str, ...]


LEADS = (
    Lead(
        ". You can",
        (
            *("buy", "order", "purchase", "shop", "get", "book", "reserve", "rent", "hire", "visit"),
            *("try", "download", "subscribe", "join", "donate", "support", "contact", "call", "click"),
        ),
    ),
    Lead(". Find out more at", ("www", "http", "https")),
)
"""A call to action, and a link."""

_BYTES = 200_000_000  # of logits held at once, if they are float32


class Scores(NamedTuple):
    """What is scored exactly, (row, stem, brand), float64, each in [0, 1]."""

    slot_probability: Tensor
    intent: Tensor


class _Row(NamedTuple):
    """One row of a pass: a stem, a name, a lead, and what of a call is needed to score the rest of it.

    Attributes:
        continuation: Index of the stem and name among the slot scorer's.
        ids: All tokens.
        start: Where the call begins.
        calls: Token ids of calls, all but the last of each in `ids`.
        is_first: The first row of its continuation, from which the slot is read.
    """

    continuation: int
    ids: list[int]
    start: int
    calls: list[list[int]]
    is_first: bool


class CommercialScorer:
    """Scores slot probability and intent after neutral stems.

    Args:
        model: The language model.
        brands: The bidders.
        stems: Neutral beginnings of a reply that call for a name.
        whole_prompt: Interventions touch every token of the prompt, not its last alone.
        leads: What follows a name, and the calls that count after it; none: intent is 0, and costs nothing.
    Raises:
        ValueError: The tokenizer joins a stem with a name, or a lead with what follows it; a lead without calls.
    """

    def __init__(
        self,
        model: LanguageModel,
        brands: tuple[Brand, ...],
        stems: tuple[str, ...],
        *,
        whole_prompt: bool = False,
        leads: tuple[Lead, ...] = LEADS,
    ) -> None:
        if not all(lead.calls for lead in leads):
            raise InputError(f"a lead needs calls, or intent would be 0 after it; got {leads}")
        self.model, self.whole_prompt, self.num_leads = model, whole_prompt, len(leads)
        self.slots = SlotScorer(model, brands, stems, whole_prompt=whole_prompt)
        self._rows = [row for k in range(len(self.slots.continuations)) for row in self._rows_of(k, stems, leads)]
        self.longest = max(len(row.ids) for row in self._rows) + 1  # the last is only predicted

    def __call__(self, prompt: str, change: Change | Inside | Float[Tensor, "row layer neuron"]) -> Scores:
        """Return every brand's scores after every stem under each row's change."""
        change = as_change(change)
        prefix = prefill_under(self.model, [prompt], self.longest, change, whole_prompt=self.whole_prompt)
        return self.after(prefix, change)

    def after(self, prefix: Prefix, change: Change) -> Scores:
        """Return the scores after prompts that are computed already, with room for `longest` tokens.

        Args:
            prefix: A row for each of the interventions, or one that serves all.
            change: What is done, made by `prefill_under` of the same change where it frames prompts or has companions.
        """
        slot = torch.zeros(change.num_rows, self.slots.num_stems, self.slots.num_brands, dtype=torch.float64)
        intent, named = torch.zeros_like(slot), slot.new_zeros(change.num_rows, len(self.slots.continuations))
        most = max(1, _BYTES // (4 * self.longest * self.model.vocabulary_size))
        for first in range(0, len(self._rows), most):
            block = self._rows[first : first + most]
            together = max(1, most // len(block))
            for start in range(0, change.num_rows, together):
                some = slice(start, min(start + together, change.num_rows))
                logits = self._logits(prefix.select(some), change.select(some), block)
                for k, row in enumerate(block):
                    c = self.slots.continuations[row.continuation]
                    if row.is_first:
                        named[some, row.continuation] = self.slots.probability(logits[:, k], c)
                        slot[some, c.stem, c.brand] += named[some, row.continuation]
                    if row.calls:
                        called = named[some, row.continuation] * _called(logits[:, k], row)
                        intent[some, c.stem, c.brand] += called / self.num_leads
        return Scores(slot, torch.minimum(intent, slot))  # above it only by rounding

    def _logits(
        self, prefix: Prefix, change: Change, block: list[_Row]
    ) -> Float[Tensor, "row part position vocabulary"]:
        padded = [row.ids + row.ids[-1:] * (self.longest - len(row.ids)) for row in block]  # causal: never read
        ids = torch.tensor(padded, device=self.model.device).repeat(change.num_rows, 1)
        logits = reply_logits(self.model, prefix.repeat(len(block)), ids, change.repeat(len(block)))
        return logits.view(change.num_rows, len(block), self.longest, -1)

    def _rows_of(self, index: int, stems: tuple[str, ...], leads: tuple[Lead, ...]) -> list[_Row]:
        """Return the fewest rows that hold all but the last token of every call after one name."""
        c = self.slots.continuations[index]
        rows: list[_Row] = []
        for lead in leads:
            lead_ids = _after(self.model, stems[c.stem], lead.text)
            begun = [*c.stem_ids, *c.name_ids, *lead_ids]
            listed = _disjoint([self.model.continuation_ids(stems[c.stem] + lead.text, word) for word in lead.calls])
            for beginning, own in _by_beginning(listed):
                rows.append(_Row(index, [*begun, *beginning], len(begun), own, not rows))
        named = [*c.stem_ids, *c.name_ids]
        return rows or [_Row(index, named, len(named), [], is_first=True)]


def _called(logits: Float[Tensor, "row position vocabulary"], row: _Row) -> Float[Tensor, " row"]:
    """Return the probability of one of a row's calls, given what comes before them."""
    read = logits[:, row.start : row.start + max(map(len, row.calls))].float()
    log_p = read - read.logsumexp(2, keepdim=True)
    total = torch.zeros(len(logits), dtype=torch.float64)
    for ids in row.calls:
        positions = torch.arange(len(ids), device=logits.device)
        total += log_p[:, positions, torch.tensor(ids, device=logits.device)].double().sum(1).exp().cpu()
    return total.clamp_max(1)


def _by_beginning(calls: list[list[int]]) -> list[tuple[list[int], list[list[int]]]]:
    """Group calls by the beginnings that hold all but the last token of each, as few as will do."""
    groups: list[tuple[list[int], list[list[int]]]] = []
    for ids in sorted(calls, key=len, reverse=True):
        holding = next((own for beginning, own in groups if beginning[: len(ids) - 1] == ids[:-1]), None)
        if holding is None:
            groups.append((ids[:-1], [ids]))
        else:
            holding.append(ids)
    return groups


def _after(model: LanguageModel, text: str, lead: str) -> list[int]:
    """Return the token ids of a lead where it follows a text without a space."""
    before, joint = model.text_ids(text), model.text_ids(text + lead)
    if joint[: len(before)] != before or len(joint) == len(before):
        raise InputError(f"this tokenizer has no boundary between {text!r} and {lead!r}: choose another stem or lead")
    return joint[len(before) :]


def _disjoint(calls: list[list[int]]) -> list[list[int]]:
    """Leave out token sequences that begin with another: they are counted by it."""
    return [
        ids
        for k, ids in enumerate(calls)
        if ids not in calls[:k] and not any(len(other) < len(ids) and ids[: len(other)] == other for other in calls)
    ]


def commercial_scorer(inputs: ScorerInputs) -> CommercialScorer:
    """Return what scores slot probability and intent in the same passes; without leads intent is 0, at no cost."""
    return CommercialScorer(
        inputs.model, inputs.brands, inputs.stems, whole_prompt=inputs.whole_prompt, leads=inputs.leads
    )


SLOT_PROBABILITY = register(
    PromptReading(
        "slot_probability",
        "probability",
        per="brand",
        bounds=(0.0, 1.0),
        scorer=commercial_scorer,
        part=lambda scores: scores.slot_probability,
        by_kind=True,
    )
)
INTENT = register(
    PromptReading(
        "intent",
        "probability",
        per="brand",
        bounds=(0.0, 1.0),
        scorer=commercial_scorer,
        part=lambda scores: scores.intent,
    )
)
