"""The rules that the page offers: designed at once, read from a packaged file, or left out with the reason."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from importlib import resources
from importlib.resources.abc import Traversable
from typing import NamedTuple

from auctionsim.errors import InputError
from auctionsim.mechanisms import Mechanism, load_mechanism
from auctionsim.mechanisms.table import Entry, Problem, entry, names
from auctionsim.play.catalogue import PlayedSurface
from auctionsim.play.states import PlayState
from auctionsim.priors import Uniform
from auctionsim.records import shown

PRIOR = Uniform(0.0, 1.0)
"""What rules that must know take valuations to be drawn from."""
TRAINED_FOR = ("slot_probability", "kl", 1.0)
"""Feature, loss and user weight of the packaged trained mechanisms."""
FIRST = ("menu", "vcg", "affine", "optimum", "pay-as-bid")
"""Rules that stand first in the list; the others follow in the table's order."""
SLOW = {
    name: "its design takes seconds of cross-fitting, too long for a slider: `auctionsim auction compare` has it"
    for name in ("optimum-shrunk", "optimum-lower", "optimum-shrunk-per-mention", "optimum-lower-per-mention")
}
_KEPT = 32  # designed mechanisms: a linear program has half a megabyte of tables


class OfferedRule(NamedTuple):
    """A rule in the list of the page.

    Attributes:
        name: In the table of mechanisms.
        label: In words.
        summary: What it is, one sentence.
        reason: Why it cannot be played here; "" where it can.
    """

    name: str
    label: str
    summary: str
    reason: str


class PlayedRule(NamedTuple):
    """A mechanism for one state.

    Attributes:
        entry: Its line in the table.
        mechanism: Designed on the state's surface.
        note: What the reader must know of how it was made; "" where nothing.
    """

    entry: Entry
    mechanism: Mechanism
    note: str


class RuleBook:
    """Designed mechanisms by state; the last ones are kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], Mechanism] = OrderedDict()
        self._lock = threading.Lock()

    def rule(self, state: PlayState, played: PlayedSurface, name: str = "") -> PlayedRule:
        """Return a rule for a state.

        Args:
            state: What is sold at whose cost, and the user weight.
            played: Its surface.
            name: Of the rule; "" for the state's own.
        Raises:
            ValueError: No such rule, or one that cannot be played here; says why.
        """
        wanted = name or state.rule
        if wanted not in names():
            there = [rule.name for rule in offered_rules(played, state.feature) if not rule.reason]
            raise InputError(f"rule must be one of {', '.join(there)}, got {shown(wanted)}")
        found = entry(wanted)
        reason = refusal(found, played, state.feature)
        if reason:
            raise InputError(f"{found.name} cannot be played here: {reason}")
        if found.is_learned:
            key: tuple[object, ...] = (found.name, played.name)
            return PlayedRule(found, self._made(key, lambda: _packaged(found, played)), _note(found, state))
        key = (found.name, played.name, state.feature, state.loss, state.user_weight)
        view = played.measurement.sell(state.feature, loss=state.loss)
        problem = Problem(view, PRIOR, state.user_weight)
        return PlayedRule(found, self._made(key, lambda: found.designed(problem)), "")

    def _made(self, key: tuple[object, ...], make: Callable[[], Mechanism]) -> Mechanism:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return made


def refusal(found: Entry, played: PlayedSurface, feature: str) -> str:
    """Return why a rule cannot be played on a surface for a feature, "" where it can."""
    if found.name in SLOW:
        return SLOW[found.name]
    view = played.measurement.sell(feature)
    unfit = [need.words for need in found.needs if not need.holds(view)]
    if unfit:
        return f"it needs {unfit[0]}"
    if not found.is_learned:
        return ""
    if played.path is not None or not _file(found, played).is_file():
        return "it must be trained first, and no trained one ships for this surface"
    if feature != TRAINED_FOR[0]:
        return f"the one that ships was trained to sell {TRAINED_FOR[0].replace('_', ' ')}"
    return ""


def offered_rules(played: PlayedSurface, feature: str) -> tuple[OfferedRule, ...]:
    """Return all rules of the table, those that can be played first."""
    every = [*FIRST, *(name for name in names() if name not in FIRST)]
    listed = [(found, refusal(found, played, feature)) for found in map(entry, every)]
    rules = [OfferedRule(found.name, found.label, found.summary, reason) for found, reason in listed]
    return tuple(sorted(rules, key=lambda rule: bool(rule.reason)))


def _packaged(found: Entry, played: PlayedSurface) -> Mechanism:
    feature, loss, _ = TRAINED_FOR
    with resources.as_file(_file(found, played)) as path:
        return load_mechanism(path, played.measurement.sell(feature, loss=loss))


def _file(found: Entry, played: PlayedSurface) -> Traversable:
    return resources.files("auctionsim.data") / "mechanisms" / f"{found.name}.{played.name}.safetensors"


def _note(found: Entry, state: PlayState) -> str:
    """Return what a packaged mechanism does not follow of the state."""
    _, loss, weight = TRAINED_FOR
    trained = f"This {found.label} was trained beforehand, for the user loss {loss} at user weight {weight:g}."
    if (state.loss, state.user_weight) == (loss, weight):
        return trained
    return f"{trained} It does not follow the loss and the user weight that you chose."
