"""The probability that a reply names a brand at a slot: exact, by scoring, no sampling."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.language_models.change import Change, Inside, as_change
from auctionsim.language_models.decoding import reply_logits
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.prefixes import prefill_under

_ROWS = 64  # rows scored at once: their float32 log-probabilities stay under 200 MB


class _Continuation(NamedTuple):
    """A stem and one of a brand's names after it."""

    stem: int
    brand: int
    stem_ids: list[int]
    name_ids: list[int]


class SlotScorer:
    """Scores whole brand names after neutral stems.

    P_i = Σ_names P(name's tokens, then no letter or digit | prompt, stem), the name in its usual tokenisation after a
    space. Other tokenisations of the same letters are left out; on trained models their probability is negligible. A
    name that begins with another name of the same brand and a word's end ("Apple Inc" or "Apple's" beside "Apple") is
    counted by the shorter one, once.

    Args:
        model: The language model.
        brands: The bidders.
        stems: Neutral beginnings of a reply that call for a name.
        whole_prompt: Interventions touch every token of the prompt, not its last alone.
    """

    def __init__(
        self, model: LanguageModel, brands: tuple[Brand, ...], stems: tuple[str, ...], *, whole_prompt: bool = False
    ) -> None:
        self.model, self.whole_prompt = model, whole_prompt
        self.num_stems, self.num_brands = len(stems), len(brands)
        self.word_ends = _word_ends(model)
        self.continuations = [
            _Continuation(s, i, model.text_ids(stem), ids)
            for s, stem in enumerate(stems)
            for i, brand in enumerate(brands)
            for ids in self._disjoint([model.continuation_ids(stem, name) for name in brand.names])
        ]

    def __call__(self, prompt: str, change: Change | Inside | Tensor) -> Float[Tensor, "row stem brand"]:
        """Return every brand's probability after every stem under each row's change, float64.

        A tensor (row, layer, neuron) means factors of neurons alone.
        """
        change = as_change(change).reply
        longest = max(len(c.stem_ids) + len(c.name_ids) for c in self.continuations) + 1
        prefix = prefill_under(self.model, [prompt], longest, change, whole_prompt=self.whole_prompt)
        total = torch.zeros(change.num_rows, self.num_stems, self.num_brands, dtype=torch.float64)
        ids = torch.tensor([self._padded(c, longest) for c in self.continuations], device=self.model.device)
        together = max(1, _ROWS // len(ids))
        for start in range(0, change.num_rows, together):
            rows = slice(start, min(start + together, change.num_rows))
            count = rows.stop - rows.start
            some, begun = change.select(rows).repeat(len(ids)), prefix.select(rows).repeat(len(ids))
            logits = reply_logits(self.model, begun, ids.repeat(count, 1), some)
            logits = logits.view(count, len(ids), longest, -1)
            for k, c in enumerate(self.continuations):
                total[rows, c.stem, c.brand] += self.probability(logits[:, k], c)
        return total

    def probability(self, logits: Float[Tensor, "row position vocabulary"], c: _Continuation) -> Float[Tensor, " row"]:
        """Return P(name, then a word's end) from logits or log-probabilities after each token of stem and name."""
        first, name = len(c.stem_ids), torch.tensor(c.name_ids, device=logits.device)
        read = logits[:, first : first + len(name) + 1].float()
        total = read.logsumexp(2)
        said = read[:, torch.arange(len(name), device=logits.device), name].double() - total[:, :-1]
        ends = read[:, -1].masked_fill(~self.word_ends, -torch.inf).logsumexp(1).double() - total[:, -1]
        return (said.sum(1) + ends).exp().clamp_max(1).cpu()  # above 1 only by float32 rounding

    def _disjoint(self, names: list[list[int]]) -> list[list[int]]:
        """Leave out names whose tokens begin with another name that a word's end follows: they are counted by it."""
        distinct = [ids for k, ids in enumerate(names) if ids not in names[:k]]
        return [ids for ids in distinct if not any(self._contains(ids, other) for other in distinct)]

    def _contains(self, ids: list[int], shorter: list[int]) -> bool:
        size = len(shorter)
        return len(ids) > size and ids[:size] == shorter and bool(self.word_ends[ids[size]])

    def _padded(self, c: _Continuation, longest: int) -> list[int]:
        ids = [*c.stem_ids, *c.name_ids]
        return ids + ids[-1:] * (longest - len(ids))  # causal: what follows is never looked at


def slots_by_kind(kind: str) -> str:
    """Return the name of the diagnostic that holds slot probability after one kind of stem."""
    return f"{kind}_slot_probability"


def _word_ends(model: LanguageModel) -> Bool[Tensor, " token"]:
    """Tell which tokens, after a word, do not continue it."""
    tokenizer = model.tokenizer
    size = model.vocabulary_size
    tokens = tokenizer.convert_ids_to_tokens(list(range(min(size, len(tokenizer)))))
    ends = torch.ones(size, dtype=torch.bool, device=model.device)
    for index, token in enumerate(tokens):
        if token is None or token.startswith(("▁", "Ġ")):
            continue
        text = tokenizer.convert_tokens_to_string([token])
        ends[index] = not (text[:1].isalnum() or text[:1] == "_")
    return ends
