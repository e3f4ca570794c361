"""Untouched replies to the prompts of labelled ones, from the stored replies that the labels name."""

from collections.abc import Sequence

from auctionsim.data import replies_beside, surfaces_folder
from auctionsim.errors import InputError
from auctionsim.measurement.stored_replies import Asked, StoredReplies
from auctionsim.readings.protocol import Reply
from auctionsim.trust.labels import GoldLabel


def references_of(labels: Sequence[GoldLabel]) -> list[list[Reply]]:
    """Return the untouched replies to each label's prompt, the labelled one left out.

    Args:
        labels: Of packaged measurements.
    Raises:
        FileNotFoundError: A label's measurement keeps no replies.
        ValueError: Its place holds another reply than the label.
    """
    names = sorted({label.source.surface for label in labels})
    stored = {name: StoredReplies.load(replies_beside(surfaces_folder() / f"{name}.safetensors")) for name in names}
    untouched = {name: _untouched(some) for name, some in stored.items()}
    return [_of(label, stored[label.source.surface], untouched[label.source.surface]) for label in labels]


def _untouched(stored: StoredReplies) -> dict[Asked, list[int]]:
    return {
        asked: [number for number in numbers if stored.kept.replies[number].intervention == 0]
        for asked, numbers in stored.by_prompt().items()
    }


def _of(label: GoldLabel, stored: StoredReplies, untouched: dict[Asked, list[int]]) -> list[Reply]:
    number, replies = label.source.number, stored.kept.replies
    if number >= len(replies) or (replies[number].text, stored.reply(number).prompt) != (label.text, label.prompt):
        raise InputError(f"reply {number} of {label.source.surface} is not the one that was labelled")
    one = replies[number]
    found = untouched[Asked(one.replicate, one.context, one.prompt)]
    return [stored.reply(k) for k in found if k != number]
