"""Replies of an auction: untouched, with one brand's levers moved, with everybody's, from the same random numbers.

They are those that the measurement kept, so no model is needed: the same prompt and the same sample number under the
interventions that the auction's allocation is made of. An allocation that was not measured as it stands, such as a
menu's between two nodes of a grid, is shown as the nearest one that was, and says so.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.levers import Lever, setting_words
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.readings.registry import reading
from auctionsim.readings.values import read_texts
from auctionsim.sentence_ends import sentence_ends
from auctionsim.wording import listed

FLUENCY = "word_repetition"
"""The reading that stands for how a reply reads: the share of its words that it said before."""
_DISCLOSURE = "disclosure"
_CUT_ITEM = re.compile(r"\s*\n\s*(?:[-*+•#]+|\(?\d{1,3}[.):])?\s*\Z")
_SAME = 1e-9


class AccountReply(NamedTuple):
    """One reply of an auction's account.

    Attributes:
        title: Whose levers were moved, and how: "untouched", "Nike: 512 neurons × 2".
        moved: Indices of the bidders whose levers were moved.
        text: The reply, ending at a sentence or with "…".
        mentions: Beginning, end and bidder of every mention, in letters of the text.
        hits: Sentences that mention each bidder, by the reading `hits`.
        repetition: The share of its words that it said before, by the reading `word_repetition`; None: it has no words.
        discloses: Whether it says that it is an advertisement, by the reading `disclosure`.
        is_nearest: Whether the allocation was not measured, and this is the nearest setting that was.
    """

    title: str
    moved: tuple[int, ...]
    text: str
    mentions: tuple[tuple[int, int, int], ...]
    hits: tuple[int, ...]
    repetition: float | None
    discloses: bool
    is_nearest: bool = False


class ReplyPlace(NamedTuple):
    """Which of a measurement's replies are shown: the first prompt and the first sample, unless others are asked for.

    Attributes:
        replicate: "A" or "B".
        context: Index of the prompt's kind.
        prompt: Index of the prompt within its kind.
        sample: Number of the draw.
    """

    replicate: str = "A"
    context: int = 0
    prompt: int = 0
    sample: int = 0


def account_replies(
    stored: StoredReplies, levers: Sequence[Lever], allocation: Tensor, place: ReplyPlace
) -> tuple[AccountReply, ...]:
    """Return the replies to one prompt: untouched, each moved bidder alone, and everybody that is moved together.

    Of three bidders or more that are moved, pairs are left out. What was not measured alone is left out, too, if
    nothing near it was: on a list, say.

    Args:
        stored: What the measurement kept.
        levers: Of each bidder.
        allocation: (bidder, lever), what the auction chose.
        place: Which prompt and which sample.
    Raises:
        ValueError: An allocation of other levers or bidders, or no such prompt or sample.
    """
    wanted = tuple(stored.interventions.shape[1:])
    if tuple(allocation.shape) != wanted or len(levers) != wanted[1]:
        raise InputError(f"an allocation must be (bidder, lever) = {wanted}, got {tuple(allocation.shape)}")
    by_intervention = _replies_at(stored, place)
    chosen = allocation.detach().double()
    nulls = chosen.new_tensor([lever.null for lever in levers])
    moved = [i for i, row in enumerate(chosen) if not bool((row == nulls).any())]
    every = [[], *([one] for one in moved), *([moved] if len(moved) > 1 else [])]
    found: list[AccountReply] = []
    for some in every:
        target = nulls.repeat(len(chosen), 1)
        target[some] = chosen[some]
        number, is_nearest = _measured(stored.interventions, target, nulls, some)
        if number is not None and number in by_intervention:
            found.append(_reply(stored, by_intervention[number], number, tuple(some), levers, is_nearest=is_nearest))
    return tuple(found)


def ended(text: str) -> str:
    """Return a text that ends at a sentence, or with "…" where it was cut off.

    Example:
        >>> ended("Try Nike. It is"), ended("Try Nike."), ended("Two shoes:\\n\\n1. Nike.\\n2.")
        ('Try Nike. It is …', 'Try Nike.', 'Two shoes:\\n\\n1. Nike.')
    """
    whole = _CUT_ITEM.sub("", text.rstrip()).rstrip()
    ends = sentence_ends(whole)
    if not whole or (ends and ends[-1][1] == len(whole)):
        return whole
    return f"{whole} …" if whole[-1].isalnum() else f"{whole}…"


def _replies_at(stored: StoredReplies, place: ReplyPlace) -> dict[int, int]:
    """Return the number of the reply under each intervention."""
    found = {
        one.intervention: number
        for number, one in enumerate(stored.kept.replies)
        if (one.replicate, one.context, one.prompt, one.place[-1]) == tuple(place)
    }
    if not found:
        raise InputError(
            f"no replies were kept to prompt {place.prompt} of context {place.context}, replicate {place.replicate}, "
            f"sample {place.sample}"
        )
    return found


def _measured(
    interventions: Float[Tensor, "intervention bidder lever"],
    target: Float[Tensor, "bidder lever"],
    nulls: Float[Tensor, " lever"],
    moved: list[int],
) -> tuple[int | None, bool]:
    """Return the number of the intervention that is a target, or the nearest that moves the same bidders."""
    same = ((interventions - target).abs() <= _SAME).flatten(1).all(1).nonzero().flatten()
    if len(same):
        return int(same[0]), False
    moves = ~(interventions == nulls).any(2)
    wanted = torch.zeros_like(moves[0])
    wanted[moved] = True
    alike = (moves == wanted).all(1)
    if not bool(alike.any()):
        return None, False
    reach = (interventions - nulls).abs().amax((0, 1)).clamp_min(_SAME)
    distance = ((interventions - target) / reach).square().sum((1, 2))
    return int(torch.where(alike, distance, torch.inf).argmin()), True


def _reply(
    stored: StoredReplies,
    number: int,
    intervention: int,
    moved: tuple[int, ...],
    levers: Sequence[Lever],
    *,
    is_nearest: bool,
) -> AccountReply:
    reply = stored.reply(number)
    setting = stored.interventions[intervention]
    given = [f"{stored.brands[i].name}: {setting_words(setting[i].tolist(), levers)}" for i in moved]
    repetition, disclosure, hits = (
        read_texts(reading(name), [reply], stored.brands)[0]  # type: ignore[arg-type]  # all three are of texts
        for name in (FLUENCY, _DISCLOSURE, "hits")
    )
    text = ended(reply.text)
    spans = sorted((*span, index) for index, brand in enumerate(stored.brands) for span in brand.spans(text))
    return AccountReply(
        title=listed(given) or "untouched",
        moved=moved,
        text=text,
        mentions=tuple(spans),
        hits=tuple(int(value) for value in hits) if isinstance(hits, list) else (),
        repetition=repetition if isinstance(repetition, float) else None,
        discloses=disclosure == 1.0,
        is_nearest=is_nearest,
    )
