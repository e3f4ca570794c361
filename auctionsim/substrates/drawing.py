"""Drawing replies under a change: from numbers fixed by each reply's place, and choosing the page that is shown."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.language_models.change import Change, Page, ShownPage
from auctionsim.language_models.decoding import Replies, sample_replies
from auctionsim.language_models.model import LanguageModel
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
        decoded = _decoded(model, change, begun, torch.stack([numbers(draw.place) for draw in draws]), law)
        found = [Reply(draw.prompt, model.text(ids), ids, draw.place) for draw, ids in _with_ids(draws, decoded)]
        return DrawnReplies(decoded, found, torch.full((len(draws),), torch.nan))
    return _with_pages(model, change, draws, begun, numbers, law, change.after)


def _with_pages(
    model: LanguageModel,
    change: Change,
    draws: Sequence[Draw],
    begun: BegunReplies,
    numbers: Uniforms,
    law: SamplingLaw,
    page: Page,
) -> DrawnReplies:
    """Draw every candidate of every row, those of equal law and place once, and show each row's page."""
    alike = bool(change.reply_null.all())  # pages differ, replies do not
    keys = [(draw, 0 if alike else row) for row, draw in enumerate(draws)]
    first = {key: row for row, key in reversed(list(enumerate(keys)))}
    rows = sorted(first.values())
    number = {keys[row]: k for k, row in enumerate(rows)}
    one = change.reply if change.num_rows == 1 else change.reply.select(torch.tensor(rows))
    some = begun.sampled if begun.sampled.num_rows == 1 else begun.sampled.serving(begun.sampled.owner[:, rows])
    places = [draws[row].place for row in rows for _ in range(page.candidates)]
    which = [_candidate(place, k % page.candidates) for k, place in enumerate(places)]
    one = one if one.num_rows == 1 else one.repeat(page.candidates)
    decoded = sample_replies(
        model,
        some.repeat(page.candidates),
        one,
        torch.stack([numbers(place) for place in which]),
        temperature=law.temperature,
        top_p=law.top_p,
    )
    texts = [model.text(ids) for ids in _ids(decoded)]
    candidates = [texts[k : k + page.candidates] for k in range(0, len(texts), page.candidates)]
    shown = page.shown(
        [candidates[number[key]] for key in keys],
        torch.stack([numbers((*draw.place, _CHOICE))[0] for draw in draws]),
        _pools(change, draws, [candidates[number[key]] for key in keys], keys),
    )
    index = torch.tensor([number[key] * page.candidates + one.candidate for key, one in zip(keys, shown, strict=True)])
    index = index.to(decoded.tokens.device)
    finite = decoded.finite.view(-1, page.candidates).all(1)[index // page.candidates]  # a page rests on all of them
    kept = Replies(decoded.tokens[index], decoded.lengths[index], finite)
    found = [
        Reply(draw.prompt, one.text, ids, draw.place, one.ads)
        for (draw, ids), one in zip(_with_ids(draws, kept), shown, strict=True)
    ]
    return DrawnReplies(kept, found, torch.tensor([_nats(one) for one in shown]))


def _pools(
    change: Change, draws: Sequence[Draw], candidates: Sequence[Sequence[str]], keys: Sequence[tuple[Draw, int]]
) -> list[list[str]]:
    """Return for each row all candidates to its prompt that were drawn under the law of its own tokens."""
    samples: dict[tuple[str, int], dict[tuple[Draw, int], Sequence[str]]] = {}
    alike = bool(change.reply_null.all())
    groups = [(draw.prompt, 0 if alike else row) for row, draw in enumerate(draws)]
    for group, key, texts in zip(groups, keys, candidates, strict=True):
        samples.setdefault(group, {})[key] = texts
    pools = {group: [text for texts in some.values() for text in texts] for group, some in samples.items()}
    return [pools[group] for group in groups]


def _candidate(place: tuple[int, ...], number: int) -> tuple[int, ...]:
    """Return what keys a candidate: the first is the reply that an untouched page shows."""
    return place if number == 0 else (*place, _CHOICE, number)


def _nats(shown: ShownPage) -> float:
    return float("nan") if shown.divergence is None else shown.divergence


def _decoded(model: LanguageModel, change: Change, begun: BegunReplies, numbers: Tensor, law: SamplingLaw) -> Replies:
    """Sample a reply a row; those that nothing is done to apart from longer prompts, whose padding would round them."""
    change, prefix = change.reply, begun.sampled
    still = change.null.expand(len(numbers))
    if (change.before is None and not change.companions) or not bool(still.any()):
        return sample_replies(model, prefix, change, numbers, temperature=law.temperature, top_p=law.top_p)
    plain, others = still.nonzero().squeeze(1), (~still).nonzero().squeeze(1)
    parts = [sample_replies(model, prefix.alone(plain), Change(len(plain)), numbers[plain],
                            temperature=law.temperature, top_p=law.top_p)]  # fmt: skip
    if len(others):
        rest = prefix if prefix.num_rows == 1 else prefix.serving(prefix.owner[:, others.to(prefix.owner.device)])
        parts.append(
            sample_replies(
                model, rest, change.select(others), numbers[others], temperature=law.temperature, top_p=law.top_p
            )
        )
    order = torch.cat((plain, others)).argsort().to(parts[0].tokens.device)
    return Replies(
        *(torch.cat([getattr(part, name) for part in parts])[order] for name in ("tokens", "lengths", "finite"))
    )


def _ids(decoded: Replies) -> list[list[int]]:
    return [row[:length].tolist() for row, length in zip(decoded.tokens, decoded.lengths.tolist(), strict=True)]


def _with_ids(draws: Sequence[Draw], decoded: Replies) -> list[tuple[Draw, list[int]]]:
    return list(zip(draws, _ids(decoded), strict=True))
