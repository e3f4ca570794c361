"""Readings that the trust table holds against labels, and which way each is good.

Directions follow from what a reading is and are written down here, never read off the labels: a score that is good the
other way round fails the gate.
"""

from typing import NamedTuple

from auctionsim.errors import InputError
from auctionsim.readings.protocol import HIGHER, LOWER
from auctionsim.readings.registry import names, reading
from auctionsim.trust.scores import ALL_LABELS, LabelSample


class Candidate(NamedTuple):
    """A reading that may become part of a loss.

    Attributes:
        reading: Name.
        better: `LOWER` or `HIGHER`.
        sample: Labelled replies that it is held against.
    """

    reading: str
    better: str
    sample: LabelSample = ALL_LABELS


OF_PASSES = LabelSample(60, 8)
"""Of readings whose values take passes of a language model."""
BESIDE = LabelSample(None, 40)
"""Of readings beside untouched replies by an embedding model, which no loss here is made of."""
_OF_MODELS = ("judged", "mutual_information")
_LOWER = (
    "repetition_rate word_repetition window_word_repetition window_trigram_repetition window_character_repetition "
    "window_stem_repetition longest_repeat content_share window_content_share function_word_gap unreadable_share "
    "window_unreadable_share odd_word_share window_odd_word_share fragment_share window_fragment_share quality"
)
_HIGHER = (
    "distinct_1 distinct_2 adjusted_distinct relevance relevance_lowest relevance_margin own_relevance "
    "own_relevance_lowest closeness closeness_nearest form_checks form_pif mutual_information "
    "mutual_information_lowest judged_yes judged_rating judged_pairwise judged_reference"
)
_QUALITY_PARTS = (
    "window_word_repetition window_trigram_repetition window_character_repetition window_content_share "
    "window_stem_repetition longest_repeat function_word_gap window_unreadable_share window_odd_word_share "
    "window_fragment_share relevance relevance_lowest relevance_margin own_relevance own_relevance_lowest"
)
"""Cheap readings of single texts: in windows, that padding cannot buy, and embeddings; the fit chooses among them."""


def candidates(judges: tuple[str, ...] = ()) -> tuple[Candidate, ...]:
    """Return the readings that are there, of those that the table is about.

    Args:
        judges: What follows the names of other judges' readings, such as "_gemma3_270m".
    """
    there = set(names())
    plain = [(name, LOWER) for name in _LOWER.split()] + [(name, HIGHER) for name in _HIGHER.split()]
    of_judges = [
        (f"{name}{suffix}", better) for suffix in judges for name, better in plain if name.startswith(_OF_MODELS)
    ]
    return tuple(Candidate(name, better, sample_of(name)) for name, better in plain + of_judges if name in there)


def sample_of(name: str) -> LabelSample:
    """Return which labelled replies a reading is held against."""
    if name.startswith(_OF_MODELS):
        return OF_PASSES
    return BESIDE if name.startswith("closeness") else ALL_LABELS


def measured_candidates() -> tuple[Candidate, ...]:
    """Return the readings whose values were measured with the labelled replies that ship."""
    return (Candidate("kl", LOWER),)


def quality_candidates() -> tuple[Candidate, ...]:
    """Return the readings that `quality` may be made of."""
    return tuple(one for one in candidates() if one.reading in _QUALITY_PARTS.split())


def direction(name: str) -> str:
    """Return which way a reading is good: as it is a loss, or as the table has it, which knows it by how it begins.

    Raises:
        ValueError: Neither says.
    """
    loss = reading(name).loss if name in names() else None
    if loss in (LOWER, HIGHER):
        return loss
    stem = max((one for one in (*_LOWER.split(), *_HIGHER.split()) if name.startswith(one)), key=len, default="")
    if not stem:
        raise InputError(f"{name} does not say which way it is good: name {LOWER!r} or {HIGHER!r}")
    return LOWER if stem in _LOWER.split() else HIGHER
