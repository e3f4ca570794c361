"""What a change does to replies: the laws of their tokens, the tokens that are drawn, the pages that are shown.

A row of a batch is known by a number, which decides its prompt, its reply's tokens and its uniform numbers. So it is
the same row in another batch.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.language_models.change import Change, ShownPage
from auctionsim.language_models.decoding import Replies, law_logits, sample_replies, voice_logits
from auctionsim.language_models.prefixes import Prefix, prefill_under
from auctionsim.testing.carrier_cases import CarrierClaim

POSITIONS = 5
"""Tokens of a reply."""
TEMPERATURE = 0.7
"""That replies are drawn at."""
_NUMBERS = 128  # draws of a page, at least
_GOLDEN = (5**0.5 - 1) / 2
_SENTENCES = (
    "I would recommend {0}. It fits well.",
    "Comfort matters most. Try some on first.",
    "{1} and {0} are both good, and {1} costs less.",
    "It depends.",
    "Many people like {1}.",
    "",
)


def prompts_of(claim: CarrierClaim, rows: Sequence[int]) -> list[str]:
    """Return what is asked in each row."""
    return [claim.prompts[row % len(claim.prompts)] for row in rows]


def prefix_of(claim: CarrierClaim, change: Change, rows: Sequence[int]) -> Prefix:
    """Compute the rows' prompts as a change frames them."""
    return prefill_under(claim.model, prompts_of(claim, rows), POSITIONS, change)


def uniforms_of(rows: Sequence[int]) -> Float[Tensor, "row position"]:
    """Return the uniform numbers that each row's tokens are drawn from."""
    return torch.stack([torch.rand(POSITIONS, generator=torch.Generator().manual_seed(row)) for row in rows])


def tokens_of(claim: CarrierClaim, rows: Sequence[int]) -> Int[Tensor, "row position"]:
    """Return a reply of random tokens a row; none ends it."""
    ends, size = set(claim.model.end_ids), claim.model.vocabulary_size
    size = min(size, len(claim.model.tokenizer))
    usual = torch.tensor([token for token in range(size) if token not in ends])
    drawn = [torch.randint(len(usual), (POSITIONS,), generator=torch.Generator().manual_seed(row)) for row in rows]
    return usual[torch.stack(drawn)].to(claim.model.device)


def voices_of(
    claim: CarrierClaim, change: Change, rows: Sequence[int], tokens: Int[Tensor, "row position"] | None = None
) -> Float[Tensor, "voice row position vocabulary"]:
    """Return the logits of each row's tokens after its own prompt and after its companions'."""
    tokens = tokens_of(claim, rows) if tokens is None else tokens
    return voice_logits(claim.model, prefix_of(claim, change, rows), tokens, change.reply)


def logits_of(
    claim: CarrierClaim, change: Change, rows: Sequence[int], tokens: Int[Tensor, "row position"] | None = None
) -> Float[Tensor, "row position vocabulary"]:
    """Return logits such that softmax(logits / TEMPERATURE) is the law of each of the rows' tokens."""
    tokens = tokens_of(claim, rows) if tokens is None else tokens
    return law_logits(change.reply, voices_of(claim, change, rows, tokens), tokens, TEMPERATURE)


def probabilities(logits: Float[Tensor, "*rows vocabulary"]) -> Float[Tensor, "*rows vocabulary"]:
    """Return the law at the sampling temperature, float64."""
    return torch.softmax(logits.double() / TEMPERATURE, dim=-1)


def variation(one: Tensor, other: Tensor) -> float:
    """Return the largest total variation between two laws' logits over rows and positions; NaN counts as 1."""
    if one.numel() == 0:
        return 0.0
    apart = (probabilities(one) - probabilities(other)).abs().sum(-1) / 2
    return float(apart.nan_to_num(1.0).max())


def drawn(claim: CarrierClaim, change: Change, rows: Sequence[int]) -> Replies:
    """Draw a reply a row from its uniform numbers."""
    prefix = prefix_of(claim, change, rows)
    return sample_replies(claim.model, prefix, change.reply, uniforms_of(rows), temperature=TEMPERATURE)


def candidates_of(claim: CarrierClaim, rows: Sequence[int], count: int) -> list[list[str]]:
    """Return texts of replies, `count` a row, that name brands or none."""
    names = [brand.name for brand in claim.carrier.brands]
    texts = [sentence.format(names[0], names[-1]) for sentence in _SENTENCES]
    return [[texts[(row + 5 * k) % len(texts)] for k in range(count)] for row in rows]


def pages_of(claim: CarrierClaim, change: Change, rows: Sequence[int]) -> list[ShownPage]:
    """Return the page that each row shows of the same texts, drawn from one uniform number a row."""
    return _shown(claim, change, candidates_of(claim, rows, change.candidates), uniforms_of(rows)[:, 0])


def same_page(one: ShownPage, other: ShownPage) -> bool:
    """Tell whether two pages are one, their divergences up to rounding."""
    nats = abs((one.divergence or 0.0) - (other.divergence or 0.0))
    return one[:3] == other[:3] and (one.divergence is None) == (other.divergence is None) and nats < 1e-6


def page_laws(claim: CarrierClaim, change: Change, row: int) -> list[dict[Any, float]]:
    """Return the probability of each page, by its text and ads, under each row of a change.

    Every candidate stands once at each place, so that which one is shown where all are alike makes no difference. The
    numbers stand at equal distances, as many for each candidate; from turn to turn they are moved by the golden ratio,
    so that few of them lie on the edge between two pages at once.
    """
    count = change.candidates
    each = count * -(-_NUMBERS // count**2)
    texts = candidates_of(claim, [row], count)[0]
    turns = [texts[k:] + texts[:k] for k in range(count) for _ in range(each)]
    starts = torch.arange(1, count + 1).mul(_GOLDEN).frac().repeat_interleave(each)
    numbers = (torch.arange(each).repeat(count) + starts) / each
    pages = _shown(claim, change.repeat(len(turns)), turns * change.num_rows, numbers.repeat(change.num_rows))
    shown = [(page.text, page.ads) for page in pages]
    parts = [Counter(shown[k : k + len(turns)]) for k in range(0, len(shown), len(turns))]
    return [{page: times / len(turns) for page, times in part.items()} for part in parts]


def _shown(claim: CarrierClaim, change: Change, texts: list[list[str]], uniforms: Tensor) -> list[ShownPage]:
    """Return the pages that are shown of candidates' texts; a door that is shut shows the first as it is."""
    if change.after is None:
        return [ShownPage(0, some[0]) for some in texts]
    pool = [some[0] for some in candidates_of(claim, range(len(_SENTENCES)), 1)]
    return change.after.shown(texts, uniforms, [pool] * len(texts))
