"""Units and bounds of what was measured: every feature, loss and diagnostic by name."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from auctionsim.errors import InputError
from auctionsim.records import Record

DEFAULT_LOSS = "kl"
"""The loss that is charged where none is named, if it was measured."""


class Quantity(NamedTuple):
    """The meaning of a measured number: unit and bounds.

    Attributes:
        unit: In words, such as "nats a token".
        low: The least value it may have.
        high: The greatest.
        basis: What it rests on beside replies and code, such as fitted weights; "" where on nothing. Of another basis
            it is another quantity.
    """

    unit: str
    low: float = -math.inf
    high: float = math.inf
    basis: str = ""


UNDECLARED: Mapping[str, Quantity] = {
    "kl": Quantity("nats a token", 0.0),
    "hits": Quantity("hits a reply", 0.0),
    "intent": Quantity("probability", 0.0),
    "surprise": Quantity("nats a token"),
    "repetition_rate": Quantity("share of a reply"),
}
"""What files of version 1 mean, which declare no units."""


def quantities_of(
    features: Iterable[str],
    losses: Iterable[str],
    diagnostics: Iterable[str],
    declared: Mapping[str, Quantity],
) -> dict[str, Quantity]:
    """Return unit and bounds of every name: what is declared, else what files of version 1 mean.

    There a name that ends in _probability lies in [0, 1], every other feature is ≥ 0 and counted in units of its own
    name, and `kl` is ≥ 0 nats a token. Another loss has no unit that could be guessed.

    Raises:
        ValueError: A name that was not measured, one name for two things, a loss without a unit, a blank unit, or
            bounds that hold nothing.
    """
    features, losses, diagnostics = tuple(features), tuple(losses), tuple(diagnostics)
    names = (*features, *losses, *diagnostics)
    twice = sorted({name for name in (*names, "user_loss") if (*names, "user_loss").count(name) > 1})
    if twice:
        raise InputError(
            f"features, losses and diagnostics must have different names, not user_loss; got {twice[0]!r} twice"
        )
    unknown = sorted(set(declared) - set(names))
    if unknown:
        raise InputError(f"units are declared for {unknown[0]!r}, which was not measured; there are {names}")
    chosen = {name: Quantity(*declared[name]) if name in declared else _undeclared(name, features) for name in names}
    for name in losses:
        if name not in declared and name not in UNDECLARED:
            raise InputError(f"the loss {name!r} needs a unit: declare it in `quantities`")
    for name, quantity in chosen.items():
        if not isinstance(quantity.unit, str) or not quantity.unit.strip():
            raise InputError(f"the unit of {name} must be a word or more, got {quantity.unit!r}")
        if not isinstance(quantity.basis, str):
            raise InputError(f"the basis of {name} must be words, or none, got {quantity.basis!r:.80}")
        if not quantity.low < quantity.high:
            raise InputError(f"the bounds of {name} must hold something, got [{quantity.low}, {quantity.high}]")
    return chosen


def _undeclared(name: str, features: tuple[str, ...]) -> Quantity:
    if name in UNDECLARED:
        return UNDECLARED[name]
    if name.endswith("_probability"):
        return Quantity("probability", 0.0, 1.0)
    return Quantity(name.replace("_", " "), 0.0 if name in features else -math.inf)


def quantities_record(quantities: Mapping[str, Quantity]) -> dict[str, dict[str, Any]]:
    """Return the quantities as JSON; a bound that is none is null."""
    return {
        name: {
            "unit": quantity.unit,
            "low": quantity.low if math.isfinite(quantity.low) else None,
            "high": quantity.high if math.isfinite(quantity.high) else None,
            **({"basis": quantity.basis} if quantity.basis else {}),
        }
        for name, quantity in quantities.items()
    }


def quantities_from(record: Record) -> dict[str, Quantity]:
    """Return what `quantities_record` wrote.

    Raises:
        ValueError: A field that is missing or of another kind.
    """
    found = {}
    for name in record.content:
        one = record.record(name)
        basis = one.text("basis") if "basis" in one else ""
        found[name] = bounded(one.text("unit"), one.number_or_none("low"), one.number_or_none("high"), basis)
    return found


def bounded(unit: str, low: float | None, high: float | None, basis: str = "") -> Quantity:
    """Return a quantity whose bounds are written as JSON has them: null is none."""
    return Quantity(unit, -math.inf if low is None else low, math.inf if high is None else high, basis)
