"""The laws of a reading of texts, alone or beside untouched ones: what it gives, and what that depends on.

A law is a function (claim, case) that raises `BrokenClaimError`; its first line is what it claims. Values that rest on
a model agree within `TOLERANCE`, as how texts are batched moves the last bits of its products; all others are equal.
"""

import copy
import math
import pickle
from collections.abc import Sequence
from typing import NamedTuple

from auctionsim.brands import Brand
from auctionsim.errors import BrokenClaimError, InputError
from auctionsim.readings.protocol import ReferenceReading, Reply, TextReading, Unscored, Value
from auctionsim.readings.values import as_json, read_beside, read_set, read_texts, value_from_json
from auctionsim.testing.kit import global_generators

TOLERANCE = 1e-5
"""By which values that rest on a model may differ between batches."""

References = tuple[tuple[Reply, ...], ...]
"""Untouched replies to the prompt of each reply."""


class ReadingClaim(NamedTuple):
    """What is checked.

    Attributes:
        reading: What is checked.
        brands: The bidders that replies are read for.
    """

    reading: TextReading | ReferenceReading
    brands: tuple[Brand, ...]


class ReadingCase(NamedTuple):
    """What is drawn.

    Attributes:
        replies: To one prompt, at least one.
        references: For each of them, the untouched replies that it is compared with; a text reading heeds none.
    """

    replies: tuple[Reply, ...]
    references: References

    @property
    def backwards(self) -> "ReadingCase":
        """The same replies in the other order, each with its references."""
        return ReadingCase(self.replies[::-1], self.references[::-1])

    def only(self, k: int) -> "ReadingCase":
        """Return reply k alone, with its references."""
        return ReadingCase(self.replies[k : k + 1], self.references[k : k + 1])


def declared(claim: ReadingClaim, case: ReadingCase) -> None:
    """What is given is what is declared: a value a reply, finite, within the bounds, or unscored with a reason."""
    del case
    _held(claim, ordinary(1))
    _held(claim, ordinary(3))


def any_text(claim: ReadingClaim, case: ReadingCase) -> None:
    """Any text is read or left unscored: an empty one, one of special tokens alone, one of any script, one of signs."""
    _held(claim, case)


def no_replies(claim: ReadingClaim, case: ReadingCase) -> None:
    """No replies give no values; of a reading per set nobody asks."""
    del case
    if claim.reading.per == "set":
        return
    values = _raw(claim, [], [])
    if values:
        raise BrokenClaimError(f"no replies give {values}")


def no_references(claim: ReadingClaim, case: ReadingCase) -> None:
    """Beside no untouched reply a comparison is unscored, with a reason."""
    values = _held(claim, case._replace(references=((),) * len(case.replies)))
    for reply, value in zip(case.replies, values, strict=True):
        if not isinstance(value, Unscored):
            raise BrokenClaimError(f"{reply.text!r} is worth {value} beside no untouched reply at all")


def brands_in_order(claim: ReadingClaim, case: ReadingCase) -> None:
    """Values per brand stand in the brands' order, one for one brand; what is of no brand does not heed the order."""
    values = _held(claim, case)
    turned = _held(claim._replace(brands=claim.brands[::-1]), case)
    expected = [value[::-1] if isinstance(value, list) else value for value in values]
    if not _same(claim, turned, expected):
        named = [", ".join(brand.name for brand in brands) for brands in (claim.brands, claim.brands[::-1])]
        raise BrokenClaimError(f"{_text(case)} is worth {values} for {named[0]}, and {turned} for {named[1]}")
    _held(claim._replace(brands=claim.brands[:1]), case)


def batches(claim: ReadingClaim, case: ReadingCase) -> None:
    """A reply's value does not depend on the replies that it is read with, nor on their order."""
    if claim.reading.per == "set":
        forwards, backwards = _held(claim, case), _held(claim, case.backwards)
        if not _same(claim, forwards, backwards):
            raise BrokenClaimError(f"{_text(case)} is worth {forwards}, and {backwards} in the other order")
        return
    together = _held(claim, case)
    for k, value in enumerate(together):
        alone = _held(claim, case.only(k))
        if not _same(claim, alone, [value]):
            text, size = case.replies[k].text, len(together)
            raise BrokenClaimError(f"{text!r} is worth {alone[0]} alone, and {value} in a batch of {size}")
    backwards = _held(claim, case.backwards)[::-1]
    if not _same(claim, backwards, together):
        raise BrokenClaimError(f"{_text(case)} is worth {together}, and {backwards} in the other order")


def deterministic(claim: ReadingClaim, case: ReadingCase) -> None:
    """The same replies have the same values, and no global generator moves."""
    kept = global_generators()
    first = _held(claim, case)
    moved = kept != global_generators()
    again = _held(claim, case)
    if not _same(claim, first, again):
        raise BrokenClaimError(f"{_text(case)} is worth {first}, and {again} when it is read again")
    if moved:
        raise BrokenClaimError("reading moves a global generator")


def text_alone(claim: ReadingClaim, case: ReadingCase) -> None:
    """The prompt, the text and its tokens decide, so that any process can read again; what keyed the draw does not."""
    values = _held(claim, case)
    moved = _held(claim, ReadingCase(_elsewhere(case.replies), tuple(_elsewhere(some) for some in case.references)))
    if not _same(claim, values, moved):
        raise BrokenClaimError(f"{_text(case)} is worth {values}, and {moved} where another place keyed its numbers")


def own_arguments(claim: ReadingClaim, case: ReadingCase) -> None:
    """Nothing that is given is changed: neither the lists of replies nor their tokens."""
    given, beside = list(case.replies), [list(some) for some in case.references]
    kept = copy.deepcopy(case)
    _raw(claim, given, beside)
    if (tuple(given), tuple(map(tuple, beside))) != kept:
        raise BrokenClaimError(f"reading {_text(case)} changes the replies that it is given")


def keeps(claim: ReadingClaim, case: ReadingCase) -> None:
    """Values are kept in files and found again as they were, reasons of unscored replies included."""
    for value in _held(claim, case):
        again = value_from_json(as_json(value), claim.reading.name)
        if again != value:
            raise BrokenClaimError(f"{value!r} is {again!r} when it is read from a file")
        if isinstance(value, Unscored) and (len(value.reason) > 200 or "\n" in value.reason):
            raise BrokenClaimError(f"the reason of an unscored reply is no short line: {value.reason[:80]!r} …")


def copies(claim: ReadingClaim, case: ReadingCase) -> None:
    """A pickled copy reads the same; a function made inside another has none."""
    try:
        data = pickle.dumps(claim.reading)
    except (pickle.PicklingError, AttributeError, TypeError):
        return
    twin_reading = pickle.loads(data)
    values, twin = _held(claim, case), _held(claim._replace(reading=twin_reading), case)
    if not _same(claim, values, twin):
        raise BrokenClaimError(f"{_text(case)} is worth {values}, and {twin} by a pickled copy")


def ordinary(count: int) -> ReadingCase:
    """Return replies that have nothing odd, each beside two untouched ones."""
    replies = [
        Reply("Which shoes?", "I would recommend a pair that fits. " * (1 + k), list(range(1, 8 * (k + 1))), (k,))
        for k in range(count + 2)
    ]
    return ReadingCase(tuple(replies[:count]), (tuple(replies[count:]),) * count)


def _raw(claim: ReadingClaim, replies: list[Reply], references: Sequence[Sequence[Reply]]) -> list[Value]:
    """Read replies in the very lists that are given."""
    if isinstance(claim.reading, ReferenceReading):
        return read_beside(claim.reading, replies, claim.brands, references)
    if claim.reading.per == "set":
        return [read_set(claim.reading, replies, claim.brands)]
    return read_texts(claim.reading, replies, claim.brands)


def _held(claim: ReadingClaim, case: ReadingCase) -> list[Value]:
    """Return values of replies that are as declared."""
    try:
        return _raw(claim, _own(case.replies), [_own(some) for some in case.references])
    except InputError as error:
        raise BrokenClaimError(f"{error}, of {_text(case)}") from None


def _own(replies: tuple[Reply, ...]) -> list[Reply]:
    return [reply._replace(token_ids=list(reply.token_ids)) for reply in replies]


def _elsewhere(replies: tuple[Reply, ...]) -> tuple[Reply, ...]:
    return tuple(reply._replace(place=(9, *reply.place)) for reply in replies)


def _same(claim: ReadingClaim, values: list[Value], others: list[Value]) -> bool:
    """Tell whether two lists of values agree: within the tolerance, where they rest on a model."""
    if claim.reading.basis is None:
        return values == others
    return len(values) == len(others) and all(map(_near, values, others))


def _near(value: Value, other: Value) -> bool:
    if isinstance(value, Unscored) or isinstance(other, Unscored):
        return value == other
    first, second = (one if isinstance(one, list) else [one] for one in (value, other))
    return all(math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE) for a, b in zip(first, second, strict=True))


def _text(case: ReadingCase) -> str:
    texts = [reply.text for reply in case.replies]
    return repr(texts[0]) if len(texts) == 1 else repr(texts)
