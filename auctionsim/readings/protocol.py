"""Readings: what a reply is worth, each with its name, unit, bounds, and what it needs to be read.

A reading is one of four records, by what it needs. A `TextReading` needs the replies alone, so it can be taken again
of stored replies without the model that replied. A `ReferenceReading` compares them with untouched replies to the same
prompt, so it is taken of stored replies only. A `ModelReading` needs teacher-forced passes over them. A `PromptReading`
is scored from prompts without any reply, so it is exact. `auctionsim.readings.registry` knows them by name.

A text or reference reading may rest on more than its own code: a second model, a prompt, fitted weights. Its `basis`
names all of that in one line, which is kept with its values: those on another basis are another measure's. Such a score
becomes a loss by passing the gate only, see `auctionsim.trust`.
"""

import keyword
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.errors import InputError, UnsupportedError
from auctionsim.language_models.change import Change
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.prefixes import Prefix
from auctionsim.readings.passes import SamplingLaw, TeacherForced

PER = ("brand", "user", "reply", "set")
"""What a value belongs to: a brand in a reply, the user who reads it, the reply, or all replies to one prompt."""

IS_ONE = "is one"
"""A reading that is a loss as it stands: relative to the untouched reply already."""
LOWER = "lower is better"
"""A reading of which the user wants little: the loss is its rise above the untouched reply's mean."""
HIGHER = "higher is better"
"""A reading of which the user wants much: the loss is its fall below the untouched reply's mean."""
LOSSES = (IS_ONE, LOWER, HIGHER)
"""How a reading is a loss: relative to the untouched reply already, or by the signed difference to that one's mean."""


UNSCORED_SHARE = "_unscored"
"""What follows a reading's name in that of the diagnostic that says how many replies it left unscored."""
LONGEST = 80
"""Letters of a name and of a unit."""


class Reply(NamedTuple):
    """One sampled reply.

    Attributes:
        prompt: What was asked.
        text: The page that the user is shown, without special tokens: the model's words and what was put beside them.
        token_ids: Of the model's own words, its end token included where it came.
        place: What keys its random numbers beside the seed.
        ads: Beginnings and ends, in letters of the text, of what was put on the page as an ad, in order.
    """

    prompt: str
    text: str
    token_ids: list[int]
    place: tuple[int, ...]
    ads: tuple[tuple[int, int], ...] = ()

    @property
    def length(self) -> int:
        """Tokens, the end token included where it came."""
        return len(self.token_ids)


@dataclass(frozen=True)
class Unscored:
    """The place of a value that a reading could not give, with its reason.

    Attributes:
        reason: Why, in a few words.
        for_now: A later pass may give one, and tries: the judge was out of reach, or said nothing that counts.
    """

    reason: str
    for_now: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.reason, str) or not self.reason.strip():
            raise InputError(f"an unscored reply needs a reason, got {self.reason!r}")


Value = float | list[float] | Unscored
"""Of one reply, or of one set: a number, a number a brand, or why there is none."""


@runtime_checkable
class Scorer(Protocol):
    """What scores prompts under changes; several readings may share one."""

    longest: int
    """Tokens that the prompts' prefix must have room for."""

    def after(self, prefix: Prefix, change: Change) -> Any:
        """Score what follows prompts that are computed already."""

    def __call__(self, prompt: str, change: Change) -> Any:
        """Score what follows one prompt under each row of the change."""


class ScorerInputs(NamedTuple):
    """What a scorer is made from.

    Attributes:
        model: The language model.
        brands: The bidders.
        stems: Beginnings of a reply.
        whole_prompt: Interventions touch every token of the prompt, not its last alone.
        leads: What `intent` is read after, see `auctionsim.readings.intent`.
    """

    model: LanguageModel
    brands: tuple[Brand, ...]
    stems: tuple[str, ...]
    whole_prompt: bool
    leads: tuple[Any, ...]


@dataclass(frozen=True)
class Reading:
    """The base of all readings: name, unit, bounds, what it is per, what it needs.

    Attributes:
        name: A Python identifier; features, losses and diagnostics are called by it.
        unit: Of a value, such as "nats a token".
        per: One of `PER`.
        bounds: Lowest and highest value, ends included.
        loss: One of `LOSSES`, or None where it is none.
        whole_law: It speaks of the law that replies are drawn from, so it is refused where that law is cut (top_p < 1)
            or draws nothing (temperature 0).
        basis: What values rest on beside replies and code, in one line: fingerprints of models, digests of prompts and
            of fitted weights. A function, so that nothing is loaded before it is asked for; None: on nothing.
        admission: Digest of the gate's report that lets a reading with a basis be a loss; "" where there is none.
    """

    name: str
    unit: str
    per: str
    bounds: tuple[float, float] = (-math.inf, math.inf)
    loss: str | None = None
    whole_law: bool = False
    basis: Callable[[], str] | None = None
    admission: str = ""

    needs: ClassVar[str]
    """ "text", "model" or "prompt"."""
    exact: ClassVar[bool] = False
    """Whether values are scored, without any sampling."""

    def __post_init__(self) -> None:
        _check_name(self.name)
        unit = self.unit
        if not isinstance(unit, str) or not unit.strip() or not unit.isprintable() or len(unit) > LONGEST:
            raise InputError(f"the reading {self.name} needs a unit, a line of at most {LONGEST} letters, got {unit!r}")
        if self.per not in PER:
            raise InputError(f"the reading {self.name} must be per one of {', '.join(PER)}, got {self.per!r}")
        if not _is_range(self.bounds):
            raise InputError(f"the bounds of the reading {self.name} must be a low and a higher end, got {self.bounds}")
        if self.loss is not None and (self.loss not in LOSSES or self.per in ("brand", "set")):
            raise InputError(
                f"the reading {self.name} is a loss by one of {', '.join(LOSSES)}, of a user or a reply, "
                f"got {self.loss!r} per {self.per}"
            )
        if self.basis is not None:
            _check_function(self.name, self.basis)
            if self.loss is not None and not self.admission:
                raise InputError(
                    f"the reading {self.name} is a score that rests on more than its code: it becomes a loss by "
                    "passing the gate, see auctionsim.trust.as_loss"
                )

    @property
    def role(self) -> str:
        """What a measurement makes of it: "feature", "loss" or "diagnostic"."""
        return "feature" if self.per == "brand" else "diagnostic" if self.loss is None else "loss"

    def refuse(self, law: SamplingLaw) -> None:
        """Refuse a law that is cut, if the reading speaks of the law.

        Raises:
            ValueError: It does, and the law is.
        """
        if self.whole_law and (law.top_p < 1 or law.temperature == 0):
            raise InputError(
                f"{self.name} is about the whole law that replies are drawn from, which top_p < 1 cuts and temperature "
                f"0 makes certain: got top_p {law.top_p:g} at temperature {law.temperature:g}"
            )


@dataclass(frozen=True)
class TextReading(Reading):
    """A reading of texts: it needs no model, so stored replies can be read by it at any time.

    Attributes:
        read: Replies and brands in, a value for each reply out, in order. Per brand a value is a list, in the brands'
            order. Per set the replies are all to one prompt under one intervention, and the one value is returned.
    """

    read: Callable[[Sequence[Reply], tuple[Brand, ...]], Any] = lambda replies, brands: _lacking()  # noqa: ARG005

    needs: ClassVar[str] = "text"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_function(self.name, self.read)


@dataclass(frozen=True)
class ReferenceReading(Reading):
    """A reading of texts beside untouched replies to the same prompt: taken of stored replies only.

    Attributes:
        read: Replies, brands and references in, a value for each reply out, in order; `references[k]` are the untouched
            replies to the prompt of reply k, that reply itself left out. Where there is none, the value is unscored.
    """

    read: Callable[[Sequence[Reply], tuple[Brand, ...], Sequence[Sequence[Reply]]], Any] = (
        lambda replies, brands, references: _lacking()  # noqa: ARG005
    )

    needs: ClassVar[str] = "references"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_function(self.name, self.read)
        if self.per == "set":
            raise InputError(
                f"the reading {self.name} compares replies with untouched ones, so it is per reply, got set"
            )


@dataclass(frozen=True)
class ModelReading(Reading):
    """A reading of teacher-forced passes: it needs the model, and no sampling.

    Attributes:
        read: Some replies' logits in, (row,) values out.
    """

    read: Callable[[TeacherForced], Tensor] = lambda passes: _lacking()  # noqa: ARG005

    needs: ClassVar[str] = "model"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_function(self.name, self.read)


@dataclass(frozen=True)
class PromptReading(Reading):
    """A reading of prompts, scored exactly, without any reply.

    Attributes:
        scorer: Makes what scores; readings with the same one share its passes.
        part: What the reading takes of the scores: (row, stem, brand), float64.
        by_kind: Means over the stems of each kind are kept as diagnostics, too.
    """

    scorer: Callable[[ScorerInputs], Scorer] = lambda inputs: _lacking()  # noqa: ARG005
    part: Callable[[Any], Tensor] = lambda scores: scores
    by_kind: bool = False

    needs: ClassVar[str] = "prompt"
    exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.per != "brand":
            raise InputError(f"the reading {self.name} is scored after stems, so it is per brand, got {self.per!r}")


def basis_of(reading: Reading) -> str:
    """Return what a reading's values rest on beside replies and code, "" where on nothing.

    Raises:
        ValueError: It is no line of words.
    """
    if reading.basis is None:
        return ""
    basis = reading.basis()
    if not isinstance(basis, str) or not basis.strip() or not basis.isprintable():
        raise InputError(f"the basis of the reading {reading.name} must be one line of words, got {basis!r:.80}")
    return basis


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("_") or keyword.iskeyword(name):
        raise InputError(f"a reading's name must be a Python identifier and no keyword, got {name!r}")
    if len(name) > LONGEST or name.endswith(UNSCORED_SHARE):
        rule = f"at most {LONGEST} letters and not end in {UNSCORED_SHARE}, which names shares of unscored replies"
        raise InputError(f"a reading's name must have {rule}, got {name!r}")


def _check_function(name: str, read: Any) -> None:
    if not callable(read):
        raise InputError(f"the reading {name} needs a function to read with, got {read!r}")


def _is_range(bounds: Any) -> bool:
    """Tell whether bounds are two numbers, the first below the second."""
    if not isinstance(bounds, tuple) or len(bounds) != 2 or not all(isinstance(end, (int, float)) for end in bounds):
        return False
    return bool(bounds[0] < bounds[1])


def _lacking() -> Any:
    raise UnsupportedError("a reading without a function reads nothing")
