"""An offer: which features are sold, and which loss of the user is charged for."""

import math
import re
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, TypeVar

from torch import Tensor

from auctionsim.checks import MOST_MONEY
from auctionsim.errors import InputError, InputTypeError
from auctionsim.substrates.quantities import DEFAULT_LOSS

Charge = str | Mapping[str, float]
"""A loss by name, or weights over names: the sum, each loss times its weight; also as text, "kl - 0.5*length"."""
LEAST_WEIGHT = 1 / MOST_MONEY
"""A weight is money for a unit of its loss; between this and the most money its square is a number, too."""
_TERM = re.compile(r"\s*(\+\s*-|[+-])?\s*(?:([^*+-]*?(?:(?<=[0-9.])[eE][+-]?\d+)?)\s*\*)?\s*([^*+\s-][^*+-]*)")
_T = TypeVar("_T", bound=Tensor | float)


class Offer:
    """The features that are sold and the loss that is charged for.

    The user's loss of an auction is one number: Σ weight · loss over the named losses. Losses of different units may be
    added, as money is to be paid for the sum; its unit then says so. A negative weight pays for what the loss counts:
    {"length": -1} for longer replies. A name that holds a plus, a minus or a star can stand in a mapping only.

    Args:
        features: Names of what is sold, in this order.
        loss: The name of a loss, at weight 1, or weights by name, as a mapping or as "kl-0.5*length".
    Raises:
        TypeError: Features that are no list of names, a loss that is neither a name nor weights by name.
        ValueError: No feature, one twice, no loss, or a weight that is 0, or larger or smaller than money can be.
    Example:
        >>> Offer(("hits",), {"kl": 0.3, "length": -1}).loss_name
        '0.3 kl - 1 length'
    """

    __slots__ = ("_hash", "charges", "features")

    features: tuple[str, ...]
    charges: tuple[tuple[str, float], ...]
    _hash: int

    def __init__(self, features: Sequence[str], loss: Charge = DEFAULT_LOSS) -> None:
        names = _names(features)
        weights = _weights(loss) if isinstance(loss, str) else _mapping(loss)
        for name, weight in weights.items():
            is_number = isinstance(weight, Real) and not isinstance(weight, bool)
            if not is_number or not 0 < abs(weight) < math.inf:
                raise InputError(f"the weight of the loss {name!r} must be finite and not 0, got {weight!r:.60}")
            if not LEAST_WEIGHT <= abs(weight) <= MOST_MONEY:
                sizes = f"between {LEAST_WEIGHT:.2g} and {MOST_MONEY:.2g} in size"
                raise InputError(f"the weight of the loss {name!r} must be {sizes}, got {weight!r:.60}")
        if not weights:
            raise InputError("an offer names one loss at least, got none")
        object.__setattr__(self, "features", names)
        object.__setattr__(self, "charges", tuple((name, float(weight)) for name, weight in sorted(weights.items())))
        object.__setattr__(self, "_hash", hash((self.features, self.charges)))  # of every reading's key

    @property
    def loss(self) -> Charge:
        """The loss as it is named: a name, or weights by name."""
        name, weight = self.charges[0]
        return name if len(self.charges) == 1 and weight == 1 else dict(self.charges)

    @property
    def loss_name(self) -> str:
        """The loss in words, for the head of a column."""
        return _sum(self.charges, [name for name, _ in self.charges])

    def loss_unit(self, units: Mapping[str, str]) -> str:
        """Return the unit of the charged loss; a sum of different units says so.

        Args:
            units: By loss.
        """
        words = [units[name] for name, _ in self.charges]
        if len(set(words)) == 1 and (len(words) > 1 or self.charges[0][1] == 1):
            return words[0]
        return _sum(self.charges, [f"({word})" for word in words])

    def loss_basis(self, bases: Mapping[str, str]) -> str:
        """Return what the charged loss rests on beside replies and code, "" where on nothing.

        Args:
            bases: By loss; those that rest on nothing more may be left out.
        """
        return "; ".join(f"{name}: {bases[name]}" for name, _ in self.charges if bases.get(name))

    def charge(self, losses: Mapping[str, _T]) -> _T:
        """Return Σ weight · loss; a single loss at weight 1 is returned as it is."""
        (name, weight), *more = self.charges
        total: Any = losses[name] if weight == 1 else weight * losses[name]
        for name, weight in more:
            total = total + weight * losses[name]
        charged: _T = total
        return charged

    def refuse_unknown(self, features: Sequence[str], losses: Sequence[str]) -> None:
        """Refuse what there is not.

        Raises:
            ValueError: A feature or a loss that is none of these; names it and lists them.
        """
        if not set(self.features) <= set(features):
            raise InputError(f"features to sell must be some of {tuple(features)}, each once, got {self.features}")
        unknown = [name for name, _ in self.charges if name not in losses]
        if unknown:
            raise InputError(f"the loss must be one of {tuple(losses)}, or weights over them; got {unknown[0]!r}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an Offer does not change: {name} is fixed")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Offer) and (self.features, self.charges) == (other.features, other.charges)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Offer({self.features!r}, {self.loss!r})"

    def __reduce__(self) -> tuple[type, tuple[tuple[str, ...], dict[str, float]]]:
        return Offer, (self.features, dict(self.charges))


def _names(features: object) -> tuple[str, ...]:
    """Return the features as a tuple; a set has no order to sell in."""
    names = (features,) if isinstance(features, str) else features
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise InputTypeError(f"features to sell must be a list or tuple of names, got {features!r:.60}")
    if not names or len(set(names)) < len(names) or not all(names):
        raise InputError(f"features to sell must be some of those there are, each once, got {tuple(names)}")
    return tuple(names)


def _mapping(loss: object) -> dict[str, float]:
    if not isinstance(loss, Mapping) or not all(isinstance(name, str) for name in loss):
        raise InputTypeError(f"a loss is a name, or weights by name as {{'kl': 0.3, 'length': 1}}, got {loss!r:.60}")
    return dict(loss)


def _weights(text: str) -> dict[str, float]:
    """Return the weights by name that a text such as "kl" or "0.3*kl-1*length" means."""
    weights: dict[str, float] = {}
    place = 0
    while place < len(text) or not weights:
        term = _TERM.match(text, place)
        sign, weight, name = ("", "", "") if term is None else (part or "" for part in term.groups())
        name = name.strip()
        starred = term is not None and term.group(2) is not None
        if term is None or name in weights or (starred and not _is_number(weight)) or (place and not sign):
            raise InputError(f"a loss is a name, or weights over different names as .3*kl-1*length, got {text!r}")
        weights[name] = (-1.0 if "-" in sign else 1.0) * (float(weight) if starred else 1.0)
        place = term.end()
    return weights


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _sum(charges: Sequence[tuple[str, float]], words: Sequence[str]) -> str:
    if len(charges) == 1 and charges[0][1] == 1:
        return words[0]
    first, *more = (f"{abs(weight):g} {word}" for (_, weight), word in zip(charges, words, strict=True))
    signs = ["-" if weight < 0 else "+" for _, weight in charges]
    return " ".join(
        [f"-{first}" if signs[0] == "-" else first, *(f"{s} {w}" for s, w in zip(signs[1:], more, strict=True))]
    )
