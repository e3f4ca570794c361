"""The table of mechanisms: by name, how each is designed on a view, what it needs of one, and how it is kept in a file.

`auction design`, `auction compare`, the study, the demo, Tune and the benchmarks all read this table, so that a
mechanism is trained alike wherever it appears. A mechanism gets in by one line at the end of its own file,
`register(Entry(...))`, and then has all of them. Learned mechanisms have two recipes: the full one is their trainer's
default settings; the quick one is shorter, and every table that it appears in says so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from auctionsim.checks import checked_money
from auctionsim.claims import behaves_as
from auctionsim.errors import InputError
from auctionsim.mechanisms.codecs import Codec
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.plugins import load_installed, running
from auctionsim.priors import Priors
from auctionsim.substrates.protocol import Substrate, maximises_exactly

QUICK = ", quick recipe"


class Need(NamedTuple):
    """What a mechanism needs of the view it is designed on.

    Attributes:
        words: Completes "it needs …".
        holds: Whether a view has it.
    """

    words: str
    holds: Callable[[Any], bool]


class Published(NamedTuple):
    """Where a mechanism comes from, and what is said of it there.

    Attributes:
        source: Authors (year), title, and where it is to be read.
        claims: What its authors claim about incentives, in our words.
        exposure: About which exposure they claim it.
    """

    source: str
    claims: str
    exposure: str


Knob = tuple[float, ...] | Callable[[Any], tuple[float, ...]]
"""Values that a design may choose from, fixed ones or what a view has."""


class Problem(NamedTuple):
    """What a mechanism is designed for.

    Attributes:
        view: Where it allocates; it has what the entry needs.
        priors: What valuations are drawn from.
        user_weight: λ ≥ 0, money per unit of user loss.
        seed: Of what is learned; closed forms have no use for it.
        quick: Train by the quick recipe; closed forms have one only.
        settings: Values of some of the entry's knobs by name; the others have the first that they can have.
    """

    view: Any
    priors: Priors
    user_weight: float = 0.0
    seed: int = 0
    quick: bool = False
    settings: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True)
class Entry:
    """One line of the table.

    Attributes:
        name: On the command line: lower-case words, hyphens between.
        label: In tables.
        summary: What it is, one sentence.
        design: Makes it for a view, priors and a user weight, which it has from the problem.
        codec: Its file form; None: it cannot be saved.
        needs: What it needs of a view, besides what every substrate has.
        is_learned: Whether it is trained, so that the quick recipe is another one.
        pays: Who gets what and pays what, one line for a reader who knows no auctions.
        published: Where it comes from; None where it is nobody's in particular.
        knobs: By name, what a design may choose among (`mechanisms.tuned`); `design` reads the chosen values from the
            problem's settings.
    """

    name: str
    label: str
    summary: str
    design: Callable[[Problem], Mechanism]
    codec: Codec | None = None
    needs: tuple[Need, ...] = ()
    is_learned: bool = False
    pays: str = ""
    published: Published | None = None
    knobs: Mapping[str, Knob] = field(default_factory=dict)

    def knobs_on(self, view: Substrate) -> dict[str, tuple[float, ...]]:
        """Return the values that each knob can have on a view."""
        return {name: knob(view) if callable(knob) else knob for name, knob in self.knobs.items()}

    def refusal(self, view: Substrate) -> str | None:
        """Return why the mechanism cannot be designed on a view, a sentence, or None where it can."""
        lacking = [need.words for need in self.needs if not need.holds(view)]
        if not lacking:
            return None
        return f"{self.name} needs {lacking[0]}, got {type(view).__name__} with the features {', '.join(view.features)}"

    def designed(self, problem: Problem) -> Mechanism:
        """Design the mechanism by its recipe.

        Raises:
            ValueError: A view that lacks what it needs, a user weight that is none, a setting of no knob.
        """
        refusal = self.refusal(problem.view)
        if refusal is not None:
            raise InputError(refusal)
        knobs = self.knobs_on(problem.view)
        unknown = [name for name in problem.settings if name not in knobs]
        if unknown:
            raise InputError(f"{self.name} has no knob {unknown[0]!r}: it has {', '.join(knobs) or 'none'}")
        settings = {name: problem.settings.get(name, values[0]) for name, values in knobs.items()}
        user_weight = checked_money(problem.user_weight, "user_weight")
        return self.design(problem._replace(user_weight=user_weight, settings=settings))

    def titled(self, *, quick: bool) -> str:
        """Return the label, with the recipe where that is the quick one of a learned mechanism."""
        return self.label + QUICK * (quick and self.is_learned)


ONE_FEATURE = Need("a view that sells one feature", lambda view: len(view.features) == 1)
EXACT_MAXIMUM = Need("a view with an exact maximum", maximises_exactly)


def of_kind(*kinds: type) -> Need:
    """Return the need of a view of these classes, nothing in it replaced."""
    return Need(
        f"a view of the kind {' or '.join(kind.__name__ for kind in kinds)}", lambda view: behaves_as(view, *kinds)
    )


_TABLE: dict[str, Entry] = {}
_CODECS: dict[str, Codec] = {}
_MADE_BY: dict[str, str] = {}


def register(new: Entry) -> Entry:
    """Put a mechanism into the table, and its codec among those that files are read by.

    Returns:
        The entry.
    Raises:
        ValueError: A name that is taken, no name of lower-case words, or a class that shares its name with another one
            that files are read by.
    """
    if not new.name or any(not (letter.islower() or letter.isdigit() or letter == "-") for letter in new.name):
        raise InputError(f"a mechanism's name must be lower-case words with hyphens between, got {new.name!r}")
    taken = [one for one in _TABLE.values() if new.name == one.name or new.label == one.label]
    if taken:
        raise InputError(
            f"there is a mechanism {taken[0].name!r} labelled {taken[0].label!r} already, "
            f"got {new.name!r} labelled {new.label!r}"
        )
    if new.codec is not None:
        kind = new.codec.kind
        there = _CODECS.get(kind.__name__)
        if there is not None and there.kind is not kind:
            raise InputError(
                f"files name mechanisms by their class: {kind.__name__} is one of {there.kind.__module__} already"
            )
        _CODECS[kind.__name__] = new.codec
    _TABLE[new.name] = new
    _MADE_BY[new.name] = running()
    return new


def made_by(name: str) -> str:
    """Return which plugin registered a mechanism, see `auctionsim.plugins.running`; "" where none did."""
    return _MADE_BY[entry(name).name]


def withdraw(name: str) -> None:
    """Take a mechanism out of the table and its codec out of what files are read by, as before a file is loaded anew.

    Raises:
        ValueError: No mechanism of that name.
    """
    codec = entry(name).codec
    del _TABLE[name], _MADE_BY[name]
    if codec is not None and not any(one.codec and one.codec.kind is codec.kind for one in _TABLE.values()):
        del _CODECS[codec.kind.__name__]


def names() -> tuple[str, ...]:
    """Return the names of all mechanisms, installed plugins' too, in the order in which they were registered."""
    load_installed()
    return tuple(_TABLE)


def table() -> Mapping[str, Entry]:
    """Return the whole table, installed plugins' entries too: a copy."""
    load_installed()
    return dict(_TABLE)


def entry(name: str) -> Entry:
    """Return one mechanism's entry.

    Raises:
        ValueError: No mechanism of that name; lists those there are.
    """
    if name not in _TABLE:
        load_installed()
    if name not in _TABLE:
        raise InputError(f"mechanism must be one of {', '.join(_TABLE)}, got {name!r}")
    return _TABLE[name]


def codec_of(kind: str) -> Codec | None:
    """Return the codec of a class of mechanisms by the class's name, None where none is registered."""
    if kind not in _CODECS:
        load_installed()
    return _CODECS.get(kind)


def design(
    name: str, view: Substrate, priors: Priors, user_weight: float = 0.0, *, seed: int = 0, quick: bool = False
) -> Mechanism:
    """Design a mechanism on a view by its recipe.

    Args:
        name: In the table.
        view: Where it allocates, such as `surface.sell("slot_probability")`.
        priors: What valuations are drawn from.
        user_weight: λ ≥ 0, money per unit of user loss.
        seed: Of what is learned.
        quick: Train by the quick recipe.
    Raises:
        ValueError: No mechanism of that name, or a view that lacks what it needs.
    Example:
        >>> import torch
        >>> from auctionsim.priors import Uniform
        >>> from auctionsim.substrates import Items
        >>> design("optimum", Items(2), Uniform(0, 1))(torch.tensor([[[0.9], [0.6]]])).payments
        tensor([[0.6000, 0.0000]])
    """
    return entry(name).designed(Problem(view, priors, user_weight, seed, quick))
