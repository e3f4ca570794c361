"""File forms of mechanisms that pick winners: the entries that show them, beside a rule's numbers."""

from collections.abc import Callable, Mapping
from typing import Any

from auctionsim.errors import InputError, InputTypeError
from auctionsim.mechanisms.codecs import Codec, Saved, State, needed
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.showings import Showings
from auctionsim.records import Record
from auctionsim.substrates.protocol import Substrate
from auctionsim.substrates.randomised import Randomised


def checked_showings(view: Randomised, shown: Showings) -> Showings:
    """Return the entries that show bidders if they are entries of this range, one alone for each of its bidders.

    Raises:
        TypeError: No `Randomised` range, or no mapping from sets to entries.
        ValueError: More than one feature, no such entry, another number of bidders, or a set of fewer than two.
    """
    if not isinstance(view, Randomised):
        raise InputTypeError(f"winners are shown by entries of a Randomised range, got {type(view).__name__}")
    if len(view.features) != 1:
        raise InputError(f"being shown is worth one feature, got {', '.join(view.features)}: sell one of them")
    if not isinstance(shown.together, Mapping):
        raise InputTypeError(f"showings together must be a mapping from sets of bidders, got {shown.together!r:.80}")
    entries, bidders = len(view.reference), view.num_bidders
    if len(shown.alone) != bidders:
        raise InputError(f"{bidders} bidders need an entry each that shows it alone, got {len(shown.alone)}")
    for entry in (shown.nobody, *shown.alone, *shown.together.values()):
        if isinstance(entry, bool) or not isinstance(entry, int) or not 0 <= entry < entries:
            raise InputError(f"showings must be entries 0 … {entries - 1} of the range, got {entry!r}")
    for members in shown.together:
        if len(members) < 2 or not members <= set(range(bidders)):
            raise InputError(f"bidders shown together must be two or more of 0 … {bidders - 1}, got {sorted(members)}")
    return shown


def showings_record(shown: Showings) -> dict[str, Any]:
    """Return showings as JSON has them."""
    sets = [{"bidders": sorted(members), "entry": entry} for members, entry in shown.together.items()]
    return {"nobody": shown.nobody, "alone": list(shown.alone), "together": sets}


def showings_from(record: Record) -> Showings:
    """Return showings from their record.

    Raises:
        ValueError: A field that is missing or another kind of value.
    """
    together = {frozenset(one.wholes("bidders")): one.whole("entry") for one in record.records("together")}
    return Showings(record.whole("nobody"), record.wholes("alone"), together)


def on_showings(kind: Callable[..., Mechanism], *names: str) -> Codec:
    """Return the codec of a kind that is made of its range, `showings` and numbers ≥ 0, kept under these names."""
    assert isinstance(kind, type)

    def state(rule: Any) -> State:
        numbers = {name: getattr(rule, name) for name in names}
        return State({"showings": showings_record(rule.showings), **numbers}, {})

    def made(saved: Saved, substrate: Substrate | None) -> Mechanism:
        shown = showings_from(saved.settings.record("showings"))
        rule: Mechanism = kind(needed(substrate), shown, *(saved.settings.number(name, 0) for name in names))
        return rule

    return Codec(kind, state, made)
