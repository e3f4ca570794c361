"""Checklists: named criteria that a program verifies, their weights, and the readings made from them.

| reading | per | what |
|---|---|---|
| `form_checks` | reply | weight of the form checks below that the reply passes, over all weight |
| `form_pif` | reply | PIF: the fraction of them that it passes, each counted once |
| `form_pif_n_2` | set | PIF-N-2: whether at least 2 of the N replies to a prompt pass all of them |

High is better for all. The mean of PIF-N-K over sets is the share of prompts where at least K of N replies pass all; N
is the number of replies to a prompt under one intervention, so compare measurements with the same N. What is checked
is form: a fluent senseless reply passes, and whoever knows the list can write for it. `checks_reading`, `pif_reading`
and `pif_n_k_reading` make readings of one's own lists, also from files.

Source: Zhou et al. (2023), "Instruction-following evaluation for large language models" (verifiable instructions);
Epstein et al. (2024), "MMMT-IF: a challenging multimodal multi-turn instruction following benchmark" (PIF, PIF-N-K).
"""

import functools
import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auctionsim.brands import Brand
from auctionsim.errors import InputError
from auctionsim.readings.protocol import Reply, TextReading, Unscored
from auctionsim.readings.registry import register
from auctionsim.readings.text_rules import RULES, Argument
from auctionsim.records import Record, read_record
from auctionsim.spelling import fold

FORMAT = "auctionsim checks 1"
MOST_CHECKS, MOST_LETTERS = 1000, 1000
"""Checks of a list, letters of a phrase or a name."""


@dataclass(frozen=True)
class TextCheck:
    """One criterion of a checklist.

    Attributes:
        rule: A name among `auctionsim.readings.text_rules.RULES`.
        argument: What the rule takes: a whole number ≥ 0, a phrase, or None.
        weight: What passing counts for, > 0.
        name: How tables call it; "" for the rule with its argument.
    """

    rule: str
    argument: Argument = None
    weight: float = 1.0
    name: str = ""

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise InputError(f"a check's rule must be one of {', '.join(RULES)}, got {self.rule!r:.80}")
        _check_argument(self.rule, self.argument)
        if not isinstance(self.weight, (int, float)) or not math.isfinite(self.weight) or self.weight <= 0:
            raise InputError(
                f"the weight of the check {self.rule} must be a finite number above 0, got {self.weight!r}"
            )

    @property
    def title(self) -> str:
        """How tables call it."""
        return self.name or (self.rule if self.argument is None else f"{self.rule} {self.argument}")

    def holds(self, text: str, brands: tuple[Brand, ...] = ()) -> bool:
        """Tell whether a text passes."""
        return RULES[self.rule].holds(text, brands, self.argument)


def _check_argument(rule: str, argument: Any) -> None:
    """Refuse an argument that a rule does not take."""
    kind = RULES[rule].argument
    if kind == "number":
        fits = isinstance(argument, int) and not isinstance(argument, bool) and argument >= 0
    elif kind == "phrase":
        short = isinstance(argument, str) and len(argument) <= MOST_LETTERS
        fits = short and bool(fold(argument).text.split())
    else:
        fits = argument is None
    if not fits:
        phrase = f"a phrase of at most {MOST_LETTERS} letters with a sign that is seen"
        takes = {"number": "a whole number ≥ 0", "phrase": phrase, "": "no argument"}[kind]
        raise InputError(f"the check {rule} takes {takes}, got {argument!r:.80}")


def read_checks(path: str | os.PathLike[str]) -> tuple[TextCheck, ...]:
    """Return the checklist of a JSON file: {"format": "auctionsim checks 1", "checks": [{"rule": …, …}, …]}.

    The fields of a check are those of `TextCheck`; all but the rule may be missing.

    Raises:
        FileNotFoundError: There is none.
        ValueError: Another format, an unknown field or rule, an argument that does not fit, no check or too many.
    """
    record = read_record(Path(path)).only("format", "checks")
    if record.text("format") != FORMAT:
        raise InputError(
            f"{record.what} the format of a checklist must be {FORMAT!r}, got {record.text('format')!r:.80}"
        )
    listed = record.records("checks")
    if len(listed) > MOST_CHECKS:
        raise InputError(f"{record.what} a checklist has at most {MOST_CHECKS} checks, got {len(listed)}")
    try:
        return _checked(tuple(map(_check, listed)))
    except ValueError as error:
        message = str(error)
        raise InputError(message if message.startswith(record.what) else f"{record.what} {message}") from None


def _check(record: Record) -> TextCheck:
    record.only("rule", "argument", "weight", "name")
    argument = record.value("argument") if "argument" in record else None
    weight = record.number("weight") if "weight" in record else 1.0
    name = record.text("name") if "name" in record else ""
    if len(name) > MOST_LETTERS:
        raise InputError(f"a check's name has at most {MOST_LETTERS} letters, got {len(name)}")
    if record.text("rule") in RULES:
        _check_argument(record.text("rule"), argument)
    return TextCheck(record.text("rule"), argument, weight, name)


def checks_digest(checks: Sequence[TextCheck]) -> str:
    """Return the digest of a checklist: what its values rest on. Names of checks are none of it."""
    listed = [[check.rule, check.argument, float(check.weight)] for check in checks]
    return hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()[:16]


def passed(checks: Sequence[TextCheck], text: str, brands: tuple[Brand, ...] = ()) -> list[bool]:
    """Tell of each check whether a text passes it."""
    return [check.holds(text, brands) for check in checks]


def weight_share(checks: Sequence[TextCheck], text: str, brands: tuple[Brand, ...] = ()) -> float:
    """Return the weight of the checks that a text passes, over all weight; in [0, 1]."""
    met = [check.weight for check, ok in zip(checks, passed(checks, text, brands), strict=True) if ok]
    return min(1.0, math.fsum(met) / math.fsum(check.weight for check in checks))


def pif(checks: Sequence[TextCheck], text: str, brands: tuple[Brand, ...] = ()) -> float:
    """Return the fraction of the checks that a text passes, each counted once; in [0, 1]."""
    return sum(passed(checks, text, brands)) / len(checks)


def pif_n_k(values: Sequence[Sequence[float]], k: int) -> float:
    """Return the share of samples where at least K of N replies have a PIF of 1.

    Args:
        values: PIF of the N replies to each sample, N the same for all.
        k: K, between 1 and N.
    Raises:
        ValueError: No sample, samples with other numbers of replies, or another K.
    Example:
        >>> pif_n_k([[1.0, 0.5, 1.0], [0.5, 0.5, 1.0]], k=2)
        0.5
    """
    sizes = sorted({len(sample) for sample in values})
    if len(sizes) != 1:
        raise InputError(f"PIF-N-K takes samples with one number of replies each, got {sizes}")
    if not 1 <= k <= sizes[0]:
        raise InputError(f"K must be between 1 and the {sizes[0]} replies to a sample, got {k}")
    return sum(sum(value == 1 for value in sample) >= k for sample in values) / len(values)


@dataclass(frozen=True)
class ReplyChecks:
    """What a reading of a checklist reads with: `score` of each reply."""

    checks: tuple[TextCheck, ...]
    score: Callable[[Sequence[TextCheck], str, tuple[Brand, ...]], float]

    def __call__(self, replies: Sequence[Reply], brands: tuple[Brand, ...]) -> list[float]:
        """Return a value for each reply."""
        return [self.score(self.checks, reply.text, brands) for reply in replies]


@dataclass(frozen=True)
class SetChecks:
    """What a reading of PIF-N-K reads with: whether at least `k` replies of a set pass all checks."""

    checks: tuple[TextCheck, ...]
    k: int

    def __call__(self, replies: Sequence[Reply], brands: tuple[Brand, ...]) -> float | Unscored:
        """Return 1 or 0 for the set; unscored where it has fewer than K replies."""
        if len(replies) < self.k:
            return Unscored(f"{len(replies)} replies, fewer than {self.k}")
        return float(pif_n_k([[pif(self.checks, reply.text, brands) for reply in replies]], self.k))


def checks_reading(name: str, checks: Sequence[TextCheck], *, from_data: bool = True) -> TextReading:
    """Return a reading of the weighted share of a checklist that a reply meets; high is better.

    Args:
        name: Of the reading.
        checks: The criteria, at least one.
        from_data: They come from a file or a setting, so that the reading's basis is their digest; False where they are
            written in code.
    """
    read = ReplyChecks(_checked(checks), weight_share)
    return _reading(name, "share of the checks' weight", "reply", read, "by weight" if from_data else "")


def pif_reading(name: str, checks: Sequence[TextCheck], *, from_data: bool = True) -> TextReading:
    """Return a reading of PIF, the fraction of a checklist that a reply passes; arguments as of `checks_reading`."""
    read = ReplyChecks(_checked(checks), pif)
    return _reading(name, "share of checks", "reply", read, "PIF" if from_data else "")


def pif_n_k_reading(name: str, checks: Sequence[TextCheck], k: int, *, from_data: bool = True) -> TextReading:
    """Return a reading, per set, of whether at least K of its replies pass all checks; its mean is PIF-N-K.

    Raises:
        ValueError: K is below 1.
    """
    if k < 1:
        raise InputError(f"K must be at least 1, got {k}")
    read = SetChecks(_checked(checks), k)
    return _reading(name, "share of prompts", "set", read, f"PIF-N-{k}" if from_data else "")


def _checked(checks: Sequence[TextCheck]) -> tuple[TextCheck, ...]:
    if not checks:
        raise InputError("a checklist must have at least one check, got none")
    if not math.isfinite(sum(check.weight for check in checks)):
        raise InputError("the weights of a checklist must have a finite sum")
    return tuple(checks)


def _reading(name: str, unit: str, per: str, read: ReplyChecks | SetChecks, measure: str) -> TextReading:
    """Return a reading that rests on its checks and on what is made of them, where `measure` names that."""
    basis = functools.partial(_basis, read.checks, measure) if measure else None
    return TextReading(name, unit, per=per, bounds=(0.0, 1.0), basis=basis, read=read)


def _basis(checks: tuple[TextCheck, ...], measure: str) -> str:
    return f"checks {checks_digest(checks)}, {measure}"


FORM_CHECKS = (
    TextCheck("at_least_words", 5, 2.0, "says something"),
    TextCheck("no_template_remnant", weight=2.0, name="nothing is left to fill in"),
    TextCheck("readable", name="every sign can be read"),
    TextCheck("whole_sentence", 3, name="has a whole sentence"),
    TextCheck("begins_sentence", name="begins as a sentence does"),
    TextCheck("no_odd_words", name="no word has an odd form"),
    TextCheck("no_capitals_alone", name="not all capitals"),
    TextCheck("no_address", name="gives no address, which a model may invent"),
)
"""The form that a reply to a shopper's question should have; the first two weigh twice."""

FORM = register(checks_reading("form_checks", FORM_CHECKS, from_data=False))
FORM_PIF = register(pif_reading("form_pif", FORM_CHECKS, from_data=False))
FORM_PIF_N_2 = register(pif_n_k_reading("form_pif_n_2", FORM_CHECKS, 2, from_data=False))
