"""The laws of a text reading: what it gives, of which replies, and what that depends on.

A law is a function (claim, case) that raises `BrokenClaimError`; its first line is what it claims.
"""

import copy
import pickle
from typing import NamedTuple

from auctionsim.brands import Brand
from auctionsim.errors import BrokenClaimError, InputError
from auctionsim.readings.protocol import Reply, TextReading, Unscored, Value
from auctionsim.readings.values import as_json, checked_values, read_set, read_texts, value_from_json
from auctionsim.testing.kit import global_generators


class ReadingClaim(NamedTuple):
    """What is checked.

    Attributes:
        reading: What is checked.
        brands: The bidders that replies are read for.
    """

    reading: TextReading
    brands: tuple[Brand, ...]


class ReadingCase(NamedTuple):
    """What is drawn.

    Attributes:
        replies: To one prompt, at least one.
    """

    replies: tuple[Reply, ...]


def declared(claim: ReadingClaim, case: ReadingCase) -> None:
    """What is given is what is declared: a value a reply, finite, within the bounds, or unscored with a reason."""
    del case
    _held(claim, (ordinary(0),))
    _held(claim, tuple(ordinary(k) for k in range(3)))


def any_text(claim: ReadingClaim, case: ReadingCase) -> None:
    """Any text is read or left unscored: an empty one, one of special tokens alone, one of any script, one of signs."""
    _held(claim, case.replies)


def no_replies(claim: ReadingClaim, case: ReadingCase) -> None:
    """No replies give no values; of a reading per set nobody asks."""
    del case
    if claim.reading.per == "set":
        return
    values = read_texts(claim.reading, (), claim.brands)
    if values:
        raise BrokenClaimError(f"no replies give {values}")


def brands_in_order(claim: ReadingClaim, case: ReadingCase) -> None:
    """Values per brand stand in the brands' order, one for one brand; what is of no brand does not heed the order."""
    values = _held(claim, case.replies)
    turned = _held(claim._replace(brands=claim.brands[::-1]), case.replies)
    expected = [value[::-1] if isinstance(value, list) else value for value in values]
    if turned != expected:
        named = [", ".join(brand.name for brand in brands) for brands in (claim.brands, claim.brands[::-1])]
        raise BrokenClaimError(f"{_text(case)} is worth {values} for {named[0]}, and {turned} for {named[1]}")
    _held(claim._replace(brands=claim.brands[:1]), case.replies)


def batches(claim: ReadingClaim, case: ReadingCase) -> None:
    """A reply's value does not depend on the replies that it is read with, nor on their order."""
    if claim.reading.per == "set":
        forwards, backwards = _held(claim, case.replies), _held(claim, case.replies[::-1])
        if forwards != backwards:
            raise BrokenClaimError(f"{_text(case)} is worth {forwards}, and {backwards} in the other order")
        return
    together = _held(claim, case.replies)
    for reply, value in zip(case.replies, together, strict=True):
        (alone,) = _held(claim, (reply,))
        if alone != value:
            raise BrokenClaimError(f"{reply.text!r} is worth {alone} alone, and {value} in a batch of {len(together)}")
    backwards = _held(claim, case.replies[::-1])[::-1]
    if backwards != together:
        raise BrokenClaimError(f"{_text(case)} is worth {together}, and {backwards} in the other order")


def deterministic(claim: ReadingClaim, case: ReadingCase) -> None:
    """The same replies have the same values, and no global generator moves."""
    kept = global_generators()
    first = _held(claim, case.replies)
    moved = kept != global_generators()
    again = _held(claim, case.replies)
    if first != again:
        raise BrokenClaimError(f"{_text(case)} is worth {first}, and {again} when it is read again")
    if moved:
        raise BrokenClaimError("reading moves a global generator")


def text_alone(claim: ReadingClaim, case: ReadingCase) -> None:
    """The prompt, the text and its tokens decide, so that any process can read again; what keyed the draw does not."""
    values = _held(claim, case.replies)
    elsewhere = tuple(reply._replace(place=(9, *reply.place)) for reply in case.replies)
    moved = _held(claim, elsewhere)
    if values != moved:
        raise BrokenClaimError(f"{_text(case)} is worth {values}, and {moved} where another place keyed its numbers")


def own_arguments(claim: ReadingClaim, case: ReadingCase) -> None:
    """Nothing that is given is changed: neither the list of replies nor their tokens."""
    given, kept = list(case.replies), copy.deepcopy(case.replies)
    _raw(claim, given)
    if tuple(given) != kept:
        raise BrokenClaimError(f"reading {_text(case)} changes the replies that it is given")


def keeps(claim: ReadingClaim, case: ReadingCase) -> None:
    """Values are kept in files and found again as they were, reasons of unscored replies included."""
    for value in _held(claim, case.replies):
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
    values, twin = _held(claim, case.replies), _held(claim._replace(reading=pickle.loads(data)), case.replies)
    if values != twin:
        raise BrokenClaimError(f"{_text(case)} is worth {values}, and {twin} by a pickled copy")


def ordinary(k: int) -> Reply:
    """Return a reply that has nothing odd."""
    return Reply("Which shoes?", "I would recommend a pair that fits. " * (1 + k), list(range(1, 8 * (k + 1))), (k,))


def _raw(claim: ReadingClaim, replies: list[Reply]) -> list[Value]:
    """Read replies in the very list that is given."""
    if claim.reading.per == "set":
        return [read_set(claim.reading, replies, claim.brands)]
    return checked_values(claim.reading, claim.reading.read(replies, claim.brands), len(replies), len(claim.brands))


def _held(claim: ReadingClaim, replies: tuple[Reply, ...]) -> list[Value]:
    """Return values of replies that are as declared."""
    try:
        return _raw(claim, [reply._replace(token_ids=list(reply.token_ids)) for reply in replies])
    except InputError as error:
        raise BrokenClaimError(f"{error}, of {_text(ReadingCase(replies))}") from None


def _text(case: ReadingCase) -> str:
    texts = [reply.text for reply in case.replies]
    return repr(texts[0]) if len(texts) == 1 else repr(texts)
