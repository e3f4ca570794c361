"""Quality of a reply: a calibrated probability that it is bad, from readings that passed the gate.

P(bad) = σ(intercept + Σ_k coefficient_k · s_k (x_k − mean_k) / scale_k), s_k = 1 where little of reading k is good and
−1 where much is; no coefficient is negative. The weights are a file (`auctionsim/data/quality/quality@1.json`), fitted
by `auctionsim.trust.fit_quality` on gold labels that ship too. The probability is that of the labellers calling a reply
bad, among replies such as those that were labelled; they were a language model, and its labels are not people's.

A reply without a word is bad by rule: nothing was answered. What a component cannot score is unscored here, too.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from auctionsim.brands import Brand
from auctionsim.data import quality_folder
from auctionsim.errors import DamagedFileError, InputError
from auctionsim.files import read_bounded
from auctionsim.readings.protocol import HIGHER, LOWER, Reading, Reply, TextReading, Unscored, Value
from auctionsim.readings.registry import reading, register
from auctionsim.readings.values import read_texts
from auctionsim.readings.words import words
from auctionsim.records import Record, parse_json
from auctionsim.signed_json import checksum

UNIT = "probability of a bad reply"
QUALITY_FORMAT, QUALITY_VERSION = "auctionsim quality", 1
MOST_QUALITY_BYTES = 1 << 20
"""Of a file of weights."""
STEEPEST = 1e12
"""Log odds by one unit of a reading, and a reading's mean: beyond, sums of log odds might be no number."""


class QualityComponent(NamedTuple):
    """A reading's part in the probability.

    Attributes:
        reading: Its name.
        basis: What its values rested on when the weights were fitted; "" for nothing beside its code.
        better: `LOWER` or `HIGHER`.
        mean: Of the labelled replies.
        scale: Their standard deviation.
        coefficient: Log odds of a bad reply per standard deviation; at least 0.
    """

    reading: str
    basis: str
    better: str
    mean: float
    scale: float
    coefficient: float


class QualityWeights(NamedTuple):
    """Fitted weights of the probability that a reply is bad.

    Attributes:
        intercept: Log odds at the labelled replies' means.
        components: At least one.
        no_words: Probability of a reply without a word, by rule.
        admission: Digest of the gate's report on all kinds of failure; "" where it did not pass.
    """

    intercept: float
    components: tuple[QualityComponent, ...]
    no_words: float
    admission: str = ""

    @property
    def digest(self) -> str:
        """16 hex digits that name the numbers, the admission left out."""
        plain = [self.intercept, [list(one) for one in self.components], self.no_words]
        return hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:16]

    def probability(self, values: Sequence[float]) -> float:
        """Return the probability from the components' values, in their order."""
        log_odds = self.intercept
        for component, value in zip(self.components, values, strict=True):
            sign = 1.0 if component.better == LOWER else -1.0
            log_odds += component.coefficient * sign * (value - component.mean) / component.scale
        return 1 / (1 + math.exp(-log_odds)) if log_odds > -700 else 0.0  # beyond that exp is no double

    def combined(self, values: Sequence[Value]) -> Value:
        """Return the probability from the components' values; unscored where one of them is."""
        numbers: list[float] = []
        for component, value in zip(self.components, values, strict=True):
            if isinstance(value, Unscored):
                return Unscored(f"{component.reading}: {value.reason}")
            assert isinstance(value, float)
            numbers.append(value)
        return self.probability(numbers)

    @property
    def basis(self) -> str:
        """What the probability rests on: these weights and what their readings rest on.

        Raises:
            ValueError: A reading rests on something else now than when the weights were fitted.
        """
        for component in self.components:
            own = reading(component.reading).basis
            now = "" if own is None else own()
            if now != component.basis:
                raise InputError(
                    f"quality was fitted on {component.reading} that rests on {component.basis or 'its code'!r}, "
                    f"and now it rests on {now or 'its code'!r}: fit it anew"
                )
        bases = (f"{one.reading}: {one.basis}" for one in self.components if one.basis)
        return "; ".join((f"weights {self.digest}", *bases))


def parse_quality(content: bytes) -> tuple[QualityWeights, dict[str, Any]]:
    """Read weights and the record of how they were fitted; an admission counts with the report that it is of.

    Raises:
        ValueError: Damage, another format or version, or weights that are none.
    """
    record = Record(parse_json(content), "the weights")
    if record.text("format") != QUALITY_FORMAT or not 1 <= record.whole("version") <= QUALITY_VERSION:
        raise InputError(f"is no file of {QUALITY_FORMAT!r} that this auctionsim reads")
    if record.text("sha256") != checksum({k: v for k, v in record.content.items() if k != "sha256"}):
        raise DamagedFileError("is damaged: the checksum does not match")
    components = tuple(_component(one) for one in record.records("components"))
    if not components or len({one.reading for one in components}) < len(components):
        raise InputError("has no components, or one reading twice")
    weights = QualityWeights(
        record.number("intercept"),
        components,
        record.number("no_words", 0, 1),
        record.text("admission"),
    )
    if weights.admission:
        _check_admission(weights, record.record("gate"))
    return weights, dict(record.content)


def _check_admission(weights: QualityWeights, report: Record) -> None:
    """Refuse an admission that is not of the gate's report beside it, or of one of another score or that failed."""
    digest = hashlib.sha256(json.dumps(dict(report.content), sort_keys=True).encode()).hexdigest()[:16]
    own = (report.text("basis") + ";").startswith(f"weights {weights.digest};")
    if digest != weights.admission or not own or not report.flag("passed"):
        raise InputError("its admission must be the digest of a report of the gate that these weights passed")


def _component(record: Record) -> QualityComponent:
    record.only(*QualityComponent._fields)
    better = record.text("better")
    if better not in (LOWER, HIGHER):
        raise InputError(f"{record.what}, better must be {LOWER!r} or {HIGHER!r}, got {better!r}")
    scale = record.number("scale", 0)
    if scale == 0:
        raise InputError(f"{record.what}, scale must be above 0")
    coefficient = record.number("coefficient", 0)
    if not coefficient / scale <= STEEPEST:
        raise InputError(f"{record.what}, coefficient over scale must be at most {STEEPEST:g}")
    mean = record.number("mean", -STEEPEST, STEEPEST)
    return QualityComponent(record.text("reading"), record.text("basis"), better, mean, scale, coefficient)


def read_quality(path: Path) -> QualityWeights:
    """Read a file of weights.

    Raises:
        FileNotFoundError: There is none.
        ValueError: See `parse_quality`; names the file.
    """
    content = read_bounded(path, MOST_QUALITY_BYTES)
    try:
        return parse_quality(content)[0]
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def quality_values(weights: QualityWeights, replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[Value]:
    """Return the probability that each reply is bad.

    Raises:
        ValueError: A component is no reading of texts, or gives what it does not declare.
    """
    wordy = [k for k, reply in enumerate(replies) if words(reply.text)]
    columns = [
        read_texts(_text_reading(one.reading), [replies[k] for k in wordy], brands) for one in weights.components
    ]
    values: list[Value] = [weights.no_words] * len(replies)
    for place, k in enumerate(wordy):
        values[k] = weights.combined([column[place] for column in columns])
    return values


def _text_reading(name: str) -> TextReading:
    one = reading(name)
    if not isinstance(one, TextReading) or one.per not in ("user", "reply"):
        raise InputError(
            f"a component of quality is a reading of single texts, and {name} is per {one.per}, of {one.needs}"
        )
    return one


def quality_reading(weights: QualityWeights, name: str = "quality") -> TextReading:
    """Return weights as a reading; it is a loss where they passed the gate."""
    return TextReading(
        name,
        UNIT,
        per="user",
        bounds=(0.0, 1.0),
        loss=LOWER if weights.admission else None,
        basis=lambda: weights.basis,
        admission=weights.admission,
        read=lambda replies, brands: quality_values(weights, replies, brands),
    )


def packaged_quality() -> Path:
    """Return where the weights of the reading `quality` are."""
    return quality_folder() / "quality@1.json"


QUALITY: Reading | None = (
    register(quality_reading(read_quality(packaged_quality()))) if packaged_quality().exists() else None
)
"""The reading `quality`."""
