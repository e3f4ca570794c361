"""The table of carriers: by name, what is sold, how it is fitted, and how it is read from a file.

A carrier gets in by one line at the end of its own file, `register(CarrierEntry(…))`; then it is fitted, measured,
sold, played and reported by name.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from auctionsim.brands import Brand
from auctionsim.carriers.protocol import CARRIER_FORMAT, CARRIER_VERSION, Carrier, checked_brands, file_of
from auctionsim.errors import InputError, InputTypeError
from auctionsim.language_models.model import LanguageModel
from auctionsim.plugins import load_installed
from auctionsim.prompts import PromptSet
from auctionsim.records import Record, shown
from auctionsim.storage import Stored, read_stored, write_stored


class FittingInputs(NamedTuple):
    """The model, brands and prompts that a carrier is fitted from.

    Attributes:
        model: The language model.
        brands: The bidders.
        category: What they sell, as "running shoes".
        prompts: All prompts; what is fitted is fitted on the split A, neurons on the split identify.
        seed: Of what is drawn while fitting.
    """

    model: LanguageModel
    brands: tuple[Brand, ...]
    category: str
    prompts: PromptSet
    seed: int = 0


@dataclass(frozen=True)
class CarrierEntry:
    """One line of the table.

    Attributes:
        name: On the command line: lower-case words, hyphens between.
        label: In tables.
        sold: What is sold, one sentence for a stranger.
        source: Who sold it so, or moved replies so: authors, year, title; "" where nobody is known.
        fit: Makes it for a model, brands and prompts.
        made: Makes it again from brands and what `Carrier.stored` returned.
    """

    name: str
    label: str
    sold: str
    source: str
    fit: Callable[[FittingInputs], Carrier]
    made: Callable[[tuple[Brand, ...], Stored], Carrier]


_KNOWN: dict[str, CarrierEntry] = {}


def register(entry: CarrierEntry) -> CarrierEntry:
    """Make a carrier known by its name, and return its entry.

    Raises:
        ValueError: The name is taken.
        TypeError: It is no entry.
    """
    if not isinstance(entry, CarrierEntry):
        raise InputTypeError(f"register takes a CarrierEntry, got {type(entry).__name__}")
    if entry.name in _KNOWN:
        raise InputError(f"a carrier called {entry.name!r} is registered already: choose another name")
    _KNOWN[entry.name] = entry
    return entry


def unregister(name: str) -> None:
    """Forget a carrier of one's own, as a test does when it ends.

    Raises:
        ValueError: None has this name.
    """
    carrier_entry(name)
    del _KNOWN[name]


def carrier_entry(name: str) -> CarrierEntry:
    """Return the entry of a name.

    Raises:
        ValueError: None has it; lists those that are known.
    """
    load_installed()
    if name not in _KNOWN:
        raise InputError(f"no carrier is called {shown(name)}; known are {', '.join(carrier_names())}")
    return _KNOWN[name]


def carrier_names() -> tuple[str, ...]:
    """Return the names of all carriers, in the order in which they were registered."""
    load_installed()
    return tuple(_KNOWN)


def save_carrier(path: str | os.PathLike[str], carrier: Carrier) -> None:
    """Write a carrier to one safetensors file, whole or not at all."""
    write_stored(path, file_of(carrier), CARRIER_FORMAT, CARRIER_VERSION)


def load_carrier(path: str | os.PathLike[str]) -> Carrier:
    """Read a file written by `save_carrier`.

    Raises:
        FileNotFoundError: There is none.
        ValueError: The file is truncated, corrupt, foreign or of a later version, or names a carrier that is not known;
            names the file.
    """
    stored = read_stored(path, CARRIER_FORMAT, CARRIER_VERSION)
    try:
        record = stored.fields
        listed = [Record({"names": some}, "brands").texts("names") for some in record.items("brands")]
        brands = checked_brands([Brand.read(list(names)) for names in listed], "a carrier")
        inner = Stored(dict(record.record("settings").content), stored.arrays)
        return carrier_entry(record.text("carrier")).made(brands, inner)
    except ValueError as error:
        raise InputError(f"{os.fspath(path)}: {error}") from error
