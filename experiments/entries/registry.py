"""Published systems, a file each: which carrier, which mechanism, whose idea, and what was assumed to run it here.

A file of this folder, or one of one's own (`auctionsim arena run --entry FILE`), ends by `register(SystemEntry(...))`
and gets a row of the board in every category that its carrier was measured in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from auctionsim.errors import InputError

TRUTHFUL, IN_EXPECTATION = "truthful", "truthful in expectation"
APPROXIMATELY, NEITHER = "truthful up to an error", "none"
CLAIMS = (TRUTHFUL, IN_EXPECTATION, APPROXIMATELY, NEITHER)
"""What authors claim of truthful bids: that they are dominant; dominant, or in equilibrium, in expectation over what is
drawn; dominant but for the error of an estimate; nothing, or that other bids may be better."""


@dataclass(frozen=True)
class SystemEntry:
    """A published system, as it runs here.

    Attributes:
        name: Lower-case words, hyphens between.
        label: In tables: the system's own name, or its authors and year.
        carrier: Name in the table of carriers: by which door it enters a reply.
        mechanism: Name in the table of mechanisms.
        citation: Authors (year), title, where it is to be read.
        sold: What is sold, one line for a stranger.
        pays: Who pays what, one line for a stranger.
        claim: One of `CLAIMS`.
        claims: What its authors claim about incentives, in our words, with the place.
        exposure: About which exposure they claim it.
        assumed: What was assumed or changed to run it on a carrier's list, one or two sentences.
        settings: Values of the mechanism's knobs that the system fixes; the others are chosen on replicate A.
    """

    name: str
    label: str
    carrier: str
    mechanism: str
    citation: str
    sold: str
    pays: str
    claim: str
    claims: str
    exposure: str
    assumed: str
    settings: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name or any(not (c.islower() or c.isdigit() or c == "-") for c in self.name):
            raise InputError(f"a system's name must be lower-case words with hyphens between, got {self.name!r}")
        if self.claim not in CLAIMS:
            raise InputError(f"{self.name}: claim must be one of {', '.join(CLAIMS)}, got {self.claim!r}")
        for part in ("label", "carrier", "mechanism", "citation", "sold", "pays", "claims", "exposure", "assumed"):
            if not str(getattr(self, part)).strip():
                raise InputError(f"{self.name}: {part} must not be empty")


_TABLE: dict[str, SystemEntry] = {}


def register(new: SystemEntry) -> SystemEntry:
    """Put a system among those of the board.

    Raises:
        ValueError: A name or a label that is taken.
    """
    for one in _TABLE.values():
        if new.name == one.name or new.label == one.label:
            raise InputError(f"there is a system {one.name!r} labelled {one.label!r} already, got {new.name!r}")
    _TABLE[new.name] = new
    return new


def withdraw(name: str) -> None:
    """Take a system off the board, as before its file is loaded anew.

    Raises:
        ValueError: No system of that name.
    """
    system(name)
    del _TABLE[name]


def system(name: str) -> SystemEntry:
    """Return one system.

    Raises:
        ValueError: None of that name; lists those there are.
    """
    if name not in _TABLE:
        raise InputError(f"system must be one of {', '.join(_TABLE)}, got {name!r}")
    return _TABLE[name]


def systems() -> dict[str, SystemEntry]:
    """Return all systems by name, in the order in which they were registered."""
    return dict(_TABLE)
