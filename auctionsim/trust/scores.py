"""Scores of labelled replies: as they are, attacked, and with their brands exchanged.

Readings that rest on a model take long, so their values are kept in one file a reading and basis, under a checksum, and
by the digest of what was read. What was read on another basis, or of another text, is in no such place: it is taken
anew, and so is what a judge left unscored for now. Readings of texts alone are always taken anew.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from auctionsim.brands import Brand
from auctionsim.errors import DamagedFileError, InputError, UnsupportedError
from auctionsim.files import write_text
from auctionsim.kept import key_digest
from auctionsim.readings.protocol import Reading, ReferenceReading, Reply, TextReading, Unscored, Value
from auctionsim.readings.registry import made_by, names, reading
from auctionsim.readings.values import as_json, checked_values, read_beside, read_texts, value_from_json
from auctionsim.signed_json import read_signed_json, signed_json
from auctionsim.trust.attacks import Attack, battery
from auctionsim.trust.biases import PositionBias, position_bias
from auctionsim.trust.brand_swaps import swap_brands
from auctionsim.trust.labels import KINDS, GoldLabel, text_reply
from auctionsim.trust.references import references_of

PART = 64
"""Texts that are read before values are written: a stopped pass loses at most those."""
_FORMAT, _VERSION = "auctionsim scores of labelled replies", 1
_log = logging.getLogger(__name__)


class ScoredText(NamedTuple):
    """A text that is read.

    Attributes:
        prompt: What was asked.
        text: The reply.
        brands: The bidders.
        references: Untouched replies to the prompt; none for readings that need none.
    """

    prompt: str
    text: str
    brands: tuple[Brand, ...]
    references: tuple[Reply, ...] = ()

    @property
    def digest(self) -> str:
        """16 hex digits that name it."""
        names = [brand.written for brand in self.brands]
        whole = [self.prompt, self.text, names, [one.text for one in self.references]]
        return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:16]


class LabelScores(NamedTuple):
    """A reading's values of labelled replies.

    Attributes:
        labels: The replies.
        values: Of each as it is.
        attacked: By attack, then by the label's index: values of the bad replies that it was tried on.
        swapped: By the label's index: values with the brands exchanged, of replies that name one.
    """

    labels: tuple[GoldLabel, ...]
    values: tuple[Value, ...]
    attacked: dict[str, dict[int, Value]]
    swapped: dict[int, Value]

    def only(self, rows: Sequence[int]) -> "LabelScores":
        """Return the scores of some of the labels, by index; their order is that of `rows`."""
        place = {row: k for k, row in enumerate(rows)}
        return LabelScores(
            tuple(self.labels[row] for row in rows),
            tuple(self.values[row] for row in rows),
            {name: {place[k]: v for k, v in some.items() if k in place} for name, some in self.attacked.items()},
            {place[k]: value for k, value in self.swapped.items() if k in place},
        )


class ScoreStore:
    """Values of readings that rest on a model, in a folder.

    Args:
        folder: Where values are kept; None: nowhere.
        shipped: Where others are, which are read and never written, such as those that ship with auctionsim.
        remeasure: Take values anew, whatever is kept.
        takes: Take values that are not kept; else a reading that lacks one is refused.
    """

    def __init__(
        self, folder: Path | None = None, shipped: Path | None = None, *, remeasure: bool = False, takes: bool = True
    ) -> None:
        self.folder, self.shipped, self.remeasure, self.takes = folder, shipped, remeasure, takes

    def values(
        self, one: Reading, texts: Sequence[ScoredText], report: Callable[[int, int], None] | None = None
    ) -> list[Value]:
        """Return a reading's value of each text, taken or as it is kept.

        Args:
            one: A reading of texts, or of texts beside references.
            texts: What is read; equal texts are read once.
            report: Gets how many of how many are done.
        Raises:
            ValueError: A file of values is damaged, or the reading gives what it does not declare.
            NotImplementedError: The reading needs the model that replied, or is of a set or a brand; or a value is not
                kept, and none is taken.
        """
        tell = report or (lambda *_: None)
        by_digest = {text.digest: text for text in texts}
        kept = self._read(one)
        waiting = [digest for digest in by_digest if digest not in kept]
        if waiting and not self.takes:
            raise UnsupportedError("its scores are not kept, or not all of them: `auctionsim trust table` takes them")
        for start in range(0, len(waiting), PART):
            part = waiting[start : start + PART]
            tell(len(by_digest) - len(waiting) + start, len(by_digest))
            kept.update(zip(part, take(one, [by_digest[digest] for digest in part]), strict=True))
            self._write(one, kept)
        tell(len(by_digest), len(by_digest))
        return [kept[text.digest] for text in texts]

    def file(self, one: Reading) -> Path | None:
        """Return where a reading's values are kept; None where they are not."""
        if self.folder is None or one.basis is None:
            return None
        return self.folder / _file_name(one)

    def _read(self, one: Reading) -> dict[str, Value]:
        """Return what is kept of a reading on its basis, here and in the shipped folder."""
        found: dict[str, Value] = {}
        if one.basis is None or self.remeasure:
            return found
        for folder in filter(None, (self.shipped, self.folder)):
            path = folder / _file_name(one)
            if path.exists():
                listed = read_signed_json(path, _FORMAT, _VERSION, _key(one)).record("values").content
                values = [value_from_json(value, f"{path}: {digest}") for digest, value in listed.items()]
                pairs = zip(listed, _declared(one, values, path), strict=True)
                found |= {digest: value for digest, value in pairs if not _for_now(value)}
            else:
                self._tell_stale(one, path)
        return found

    def _tell_stale(self, one: Reading, path: Path) -> None:
        others = sorted(path.parent.glob(f"{one.name}-{'?' * 16}.json"))
        if others:
            _log.warning(
                "values of %s in %s rest on something else and are not used: it is read anew", one.name, others[0]
            )

    def _write(self, one: Reading, kept: dict[str, Value]) -> None:
        path = self.file(one)
        if path is not None:
            values = {digest: as_json(value) for digest, value in sorted(kept.items())}
            document = {"format": _FORMAT, "version": _VERSION, "key": _key(one), "values": values}
            write_text(path, signed_json(document))


def _declared(one: Reading, values: Sequence[Value], path: Path) -> list[Value]:
    """Return values as they are read, if they are what the reading declares."""
    try:
        return checked_values(one, values, len(values), 0)
    except ValueError as error:
        raise DamagedFileError(f"{path} is damaged ({error}): remove it and run again") from error


def _for_now(value: Value) -> bool:
    return isinstance(value, Unscored) and value.for_now


def _file_name(one: Reading) -> str:
    return f"{one.name}-{key_digest(_key(one))}.json"


def _key(one: Reading) -> dict[str, str]:
    assert one.basis is not None
    return {"reading": one.name, "basis": one.basis(), "plugin": made_by(one.name)}


def take(one: Reading, texts: Sequence[ScoredText]) -> list[Value]:
    """Return a reading's value of each text, as it is now.

    Raises:
        NotImplementedError: The reading needs the model that replied, or is of a set or a brand.
    """
    if one.per not in ("user", "reply") or not isinstance(one, TextReading | ReferenceReading):
        raise UnsupportedError(
            f"{one.name} cannot be held against labels of texts: it is per {one.per} and needs {one.needs}"
        )
    values: list[Value] = [Unscored("not read")] * len(texts)
    groups: dict[tuple[Brand, ...], list[int]] = {}
    for place, text in enumerate(texts):
        groups.setdefault(text.brands, []).append(place)
    for brands, places in groups.items():
        replies = [text_reply(texts[place].prompt, texts[place].text) for place in places]
        if isinstance(one, TextReading):
            found = read_texts(one, replies, brands)
        else:
            found = read_beside(one, replies, brands, [list(texts[place].references) for place in places])
        for place, value in zip(places, found, strict=True):
            values[place] = value
    return values


class LabelSample(NamedTuple):
    """Sample of labelled replies, where every value takes passes of a language model: the first of each kind by digest.

    Attributes:
        read: Replies of each kind that a score is held against; None: all.
        attacked: How many of these attacks and swaps are tried on; None: all.
    """

    read: int | None = None
    attacked: int | None = None


ALL_LABELS = LabelSample()


def score_labels(
    one: Reading,
    labels: Sequence[GoldLabel],
    store: ScoreStore | None = None,
    attacks: Sequence[Attack] | None = None,
    sample: LabelSample = ALL_LABELS,
    report: Callable[[int, int], None] | None = None,
) -> LabelScores:
    """Return a reading's values of labelled replies, attacked and swapped ones too.

    Args:
        one: Which.
        labels: The replies.
        store: Where values are kept; None: nowhere.
        attacks: None: the battery.
        sample: How many of them are read, and how many attacked.
        report: Gets how many of how many texts are done.
    Raises:
        ValueError: No labels, see also `ScoreStore.values`.
    """
    if not labels:
        raise InputError("a score is held against labels, and there are none")
    labels = [labels[k] for k in _first(labels, sample.read)]
    attacks = battery() if attacks is None else attacks
    beside = references_of(labels) if isinstance(one, ReferenceReading) else [[] for _ in labels]
    plain = [
        ScoredText(label.prompt, label.text, label.brands, tuple(others))
        for label, others in zip(labels, beside, strict=True)
    ]
    tried = _first(labels, sample.attacked)
    chosen = [k for k in tried if labels[k].bad]
    texts = {("", "", k): text for k, text in enumerate(plain)}
    for attack in attacks:
        for k in chosen:
            texts["attack", attack.name, k] = plain[k]._replace(text=attack.apply(plain[k].prompt, plain[k].text))
    for k in tried:
        text = plain[k]
        if any(brand.spans(text.text) for brand in text.brands) and len(text.brands) > 1:
            prompt, reply = swap_brands(text.prompt, text.brands), swap_brands(text.text, text.brands)
            texts["swap", "", k] = text._replace(prompt=prompt, text=reply)
    values = dict(zip(texts, (store or ScoreStore()).values(one, list(texts.values()), report), strict=True))
    return LabelScores(
        tuple(labels),
        tuple(values["", "", k] for k in range(len(plain))),
        {attack.name: {k: values["attack", attack.name, k] for k in chosen} for attack in attacks},
        {k: value for (what, _, k), value in values.items() if what == "swap"},
    )


def compares_slots(one: Reading) -> bool:
    """Tell whether a reading is of a judge that compares two replies, whose leaning to a slot the gate asks for."""
    return one.name.startswith("judged_pairwise")


def position_of(
    one: Reading, labels: Sequence[GoldLabel], store: ScoreStore | None = None, sample: LabelSample = ALL_LABELS
) -> PositionBias | None:
    """Return the leaning to a slot of a judge that compares two replies; None of any other, or where it shows none.

    A reading called `judged_pairwise…` gives σ(Δ), free of the position; `judged_position…` beside it gives β.
    """
    name = one.name.replace("judged_pairwise", "judged_position", 1)
    if not compares_slots(one) or name not in names():
        return None
    values = [score_labels(each, labels, store, (), sample).values for each in (one, reading(name))]
    pairs = np.array([pair for pair in zip(*values, strict=True) if all(isinstance(v, float) for v in pair)])
    if len(pairs) < 2:
        return None
    probability = np.clip(pairs[:, 0], 1e-15, 1 - 1e-15)
    margin = np.log(probability / (1 - probability))
    return position_bias(margin + pairs[:, 1], pairs[:, 1] - margin)


def _first(labels: Sequence[GoldLabel], most: int | None) -> list[int]:
    """Return the indices of up to so many replies of each kind, the first by their digest, in the labels' order."""
    digests = [hashlib.sha256(f"{label.prompt}\0{label.text}".encode()).hexdigest() for label in labels]
    chosen: list[int] = []
    for kind in KINDS:
        of_kind = [k for k, label in enumerate(labels) if label.kind == kind]
        chosen += sorted(of_kind, key=lambda k: digests[k])[:most]
    return sorted(chosen)
