"""Drawing replies under a change: from numbers fixed by each reply's place, and choosing the page that is shown."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.language_models.change import Change, ShownPage
from auctionsim.language_models.decoding import Replies, sample_replies
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.prefixes import Prefix
from auctionsim.readings.passes import BegunReplies, SamplingLaw
from auctionsim.readings.protocol import Reply

_CHOICE = 2**31
"""Behind a place: what keys the number by which a page is chosen; behind it and k, those of candidate k > 0."""


class Draw(NamedTuple):
    """What keys one sample: its prompt, and its place beside the seed."""

    prompt: str
    place: tuple[int, ...]


class DrawnReplies(NamedTuple):
    """Sampled replies, a row each.

    Attributes:
        decoded: The tokens of the replies that are shown.
        replies: The same as pages.
        chosen: (row,) nats a reply of what was chosen among several, NaN of other rows.
    """

    decoded: Replies
    replies: list[Reply]
    chosen: Float[Tensor, " row"]


Uniforms = Callable[[tuple[int, ...]], Float[Tensor, " position"]]
"""From a place to the numbers that its tokens are drawn at."""


def uniforms(seed: int, place: tuple[int, ...], count: int) -> Float[Tensor, " position"]:
    """Return the numbers in [0, 1) that the tokens of a place are drawn at."""
    return torch.from_numpy(np.random.default_rng([seed, *place]).random(count, dtype=np.float32))


def drawn_replies(
    model: LanguageModel,
    change: Change,
    draws: Sequence[Draw],
    begun: BegunReplies,
    numbers: Uniforms,
    law: SamplingLaw,
) -> DrawnReplies:
    """Sample a reply a row and show its page; rows whose tokens are drawn alike are decoded once.

    Args:
        model: The language model.
        change: A row for each draw, or one for all.
        draws: What keys each row.
        begun: Their prompts.
        numbers: Of a place.
        law: How tokens are drawn.
    """
    if change.after is None:
        decoded = _decoded(model, change, begun.sampled, torch.stack([numbers(draw.place) for draw in draws]), law)
        found = [Reply(draw.prompt, model.text(ids), ids, draw.place) for draw, ids in _with_ids(draws, decoded)]
        return DrawnReplies(decoded, found, torch.full((len(draws),), torch.nan))
    drawn = _candidates(model, change, draws, begun.sampled, numbers, law)
    chances = torch.stack([numbers((*draw.place, _CHOICE))[0] for draw in draws])
    shown = change.after.shown(drawn.texts, chances, drawn.pools)
    index = torch.tensor([start + page.candidate for start, page in zip(drawn.first, shown, strict=True)])
    index = index.to(drawn.decoded.tokens.device)
    finite = drawn.decoded.finite.view(-1, change.candidates).all(1)[index // change.candidates]  # a page rests on all
    kept = Replies(drawn.decoded.tokens[index], drawn.decoded.lengths[index], finite)
    found = [
        Reply(draw.prompt, page.text, ids, draw.place, page.ads)
        for (draw, ids), page in zip(_with_ids(draws, kept), shown, strict=True)
    ]
    return DrawnReplies(kept, found, torch.tensor([_nats(page) for page in shown]))


class _CandidateReplies(NamedTuple):
    """Replies that are drawn for pages, those of equal law and place once.

    Attributes:
        decoded: All of them, the candidates of one page beside each other.
        first: For each row, which of them is its first candidate.
        texts: For each row, its candidates' texts.
        pools: For each row, the texts of all that were drawn to its prompt under its law; rows that share one have the
            same object.
    """

    decoded: Replies
    first: list[int]
    texts: list[list[str]]
    pools: list[list[str]]


def _candidates(
    model: LanguageModel, change: Change, draws: Sequence[Draw], prefix: Prefix, numbers: Uniforms, law: SamplingLaw
) -> _CandidateReplies:
    """Draw every candidate of every row; where pages alone differ, rows of one place share theirs."""
    count, alike = change.candidates, bool(change.reply_null.all())
    keys = [(draw, 0 if alike else row) for row, draw in enumerate(draws)]
    place = {key: k for k, key in enumerate(dict.fromkeys(keys))}
    rows = torch.tensor([keys.index(key) for key in place])
    some = prefix if prefix.num_rows == 1 else prefix.serving(prefix.owner[:, rows.to(prefix.owner.device)])
    drawn = torch.stack([numbers(_candidate(draw.place, k)) for draw, _ in place for k in range(count)])
    own = change.reply if change.num_rows == 1 else change.reply.select(rows).repeat(count)
    decoded = _decoded(model, own, some.repeat(count), drawn, law)
    texts = [model.text(ids) for ids in _ids(decoded)]
    pages = [texts[start : start + count] for start in range(0, len(texts), count)]
    pools: dict[tuple[str, int], list[str]] = {}
    for (draw, law_of), page in zip(place, pages, strict=True):
        pools.setdefault((draw.prompt, law_of), []).extend(page)
    return _CandidateReplies(
        decoded,
        [place[key] * count for key in keys],
        [pages[place[key]] for key in keys],
        [pools[draw.prompt, law_of] for draw, law_of in keys],
    )


def _candidate(place: tuple[int, ...], number: int) -> tuple[int, ...]:
    """Return what keys a candidate: the first is the reply that an untouched page shows."""
    return place if number == 0 else (*place, _CHOICE, number)


def _nats(shown: ShownPage) -> float:
    return float("nan") if shown.divergence is None else shown.divergence


def _decoded(model: LanguageModel, change: Change, prefix: Prefix, numbers: Tensor, law: SamplingLaw) -> Replies:
    """Sample a reply a row; those that nothing is done to apart from longer prompts, whose padding would round them."""

    def sampled(own: Change, begun: Prefix, uniform: Tensor) -> Replies:
        return sample_replies(model, begun, own, uniform, temperature=law.temperature, top_p=law.top_p)

    change = change.reply
    still = change.null.expand(len(numbers))
    if (change.before is None and not change.companions) or not bool(still.any()):
        return sampled(change, prefix, numbers)
    plain, others = still.nonzero().squeeze(1), (~still).nonzero().squeeze(1)
    parts = [sampled(Change(len(plain)), prefix.alone(plain), numbers[plain])]
    if len(others):
        rest = prefix if prefix.num_rows == 1 else prefix.serving(prefix.owner[:, others.to(prefix.owner.device)])
        parts.append(sampled(change.select(others), rest, numbers[others]))
    order = torch.cat((plain, others)).argsort().to(parts[0].tokens.device)
    tokens, lengths = torch.cat([part.tokens for part in parts]), torch.cat([part.lengths for part in parts])
    return Replies(tokens[order], lengths[order], torch.cat([part.finite for part in parts])[order])


def _ids(decoded: Replies) -> list[list[int]]:
    return [row[:length].tolist() for row, length in zip(decoded.tokens, decoded.lengths.tolist(), strict=True)]


def _with_ids(draws: Sequence[Draw], decoded: Replies) -> list[tuple[Draw, list[int]]]:
    return list(zip(draws, _ids(decoded), strict=True))
