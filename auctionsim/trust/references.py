"""Untouched replies to the prompts of labelled ones, from the stored replies that the labels name."""

from collections.abc import Sequence
from pathlib import Path

from auctionsim.data import replies_beside, surfaces_folder
from auctionsim.errors import InputError, UnsupportedError
from auctionsim.measurement.stored_replies import Asked, StoredReplies
from auctionsim.readings.protocol import Reply
from auctionsim.trust.labels import GoldLabel


def references_of(labels: Sequence[GoldLabel]) -> list[list[Reply]]:
    """Return the untouched replies to each label's prompt, the labelled one left out.

    Args:
        labels: Of packaged measurements.
    Raises:
        NotImplementedError: There are no replies of a label's measurement: those of packaged ones alone are looked for.
        ValueError: Its place holds another reply than the label.
    """
    names = sorted({label.source.surface for label in labels})
    stored = {name: _stored(name) for name in names}
    untouched = {name: _untouched(some) for name, some in stored.items()}
    return [_of(label, stored[label.source.surface], untouched[label.source.surface]) for label in labels]


def _stored(surface: str) -> StoredReplies:
    path = replies_beside(surfaces_folder() / f"{surface}.safetensors")
    if not surface or Path(surface).name != surface or not path.exists():
        rule = "untouched replies stand beside labels of packaged measurements that keep theirs"
        raise UnsupportedError(f"{rule}, got one of {surface!r:.80}")
    return StoredReplies.load(path)


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
